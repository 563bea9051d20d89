# SPDX-License-Identifier: MPL-2.0
# A daemon, its user, its drivers, and those who ask it something.
load cli.bash

setup() { setup_site; }
teardown() {
    site_leave
    [ -z "$open" ] || rm -rf "$open"
}

world() { "$BUILD/drivers/sim" --world lab/state/drivers/sim/world "$@"; }
push() {
    commit "$1"
    git -C lab/manifests push -q 2>/dev/null
}
grow() { # grow SIZE
    sed -i -E "s/^spec: \{size: [0-9]+MiB\}/spec: {size: $1}/" lab/manifests/starter.yaml
}

# terminal COLUMNS ANSWER COMMAND...: on a terminal of so many columns, asked ANSWER
terminal() {
    local columns=$1 answer=$2
    shift 2
    echo "$answer" | script -qec "stty cols $columns rows 40 2>/dev/null; $*" /dev/null
}

# ---- what was agreed to, and no more

# asked MEANWHILE COMMAND...: on a terminal, told yes once MEANWHILE has happened behind the question
asked() {
    local meanwhile=$1
    shift
    : >asked.out
    { until_true 30 grep -q 'yes/no' asked.out && $meanwhile >/dev/null 2>&1; echo yes; } | script -qefc "$*" asked.out
}
is_other_than_shown() { # is_other_than_shown WHY
    [ "$status" -eq 1 ] || return 1
    [[ $output == *"the plan is another one than was shown: $1"*'nothing was done'*'asked again: spinel apply'* ]]
}
push_renamed() {
    sed -i 's/web-1-data/web-2-data/' lab/manifests/starter.yaml
    push 'another disk'
}
world_change() { world set "$uid" spec.size 4096; }
freeze() { spinel freeze changes --why=wait; }

@test "yes to a plan is yes to no other: what came meanwhile is refused" {
    run asked push_renamed "$BUILD/spinel" apply --wait=60s
    is_other_than_shown 'that was for commit '
    run asked freeze "$BUILD/spinel" apply --wait=60s
    is_other_than_shown 'approvals, freezes or time have changed'
    [ ! -s lab/state/drivers/sim/world ]
    spinel freeze --lift=changes
    run asked true "$BUILD/spinel" apply --wait=60s
    [ "$status" -eq 0 ]
    uid=$(spinel get volume shop/web-2-data --json | jq -r '.items[0].metadata.uid')
    grow 96MiB
    push grown
    run asked world_change "$BUILD/spinel" apply --wait=60s
    is_other_than_shown 'the world has changed'
    world get "$uid" | grep -q 4096
}

@test "yes to a plan of one commit hands no other over to the daemon" {
    sed -i 's/drivers: {default: sim}/&\n  settings: {sim: {latencyMs: 700}}/' lab/spinel.yaml
    daemon_start
    run asked push_renamed "$BUILD/spinel" apply --wait=60s
    is_other_than_shown 'that was for commit '
    until_true 40 is_converged
    spinel get volume --json | jq -e 'any(.items[]; .metadata.name == "web-2-data")'
    grow 96MiB
    push grown
    run asked true "$BUILD/spinel" apply --wait=60s
    [ "$status" -eq 0 ]
}

@test "a plan that nobody could compare in time is not carried out" {
    run asked true "$BUILD/spinel" apply --wait=0s
    [ "$status" -eq 1 ]
    [[ $output == *'could be looked at in time'*'nothing was done'* ]]
    [ ! -s lab/state/drivers/sim/world ]
}

# ---- saved plans by the daemon

@test "a saved plan is carried out by the daemon while the world is as it was, once, and else refused" {
    daemon_start
    until_true 20 is_converged
    spinel freeze changes --why='so that there is time to save' >/dev/null
    grow 96MiB
    push grown
    until_true 20 sh -c 'spinel plan --json | jq -e ".commit == \"$(git -C lab/manifests rev-parse HEAD)\""'
    spinel plan -o frozen >/dev/null || true
    spinel freeze --lift=changes >/dev/null
    run spinel apply --yes frozen
    [ "$status" -eq 1 ]
    [[ $output == *stale* ]]
    until_true 20 is_converged
    spinel plan -o nothing >/dev/null
    spinel apply --yes nothing
    run spinel apply --yes nothing
    [ "$status" -eq 1 ]
    [[ $output == *'used before'* ]]
    grow 128MiB
    push 'grown again'
    until_true 20 is_converged
    run spinel apply --yes nothing
    [ "$status" -eq 1 ]
    [[ $output == *stale* || $output == *'is for commit'* ]]
    sed 's/"commit"/"comit"/' nothing >altered
    run spinel apply --yes altered
    [ "$status" -eq 1 ]
    [[ $output == *altered* || $output == *'no commit'* ]]
    echo '[1]' >list
    run spinel apply --yes list
    [ "$status" -eq 1 ]
}

@test "a plan is of any revision, and one that is none is named" {
    spinel apply --yes --wait=60s >/dev/null
    grow 96MiB
    push grown
    spinel plan --rev=main~1 >/dev/null
    run spinel plan --rev=main
    [ "$status" -eq 2 ]
    [[ $output == *'96MiB'* ]]
    run spinel plan --rev=nowhere
    [ "$status" -eq 1 ]
    run spinel plan --rev=main --cached
    [ "$status" -eq 2 ]
    spinel apply --yes --wait=60s >/dev/null
    spinel plan --cached | grep -q 'No changes'
}

# ---- who runs

@test "systemd is told when the daemon is ready" {
    python3 - notify.sock ready <<'P' &
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
s.settimeout(30)
open(sys.argv[2], "wb").write(s.recv(100))
P
    until_true 10 test -e notify.sock
    NOTIFY_SOCKET=$PWD/notify.sock daemon_start
    until_true 20 grep -q READY=1 ready
}

lab_of_nobody() {
    [ "$(id -u)" -eq 0 ] || skip "this needs root"
    id nobody >/dev/null 2>&1 || skip "this machine has no user nobody"
    open=$(mktemp -d)
    chmod 755 "$open"
    mv lab "$open/lab"
    ln -s "$open/lab" lab
    sed -i -E 's|(repository: \{path: [^,}]*)|\1, owner: root|' lab/spinel.yaml
    printf '  user: nobody\n' >>lab/spinel.yaml
    chmod -R a+rX "$open"
}

as_nobody() { setpriv --reuid=nobody --regid="$(id -g nobody)" --clear-groups "$@"; }

@test "with spec.user the core is that user's, what it keeps is handed over, and drivers stay root's" {
    lab_of_nobody
    spinel apply --yes --wait=60s >/dev/null
    touch "$open/secret"
    ln "$open/secret" lab/state/linked
    daemon_start
    until_true 20 is_converged
    core=$(pgrep -P "$daemon" -x spinel | head -1)
    [ "$(ps -o user= -p "$core")" = nobody ]
    [ "$(ps -o user= -p "$(pgrep -P "$daemon" -x sim)")" = root ]
    [ "$(stat -c %U lab/state/core/spinel.db)" = nobody ]
    [ ! -e lab/state/spinel.db ]
    [ "$(stat -c %U lab/state/.)" = root ]
    grep -q 'event=state.moved' serve.log
    spinel status >/dev/null
    [ "$(stat -c %U "$open/secret")" = root ]
    daemon_stop
    sed -i 's/user: nobody/user: nobody-of-this-name/' lab/spinel.yaml
    run spinel serve
    [ "$status" -eq 1 ]
    [[ $output == *'no user nobody-of-this-name'* ]]
}

@test "the core's user can put nothing where root's drivers write" {
    lab_of_nobody
    daemon_start
    until_true 20 is_converged
    run as_nobody mv lab/state/drivers lab/state/gone
    [ "$status" -ne 0 ]
    run as_nobody ln -s /etc lab/state/pools
    [ "$status" -ne 0 ]
    as_nobody touch lab/state/core/its-own
    daemon_stop
}

# is_refused TEXT: the daemon does not start, and says this
is_refused() {
    run timeout 60 spinel serve
    [ "$status" -eq 1 ] || { echo "status $status: $output"; return 1; }
    [[ $output == *"$1"* ]] || { echo "other words: $output"; return 1; }
}

@test "a key where the core's user may put another in its place is refused: by owner, group and others, but for a sticky directory" {
    lab_of_nobody
    mkdir "$open/theirs"
    printf '  keyFile: %s/theirs/key\n' "$open" >>lab/spinel.yaml
    chown nobody "$open/theirs"
    is_refused "theirs/key is in $open/theirs, where user nobody may put another in its place"
    chown "root:$(id -g nobody)" "$open/theirs"
    chmod 775 "$open/theirs"
    is_refused "where user nobody may put another in its place"
    chown root:root "$open/theirs"
    chmod 777 "$open/theirs"
    is_refused "where user nobody may put another in its place"
    [ ! -e "$open/theirs/key" ]
    chmod 1777 "$open/theirs"
    daemon_start
    until_true 20 is_converged
    daemon_stop
    chown 0:0 "$open/theirs"
    chmod 775 "$open/theirs" # root's own group
    daemon_start
}

@test "a state directory is refused by the way it is written, and by where its links lead" {
    lab_of_nobody
    mkdir "$open/theirs" "$open/theirs/state" "$open/safe"
    chown nobody "$open/theirs"
    cp lab/spinel.yaml whole

    ln -s "$open/theirs/state" "$open/lab/link"
    sed "s|stateDir: .*|stateDir: $open/lab/link|" whole >lab/spinel.yaml
    is_refused "$open/theirs, where user nobody may put another in its place"

    ln -s "$open/safe" "$open/theirs/way"
    sed "s|stateDir: .*|stateDir: $open/theirs/way/state|" whole >lab/spinel.yaml
    mkdir "$open/safe/state"
    is_refused "$open/theirs, where user nobody may put another in its place"
    [ -z "$(ls -A "$open/safe/state" "$open/theirs/state" | grep -v ':$\|^lock$')" ]
}

@test "a link in place of the core's directory, or within it, leads nowhere" {
    lab_of_nobody
    mkdir "$open/elsewhere" lab/state
    touch "$open/secret" "$open/elsewhere/file"
    ln -s "$open/elsewhere" lab/state/core
    is_refused 'cannot open core in the state directory'
    [ "$(stat -c %U "$open/elsewhere" "$open/elsewhere/file" | sort -u)" = root ]
    rm lab/state/core
    daemon_start
    until_true 20 is_converged
    daemon_stop
    as_nobody ln -s "$open/secret" lab/state/core/link
    ln "$open/secret" lab/state/core/linked
    touch lab/state/core/roots
    daemon_start
    until_true 20 is_converged
    [ "$(stat -c %U "$open/secret")" = root ]
    [ "$(stat -c %U lab/state/core/roots)" = nobody ]
}

@test "with spec.web.user the viewer is another's, who reads the store and cannot write to it" {
    lab_of_nobody
    id daemon >/dev/null 2>&1 || skip "this machine has no user daemon"
    mkdir "$open/web"
    chown daemon "$open/web"
    printf '  web: {listen: "unix:%s/sock", user: daemon}\n' "$open/web" >>lab/spinel.yaml
    daemon_start
    until_true 20 is_converged
    ask() { curl -s -f -m 10 --unix-socket "$open/web/sock" "$@"; }
    until_true 20 ask http://localhost/api/v1/status
    ask http://localhost/api/v1/resources | jq -e '.total > 0'
    viewer=$(pgrep -P "$daemon" -u daemon)
    core=$(pgrep -P "$daemon" -u nobody)
    [ -n "$viewer" ]
    [ -n "$core" ]
    for pid in "$viewer" "$core"; do
        grep -qx $'NoNewPrivs:\t1' "/proc/$pid/status"
    done
    run setpriv --reuid=daemon --regid=daemon --groups="$(id -g nobody)" sh -c 'echo >>lab/state/core/spinel.db'
    [ "$status" -ne 0 ]
    run setpriv --reuid=daemon --regid=daemon --groups="$(id -g nobody)" touch lab/state/core/new
    [ "$status" -ne 0 ]
    daemon_stop
    sed -i 's/user: daemon/user: no-such-user/' lab/spinel.yaml
    run spinel serve
    [ "$status" -eq 1 ]
    [[ $output == *'spec.web.user: this machine has no user no-such-user'* ]]
    sed -i '/^  user: nobody/d' lab/spinel.yaml
    run spinel serve
    [ "$status" -eq 1 ]
    [[ $output == *'web.user: the store would be root'* ]]
}

@test "a state directory that an earlier version gave to the core's user is taken back, and looked at" {
    lab_of_nobody
    spinel apply --yes --wait=60s >/dev/null
    chown nobody lab/state/. lab/state/spinel.db* lab/state/lock lab/state/rack
    rack=$(cat lab/state/rack)
    daemon_start
    until_true 20 is_converged
    [ "$(cat lab/state/core/rack)" = "$rack" ]
    daemon_stop

    # as if the user had exchanged what drivers keep before
    echo precious >"$open/victim"
    mv lab/state/drivers lab/state/former
    planted=$open/lab/state/drivers
    mkdir -p "$planted/sim"
    ln -s "$open/victim" "$planted/sim/ledger.new"
    chown -hR nobody "$planted"
    run spinel serve
    [ "$status" -eq 1 ]
    [[ $output == *'drivers in the state directory belongs to user nobody'* ]]
    [ "$(cat "$open/victim")" = precious ]
    rm -r "$planted"
    mv lab/state/former lab/state/drivers

    # nor may one above be the user's
    chown nobody "$open/lab"
    run spinel serve
    [ "$status" -eq 1 ]
    [[ $output == *'where user nobody may put another in its place'* ]]
    chown root "$open/lab"
    daemon_start
    until_true 20 is_converged
}

@test "a large store is read through while the daemon is at work, and damage ends it until it is repaired" {
    spinel apply --yes --wait=60s >/dev/null
    # One page of a long text's chain, which nothing else reads, points nowhere.
    python3 - <<'P'
import sqlite3
db = sqlite3.connect("lab/state/spinel.db")
db.execute("INSERT INTO event (at_ms, type, text, data) VALUES (1, 'long', ?, '{}')", ("x" * (40 << 20),))
db.commit()
db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
db.close()
P
    daemon_start # it is whole
    until_true 20 is_converged
    daemon_stop
    [ ! -e lab/state/damaged ]
    cp lab/state/spinel.db whole
    python3 - <<'P'
import sqlite3
sqlite3.connect("lab/state/spinel.db").execute("PRAGMA wal_checkpoint(TRUNCATE)")
with open("lab/state/spinel.db", "r+b") as f:
    at = (20 << 20)
    f.seek(at)
    assert f.read(200)[4:] == b"x" * 196
    f.seek(at)
    f.write(b"\xff\xff\xff\xff")
P
    cp lab/state/spinel.db damaged
    spinel serve >serve.log 2>&1 3>&- &
    daemon=$!
    until_true 60 test -e lab/state/damaged
    # The core that found it ends, and the next ones refuse to start.
    until_true 20 grep -q 'event=core.ended' serve.log
    is_refused_again() { [ "$(grep -c 'event=core.refused why=.*spinel.db does not read' serve.log)" -ge 2 ]; }
    until_true 20 is_refused_again
    daemon_stop
    run spinel serve
    [ "$status" -eq 1 ]
    [[ $output == *'spinel.db does not read'* ]]
    cp whole lab/state/spinel.db
    daemon_start
    until_true 20 is_converged
    [ ! -e lab/state/damaged ]
}

@test "a driver whose program has gone is said to be so, and is taken up when it is back" {
    mkdir -p drivers
    cp "$BUILD/drivers/sim" drivers/played
    printf '  driverDirs: [%s/drivers]\n' "$PWD" >>lab/spinel.yaml
    sed -i 's/default: sim/default: played/' lab/spinel.yaml
    daemon_start
    until_true 20 is_converged
    mv drivers/played gone
    kill -9 "$(pgrep -P "$daemon" -x played)"
    is_told() { spinel events --json | jq -e '[.events[] | select(.type == "driver.stopped") | .text | test("cannot run driver|No such file")] | any'; }
    until_true 30 is_told
    mv gone drivers/played
    grow 96MiB
    push grown
    until_true 60 is_converged
}

@test "a daemon that hangs is waited for no longer than asked, and one that dies is said to be gone" {
    daemon_start
    until_true 20 is_converged
    core=$(pgrep -P "$daemon" -x spinel | head -1)
    sim=$(pgrep -P "$daemon" -x sim)
    kill -STOP "$sim"
    spinel apply --yes --wait=30s >out 2>&1 3>&- &
    asking=$!
    until_true 20 sh -c "ls -l /proc/$asking/fd | grep -q socket:"
    kill -9 "$core"
    got=0
    wait "$asking" || got=$?
    kill -CONT "$sim" 2>/dev/null || true
    [ "$got" -eq 1 ]
    grep -q 'closed the connection' out
}

# ---- people at terminals

@test "a table keeps to the width of the terminal, and what is cut shows it" {
    spinel apply --yes --wait=60s >/dev/null
    terminal 30 '' "$BUILD/spinel" history >narrow
    grep -q '…' narrow
    terminal 200 '' "$BUILD/spinel" history >wide
    not grep -q '…' wide
    terminal 10 '' "$BUILD/spinel" get volume >tiny
    grep -q '…' tiny
}

@test "apply and purge ask at a terminal, and no means no" {
    terminal 80 n "$BUILD/spinel" apply >out || true
    spinel get volume --json | not jq -e '.items[0].status.state == "ready"'
    terminal 80 y "$BUILD/spinel" apply --wait=60s
    spinel get volume --json | jq -e '.items | length > 0'
    uid=$(spinel get volume shop/web-1-data --json | jq -r '.items[0].metadata.uid')
    terminal 80 n "$BUILD/spinel" purge "$uid" | grep -q 'nothing was done'
    world list | grep -q "$uid"
}
