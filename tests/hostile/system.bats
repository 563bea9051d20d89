# SPDX-License-Identifier: MPL-2.0
# What lies around the daemon: its store, its socket, its viewer, images, the clock, the disk.
load hostile.bash
setup() { setup_site; }
teardown() { site_leave; }

converged() { until_true 30 sh -c 'spinel status --json | jq -e .converged'; }

# ---- the store

@test "30: yesterday's copy of the store is noticed, and nothing runs until a person says so" {
    spinel apply --yes --wait=60s >/dev/null
    cp -r lab/state/spinel.db lab/state/spinel.db-wal yesterday 2>/dev/null || { mkdir yesterday; cp lab/state/spinel.db* yesterday/; }
    for size in 80MiB 96MiB; do
        sed -i -E "s/(64|80)MiB/$size/" lab/manifests/starter.yaml
        commit "$size"
        git -C lab/manifests push -q 2>/dev/null
        spinel apply --yes --wait=60s >/dev/null 2>&1
    done
    rm lab/state/spinel.db*
    cp yesterday/* lab/state/
    sed -i 's/96MiB/128MiB/' lab/manifests/starter.yaml
    commit later
    git -C lab/manifests push -q >/dev/null 2>&1
    run spinel apply --yes --wait=10s
    [ "$status" -eq 3 ] || [ "$status" -eq 2 ]
    spinel plan --json >plan.json || true
    jq -e '.summary.run == 0' plan.json
    spinel approve --json 2>/dev/null | jq -e . >/dev/null || true
    [[ $output == *rebuild* || $(cat plan.json) == *rebuild* || $(spinel events --json) == *rebuild* ]]
    spinel approve rebuild
    spinel apply --yes --wait=60s >/dev/null 2>&1
    [ "$(spinel get volume shop/web-1-data --json | jq '.items[0].spec.size')" = 134217728 ]
}

@test "30: a store that is cut, scribbled on or another program's is refused by name, and nothing runs" {
    spinel apply --yes --wait=60s >/dev/null
    cp -r lab/state whole
    world=$(sha256sum <lab/state/drivers/sim/world)
    broken() {
        for command in ${2:-apply plan status get serve}; do
            case $command in apply) command='apply --yes --wait=5s' ;; get) command='get volume' ;; esac
            run timeout 20 spinel $command
            [ "$status" -eq 1 ] || { echo "$1, $command: $status $output"; return 1; }
            [[ $output == *spinel.db* ]] || { echo "$1, $command: $output"; return 1; }
            is_plain <<<"$output"
        done
        [ "$(sha256sum <lab/state/drivers/sim/world)" = "$world" ]
        rm -rf lab/state
        cp -r whole lab/state
    }
    rm lab/state/spinel.db-wal lab/state/spinel.db-shm
    truncate -s 5000 lab/state/spinel.db
    broken cut
    rm lab/state/spinel.db-wal lab/state/spinel.db-shm
    head -c 8192 /dev/urandom | dd of=lab/state/spinel.db bs=4096 seek=2 conv=notrunc status=none
    broken scribbled 'apply serve' # who reads may not come by that page
    sqlite3 lab/state/spinel.db "UPDATE object SET uid = '../../x' WHERE id = (SELECT min(id) FROM object)"
    broken uid
    sqlite3 lab/state/spinel.db "UPDATE object SET name = 'a/../b' WHERE kind = 'Volume'"
    broken name
    rm lab/state/spinel.db*
    echo 'this is no database, but a text that is long enough to be looked at as one' >lab/state/spinel.db
    broken text
    sqlite3 lab/state/spinel.db 'CREATE TRIGGER x AFTER INSERT ON event BEGIN DELETE FROM object; END'
    broken trigger
    sqlite3 lab/state/spinel.db 'PRAGMA user_version = -1'
    broken negative
    rm lab/state/spinel.db*
    sqlite3 lab/state/spinel.db 'CREATE TABLE passwords (x); PRAGMA user_version = 3;'
    broken foreign
}

@test "30: a store that is a directory, a link or a pipe is not opened as one" {
    mkdir -p lab/state
    mkfifo lab/state/spinel.db
    for _ in pipe directory; do
        for command in 'apply --yes --wait=5s' plan status; do
            run timeout 20 spinel $command
            [ "$status" -eq 1 ] || { echo "$command: $status $output"; false; }
            [[ $output == *spinel.db* ]]
        done
        rm -r lab/state/spinel.db
        mkdir lab/state/spinel.db
    done
    rmdir lab/state/spinel.db
    echo precious >target
    ln -s "$PWD/target" lab/state/spinel.db
    run timeout 20 spinel apply --yes --wait=5s
    [ "$status" -eq 1 ]
    [ "$(cat target)" = precious ]
}

@test "two daemons never drive one state directory" {
    daemon_start
    run timeout 20 spinel serve
    [ "$status" -eq 1 ]
    [[ $output == *"uses this state directory"* ]]
    kill -0 "$daemon"
    spinel status --json | jq -e '.daemon != null'
}

@test "a daemon that was stopped for a while goes on, and its lock was nobody else's" {
    daemon_start
    converged
    tree="$daemon $(pgrep -P "$daemon" | tr '\n' ' ')"
    # shellcheck disable=SC2086
    kill -STOP $tree
    run timeout 20 spinel serve
    [ "$status" -eq 1 ]
    "$BUILD/drivers/sim" --world lab/state/drivers/sim/world set "$(jq -r '..|objects|select(.kind? == "Volume")|.uid' lab/state/drivers/sim/world 2>/dev/null | head -1)" spec.size 4096 2>/dev/null || true
    sleep 1
    # shellcheck disable=SC2086
    kill -CONT $tree
    converged
}

# ---- the control socket

# socket BYTES...: sends what printf makes of it, and prints what comes back
socket() {
    python3 - "$PWD/lab/state/control.sock" "$1" <<'PY'
import os, socket, sys
os.chdir(os.path.dirname(sys.argv[1]))
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect("control.sock")
s.sendall(sys.argv[2].encode("utf-8", "surrogateescape") + b"\n")
out = b""
while not out.endswith(b"\n"):
    got = s.recv(65536)
    if not got:
        break
    out += got
sys.stdout.buffer.write(out)
PY
}

@test "what is no request is answered, and costs its client only" {
    daemon_start
    for line in '{' '[]' '5' '{"id":1}' '{"id":{},"method":[],"params":7}' '{"id":1,"method":"plan","params":{"commit":"../../etc/passwd"}}' \
        '{"id":1,"method":"plan","params":{"cached":true,"commit":"'"$(printf 'a%.0s' $(seq 5000))"'"}}' \
        '{"id":1,"method":"check","params":{"base":"HEAD~1;id","changes":[{"path":"/etc/passwd","data":"x"}]}}' \
        '{"id":1,"method":"check","params":{"changes":[{"path":"a.yaml","blob":"zz"}]}}' \
        '{"id":1,"method":"freeze","params":{"what":"sleep","why":"x"}}' '{"id":1,"method":"purge","params":{"uid":"../x"}}' \
        '{"id":1,"method":"apply","params":{"saved":{"schema":"spinel/saved-plan/v1"}}}'; do
        socket "$line" >answer
        jq -e '.error.message' answer >/dev/null || { echo "$line: $(cat answer)"; false; }
    done
    kill -0 "$daemon"
    converged
}

@test "a core that has no descriptor left waits for one, and does not spin" {
    daemon_start
    converged
    core=$(pgrep -P "$daemon" -o)
    free=0
    while [ -e "/proc/$core/fd/$free" ]; do free=$((free + 1)); done
    prlimit --pid "$core" --nofile="$free:1024"
    timeout 3 spinel status >waited 2>&1 3>&- &
    asked=$!
    ticks() { awk '{print $14 + $15}' "/proc/$core/stat"; }
    sleep 0.5
    before=$(ticks)
    sleep 2
    [ $(($(ticks) - before)) -lt 50 ]
    wait $asked || true
    [[ $(cat waited) != *true* ]] # or the limit is none, and nothing was shown
    prlimit --pid "$core" --nofile=1024
    until_true 10 timeout 5 spinel status
    kill -0 "$core"
}

@test "a line without end, and clients without end, do not stop the daemon" {
    many=$(ulimit -Sn)
    ulimit -Sn 400 # descriptors of the daemon; fewer than clients that come
    daemon_start
    ulimit -Sn "$many"
    converged
    python3 - "$PWD/lab/state" "$PWD/crowded" <<'PY' 3>&- &
import os, signal, socket, sys
os.chdir(sys.argv[1])
flood = socket.socket(socket.AF_UNIX)
flood.connect("control.sock")
flood.settimeout(20)
try:
    for _ in range(70):
        flood.sendall(b"x" * (1 << 20))
except OSError:
    pass
many = []
try:
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(TimeoutError()))
    signal.alarm(10) # who is not accepted waits in connect()
    for _ in range(3000):
        s = socket.socket(socket.AF_UNIX)
        s.connect("control.sock")
        many.append(s)
except OSError:
    signal.alarm(0)
print(len(many), "clients")
open(sys.argv[2], "w").close()
import time
time.sleep(8)
PY
    crowd=$!
    until_true 60 test -e crowded
    ticks() { for pid in $(pgrep -P "$daemon"); do awk '{print $14 + $15}' "/proc/$pid/stat"; done | awk '{sum += $1} END {print sum}'; }
    was=$(ticks)
    sleep 2
    now=$(ticks)
    [ $((now - was)) -lt 15 ] || { echo "the core spins: $((now - was)) ticks in two seconds"; false; }
    wait "$crowd"
    until_true 20 sh -c 'spinel status --json | jq -e ".daemon != null"'
}

@test "one user of the socket cannot keep others out, or fill the memory" {
    daemon_start
    converged
    chmod o+x lab/state
    chmod o+rw lab/state/control.sock
    python3 - "$PWD/lab/state" "$PWD/crowded" <<'PY' 3>&- &
import os, socket, sys, time
os.chdir(sys.argv[1])
crowded = os.open(sys.argv[2] + ".new", os.O_CREAT | os.O_WRONLY)
os.setgroups([])
os.setresuid(65534, 65534, 65534)
many, told = [], b""
for n in range(600):
    s = socket.socket(socket.AF_UNIX)
    s.connect("control.sock")
    s.settimeout(5)
    try:
        if n < 20:
            for _ in range(40):
                s.sendall(b"x" * (1 << 20))
        else:
            s.sendall(b'{"jsonrpc":"2.0","id":1,"meth')
    except OSError:
        pass
    if n == 599:
        told = s.recv(1000)
    many.append(s)
os.write(crowded, told)
time.sleep(6)
PY
    crowd=$!
    until_true 60 grep -q 'too many connections' crowded.new
    run timeout 5 spinel status --json
    jq -e '.daemon != null' <<<"$output"
    timeout 5 spinel freeze --why='a crowd' >/dev/null
    for pid in $(pgrep -P "$daemon"); do
        [ "$(awk '/VmHWM/ {print $2}' "/proc/$pid/status")" -lt 400000 ]
    done
    wait "$crowd"
}

@test "a socket that somebody else made first is replaced, and its mode is ours" {
    mkdir -p lab/state
    python3 -c 'import os, socket; os.chdir("lab/state"); s = socket.socket(socket.AF_UNIX); s.bind("control.sock"); s.listen()'
    chmod 777 lab/state/control.sock
    daemon_start
    [ "$(stat -c %a lab/state/control.sock)" = 660 ]
    daemon_stop
    ln -s /etc/passwd lab/state/control.sock
    daemon_start
    [ -S lab/state/control.sock ]
    [ ! -L lab/state/control.sock ]
    [ -f /etc/passwd ]
}

@test "what a person says in a freeze cannot write to another one's terminal" {
    daemon_start
    spinel freeze changes --why "$(printf 'x\033[2J\r\n\007fake: all is well\342\200\256')" >freeze.txt 2>&1
    is_plain <freeze.txt
    for command in freeze status events plan; do
        spinel $command >command.txt 2>&1 || true
        is_plain <command.txt
    done
    daemon_stop
    is_plain <serve.log
}

# ---- the viewer

web_start() {
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    echo 0123456789abcdef-token >token
    chmod 600 token
    printf '  web: {listen: "127.0.0.1:%s", tokenFile: %s/token}\n' "$port" "$PWD" >>lab/spinel.yaml
    daemon_start
    until_true 20 curl -sf "http://127.0.0.1:$port/api/v1/status"
}

# http BYTES: what comes back for these bytes on one connection
http() { printf "$1" | timeout 20 nc -q 3 127.0.0.1 "$port" | tr -d '\r'; }

is_one_answer() { [ "$(grep -c 'HTTP/1.1 [1-5][0-9][0-9]' "$1")" -eq 1 ]; }

@test "two lengths of one request, or a second request within it, are not two answers" {
    web_start
    http 'POST /api/v1/lift HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n' >smuggled
    is_one_answer smuggled
    grep -q '^HTTP/1.1 400' smuggled
    http 'GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 30\r\nContent-Length: 0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n' >twice
    is_one_answer twice
    grep -q '^HTTP/1.1 400' twice
    http 'GET /metrics HTTP/1.1\r\n Host: evil\r\nHost: localhost\r\n\r\n' >folded
    is_one_answer folded
    curl -sf "http://127.0.0.1:$port/api/v1/status" >/dev/null
}

@test "another site's page reads nothing and decides nothing" {
    web_start
    ask() { curl -s -o /dev/null -w '%{http_code}' "$@"; }
    for host in evil.example evil.example:80 '127.0.0.1.evil.example' 'localhost.evil.example' 'localhost@evil.example' ''; do
        [ "$(ask -H "Host: $host" "http://127.0.0.1:$port/api/v1/status")" != 200 ] || [ -z "$host" ]
    done
    body='{"what":"changes","why":"x"}'
    good="-H Authorization:\ Bearer\ 0123456789abcdef-token"
    [ "$(ask -d "$body" -H 'Content-Type: text/plain' -H 'Authorization: Bearer 0123456789abcdef-token' "http://127.0.0.1:$port/api/v1/freeze")" = 403 ]
    [ "$(ask -d "$body" -H 'Content-Type: application/json' -H 'Origin: http://evil.example' -H 'Authorization: Bearer 0123456789abcdef-token' "http://127.0.0.1:$port/api/v1/freeze")" = 403 ]
    [ "$(ask -d "$body" -H 'Content-Type: application/json' -H 'Sec-Fetch-Site: cross-site' -H 'Authorization: Bearer 0123456789abcdef-token' "http://127.0.0.1:$port/api/v1/freeze")" = 403 ]
    [ "$(ask -d "$body" -H 'Content-Type: application/json' "http://127.0.0.1:$port/api/v1/freeze")" = 401 ]
    [ "$(ask -d "$body" -H 'Content-Type: application/json' -H 'Authorization: Bearer 0123456789abcdef-toke' "http://127.0.0.1:$port/api/v1/freeze")" = 401 ]
    spinel freeze --json | jq -e '.freezes == [] or .freezes == null'
}

@test "a body of a gigabyte, headers without end and slow senders cost the viewer little" {
    web_start
    head -c 1073741824 /dev/zero | timeout 60 curl -s -o /dev/null -w '%{http_code}\n' -X POST -H 'Content-Type: application/json' -H 'Expect:' \
        -H 'Authorization: Bearer 0123456789abcdef-token' -T - "http://127.0.0.1:$port/api/v1/freeze" >code || true
    [ "$(cat code)" != 200 ]
    python3 -c 'import sys; sys.stdout.write("GET / HTTP/1.1\r\nHost: localhost\r\n" + "X: " + "a" * 10000000 + "\r\n\r\n")' | timeout 20 nc -q 2 127.0.0.1 "$port" >/dev/null || true
    curl -sf "http://127.0.0.1:$port/api/v1/status" >/dev/null
    for pid in $(pgrep -P "$daemon"); do
        [ "$(awk '/VmHWM/ {print $2}' "/proc/$pid/status")" -lt 300000 ] || { cat "/proc/$pid/status"; false; }
    done
}

@test "what others wrote is text in the page's data and never markup, and files outside are not served" {
    web_start
    sed -i 's/64MiB/65MiB/' lab/manifests/starter.yaml
    GIT_AUTHOR_NAME='<script>alert(1)</script>' git -C lab/manifests commit -qam '"><img src=x onerror=alert(1)>'
    git -C lab/manifests push -q >/dev/null 2>&1
    curl -s -D headers "http://127.0.0.1:$port/api/v1/revisions" >revisions
    grep -qi '^content-type: application/json' headers
    grep -qi '^x-content-type-options: nosniff' headers
    grep -qi "^content-security-policy: default-src 'none'; script-src 'self'" headers
    jq -e . revisions
    for path in '/../../etc/passwd' '/%2e%2e/%2e%2e/etc/passwd' '//etc/passwd' '/app.js%00.html' '/..%2ftoken' '/api/v1/resources/../../token'; do
        curl -s --path-as-is -o body "http://127.0.0.1:$port$path"
        not grep -q 'root:\|0123456789abcdef-token' body
    done
    not grep -rq 'innerHTML\|document.write\|eval(' "$BATS_TEST_DIRNAME/../../reconciler/server/web"
    spinel drift --html drift.html || true
    not grep -q '<script>alert' drift.html
}

# ---- images, the clock

image_site() {
    mkdir -p images
    cat >lab/spinel.yaml <<SITE
apiVersion: spinel/v1
kind: Site
metadata: {name: lab}
spec:
  repository: {path: ./manifests.git, branch: main}
  stateDir: ./state
  drivers: {default: sim, volume: file}
  settings: {file: {trashRetention: $1}}
SITE
    cat >lab/manifests/starter.yaml <<RACK
apiVersion: spinel/v1
kind: Project
metadata: {name: shop}
spec: {}
---
apiVersion: spinel/v1
kind: Volume
metadata: {project: shop, name: plain}
spec: {size: 1MiB, onRemove: delete}
RACK
}

@test "25: an image that names another file, or claims a size that cannot be, is refused before it is opened" {
    command -v qemu-img >/dev/null || skip "qemu-img is not installed"
    image_site 1h
    echo top-secret >secret
    qcow2() { python3 -c '
import struct, sys
backing, size, incompatible = sys.argv[2].encode(), int(sys.argv[3]), int(sys.argv[4])
head = struct.pack(">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", 3, 104 if backing else 0, len(backing), 16, size, 0, 1, 196608, 65536, 1, 0, 0, incompatible, 0, 0, 4, 104)
open(sys.argv[1], "wb").write((head + backing).ljust(262144, b"\0"))' "$@"; }
    qcow2 images/backing.qcow2 "$PWD/secret" 1073741824 0
    qcow2 images/huge.qcow2 '' 9223372036854775808 0
    qcow2 images/data-file.qcow2 '' 1073741824 4
    qcow2 images/json.qcow2 'json:{"driver":"host_device","filename":"/dev/sda"}' 1073741824 0
    image() {
        cat >>lab/manifests/starter.yaml <<RACK
---
apiVersion: spinel/v1
kind: Image
metadata: {project: shop, name: $1}
spec: {path: $PWD/images/$1.qcow2, digest: "sha256:$(sha256sum <images/$1.qcow2 | cut -d' ' -f1)", format: qcow2}
RACK
    }
    for name in backing huge data-file json; do image $name; done
    spinel check lab/manifests || { spinel explain image; false; }
    # What is let through is shown to qemu-img: to one that leaves a mark.
    mkdir bin
    printf '#!/bin/sh\necho "$*" >>%s/asked\nexec %s "$@"\n' "$PWD" "$(command -v qemu-img)" >bin/qemu-img
    chmod +x bin/qemu-img
    commit images
    git -C lab/manifests push -q 2>/dev/null
    PATH=$PWD/bin:$PATH timeout 60 spinel apply --yes --wait=15s >apply.txt 2>&1 || true
    is_plain <apply.txt
    [ ! -e asked ]
    spinel events --json >events.json
    for name in backing huge data-file json; do
        jq -e --arg n "$name" '[.events[] | select(.type == "op.failed" and .name == $n and (.text | test("refused|backing|64 TiB|data file")))] | length > 0' events.json
    done
    not grep -rq top-secret lab/state
    qemu-img create -q -f qcow2 images/whole.qcow2 1M # or the mark shows nothing
    sed -i '/^---/,$d' lab/manifests/starter.yaml
    image whole
    printf -- '---\napiVersion: spinel/v1\nkind: Volume\nmetadata: {project: shop, name: disk}\nspec: {size: 1MiB, image: whole}\n' >>lab/manifests/starter.yaml
    commit whole
    git -C lab/manifests push -q 2>/dev/null
    PATH=$PWD/bin:$PATH timeout 60 spinel apply --yes --wait=15s || [ $? -eq 3 ] # those that are gone are held
    grep "^info" asked
}

@test "29: a wall clock a century ahead, in 1970, or between there and here, empties no trash and stops nothing" {
    image_site 1h
    commit volume
    git -C lab/manifests push -q 2>/dev/null
    spinel apply --yes --wait=30s >/dev/null 2>&1
    git -C lab/manifests checkout -q HEAD
    sed -i '/^---/,$d' lab/manifests/starter.yaml
    commit away
    git -C lab/manifests push -q >/dev/null 2>&1
    spinel apply --yes --wait=30s >/dev/null 2>&1 || true
    for hold in $(spinel plan --json | jq -r '.holds[].id'); do spinel approve "$hold" >/dev/null; done
    spinel apply --yes --wait=30s >/dev/null 2>&1
    trash() { find lab/state -path '*/.trash/*' ! -name '*.tag' | wc -l; }
    [ "$(trash)" -eq 1 ]
    cat >clock.c <<'C'
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static long jump(void) { char to[32] = ""; int fd = open(getenv("CLOCK_JUMP"), O_RDONLY | O_CLOEXEC); if (fd >= 0) { read(fd, to, 31); close(fd); } return atol(to); }
int clock_gettime(clockid_t id, struct timespec *t) { long r = syscall(SYS_clock_gettime, id, t); if (id == CLOCK_REALTIME) t->tv_sec += jump(); return (int)r; }
time_t time(time_t *out) { struct timespec t; clock_gettime(CLOCK_REALTIME, &t); if (out) *out = t.tv_sec; return t.tv_sec; }
C
    ${CC:-gcc} -shared -fPIC -o clock.so clock.c
    export CLOCK_JUMP=$PWD/jump
    jump() { echo $(($1 * 31557600)) >jump.new; mv jump.new jump; }
    declares() { spinel status --json | jq -e --argjson n "$1" '.converged and .resources.true == $n'; }
    starts=0
    for years in 100 -56; do
        jump $years
        starts=$((starts + 1))
        LD_PRELOAD=$PWD/clock.so spinel serve >serve.log 2>&1 3>&- &
        daemon=$!
        until_true 30 is_converged
        sleep 3
        [ "$(trash)" -eq 1 ]
        spinel events --json | jq -e --argjson years $years '.events | map(select(.type == "daemon.started")) | last | (.at[:4] | tonumber) - (now | gmtime[0]) | fabs - ($years | fabs) | fabs <= 1'
        while :; do jump 0; sleep 0.1; jump $years; sleep 0.1; done 3>&- &
        flapping=$!
        declared=$(spinel status --json | jq .resources.total)
        printf -- '---\napiVersion: spinel/v1\nkind: Volume\nmetadata: {project: shop, name: v%s}\nspec: {size: 1MiB}\n' "${years#-}" >>lab/manifests/starter.yaml
        commit flapping
        timeout 60 git -C lab/manifests push -q >/dev/null 2>&1
        until_true 30 declares $((declared + 1))
        for _ in 1 2 3 4 5; do timeout 20 spinel drift >/dev/null; done
        kill $flapping
        spinel events --limit=1000 --json | jq -e '[.events[] | select(.type == "driver.stopped")] == []'
        spinel events --limit=1000 --json | jq -e --argjson n $starts '[.events[] | select(.type == "daemon.started")] | length == $n'
        daemon_stop
    done
    [ "$(trash)" -eq 1 ]
}

@test "a site in a directory of links, and names with spaces, quotes and newlines, are what they are" {
    mkdir real
    ln -s real link
    spinel init "link/it's \$(touch ran) \`touch ran\`" --drivers=sim >/dev/null
    git -C "link/it's \$(touch ran) \`touch ran\`/manifests" push 2>&1 | grep -q 'the push is accepted'
    [ ! -e ran ]
    [ ! -e "link/it's \$(touch ran) \`touch ran\`/manifests/ran" ]
}

@test "a report and a saved plan take the place of no device, pipe or link" {
    mkfifo pipe
    ln -s elsewhere link
    echo old >elsewhere
    ln -s /dev/full device
    for file in pipe device; do
        run spinel drift --html $file
        [ "$status" -eq 1 ]
        [[ $output == *"not a regular file"* ]]
        run spinel plan -o $file
        [ "$status" -eq 1 ]
        [[ $output == *"not a regular file"* ]]
    done
    [ -p pipe ]
    [ -L device ]
    spinel drift --html link >/dev/null
    [ -L link ]
    grep -q '<html' elsewhere
}

@test "started without standard streams, no file of ours takes their numbers" {
    spinel serve <&- >&- 2>&- 3>&- &
    daemon=$!
    until_true 20 sh -c 'spinel status --json | jq -e ".converged"'
    for process in $daemon $(pgrep -P $daemon); do
        for stream in 0 1 2; do
            run readlink /proc/$process/fd/$stream
            [[ $output == /dev/null || $output == pipe:* ]] || { echo "$process has $output as $stream"; false; }
        done
    done
    run bash -c 'spinel status >&-'
    [ "$status" -eq 1 ]
}

@test "a driver under test, and what it is called, cannot write to the terminal" {
    evil=$(printf 'no\033]0;x\007\342\200\256such')
    run spinel driver-test "./$evil"
    [ "$status" -eq 1 ]
    is_plain <<<"$output"
    cat >says.py <<'PY'
import json, sys
for line in sys.stdin:
    told = {"code": -1, "message": "\x1b[2J\rok 1 - all is well\u202e"}
    print(json.dumps({"jsonrpc": "2.0", "id": json.loads(line)["id"], "error": told}), flush=True)
PY
    run spinel driver-test python3 says.py
    [ "$status" -eq 1 ]
    [[ $output == *'Bail out! it does not start'* ]]
    is_plain <<<"$output"
}

@test "a site file with times beyond reason, no driver's name, or places that are each other's is refused" {
    cp lab/spinel.yaml whole
    while IFS='|' read -r change text; do
        sed "s|^  stateDir: ./state|  stateDir: ./state\\n  $change|; /stateDir.*stateDir/d" whole >lab/spinel.yaml
        case $change in stateDir*) sed "s|^  stateDir: ./state|  $change|" whole >lab/spinel.yaml ;; esac
        run timeout 20 spinel plan
        [ "$status" -eq 1 ] || { echo "$change: $status $output"; false; }
        [[ $output == *"lab/spinel.yaml:1"[0-9]":"*"$text"* ]] || { echo "$change: $output"; false; }
    done <<'SITES'
resync: 9300000000000000s|is more than 30d
pushWait: 9300000000000000s|is more than 1d
keyFile: ./state/key|is within stateDir
keyFile: ./manifests.git/key|is within the repository
stateDir: /|is the whole machine
stateDir: ./manifests.git/state|is within the repository
stateDir: ./state/../manifests.git//./state|is within the repository
stateDir: ./state/../../../../../../../../../..|is the whole machine
keyFile: ./manifests/../state/./key|is within stateDir
keyFile: .//manifests.git/x/../../manifests.git/key|is within the repository
SITES
    for change in 's|stateDir: ./state|stateDir: ..|' 's|stateDir: ./state|stateDir: .|'; do
        sed "$change" whole >lab/spinel.yaml
        run timeout 20 spinel plan
        [ "$status" -eq 1 ]
        [[ $output == *'spinel.key is within stateDir'* ]]
    done
    sed 's|stateDir: ./state|stateDir: ./manifests/../other\n  keyFile: ./manifests/../key|' whole >lab/spinel.yaml
    spinel plan >/dev/null || [ $? -eq 2 ]
    sed 's|{default: sim}|{default: ../../spinel}|' whole >lab/spinel.yaml
    run timeout 20 spinel plan
    [ "$status" -eq 1 ]
    [[ $output == *'does not match'* ]]
    cp whole lab/spinel.yaml
    spinel plan >/dev/null || [ $? -eq 2 ]
}

@test "a limit on the size of files is an error in words, and kills nobody" {
    for blocks in 1 64 200; do
        run bash -c "ulimit -f $blocks; exec timeout 30 spinel apply --yes --wait=5s"
        [ "$status" -le 3 ] || { echo "$blocks: $status $output"; false; }
    done
    run bash -c 'ulimit -f 1; exec timeout 30 spinel apply --yes --wait=5s'
    [ "$status" -eq 1 ]
    [[ $output == *'spinel'*'lab/state'* ]] || { echo "$output"; false; }
    run bash -c 'ulimit -f 0; exec spinel plan -o saved'
    [ "$status" -eq 1 ]
    [[ $output == *'lab/state'*'File too large'* ]] || { echo "$output"; false; }
    [ ! -s saved ]
    spinel apply --yes --wait=60s
}

@test "a pipe in place of the identity, of a ledger or of the key is refused, not waited for" {
    spinel apply --yes --wait=60s >/dev/null
    for file in lab/state/rack lab/state/drivers/sim/ledger lab/spinel.key; do
        mv $file kept
        mkfifo $file
        run timeout 20 spinel apply --yes
        [ "$status" -eq 1 ] || { echo "$file: $status $output"; false; }
        [[ $output == *"$(basename $file)"* ]] || { echo "$output"; false; }
        rm $file
        mv kept $file
    done
}

@test "pools that are restored are what they were; without their attributes their volumes are unknown, and not lost" {
    sed -i 's|drivers: {default: sim}|drivers: {default: sim, volume: file}|' lab/spinel.yaml
    spinel apply --yes --wait=30s >/dev/null 2>&1
    cp -a lab/state/pools backup
    mv lab/state/pools old
    cp -a backup lab/state/pools
    run spinel plan
    [ "$status" -eq 0 ]
    [[ $output == 'No changes. The rack matches'* ]] || { echo "$output"; false; }
    rm -r lab/state/pools
    cp -r backup lab/state/pools
    run spinel plan
    [[ $output == *"could not be looked at"* && $output != *lost-data* ]] || { echo "$output"; false; }
    spinel plan --json | jq -e '(.steps | length) == 0'
    before=$(ls lab/state/pools/default)
    spinel apply --yes --wait=5s >/dev/null 2>&1 || true
    [ "$(ls lab/state/pools/default)" = "$before" ]
    run spinel drift
    [[ $output == *"restored without its extended attributes"* ]] || { echo "$output"; false; }
    rm -r lab/state/pools
    cp -a backup lab/state/pools
    run spinel apply --yes --wait=30s
    [ "$status" -eq 0 ] || { echo "$output"; false; }
}

@test "a key that is gone, or another one, makes nobody a stranger: it is refused, and none is made in its place" {
    sed -i 's|drivers: {default: sim}|drivers: {default: sim, volume: file}|' lab/spinel.yaml
    spinel apply --yes --wait=30s >/dev/null 2>&1
    mv lab/spinel.key kept
    for command in "plan" "drift" "apply --yes --wait=20s"; do
        run spinel $command
        [ "$status" -eq 1 ] || { echo "$command: $status $output"; false; }
        [[ $output == *"spinel.key is gone, and what is here was marked with it"*"backup"* ]]
        [[ $output != *lost-data* ]]
    done
    [ ! -e lab/spinel.key ]
    head -c 32 /dev/urandom >lab/spinel.key
    chmod 600 lab/spinel.key
    run spinel plan
    [ "$status" -eq 1 ]
    [[ $output == *"spinel.key is another one"* ]]
    daemon_start
    spinel status --json | jq -e '.driverProblem | test("is another one")'
    daemon_stop
    mv kept lab/spinel.key
    run spinel plan
    [ "$status" -eq 0 ]
    [[ $output == 'No changes.'* ]]
    # A file system that was full when it was to be noted, or a power cut: that is no other key.
    for driver in file sim; do : >lab/state/drivers/$driver/key-print; done
    spinel plan
    [ "$(cat lab/state/drivers/*/key-print | wc -c)" -eq 128 ]
}

@test "drivers that are started at once make one key" {
    spinel init new --drivers=sim >/dev/null
    sed -i 's|drivers: .*|drivers: {default: sim, volume: file}|' new/spinel.yaml
    git -C new/manifests push -q 2>/dev/null
    for _ in 1 2 3 4 5; do
        rm -rf new/spinel.key new/state
        run spinel --site new/spinel.yaml plan
        [ "$status" -eq 2 ] || { echo "$output"; false; }
        [[ $output != *key* ]]
        [ "$(cat new/state/drivers/*/key-print | fold -w 64 | sort -u | wc -l)" -eq 1 ]
    done
    [ -z "$(ls new | grep 'key\.')" ]
}

@test "a key that others may read or write is refused" {
    spinel apply --yes --wait=60s >/dev/null
    for mode in 0644 0660 0602; do
        chmod $mode lab/spinel.key
        run timeout 20 spinel apply --yes
        [ "$status" -eq 1 ] || { echo "$mode: $status $output"; false; }
        [[ $output == *"spinel.key is open to others: its mode is $mode"*"chmod 600"* ]] || { echo "$output"; false; }
    done
    chmod 0600 lab/spinel.key
    spinel apply --yes
}
