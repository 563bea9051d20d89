# SPDX-License-Identifier: MPL-2.0
# The viewer's API, over a socket of the site's own.
load cli.bash

setup() {
    setup_site
    short=$(mktemp -d) # a socket's path may have 107 characters
    printf '  web: {listen: "unix:%s/sock"}\n' "$short" >>lab/spinel.yaml
}
teardown() {
    site_leave
    rm -rf "$short"
}

ask() { curl -s -m 10 --unix-socket "$short/sock" "$@"; }
is_converged() { ask http://localhost/api/v1/status | jq -e .converged; }
converged() { until_true 20 is_converged; }
up() { until_true 20 ask -f -o /dev/null http://localhost/; }

@test "without a place to listen there is no viewer" {
    sed -i '/^  web:/d' lab/spinel.yaml
    daemon_start
    [ ! -e "$short/sock" ]
}

@test "the page and the API's description are there, with the headers that keep browsers honest" {
    daemon_start
    up
    ask -i http://localhost/ | grep -qi "^Content-Security-Policy: default-src 'none'; script-src 'self'"
    ask -i http://localhost/app.js | grep -qi "^X-Content-Type-Options: nosniff"
    ask http://localhost/api/v1/openapi.json | jq -e '.openapi == "3.1.0"'
}

@test "every answer is as the OpenAPI document says, and every parameter has its bounds" {
    need_python jsonschema
    daemon_start
    up
    converged
    volume=$(ask "http://localhost/api/v1/resources?kind=Volume" | jq -r '.items[0].uid')
    "$BUILD/drivers/sim" --world lab/state/drivers/sim/world set "$volume" spec.size 1073741824
    is_open() { ask http://localhost/api/v1/drift | jq -e '.open == 1 and .drift[0].reason == "volumes never shrink"'; }
    until_true 20 is_open
    $python "$BATS_TEST_DIRNAME/openapi.py" "$short/sock"
    ask http://localhost/metrics | grep -qx 'spinel_converged 0'
    ask http://localhost/metrics | grep -qx 'spinel_revision_good 1'
}

@test "a connection is kept for the next request" {
    daemon_start
    up
    curl -sv --unix-socket "$short/sock" http://localhost/api/v1/status http://localhost/app.css 2>log >/dev/null
    grep -qi 're-using existing connection' log
    [ "$(grep -ci '^> GET' log)" = 2 ]
}

@test "resources are filtered and paged, and one of them is told in full" {
    daemon_start
    up
    converged
    ask "http://localhost/api/v1/resources?q=web-1&kind=instance" | jq -e '.total == 1 and .items[0].mark == "true"'
    total=$(ask http://localhost/api/v1/resources | jq .total)
    ask "http://localhost/api/v1/resources?offset=1&limit=2" | jq -e --argjson total "$total" '.total == $total and (.items | length) == 2'
    ask "http://localhost/api/v1/resources?mark=drifting" | jq -e '.items == []'
    uid=$(ask "http://localhost/api/v1/resources?kind=Instance" | jq -r '.items[0].uid')
    ask "http://localhost/api/v1/resources/$uid" | jq -e '.desired.memory == .booted.memory and (.operations | length) > 0'
}

@test "drift is on the page's documents with what it is measured in, and so is its healing" {
    volume=$(spinel plan --json | jq -r '.steps[] | select(.kind == "Volume") | .uid')
    spinel apply --yes --wait=60s >/dev/null
    "$BUILD/drivers/sim" --world lab/state/drivers/sim/world set "$volume" spec.size 4096
    daemon_start
    up
    is_healed() { ask http://localhost/api/v1/drift | jq -e '.drift[0] | .path == "spec.size" and .unit == "bytes" and .desired == 67108864 and .observed == 4096 and .healed != null'; }
    until_true 20 is_healed
    ask "http://localhost/api/v1/resources/$volume" | jq -e '.mark == "true" and .units.size == "bytes" and (.drift | length) == 1'
}

@test "what is wrong is a problem document" {
    daemon_start
    up
    ask http://localhost/api/v1/nothing | jq -e '.status == 404 and .title == "Not Found"'
    ask http://localhost/api/v1/resources/0000 | jq -e '.status == 404'
    [ "$(ask -X DELETE -o /dev/null -w '%{http_code}' http://localhost/)" = 405 ]
    [ "$(ask -d x=y -o /dev/null -w '%{http_code}' http://localhost/api/v1/status)" = 405 ]
}

@test "the same document again is 304" {
    daemon_start
    up
    etag=$(ask -i http://localhost/app.css | tr -d '\r' | sed -n 's/^ETag: //p')
    [ "$(ask -o /dev/null -w '%{http_code}' -H "If-None-Match: $etag" http://localhost/app.css)" = 304 ]
}

@test "events come as they happen, and after a break from where it was" {
    daemon_start
    up
    curl -s -N -m 30 --unix-socket "$short/sock" http://localhost/api/v1/stream >stream 3>&- &
    reader=$!
    until_true 10 grep -q retry stream
    sed -i 's/64MiB/96MiB/' lab/manifests/starter.yaml
    commit "More room"
    git -C lab/manifests push -q 2>/dev/null
    until_true 10 grep -q '"type":"converged"' stream
    kill "$reader"
    first=$(sed -n 's/^id: //p' stream | head -n 1)
    ask -m 2 -N -H "Last-Event-ID: $first" http://localhost/api/v1/stream >again || true
    [ "$(sed -n 's/^id: //p' again | head -n 1)" = $((first + 1)) ]
    grep -q '"type":"converged"' again
}

@test "what a slow disk takes its time to sync is told, though nothing is written after it" {
    cat >slow.c <<'C'
#include <sys/syscall.h>
#include <unistd.h>
int fsync(int fd) { return usleep(150000), (int)syscall(SYS_fsync, fd); }
int fdatasync(int fd) { return usleep(150000), (int)syscall(SYS_fdatasync, fd); }
C
    cc -D_GNU_SOURCE -shared -fPIC -o slow.so slow.c
    export LD_PRELOAD=$PWD/slow.so
    daemon_start
    unset LD_PRELOAD
    up
    converged
    curl -s -N -m 60 --unix-socket "$short/sock" http://localhost/api/v1/stream >stream 3>&- &
    reader=$!
    until_true 10 grep -q retry stream
    volume=$(ask "http://localhost/api/v1/resources?kind=Volume" | jq -r '.items[0].uid')
    "$BUILD/drivers/sim" --world lab/state/drivers/sim/world set "$volume" spec.size 1073741824
    until_true 10 grep -q 'spec.size is 1GiB' stream
    kill "$reader"
}

@test "metrics end as OpenMetrics asks" {
    daemon_start
    up
    ask http://localhost/metrics >metrics
    [ "$(tail -n 1 metrics)" = "# EOF" ]
    grep -q '^spinel_resources{mark="true"} ' metrics
    sort metrics | grep '^# TYPE' | uniq -d | not grep .
}

@test "a viewer that is killed comes back, and nothing else notices" {
    daemon_start
    up
    core=$(spinel status --json | jq .daemon.pid)
    viewer=$(pgrep -P "$core" -n -f serve)
    kill -9 "$viewer"
    up
    [ "$(spinel status --json | jq .daemon.pid)" = "$core" ]
}

@test "a page of another site cannot ask by a name of its own" {
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    sed -i "s|unix:[^\"]*|127.0.0.1:$port|" lab/spinel.yaml
    daemon_start
    until_true 20 curl -s -f -m 5 -o /dev/null "http://127.0.0.1:$port/"
    [ "$(curl -s -m 5 -o /dev/null -w '%{http_code}' -H "Host: localhost:$port" "http://127.0.0.1:$port/")" = 200 ]
    [ "$(curl -s -m 5 -o /dev/null -w '%{http_code}' -H 'Host: rack.evil.example' "http://127.0.0.1:$port/")" = 421 ]
}

@test "what is no request harms nobody, and many viewers are told at once" {
    daemon_start
    up
    python3 - "$short/sock" <<'PYTHON'
import os, socket, subprocess, sys, time

def connected():
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[1])
    s.settimeout(10)
    return s

for junk in (b"GARBAGE\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20000 + b"\r\n", b"GET /" + b"a" * 200000,
             b"\0\xff" * 3000, b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\nx"):
    s = connected()
    try:
        s.sendall(junk)
        s.recv(100)
    except OSError:
        pass
    s.close()
half = connected()
half.sendall(b"GET / HTTP/1.1\r\nHost: loc")  # and no more
viewers = []
for _ in range(300):
    s = connected()
    s.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
    while b"retry" not in s.recv(4096):
        pass
    viewers.append(s)
subprocess.run(["git", "-C", "lab/manifests", "commit", "-q", "--allow-empty", "-m", "Nothing"], check=True)
subprocess.run(["git", "-C", "lab/manifests", "push", "-q"], check=True, stderr=subprocess.DEVNULL)
for s in viewers:
    got = b""
    while b"revision.accepted" not in got:
        more = s.recv(65536)
        assert more, "a stream ended"
        got += more
PYTHON
    ask http://localhost/api/v1/status | jq -e .converged
    spinel status --json | jq -e .converged
}

@test "an address that is taken is said, and the daemon goes on without a viewer" {
    sed -i 's|unix:[^"]*|nonsense|' lab/spinel.yaml
    daemon_start
    until_true 10 grep -q 'event=web.failed.*nonsense is no address and port' serve.log
    spinel status --json | jq -e '.daemon != null'
}

@test "garbage, slow clients and 10,000 connections: it answers again, and the engine converges meanwhile" {
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    sed -i "s|^  web: .*|  web: {listen: \"127.0.0.1:$port\"}|" lab/spinel.yaml
    daemon_start
    until_true 20 curl -sf -o /dev/null "http://127.0.0.1:$port/"
    python3 "$BATS_TEST_DIRNAME/web-load.py" "$port" 10000 3>&- &
    load=$!
    sleep 3
    sed -i 's/size: 64MiB/size: 96MiB/' lab/manifests/*.yaml
    commit "Grow under load"
    git -C lab/manifests push -q 2>/dev/null
    until_true 10 eval 'spinel status --json | jq -e .converged'
    [ "$(spinel get volume shop/web-1-data --json | jq '.items[0].status.size // .items[0].spec.size')" = 100663296 ]
    wait "$load"
    kill -0 "$daemon"
}

@test "a request that drips in is ended, however often it sends a byte" {
    daemon_start
    up
    timeout 60 python3 - "$short/sock" <<'PYTHON'
import socket, sys, time
clients = []
for i in range(20):
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[1])
    s.sendall(b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nX: ")
    clients.append(s)
began = time.time()
while clients and time.time() - began < 40:
    time.sleep(1)
    for s in clients[:]:
        try:
            s.send(b"x")
        except (BrokenPipeError, ConnectionResetError):
            clients.remove(s)
assert not clients, f"{len(clients)} are still there"
PYTHON
    ask -f -o /dev/null http://localhost/api/v1/status
}

@test "a secret of a manifest is in no answer, no log and no file, whatever a driver says back" {
    secret=canary-$RANDOM$RANDOM$RANDOM
    sed -i "s/^  memory: .*/&\n  cloudInit: {userData: \"password: $secret\"}/" lab/manifests/starter.yaml
    grep -q "$secret" lab/manifests/starter.yaml
    commit "With a secret"
    daemon_start
    up
    converged
    uid=$(ask "http://localhost/api/v1/resources?kind=Instance" | jq -r '.items[0].uid')
    for path in "resources/$uid" plan events drift network operations trace; do
        ask "http://localhost/api/v1/$path" >answer
        not grep -q "$secret" answer || { echo "$path"; return 1; }
    done
    spinel describe instance shop/web-1 --json >described
    not grep -q "$secret" described
    spinel get instance --json | not grep -q "$secret"
    daemon_stop
    not grep -rl "$secret" serve.log lab/state
}

@test "the viewer listens at an address of either family, and says of any other place that it cannot" {
    port=$((20000 + RANDOM % 12000)) # below those that the kernel gives out, and holds for a minute after
    for place in "127.0.0.1:$port" "[::1]:$port"; do
        [[ $place != *::1* ]] || [ -e /proc/net/if_inet6 ] || continue
        sed -i "s|listen: \"[^\"]*\"|listen: \"$place\"|" lab/spinel.yaml
        daemon_start
        host=127.0.0.1
        [[ $place != *::1* ]] || host='[::1]'
        until_true 20 curl -sf -m 5 -o /dev/null "http://$host:$port/api/v1/status"
        daemon_stop
    done
    long=$(printf 'x%.0s' $(seq 120))
    for place in "localhost:$port" "$port" ":$port" "127.0.0.1:99999999" "127.0.0.1:65536" "127.0.0.1:" "unix:/$long" "unix:/nowhere/sock"; do
        sed -i "s|listen: \"[^\"]*\"|listen: \"$place\"|" lab/spinel.yaml
        daemon_start
        until_true 20 grep -q 'web.failed' serve.log
        grep 'web.failed' serve.log | grep -q 'is no address and port\|cannot listen on\|too long for a socket'
        daemon_stop
    done
}
