#!/usr/bin/env bats
# SPDX-License-Identifier: MPL-2.0
# What a push is shown: the plan by the part that it changes, beside the same plan of all that it
# declares, over a history drawn from a seed.

load ../starter.bash

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
    "$spinel" serve >log 2>&1 3>&- &
    daemon=$!
    until_true 60 is_converged
}

teardown() {
    process_end "$daemon"
    processes_end
    rm -rf "$rack"
}

is_converged() { "$spinel" status --json | grep -q '"converged": true'; }

volume() {
    printf 'apiVersion: spinel/v1\nkind: Volume\nmetadata: {name: %s, project: shop, labels: {turn: "%s"}}\nspec: {size: %sMiB, onRemove: delete}\n' \
        "$1" "$2" "$3" >"lab/manifests/$1.yaml"
}

# Asks the daemon about the clone's HEAD in both ways; prints "part" if the first was by the part
# (which leaves no parse behind), and fails if the two are not one answer.
ask_both() {
    python3 - "$rack/lab" <<'PY'
import json, os, socket, sqlite3, subprocess, sys
lab = sys.argv[1]
def git(*words):
    return subprocess.run(["git", "-C", lab + "/manifests", *words], check=True, stdout=subprocess.PIPE).stdout
def entry(line):
    path = line.decode()
    blob = git("ls-tree", "HEAD", "--", path).split()
    return {"path": path, "blob": blob[2].decode() if blob else None, "data": git("show", "HEAD:" + path).decode() if blob else None}
def is_manifest(line):
    return line.endswith(b".yaml")
def parses():
    with sqlite3.connect("file:%s/state/spinel.db?mode=ro" % lab, uri=True) as db:
        return db.execute("SELECT count(*) FROM parse").fetchone()[0]
def check(base, changes):
    talk = socket.socket(socket.AF_UNIX)
    os.chdir(lab + "/state")
    talk.connect("control.sock")
    talk.sendall((json.dumps({"jsonrpc": "2.0", "id": 1, "method": "check", "params": {
        "commit": head, "base": base, "ref": "refs/heads/main", "forced": False, "changes": changes}}) + "\n").encode())
    return json.loads(talk.makefile().readline())
head, base = git("rev-parse", "HEAD").decode().strip(), git("rev-parse", "origin/main").decode().strip()
changed = [entry(l) for l in git("diff", "--name-only", base, head).splitlines() if is_manifest(l)]
every = [entry(l) for l in git("ls-tree", "-r", "--name-only", "HEAD").splitlines() if is_manifest(l)]
before = parses()
part = check(base, changed)
was_part = parses() == before
whole = check(None, every)
for answer in part, whole:
    for problem in answer.get("error", {}).get("data", {}).get("problems", []):
        problem.pop("source", None)
if part != whole:
    sys.exit("by the part:\n%s\nby the whole:\n%s" % (json.dumps(part, indent=1), json.dumps(whole, indent=1)))
print("refused" if "error" in part else "part" if was_part else "whole", len(part.get("result", {}).get("plan", {}).get("steps", [])))
PY
}

@test "what a push is shown by its part is what it is shown by the whole" {
    RANDOM=20261128
    parts=0 steps=0 others=0
    for turn in $(seq 30); do
        case $((RANDOM % 8)) in
        0 | 1 | 2) volume "v$((RANDOM % 4))" "$turn" $((64 + turn * 64)) ;;
        3) volume "v$((RANDOM % 4))" "$turn" $((64 + turn * 64)); volume "w$turn" "$turn" 64 ;;
        4) rm -f "lab/manifests/v$((RANDOM % 4)).yaml" ;;
        5) volume bad "$turn" 0 ;;
        6) "$spinel" freeze changes --why "$turn" >/dev/null 2>&1 || : ; volume v0 "$turn" $((64 + turn * 64)) ;;
        7) "$sim" --world lab/state/drivers/sim/world delete "$("$sim" --world lab/state/drivers/sim/world list | awk '/ready$/ {print $1; exit}')" >/dev/null || :; volume v1 "$turn" $((64 + turn * 64)) ;;
        esac
        git -C lab/manifests add -A
        git -C lab/manifests commit -q --allow-empty -m "$turn"
        answer=$(ask_both)
        echo "turn $turn: $answer"
        case $answer in
        "part 0") ;;
        part*) parts=$((parts + 1)) ;;
        *) others=$((others + 1)) ;;
        esac
        if [ "${answer%% *}" = refused ] || ((RANDOM % 4 == 0)); then
            git -C lab/manifests reset -q --hard origin/main
        else
            git -C lab/manifests push -q origin HEAD:main 2>/dev/null
        fi
        "$spinel" freeze --lift changes >/dev/null 2>&1 || :
        for hold in $({ "$spinel" plan --json 2>/dev/null || :; } | jq -r '.holds[].id'); do
            "$spinel" approve "$hold" >/dev/null
        done
        until_true 60 is_converged
    done
    echo "$parts by their part, $others not"
    [ "$parts" -ge 8 ]
    [ "$others" -ge 4 ]
}
