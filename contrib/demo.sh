#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
#
# The demonstration: a site in a temporary directory, two real machines, and
# everything that can happen to them. Each claim is proved by looking at the world
# (processes, consoles, packets, the kernel's tables), never at Spinel's records.
# KEEP=1 leaves the site running.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD:-$here/../build}
spinel=$build/spinel
keep=${KEEP:-}
began=$(date +%s)

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$(printf '\033[1m') green=$(printf '\033[32m') red=$(printf '\033[31m') plain=$(printf '\033[0m')
else
    bold='' green='' red='' plain=''
fi
title() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
proved() { printf '%s   ✓ %s%s\n' "$green" "$*" "$plain"; }
failed() {
    printf '%s   ✗ %s%s\n' "$red" "$*" "$plain" >&2
    [ ! -f "$site/serve.log" ] || { echo "--- the last lines of the daemon's log" >&2; tail -n 30 "$site/serve.log" >&2; }
    exit 1
}
run() { printf '%s $ %s%s\n' "$bold" "$*" "$plain"; "$@"; }

# until SECONDS WHAT COMMAND...: waits for a condition, fails by name.
await() {
    end=$(($(date +%s) + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s)" -lt "$end" ] || failed "$what: not within the time"
        sleep 0.2
    done
    proved "$what"
}

[ "$(id -u)" -eq 0 ] || { echo "make demo needs root: network namespaces, taps and nftables are the kernel's" >&2; exit 1; }
[ -c /dev/net/tun ] || { echo "make demo needs /dev/net/tun: modprobe tun" >&2; exit 1; }

base=$(mktemp -d /tmp/spinel-demo.XXXXXX)
chmod 755 "$base"
site=$base/rack
daemon=
outside=spx-out-$$
export SPINEL_SITE="$site/spinel.yaml" PATH="$build:$PATH" GIT_CONFIG_GLOBAL="$base/gitconfig"
printf '[user]\n\tname = Demo\n\temail = demo@example.org\n[safe]\n\tdirectory = *\n[init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n' >"$GIT_CONFIG_GLOBAL"

# The arguments of a process that may end while we look.
words() { { tr '\0' ' ' <"$1/cmdline"; } 2>/dev/null || true; }

# What a host looks like from outside, to compare before and after.
world() {
    find /run/netns -name 'sp[nu]*' 2>/dev/null || true # not there before the first namespace is made
    ip -o link | awk '{ print $2 }' | sed 's/@.*//; s/:$//' | grep '^sp' || true
    nft list tables 2>/dev/null || true
    ip route show table all 2>/dev/null | grep -E '100\.(6[4-9]|[7-9]|1[01]|12[0-7])' || true
    cat /proc/sys/net/ipv4/ip_forward
    for process in /proc/[0-9]*; do
        [ "${process#/proc/}" = $$ ] || words "$process" | grep -F "$site" | cut -c1-60 || true
    done
}

start_daemon() {
    "$spinel" serve >>"$site/serve.log" 2>&1 &
    daemon=$!
    end=$(($(date +%s) + 20))
    until "$spinel" status --json 2>/dev/null | jq -e '.daemon != null' >/dev/null; do
        [ "$(date +%s)" -lt "$end" ] || { "$spinel" status >&2 || true; failed "the daemon does not answer"; }
        kill -0 "$daemon" 2>/dev/null || failed "the daemon ended at once"
        sleep 0.1
    done
}
stop_daemon() {
    [ -n "$daemon" ] || return 0
    kill "$daemon" 2>/dev/null || true
    wait "$daemon" 2>/dev/null || true
    daemon=
}

outside_up() {
    ip netns add "$outside"
    ip link add spxo0 type veth peer name spxo1 netns "$outside"
    ip addr add 198.51.100.1/24 dev spxo0
    ip link set spxo0 up
    ip -n "$outside" addr add 198.51.100.2/24 dev spxo1
    ip -n "$outside" link set spxo1 up
    ip -n "$outside" link set lo up
    mkdir -p "$site/outside"
    echo "hello from outside" >"$site/outside/index.html"
    ip netns exec "$outside" busybox httpd -f -p 198.51.100.2:80 -h "$site/outside" &
    outside_httpd=$!
}
outside_down() {
    [ -z "${outside_httpd:-}" ] || kill "$outside_httpd" 2>/dev/null || true
    ip link del spxo0 2>/dev/null || true
    ip netns del "$outside" 2>/dev/null || true
}

finish() {
    status=$?
    trap - EXIT INT TERM
    if [ -n "$keep" ] && [ "$status" -eq 0 ]; then exit 0; fi
    if [ "$status" -ne 0 ]; then
        echo "the demonstration was cut short (exit status $status); taking away what it made" >&2
        remove_all || true
    fi
    stop_daemon
    outside_down
    rm -rf "$base"
    exit "$status"
}
# Takes everything away through Spinel itself: an empty revision, approved.
remove_all() {
    [ -d "$site/manifests" ] || return 0
    [ -n "$daemon" ] && kill -0 "$daemon" 2>/dev/null || start_daemon
    (cd "$site/manifests" && git rm -rqf . && git commit -qm "Remove everything" && git push -q) >/dev/null 2>&1 || true
    "$spinel" plan --json 2>/dev/null | jq -r '.holds[]? | select(.approvable) | .id' | while read -r hold; do
        "$spinel" approve "$hold" >/dev/null 2>&1 || true
    done
    end=$(($(date +%s) + 90))
    until "$spinel" plan --json 2>/dev/null | jq -e '.summary.run == 0 and .summary.held == 0' >/dev/null; do
        [ "$(date +%s)" -lt "$end" ] || break
        sleep 0.5
    done
}
trap finish EXIT
trap 'exit 130' INT TERM

uid() { "$spinel" get "$1" "$2" --json | jq -r '.items[0].metadata.uid'; }
instance_dir() { echo "$site/state/instances/$(uid instance "$1")"; }
# The process, from /proc and not from a record: QEMU carries the uid in its arguments.
qemu_pid() {
    id=$1
    dashed=$(echo "$id" | sed 's/^\(.\{8\}\)\(.\{4\}\)\(.\{4\}\)\(.\{4\}\)/\1-\2-\3-\4-/')
    for process in /proc/[0-9]*; do
        case $(readlink "$process/exe" 2>/dev/null) in
            *qemu-system*) ! words "$process" | grep -qF -e "$dashed" || { echo "${process#/proc/}"; return; } ;;
        esac
    done
    return 1
}
guest() { "$here/guest-run" "$1/serial.sock" 15 "$2"; }
fact() { guest "$1" facts | awk -v key="$2" '$1 == key { print $2; exit }'; }
disk_bytes() { guest "$1" facts | awk '$1 == "disk" && $4 == "data" { print $3; exit }'; }
address() { guest "$1" facts | awk '$1 == "nic" { sub("/.*", "", $4); print $4; exit }'; }
is_ready() { grep -q "spinel-guest ready: .* 10\.20\.1\." "$1/serial.log"; }
matches_git() { "$spinel" plan >/dev/null 2>&1; }
edit() { sed -i "$2" "$site/manifests/$1"; }
push() {
    (cd "$site/manifests" && git add -A && git commit -qm "$1")
    printf '%s $ git commit -m "%s" && git push%s\n' "$bold" "$1" "$plain"
    (cd "$site/manifests" && git push 2>&1)
}

# --------------------------------------------------------------------------------
before=$(world)
title "A site in $site"
run "$spinel" init "$site" --example "$here/../examples/quickstart" --drivers host
outside_up
start_daemon
echo "   the daemon runs as pid $daemon, its log is $site/serve.log"

title "git push: the plan, the guard's verdict, and progress"
run cat "$site/manifests/machines.yaml" | sed -n '12,32p'
cd "$site/manifests"
run git push 2>&1 || failed "the push was refused"

web=$(instance_dir shop/web-1) db=$(instance_dir shop/db-1)
web_uid=${web##*/} db_uid=${db##*/}
title "Two machines, seen from outside Spinel"
await 90 "web-1 prints its ready line on the serial console" is_ready "$web"
await 90 "db-1 prints its ready line on the serial console" is_ready "$db"
web_pid=$(qemu_pid "$web_uid") || failed "no QEMU process for web-1"
db_pid=$(qemu_pid "$db_uid") || failed "no QEMU process for db-1"
proved "QEMU processes $web_pid and $db_pid"
web_ip=$(address "$web") db_ip=$(address "$db")
proved "web-1 has $web_ip and db-1 has $db_ip, by DHCP"
reaches() { guest "$1" "nc -w 3 $2 $3 </dev/null 2>&1" >/dev/null; }
await 20 "db-1 reaches web-1 on port 80, which a rule allows" reaches "$db" "$web_ip" 80
if reaches "$db" "$web_ip" 8080; then failed "db-1 reaches web-1 on port 8080, which no rule allows"; fi
proved "db-1 does not reach web-1 on port 8080, which no rule allows"
if reaches "$web" "$db_ip" 80; then failed "web-1 reaches db-1 on port 80, which no rule allows"; fi
proved "web-1 does not reach db-1 on port 80: the rule is for role=web only"
await 20 "db-1 reaches a server outside through NAT" guest "$db" "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 4 198.51.100.2 80 | grep -q 'hello from outside'"
await 60 "spinel plan: nothing to do (exit 0)" matches_git
run "$spinel" plan
run "$spinel" status

title "Damage behind its back"
stop_daemon
echo "   (the daemon is stopped for a moment, so that there is time to look at the damage)"
vpc=$("$spinel" get vpc shop/main --json | jq -r '.items[0].metadata.uid')
ns=spn$(echo "$vpc" | cut -c1-12)
[ -e "/run/netns/$ns" ] || failed "no namespace $ns"
nic=$("$spinel" get nic shop/web-1.eth0 --json | jq -r '.items[0].metadata.uid')
tap=spt$(echo "$nic" | cut -c1-12)
run kill -9 "$db_pid"
handle=$(ip netns exec "$ns" nft -a list table inet spinel | sed -n 's/.*comment "main\/web#.*# handle \([0-9]*\).*/\1/p' | head -n 1)
chain=$(ip netns exec "$ns" nft -j list table inet spinel | jq -r --argjson h "${handle:-0}" '.nftables[].rule | select(. != null and .handle == $h) | .chain')
[ -n "$handle" ] && [ -n "$chain" ] || failed "no rule for main/web in the kernel"
run ip netns exec "$ns" nft replace rule inet spinel "$chain" handle "$handle" tcp dport 8080 accept comment '"main/web#edited"'
status=0
run "$spinel" drift || status=$?
[ "$status" -eq 2 ] || failed "spinel drift exits $status, not 2"
proved "drift names the stopped machine and the edited rule"
run ip netns exec "$ns" ip link del "$tap"
run ip netns exec "$ns" nft delete table inet spinel
status=0
run "$spinel" drift || status=$?
[ "$status" -eq 2 ] || failed "spinel drift exits $status, not 2"
"$spinel" drift --json >"$site/drift.json" || true
for wanted in '.kind == "Instance" and .name == "db-1"' '.kind == "NIC" and .name == "web-1.eth0"' '.kind == "VPC" and .name == "main"'; do
    jq -e ".drift | map(select($wanted)) | length > 0" "$site/drift.json" >/dev/null || failed "drift does not name: $wanted"
done
proved "drift names the machine, the tap and the table, each with expected, found and since when"

title "Healing"
start_daemon
has_table() { ip netns exec "$ns" nft list table inet spinel | grep -q 'main/web#'; }
has_tap() { ip netns exec "$ns" ip link show "$tap"; }
is_other() { pid=$(qemu_pid "$db_uid") && [ "$pid" != "$db_pid" ]; }
await 60 "the table is back, with the rule as the manifest says" has_table
await 60 "the tap is back" has_tap
await 60 "db-1 runs again, as another process" is_other
[ "$(qemu_pid "$web_uid")" = "$web_pid" ] || failed "web-1 was restarted"
proved "web-1 was not touched: still process $web_pid"
await 90 "both reach each other again on the allowed port" reaches "$db" "$web_ip" 80
if reaches "$db" "$web_ip" 8080; then failed "port 8080 stayed open"; fi
proved "and the hole on port 8080 is closed"
await 60 "spinel plan: nothing to do" matches_git
run "$spinel" drift || true
db_pid=$(qemu_pid "$db_uid")

title "A second push: changes of every class"
old_bytes=$(disk_bytes "$web") old_memory=$(fact "$web" memory_kib)
edit network.yaml 's/ports: \[80\]/ports: [80, 8080]/'
edit machines.yaml '/name: web-1$/,/^---/ { s/memory: 192MiB/memory: 320MiB/; s/  cpus: 1/  cpus: 4/; s/maxCpus: 2/maxCpus: 4/ }'
edit machines.yaml 's/spec: {size: 64MiB}/spec: {size: 96MiB}/'
push "Open 8080, more memory and disk for web-1, four CPUs" || failed "the push was refused"
await 30 "the firewall rule is live: db-1 reaches web-1 on port 8080" reaches "$db" "$web_ip" 8080
grew() { [ "$(disk_bytes "$web")" = 100663296 ]; }
more_memory() { [ "$(fact "$web" memory_kib)" -gt "$old_memory" ]; }
await 30 "the volume grew under the running machine: $old_bytes to 100663296 bytes, as the guest sees it" grew
await 30 "the guest has more memory than its $old_memory KiB" more_memory
[ "$(qemu_pid "$web_uid")" = "$web_pid" ] || failed "web-1 was restarted"
proved "web-1 is still process $web_pid: four CPUs are beyond what was reserved, and wait for its next stop"
status=0
run "$spinel" plan || status=$?
[ "$status" -eq 0 ] || failed "spinel plan exits $status, not 0: deferred is not to do"

title "One machine leaves Git; its volume stays"
volume=$(uid volume shop/db-1-data)
guest "$db" 'echo precious >/dev/vda; sync' || true
guest "$db" 'd=$(grep -l "^data$" /sys/block/vd*/serial); d=${d#/sys/block/}; echo precious >/dev/${d%%/*}; sync' || failed "cannot write to db-1's disk"
(cd "$site/manifests" && awk 'BEGIN { RS = "---\n"; ORS = "" } !/name: db-1/ { print (n++ ? "---\n" : "") $0 }' machines.yaml >machines.new && mv machines.new machines.yaml)
push "Remove db-1 and its volume's manifest" || failed "the push was refused"
gone() { ! qemu_pid "$db_uid"; }
await 60 "db-1's process is gone" gone
[ -f "$site/state/pools/default/$volume.qcow2" ] || failed "the released volume's file is gone"
proved "its volume is released, and its file still there"
run "$spinel" get volume
(cd "$site/manifests" && git revert --no-edit HEAD >/dev/null)
printf '%s $ git revert HEAD && git push%s\n' "$bold" "$plain"
(cd "$site/manifests" && git push 2>&1) || failed "the push was refused"
db=$(instance_dir shop/db-1) db_uid=${db##*/}
await 90 "db-1 is back" is_ready "$db"
kept() { guest "$db" 'cat /dev/vda /dev/vdb 2>/dev/null | head -c 67108864 | grep -qa precious'; }
await 30 "and reads from the same volume what it wrote before" kept
[ "$(uid volume shop/db-1-data)" = "$volume" ] || failed "the volume has another uid"

title "A bad push"
edit machines.yaml '0,/memory:/ s/memory:/memroy:/'
status=0
push "A typing error" || status=$?
[ "$status" -ne 0 ] || failed "the push was accepted"
proved "refused with the place and a suggestion; nothing was changed"
(cd "$site/manifests" && git reset -q --hard origin/main)
[ "$(qemu_pid "$web_uid")" = "$web_pid" ] || failed "web-1 was restarted"

title "kill -9 the daemon in the middle of its work"
cat >>"$site/manifests/machines.yaml" <<'YAML'
---
apiVersion: spinel/v1
kind: Volume
metadata: {name: web-2-data, project: shop}
spec: {size: 64MiB}
---
apiVersion: spinel/v1
kind: Instance
metadata: {name: web-2, project: shop, labels: {role: web}}
spec:
  cpus: 1
  memory: 192MiB
  kernel: {image: guest-kernel, initrd: guest-initrd, cmdline: "console=ttyS0 quiet cryptomgr.notests noreplace-smp no_timer_check tsc=reliable"}
  disks: [{name: data, volume: web-2-data}]
  nics: [{name: eth0, subnet: apps}]
  cloudInit: {}
  shutdown: {timeout: 20s}
YAML
(cd "$site/manifests" && git add -A && git commit -qm "A third machine" && git push -q >/dev/null 2>&1) &
pusher=$!
end=$(($(date +%s) + 30))
until "$spinel" get volume shop/web-2-data --json 2>/dev/null | jq -e '.items | length > 0' >/dev/null; do
    [ "$(date +%s)" -lt "$end" ] || failed "the third machine never began"
    sleep 0.05
done
run kill -9 "$daemon"
wait "$daemon" 2>/dev/null || true
daemon=
wait "$pusher" 2>/dev/null || true
start_daemon
third() { web2=$(instance_dir shop/web-2) && is_ready "$web2"; }
await 120 "after a restart it finishes: web-2 prints its ready line" third
count=$(for process in /proc/[0-9]*; do case $(readlink "$process/exe" 2>/dev/null) in *qemu-system*) words "$process" | grep -cF "$(uid instance shop/web-2 | cut -c1-8)" || true ;; esac; done | awk '{ n += $1 } END { print n }')
[ "$count" = 1 ] || failed "$count processes for web-2, not 1"
proved "nothing twice: one process for web-2; web-1 is still process $web_pid"
[ "$(qemu_pid "$web_uid")" = "$web_pid" ] || failed "web-1 was restarted"
await 60 "spinel plan: nothing to do" matches_git
run "$spinel" history

if [ -n "$keep" ]; then
    cat <<TEXT

The site keeps running. Try:
  export SPINEL_SITE=$SPINEL_SITE GIT_CONFIG_GLOBAL=$GIT_CONFIG_GLOBAL PATH=$build:\$PATH
  spinel status; spinel get instance; spinel drift; spinel events --follow
  spinel console shop/web-1            # a root shell on the serial port
  cd $site/manifests; edit, commit, git push
To end it: git rm -r . && git commit -m empty && git push, approve the hold that it prints,
  kill $daemon $outside_httpd; ip link del spxo0; ip netns del $outside; rm -r $base
TEXT
    exit 0
fi

title "Everything removed"
(cd "$site/manifests" && git rm -rqf . && git commit -qm "Remove everything")
printf '%s $ git rm -r . && git commit -m "Remove everything" && git push%s\n' "$bold" "$plain"
(cd "$site/manifests" && git push 2>&1) || true
holds=$("$spinel" plan --json | jq -r '.holds[] | select(.approvable) | .id')
[ -n "$holds" ] || failed "the guard let an empty set through"
qemu_pid "$web_uid" >/dev/null || failed "web-1 was destroyed before anybody approved"
proved "the guard holds it: an empty set destroys nothing without a person"
for hold in $holds; do run "$spinel" approve "$hold"; done
none_left() { ! qemu_pid "$web_uid" && [ ! -e "/run/netns/$ns" ]; }
await 120 "the machines and the network are gone" none_left
find "$site/state/pools/default" -name "*$volume*" | grep -q . || failed "a volume's file was destroyed"
proved "the volumes are released, their files still there"
await 60 "spinel plan: nothing to do" matches_git
stop_daemon
outside_down
cd /
after=$(world)
printf '%s\n' "$before" | sort >"$site/before"
printf '%s\n' "$after" | sort >"$site/after"
left=$(comm -13 "$site/before" "$site/after") # what somebody else removed meanwhile is not ours
[ -z "$left" ] || failed "left on the host: $left"
proved "the host is as before: no namespace, link, table, route or process left"
rm -rf "$base"
proved "and no file"
printf '\n%sThe whole story took %d seconds.%s\n' "$bold" "$(($(date +%s) - began))" "$plain"
