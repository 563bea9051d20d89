#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# site.sh [DRIVERS:]STATE DIR: a site on the sim driver in DIR, in one of the states that scenes begin with.
# DRIVERS are those that are real.
# BUILD holds an undisturbed spinel. A DIR that has a "new" site already is led on from there.
set -eu
state=${1#*:}
case $1 in *:*) drivers=${1%%:*} ;; *) drivers=sim ;; esac
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

begin() {
    "$spinel" init lab --drivers=sim --example="$EXAMPLES/starter" >/dev/null
    case $drivers in
    network) classes='network: linux-vpc' ;;
    file) classes='volume: file' ;;
    exec) classes='network: exec' ;;
    machine) classes='instance: qemu, volume: file, network: linux-vpc' ;;
    *) classes= ;;
    esac
    sed -i "s|drivers: {default: sim}|drivers: {default: sim${classes:+, $classes}}|" lab/spinel.yaml
    case $drivers in
    machine)
        # Nothing to boot from is enough to run, and soon rests.
        sed -i 's/^  cpus: 1$/&\n  accel: tcg\n  shutdown: {timeout: 1s}/; s/192MiB/32MiB/' "$manifest" ;;
    web)
        echo "  web: {listen: \"unix:$PWD/lab/web.sock\"}" >>lab/spinel.yaml ;;
    exec)
        echo "  settings: {exec: {script: $EXAMPLES/../tests/torture/objects.sh}}" >>lab/spinel.yaml ;;
    file)
        # One image from a file, one over HTTP, a volume made of each, and a seed.
        echo '  settings: {file: {imageHosts: ["127.0.0.1:8000"]}}' >>lab/spinel.yaml
        mkdir -p "$SHARED"
        for image in one two; do
            [ -f "$SHARED/$image" ] || head -c 300000 /dev/urandom >"$SHARED/$image"
        done
        image() { printf -- '---\napiVersion: spinel/v1\nkind: Image\nmetadata: {name: %s}\nspec: {%s, format: raw, digest: "sha256:%s"}\n' "$1" "$2" "$(sha256sum <"$SHARED/$1" | cut -c1-64)"; }
        made() { printf -- '---\napiVersion: spinel/v1\nkind: Volume\nmetadata: {name: from-%s, project: shop}\nspec: {size: 2MiB, %sonRemove: delete, format: %s}\n' "$1" "$2" "$3"; }
        {
            image one "path: $SHARED/one"
            image two "url: \"http://127.0.0.1:8000/two\""
            made one 'image: one, ' raw
            made two 'image: two, ' qcow2
            made none '' raw
        } >>"$manifest"
        sed -i 's/^  memory: 192MiB$/&\n  cloudInit: {}/' "$manifest"
        ;;
    esac
    git -C lab/manifests commit -qam 'real drivers' >/dev/null || :
    printf 'apiVersion: spinel/v1\nkind: Volume\nmetadata: {name: v, project: nobody}\nspec: {sise: 1GiB}\n' >bad.yaml
    git -C lab/manifests push -q 2>/dev/null
}
listens() { grep -qi ' 0100007F:1F40 .* 0A ' /proc/net/tcp; }

[ "$drivers" != file ] || listens ||
    { mkdir -p "$SHARED"; setsid python3 -m http.server --bind 127.0.0.1 8000 --directory "$SHARED" >/dev/null 2>&1 </dev/null & }
[ -d lab ] || begin
until [ "$drivers" != file ] || listens; do sleep 0.05; done

change() {
    sed -i 's/ports: \[80\]/ports: [80, 443]/' "$manifest"
    if [ "$drivers" = file ]; then # what a machine holds is grown by its driver
        sed -i 's/ 2MiB/ 3MiB/' "$manifest"
    else
        sed -i 's/64MiB/96MiB/' "$manifest"
    fi
    printf -- '---\napiVersion: spinel/v1\nkind: Volume\nmetadata: {name: more, project: shop}\nspec: {size: 1GiB}\n' >>"$manifest"
    if [ "$drivers" = file ]; then # one goes to the trash
        awk 'BEGIN { RS = "---\n"; ORS = "" } !/name: from-one/ { print (n++ ? "---\n" : "") $0 }' "$manifest" >less
        mv less "$manifest"
    fi
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
released | purged)
    change
    apply
    git -C lab/manifests show HEAD~:starter.yaml 2>/dev/null >"$manifest"
    push 'less again'
    apply
    "$spinel" --site lab/spinel.yaml purge --json | jq -r '.released[0].metadata.uid' >uid
    [ "$state" = released ] || "$spinel" --site lab/spinel.yaml purge --yes "$(cat uid)" >/dev/null
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
