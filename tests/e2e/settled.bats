#!/usr/bin/env bats
# SPDX-License-Identifier: MPL-2.0
# `plan --cached` from the word that nothing is to be done, beside the same plan made in full,
# over histories drawn from a seed: commits, applies, damage, looks, freezes.

setup() {
    build=${BUILD:-$BATS_TEST_DIRNAME/../../build}
    spinel=$build/spinel
    sim=$build/drivers/sim
    rack=$(mktemp -d)
    cd "$rack"
    "$spinel" init --drivers sim --example "$BATS_TEST_DIRNAME/../../examples/starter" lab >/dev/null
    export SPINEL_SITE=$rack/lab/spinel.yaml
    git -C lab/manifests config user.email ann@example.org
    git -C lab/manifests config user.name Ann
    git -C lab/manifests push -q origin HEAD:main 2>/dev/null
}

teardown() {
    rm -rf "$rack"
}

fact() {
    python3 - "$rack/lab/state/spinel.db" "$1" <<'PY'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
if sys.argv[2] == "drop":
    db.execute("DELETE FROM fact WHERE key = 'settled'")
    db.commit()
print(db.execute("SELECT count(*) FROM fact WHERE key = 'settled'").fetchone()[0])
PY
}

# The plan as it comes, and as it is without the fact, must be one document with one status.
# `settled` counts how often there was a fact to go by.
compare() {
    local before after
    local had
    had=$(fact count)
    settled=$((settled + had))
    before=0
    "$spinel" plan --cached --json >with.json 2>err || before=$?
    fact drop >/dev/null
    after=0
    "$spinel" plan --cached --json >without.json 2>>err || after=$?
    diff with.json without.json
    [ "$before" = "$after" ]
}

volume() {
    printf 'apiVersion: spinel/v1\nkind: Volume\nmetadata: {name: %s, project: shop}\nspec: {size: %sMiB}\n' \
        "$1" "$2" >"lab/manifests/$1.yaml"
}

push() {
    git -C lab/manifests add -A
    git -C lab/manifests commit -q --allow-empty -m "$1"
    git -C lab/manifests push -q origin HEAD:main 2>/dev/null
}

damage() {
    local uid
    # Another one each time: what is hurt again and again is contested, and then never settled.
    uid=$("$sim" --world lab/state/drivers/sim/world list | awk -v n="$damaged" '/ready$/ {all[c++] = $1} END {if (c) print all[n % c]}')
    [ -n "$uid" ] || return 0
    "$sim" --world lab/state/drivers/sim/world delete "$uid" >/dev/null
    damaged=$((damaged + 1))
}

# What damage lost is made again only if a person says so.
approve() {
    local hold
    for hold in $({ "$spinel" plan --json 2>/dev/null || :; } | jq -r '.holds[].id'); do
        "$spinel" approve "$hold" >/dev/null
    done
}

@test "the plan from the word that nothing is to be done is the plan" {
    settled=0
    damaged=0
    RANDOM=20261127
    size=64
    "$spinel" apply --yes --wait=20s >/dev/null 2>&1
    for turn in $(seq 60); do
        case $((RANDOM % 10)) in
        0) volume "v$((RANDOM % 4))" $((64 + RANDOM % 8 * 64)); push "$turn" ;;
        1) rm -f "lab/manifests/v$((RANDOM % 4)).yaml"; push "$turn" ;;
        2) echo "$turn" >lab/manifests/README.md; push "$turn" ;; # no manifest
        3) damage ;;
        4) "$spinel" plan --json >/dev/null 2>&1 || : ;;
        5) "$spinel" freeze changes --why "$turn" >/dev/null 2>&1 || : ;;
        9) approve ;;
        6) "$spinel" freeze --lift changes >/dev/null 2>&1 || : ;;
        *) "$spinel" apply --yes --wait=20s >/dev/null 2>&1 || : ;;
        esac
        echo "turn $turn"
        compare
        if ((RANDOM % 2)); then
            "$spinel" apply --yes --wait=20s >/dev/null 2>&1 || :
            compare
        fi
    done
    echo "settled $settled times"
    [ "$settled" -ge 6 ]
    [ "$damaged" -ge 1 ] # a history without damage would show little
}

@test "a plan of a settled rack is nothing, and says so for a commit without manifests too" {
    "$spinel" apply --yes >/dev/null 2>&1
    [ "$(fact count)" = 1 ]
    "$spinel" plan --cached
    echo hello >lab/manifests/README.md
    push readme
    "$spinel" plan --cached --json | grep -q "\"commit\": \"$(git -C lab/manifests rev-parse HEAD)\""
    [ "$(fact count)" = 1 ]
    volume v9 64
    push v9
    run "$spinel" plan --cached
    [ "$status" = 2 ]
}

@test "the word is gone with the first row that is written, whoever writes it" {
    "$spinel" apply --yes >/dev/null 2>&1
    [ "$(fact count)" = 1 ]
    python3 - lab/state/spinel.db <<'PY'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("UPDATE object SET seen_spec = '{\"size\":1}' WHERE kind = 'Volume'")
db.commit()
PY
    [ "$(fact count)" = 0 ]
    run "$spinel" plan --cached
    [ "$status" = 2 ]
}
