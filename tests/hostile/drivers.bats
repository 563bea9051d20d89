# SPDX-License-Identifier: MPL-2.0
# A driver that lies, floods, crashes and hangs: it costs what it holds, never the daemon, nor
# what other drivers hold.
bats_require_minimum_version 1.5.0
load hostile.bash
setup() {
    setup_site
    mkdir drivers
    cp "$BATS_TEST_DIRNAME/liar.py" drivers/liar
    sed -i 's|drivers: {default: sim}|drivers: {default: sim, volume: liar}\n  driverDirs: ['"$PWD"'/drivers]|' lab/spinel.yaml
    # One that no machine holds, so that this driver alone carries its steps out.
    printf -- '---\napiVersion: spinel/v1\nkind: Volume\nmetadata: {name: spare, project: shop}\nspec: {size: 1MiB}\n' >>lab/manifests/starter.yaml
    commit spare
    git -C lab/manifests push -q 2>/dev/null
    spinel apply --yes --wait=60s >/dev/null 2>&1
    lie=lab/state/lie
    volume=$(spinel get volume shop/web-1-data --json | jq -r '.items[0].metadata.uid')
    spare=$(spinel get volume shop/spare --json | jq -r '.items[0].metadata.uid')
    machine=$(spinel get instance shop/web-1 --json | jq -r '.items[0].metadata.uid')
}
teardown() { site_leave; }

# Whatever it says, nothing is destroyed, and the machine of the other driver runs.
all_is_there() {
    spinel plan --json >plan.json || [ $? -le 3 ]
    jq -e '[.steps[] | select(.disposition == "run" and (.action == "delete" or .action == "replace" or .action == "create"))] == []' plan.json
    spinel get instance shop/web-1 --json | jq -e --arg uid "$machine" '.items[0].metadata.uid == $uid'
    jq -e --arg uid "$volume" '.[$uid].there' lab/state/liar.json
}

# looks WORD...: with this lie the daemon looks again, and lives
looks() {
    echo "$@" >$lie
    daemon_start
    timeout 60 spinel drift --json >drift.json || [ $? -le 2 ]
    kill -0 "$daemon"
    spinel status --json | jq -e '.daemon != null'
}

comes_back() {
    rm -f $lie
    until_true 60 sh -c 'spinel plan --json | jq -e ".summary.run == 0 and .summary.held == 0 and .summary.deferred == 0"'
}

@test "28: a line without end costs the driver, and no plan destroys" {
    looks flood-line
    all_is_there
    spinel events --json | jq -e '[.events[] | select(.type == "driver.stopped")] | length > 0'
    comes_back
}

@test "28: garbage, depth and answers to nobody are passed over" {
    looks garbage
    all_is_there
    grep -q 'not JSON-RPC: .*line 1' serve.log
    daemon_stop
    looks strangers
    all_is_there
    comes_back
}

@test "28: a process that a driver leaves behind, and that writes without end, holds nobody up" {
    for stream in out err; do
        daemon_start
        echo leave $stream >$lie
        timeout 60 spinel drift --json >drift.json || [ $? -le 2 ]
        timeout 20 spinel status --json | jq -e '.daemon != null'
        all_is_there
        spinel events --json | jq -e '[.events[] | select(.type == "driver.stopped")] | length > 0'
        comes_back
        daemon_stop
    done
}

@test "28: what a driver says without end fills no log, and how much was left out is said" {
    looks chatter
    all_is_there
    comes_back
    daemon_stop
    [ "$(wc -l <serve.log)" -lt 5000 ]
    grep -q 'chatter' serve.log
    grep -q 'lines of it are left out' serve.log
    looks babble
    all_is_there
    spinel events --json | jq -e '[.events[] | select(.type == "driver.stopped" and (.text | contains("no JSON-RPC")))] | length > 0'
    comes_back
}

@test "28: an empty list is no end of everything, and a broken one is none at all" {
    looks empty # whom it leaves out is asked for by uid
    all_is_there
    run spinel drift
    [ "$status" -eq 0 ]
    spinel status --json | jq -e .converged
    daemon_stop
    for word in partial shapes; do
        looks $word
        all_is_there
        run spinel drift # to know nothing is not to know that nothing differs
        [ "$status" -eq 1 ]
        [[ $output == *'could not be looked at'* && $output != *'No drift.'* ]]
        spinel status --json | jq -e '.resources.unknown == 2 and .resources.true == .resources.total - 2'
        spinel status | grep -q '2 that nobody could look at'
        daemon_stop
    done
    looks absent-text
    all_is_there
    run spinel drift
    [ "$status" -eq 1 ]
    daemon_stop
    for word in absent gone; do # of which the list tells, or does not
        looks $word
        all_is_there
        jq -e '.summary.run == 0 and ([.holds[] | select(.rule == "lost-data")] | length == 2)' plan.json
        daemon_stop
    done
    daemon_start
    comes_back
}

@test "28: a list that is broken each time keeps who only reads waiting for seconds" {
    echo partial >$lie
    SECONDS=0
    run --separate-stderr spinel drift
    [ "$status" -eq 1 ]
    [ $SECONDS -lt 60 ] # by itself it would wait two minutes
    not grep 'spinel: text:' <<<"$stderr"
}

@test "28: two million rows and twenty thousand notices cost no more than their time" {
    for word in balloon notices; do
        looks $word
        all_is_there
        for pid in $(pgrep -P "$daemon"); do
            [ "$(awk '/VmHWM/ {print $2}' "/proc/$pid/status")" -lt 300000 ] || { cat "/proc/$pid/status"; false; }
        done
        daemon_stop
    done
    daemon_start
    comes_back
}

@test "what a driver tells without end of its work, of damage, or as an etag is kept in bounds" {
    echo progress >$lie
    daemon_start
    sed -i 's/1MiB/2MiB/' lab/manifests/starter.yaml
    commit grow
    timeout 60 git -C lab/manifests push >push.txt 2>&1
    spinel events --limit=100000 --json >events.json
    jq -e '[.events[] | select(.type == "op.progress")] | length > 0 and length < 100
        and all(.data.percent >= 0 and .data.percent <= 100 and (.data.what | length) <= 200)' events.json
    echo damages >$lie
    timeout 60 spinel drift --json >drift.json || [ $? -eq 2 ]
    jq -e '.drift | length > 50 and length < 500' drift.json
    daemon_stop
    looks etag
    all_is_there
    comes_back
    daemon_stop
    [ "$(stat -c %s lab/state/spinel.db)" -lt 3000000 ]
    [ "$(stat -c %s serve.log)" -lt 1000000 ]
}

viewer() { curl -sf -m 10 --unix-socket viewer.sock "http://localhost$1"; }

@test "what nobody could look at is said to be so by the viewer, its metrics, top, and without a daemon" {
    printf '  web: {listen: "unix:%s/viewer.sock"}\n' "$PWD" >>lab/spinel.yaml
    daemon_start
    until_true 20 sh -c 'spinel status --json | jq -e .converged'
    until_true 20 viewer /api/v1/status
    viewer /api/v1/status | jq -e '.converged and .resources.unknown == 0 and .resources.true == 7'
    viewer /api/v1/drift | jq -e '.unknown == []'
    echo partial >$lie
    timeout 60 spinel drift >/dev/null || [ $? -eq 1 ]
    is_told() { viewer /api/v1/status | jq -e '.converged | not' && viewer /api/v1/status | jq -e '.resources.unknown == 2 and .resources.true == 5'; }
    until_true 20 is_told || { viewer /api/v1/status; false; }
    viewer /api/v1/drift | jq -e --arg v "$volume" '.drift == [] and ([.unknown[].uid] | index($v))'
    viewer "/api/v1/resources?mark=unknown" | jq -e '[.items[].name] | sort == ["spare", "web-1-data"]'
    viewer /api/v1/plan | jq -e '.total == 0 and .observed.unknown == 2'
    viewer /metrics >metrics
    grep -qx 'spinel_converged 0' metrics
    grep -qx 'spinel_resources{mark="unknown"} 2' metrics
    spinel status --json | jq -e '.resources.unknown == 2 and (.converged | not)'
    python3 - >marks <<'PY'
import json, socket
s = socket.socket(socket.AF_UNIX)
s.connect("lab/state/control.sock")
s.sendall(b'{"jsonrpc":"2.0","id":1,"method":"status","params":{"marks":true}}\n')
print(json.dumps(json.loads(s.makefile().readline())["result"]["marks"]))
PY
    jq -e --arg v "$volume" '.[$v] == "unknown"' marks
    daemon_stop
    spinel status --json | jq -e '.resources.unknown == 2 and .resources.true == 5 and (.converged | not)'
    rm $lie
    daemon_start
    until_true 20 sh -c 'spinel status --json | jq -e .converged'
    until_true 20 sh -c 'curl -sf -m 10 --unix-socket viewer.sock http://localhost/api/v1/status | jq -e ".converged and .resources.unknown == 0"'
    viewer /api/v1/drift | jq -e '.unknown == []'
}

@test "the last word of a step's progress is told, however soon it comes after the one before" {
    echo quick >$lie
    sed -i 's/1MiB/2MiB/' lab/manifests/starter.yaml
    commit grow
    git -C lab/manifests push -q 2>/dev/null
    spinel apply --yes --wait=60s >/dev/null 2>&1
    spinel events --limit=1000 --json | jq -e '[.events[] | select(.type == "op.progress") | .data.percent] == [40, 100]'
}

@test "a driver that crashes or hangs is started again, later and later" {
    echo crash >$lie
    daemon_start
    sleep 3
    kill -0 "$daemon"
    [ "$(spinel events --json | jq '[.events[] | select(.type == "driver.stopped")] | length')" -lt 15 ]
    spinel get instance shop/web-1 | grep -q running
    comes_back
    daemon_stop
    looks hang
    all_is_there
    spinel events --json | jq -e '[.events[] | select(.type == "driver.stopped" and (.text | contains("does not answer observe")))] | length > 0 and length < 4'
    spinel status --json | jq -e '.resources.unknown == 2'
    comes_back
}

@test "epochs beyond reason make an object unknown, and not for ever" {
    looks epoch-negative
    all_is_there
    daemon_stop
    looks epoch-max
    all_is_there
    comes_back
    sed -i 's/1MiB/2MiB/' lab/manifests/starter.yaml
    commit grow
    git -C lab/manifests push >push.out 2>&1
    until_true 30 sh -c "jq -e '.\"$spare\".spec.size == 2097152 and .\"$spare\".epoch < 100' lab/state/liar.json"
}

@test "a driver cannot speak for what another one holds" {
    looks steal "$machine"
    all_is_there
    spinel describe instance shop/web-1 >describe.txt
    sleep 1
    spinel get instance shop/web-1 --json | jq -e --arg uid "$machine" '.items | length == 1 and .[0].metadata.uid == $uid'
    spinel get instance shop/web-1 | grep -q running
    comes_back
}

@test "a driver that says another kind, project or name of an object changes none" {
    looks kind
    all_is_there
    spinel get volume --json | jq -e --arg uid "$volume" '[.items[] | select(.metadata.uid == $uid)] | length == 1'
    comes_back
}

@test "uids that are none, and strangers by the thousand, become no paths and no rows" {
    rows() { sqlite3 -readonly lab/state/spinel.db 'SELECT uid FROM object ORDER BY uid'; }
    rows >before
    find . -name etc -o -name 'g*' -path './lab/state/*' >paths
    for word in names many; do
        looks $word
        all_is_there
        rows | diff before -
        find . -name etc -o -name 'g*' -path './lab/state/*' | diff paths -
        daemon_stop
    done
    daemon_start
    comes_back
}

@test "what is nested deep is dropped before it is written where it could not be read again" {
    looks deep
    all_is_there
    for command in plan drift 'get volume' 'describe volume shop/web-1-data' status history events; do
        run --separate-stderr spinel $command --json
        # Of what nobody could look at, plan and drift end with 1, and say how much that is.
        case $command in
        drift) [ "$status" -eq 1 ] && jq -e '.unknown | length > 0' <<<"$output" ;;
        plan) [ "$status" -eq 1 ] && jq -e '.observed.unknown > 0' <<<"$output" ;;
        *) [ "$status" -le 3 ] && [ "$status" -ne 1 ] ;;
        esac || { echo "$command: $status: $output"; false; }
        jq -e . <<<"$output" >/dev/null || { echo "$command: $output"; false; }
    done
    spinel plan -o saved >/dev/null 2>&1 || [ $? -le 3 ]
    daemon_stop
    spinel status --json >/dev/null
    daemon_start
    comes_back
}

@test "nothing that a driver says reaches a terminal or a log as it came" {
    daemon_start
    for word in escape names stderr notices; do
        echo $word >$lie
        timeout 60 spinel drift >drift.txt 2>&1 || true
        is_plain <drift.txt
        for command in plan status events drift 'get volume' 'describe volume shop/web-1-data' history purge freeze approve trace 'get instance'; do
            timeout 60 spinel $command >command.txt 2>&1 </dev/null || true
            is_plain <command.txt || { echo "spinel $command, of $word"; false; }
        done
    done
    echo refuse >$lie
    sed -i 's/1MiB/2MiB/' lab/manifests/starter.yaml
    commit grow
    timeout 20 git -C lab/manifests push >push.txt 2>&1 || true
    tr -d '\033' <push.txt | sed 's/\[K//g' | is_plain
    for command in history events plan 'describe volume shop/web-1-data'; do
        timeout 60 spinel $command >command.txt 2>&1 || true
        is_plain <command.txt || { echo "spinel $command, of refuse"; false; }
    done
    daemon_stop
    is_plain <serve.log
    for word in escape stderr refuse; do
        echo $word >$lie
        timeout 60 spinel plan >plan.txt 2>&1 || true
        is_plain <plan.txt
        timeout 60 spinel apply --yes --wait=3s >apply.txt 2>&1 || true
        is_plain <apply.txt
    done
}

@test "a driver that says done and does nothing is not believed" {
    echo idle >$lie
    sed -i 's/1MiB/2MiB/' lab/manifests/starter.yaml
    commit grow
    git -C lab/manifests push -q >/dev/null 2>&1
    run spinel apply --yes --wait=50s
    [ "$status" -ne 0 ]
    jq -e --arg uid "$spare" '.[$uid].spec.size == 1048576' lab/state/liar.json
    spinel events --json | jq -e '[.events[] | select(.type == "op.failed")] | length > 0'
    comes_back || { rm -f $lie; spinel apply --yes --wait=60s; }
}
