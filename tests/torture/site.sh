#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# site.sh STATE DIR: a site on the sim driver in DIR, in one of the states that scenes begin with.
# BUILD holds an undisturbed spinel.
set -eu
state=$1
mkdir -p "$2"
cd "$2"
export HOME=$PWD GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME=Ada GIT_AUTHOR_EMAIL=ada@example.org
export GIT_COMMITTER_NAME=Ada GIT_COMMITTER_EMAIL=ada@example.org
export GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z'
spinel=$BUILD/spinel
manifest=lab/manifests/starter.yaml

apply() { "$spinel" --site lab/spinel.yaml apply --yes --wait=30s >/dev/null 2>&1; }
push() {
    git -C lab/manifests commit -qam "$1"
    git -C lab/manifests push -q 2>/dev/null
}
exits() { # exits STATUS COMMAND...
    want=$1 got=0
    shift
    "$@" >out 2>&1 || got=$?
    [ "$got" -eq "$want" ] || { cat out; echo "site.sh: $* exited $got, not $want"; exit 1; }
}

"$spinel" init lab --drivers=sim --example="$EXAMPLES/starter" >/dev/null
printf 'apiVersion: spinel/v1\nkind: Volume\nmetadata: {name: v, project: nobody}\nspec: {sise: 1GiB}\n' >bad.yaml
git -C lab/manifests push -q 2>/dev/null

change() {
    sed -i 's/64MiB/96MiB/; s/ports: \[80\]/ports: [80, 443]/' "$manifest"
    printf -- '---\napiVersion: spinel/v1\nkind: Volume\nmetadata: {name: more, project: shop}\nspec: {size: 1GiB}\n' >>"$manifest"
    push 'more room'
}

case $state in
new) ;;
applied) apply ;;
pushed) apply; change ;;
saved) apply; change; exits 2 "$spinel" --site lab/spinel.yaml plan -o saved ;;
invalid)
    apply
    sed -i 's/size:/sise:/' "$manifest"
    git -C lab/manifests commit -qam 'not checked'
    rm lab/manifests.git/hooks/pre-receive
    git -C lab/manifests push -q 2>/dev/null
    ;;
drifted)
    apply
    world=lab/state/drivers/sim/world
    uid=$("$BUILD/drivers/sim" --world "$world" list | awk '/Volume/ { print $1; exit }')
    "$BUILD/drivers/sim" --world "$world" set "$uid" size 134217728 2>/dev/null ||
        "$BUILD/drivers/sim" --world "$world" delete "$uid"
    ;;
frozen)
    apply
    "$spinel" --site lab/spinel.yaml freeze healing --why='a test' >/dev/null
    ;;
released)
    change
    apply
    git -C lab/manifests show HEAD~:starter.yaml 2>/dev/null >"$manifest"
    push 'less again'
    apply
    "$spinel" --site lab/spinel.yaml purge --json | jq -r '.released[0].metadata.uid' >uid
    ;;
held)
    apply
    git -C lab/manifests rm -q starter.yaml
    push 'all gone' || :
    apply || : # it meets the hold, and puts it on record
    "$spinel" --site lab/spinel.yaml plan --json 2>/dev/null |
        jq -r '[.steps[].hold // empty][0]' >hold || :
    ;;
esac

# What a push of the same head hands to its hook.
head=$(git -C lab/manifests rev-parse HEAD)
printf '%s %s refs/heads/main\n' 0000000000000000000000000000000000000000 "$head" >push
