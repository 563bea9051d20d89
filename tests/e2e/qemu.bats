#!/usr/bin/env bats
# SPDX-License-Identifier: MPL-2.0
#
# A real guest through the real driver, over its protocol: started, changed while it runs,
# hurt, healed, removed. One guest goes through all tests, in order; each call is a driver
# process of its own, so every test also shows that machines outlive drivers.

INSTANCE=a1000000000000000000000000000001
ROOT=b1000000000000000000000000000001
DATA=b2000000000000000000000000000002

setup_file() {
    export BUILD=${BUILD:-$PWD/build} MISSING=
    export STATE=$BATS_FILE_TMPDIR/state GUEST=$BUILD/guest
    [ -d "$GUEST" ] || GUEST=$PWD/build/guest
    [ -x "$BUILD/drivers/qemu" ] || MISSING="drivers/qemu is not built"
    [ "$(id -u)" = 0 ] || MISSING="needs root for namespaces and taps"
    [ -c /dev/net/tun ] || MISSING="needs /dev/net/tun"
    [ -f "$GUEST/kernel" ] || MISSING="the guest is not built: make guest"
    for tool in qemu-system-x86_64 jq dnsmasq ip curl python3; do
        command -v "$tool" >/dev/null || MISSING="$tool is not installed"
    done
    [ -z "$MISSING" ] || return 0

    # Names of its own on this machine: they derive from the uids of NIC and VPC.
    export NIC0 NIC1 VPC
    VPC=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    NIC0=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    NIC1=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    export NETNS=spn${VPC:0:12} TAP0=spt${NIC0:0:12} TAP1=spt${NIC1:0:12}
    mkdir -p "$STATE/images" "$STATE/pools/default"
    chmod 700 "$STATE"
    for file in kernel initrd.img; do
        digest=$(sha256sum "$GUEST/$file" | cut -d' ' -f1)
        install -m 600 "$GUEST/$file" "$STATE/images/$digest"
        echo "$digest" >"$STATE/$file.digest"
    done
    (umask 077 && truncate -s 64M "$STATE/pools/default/$ROOT.raw" \
        && truncate -s 32M "$STATE/pools/default/$DATA.raw")
    ip netns add "$NETNS"
    tap_make "$TAP0" 10.99.0.1
    tap_make "$TAP1" 10.99.1.1
    ip netns exec "$NETNS" dnsmasq --conf-file=/dev/null --port=0 --bind-dynamic \
        --interface="$TAP0" --interface="$TAP1" --pid-file="$STATE/dnsmasq.pid" \
        --dhcp-leasefile="$STATE/leases" --dhcp-range=10.99.0.10,10.99.0.10,1h \
        --dhcp-range=10.99.1.10,10.99.1.10,1h 3>&-
    jq -n '{cpus:1,maxCpus:4,memory:268435456,maxMemory:1073741824,accel:"auto",
        machine:"pc-q35-7.2",power:"on",shutdown:{method:"acpi",timeout:60},
        kernel:{image:"kernel",initrd:"initrd",cmdline:"console=ttyS0 quiet"},
        disks:[{name:"root",volume:"root"}],
        nics:[{name:"eth0",subnet:"lan",connected:true}]}' >"$STATE/spec.json"
}

teardown_file() {
    [ -z "$MISSING" ] || return 0
    apply delete >/dev/null 2>&1 || true
    [ ! -f "$STATE/dnsmasq.pid" ] || kill "$(cat "$STATE/dnsmasq.pid")" || true
    ip netns del "$NETNS" || true
}

setup() {
    [ -z "$MISSING" ] || skip "$MISSING"
}

tap_make() {
    ip netns exec "$NETNS" ip tuntap add "$1" mode tap vnet_hdr
    ip -n "$NETNS" addr replace "$2/24" dev "$1"
    ip -n "$NETNS" link set "$1" up
}

# rpc METHOD PARAMS: a driver of its own, one call; prints the reply.
rpc() {
    local line
    coproc DRIVER { exec "$BUILD/drivers/qemu" 3>&-; }
    local pid=$DRIVER_PID in=${DRIVER[1]} out=${DRIVER[0]}
    jq -cn --arg state "$STATE" '{jsonrpc:"2.0",id:1,method:"initialize",params:{protocol:1,
        rack:{name:"test",id:"0123456789abcdef0123456789abcdef"},stateDir:$state,
        keyFile:($state+"/key"),settings:{}}}' >&"$in"
    jq -cn --arg method "$1" --argjson params "$2" \
        '{jsonrpc:"2.0",id:2,method:$method,params:$params}' >&"$in"
    while read -r line <&"$out"; do
        [ "$(jq .id <<<"$line")" != 2 ] || break
    done
    exec {in}>&-
    wait "$pid" || true
    echo "$line"
}

refs() {
    jq -n --arg kernel "sha256:$(cat "$STATE/kernel.digest")" \
        --arg initrd "sha256:$(cat "$STATE/initrd.img.digest")" --arg root $ROOT --arg data $DATA \
        --arg nic0 "$NIC0" --arg nic1 "$NIC1" --arg vpc "$VPC" --arg instance $INSTANCE \
        '{Image:{kernel:{uid:"11111111111111111111111111111111",spec:{digest:$kernel}},initrd:{uid:"22222222222222222222222222222222",spec:{digest:$initrd}}},
          Volume:{root:{uid:$root,spec:{format:"raw"}},data:{uid:$data,spec:{format:"raw"}}},
          NIC:{"web.eth0":{uid:$nic0,spec:{address:"10.99.0.10"}},
               "web.eth1":{uid:$nic1,spec:{address:"10.99.1.10"}}},
          Subnet:{lan:{uid:"33333333333333333333333333333333",spec:{vpc:"main"}}},VPC:{main:{uid:$vpc,spec:{}}},
          Instance:{web:{uid:$instance,spec:{}}}}'
}

# apply VERB [PATH...]: the next epoch of the instance, with the spec as it stands.
apply() {
    local verb=$1 epoch
    shift
    epoch=$(($(cat "$STATE/epoch" 2>/dev/null || echo 0) + 1))
    echo "$epoch" >"$STATE/epoch"
    rpc apply "$(jq -n --arg verb "$verb" --argjson epoch "$epoch" --arg uid $INSTANCE \
        --slurpfile spec "$STATE/spec.json" --argjson refs "$(refs)" \
        '{op:"op\($epoch)",uid:$uid,epoch:$epoch,verb:$verb,kind:"Instance",project:"shop",
          name:"web",generation:1,spec:$spec[0],labels:{},changed:$ARGS.positional,refs:$refs,
          deadline:120}' --args -- "$@")"
}

# Applies and fails with the driver's words if it refuses.
applied() {
    local reply
    reply=$(apply "$@")
    jq -e '.result.epoch' <<<"$reply" >/dev/null || { echo "$reply"; return 1; }
}

# look FILTER: what jq makes of the instance as it is now.
look() {
    rpc observe "{\"uids\":[\"$INSTANCE\"]}" | jq -r ".result.objects[0] | $1"
}

spec() {
    jq "$1" "$STATE/spec.json" >"$STATE/spec.new"
    mv "$STATE/spec.new" "$STATE/spec.json"
}

# until_true SECONDS COMMAND...
# What the next reader will want to know of a guest that did not do it.
still_not() {
    echo "still not so: $*"
    look '.status | {state, accel, exit}' || true
    tail -n 20 "$STATE/instances/$INSTANCE/serial.log" "$STATE/instances/$INSTANCE/qemu.log" || true
}

until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || { still_not "$@"; return 1; }
        sleep 0.2
    done
}

boots() {
    [ "$(grep -c "spinel-guest ready" "$STATE/instances/$INSTANCE/serial.log")" -ge "$1" ]
}

# What the guest itself says of its machine, by its web server.
guest() {
    ip netns exec "$NETNS" curl -sf -m 3 "http://${1:-10.99.0.10}:8080/cgi-bin/facts"
}

guest_says() {
    guest "${2:-}" 2>/dev/null | grep -Eq "$1"
}

guest_does_not_say() {
    local facts
    facts=$(guest 2>/dev/null) && [ -z "$(grep -E "$1" <<<"$facts")" ]
}

# A line on the guest's console, as somebody at `spinel console` would type it.
type_in() {
    python3 - "$STATE/instances/$INSTANCE" "$1" <<'PYTHON'
import os, socket, sys
os.chdir(sys.argv[1])
console = socket.socket(socket.AF_UNIX)
console.settimeout(3)
console.connect("serial.sock")
console.sendall(sys.argv[2].encode() + b"\n")
try:
    while console.recv(4096):
        pass
except OSError:
    pass
PYTHON
}

pid() {
    look .status.pid
}

memory_is() {
    [ "$(look .spec.memory)" = "$1" ]
}

state_is() {
    [ "$(look .status.state)" = "$1" ]
}

@test "the driver keeps the promises of the protocol" {
    [ -x "$BUILD/spinel" ] || skip "spinel is not built"
    "$BUILD/spinel" driver-test "$BUILD/drivers/qemu"
}

@test "an instance is created and its guest gets as far as an address" {
    applied create
    [ "$(look .spec.power)" = on ]
    until_true 120 boots 1
    until_true 30 guest_says '^cpus 1$'
    guest_says '^disk vda 67108864 root$'
}

@test "the accelerator that is used is said, with the reason" {
    [ -n "$(look .status.accel.reason)" ]
    [[ $(look .status.accel.used) =~ ^(kvm|tcg)$ ]]
    [ "$(look '.status.refs["spec.disks[root].volume"]')" = $ROOT ]
}

@test "QEMU runs as a user of its own that can open nothing of ours" {
    [ "$(stat -c %u "/proc/$(pid)")" -gt 64000 ]
    grep -q '^NoNewPrivs:.*1$' "/proc/$(pid)/status"
    grep -q '^CapEff:.*0000000000000000$' "/proc/$(pid)/status"
}

@test "CPUs and memory grow while it runs" {
    before=$(pid)
    spec '.cpus=3 | .memory=402653184'
    applied update spec.cpus spec.memory
    until_true 60 guest_says '^cpus 3$'
    until_true 60 memory_is 402653184
    until_true 60 guest_says '^memory_kib [2-4][0-9]{5}$'
    [ "$(pid)" = "$before" ]
}

@test "the CPUs that it cannot give back while it runs are told, and to ask for it all the same is refused" {
    [ "$(look .status.accel.used)" = tcg ] || skip "KVM can take CPUs away"
    [ "$(look '.status.bounds["spec.cpus"].atLeast')" -eq 3 ]
    spec '.cpus=2'
    reply=$(apply update spec.cpus)
    [ "$(jq -r .error.data.kind <<<"$reply")" = unsupported ]
    spec '.cpus=3'
}

@test "memory shrinks while it runs" {
    spec '.memory=335544320'
    applied update spec.memory
    until_true 60 memory_is 335544320
}

@test "what cannot be done live is unsupported, with a hint, and harms nothing" {
    before=$(pid)
    spec '.memory=4294967296'
    reply=$(apply update spec.memory)
    [ "$(jq -r .error.data.kind <<<"$reply")" = unsupported ]
    [ -n "$(jq -r '.error.data.hint // ""' <<<"$reply")" ]
    spec '.memory=335544320'
    [ "$(pid)" = "$before" ]
}

@test "a disk is attached while it runs" {
    spec '.disks += [{name:"data",volume:"data"}]'
    applied update 'spec.disks[data]'
    until_true 30 guest_says '^disk vdb 33554432 data$'
    [ "$(look '.spec.disks | map(.name) | join(" ")')" = "root data" ]
}

@test "a volume grows under the guest that holds it" {
    reply=$(rpc apply "$(jq -n --arg uid $DATA --argjson refs "$(refs)" \
        '{op:"grow",uid:$uid,epoch:1,verb:"update",kind:"Volume",project:"shop",name:"data",
          generation:1,spec:{size:134217728,format:"raw"},labels:{},changed:["spec.size"],
          refs:$refs,deadline:30}')")
    jq -e .result.epoch <<<"$reply"
    until_true 30 guest_says '^disk vdb 134217728 data$'
    [ "$(stat -c %s "$STATE/pools/default/$DATA.raw")" = 134217728 ]
}

@test "a disk is detached while it runs" {
    spec '.disks |= map(select(.name != "data"))'
    applied update 'spec.disks[data]'
    until_true 30 guest_does_not_say '^disk vdb'
    [ "$(look '.spec.disks | length')" = 1 ]
}

@test "a NIC is attached, unplugged at the cable, and detached while it runs" {
    spec '.nics += [{name:"eth1",subnet:"lan",connected:true}]'
    applied update 'spec.nics[eth1]'
    until_true 60 guest_says '10.99.1.10' 10.99.1.10
    spec '.nics[1].connected=false'
    applied update 'spec.nics[eth1].connected'
    until_true 30 guest_says '^nic eth1 .* carrier 0$'
    spec '.nics |= map(select(.name != "eth1"))'
    applied update 'spec.nics[eth1]'
    until_true 30 guest_does_not_say '^nic eth1'
}

@test "a tap that was replaced is seen and mended, and the guest does not notice" {
    before=$(pid)
    ip -n "$NETNS" link del "$TAP0"
    [ "$(look '.damage[0].observed')" = "tap missing" ]
    tap_make "$TAP0" 10.99.0.1
    [ "$(look '.damage[0].observed')" = "tap replaced" ]
    applied update
    [ "$(look '.damage | length')" = 0 ]
    until_true 30 guest_says '^nic eth0 .* 10.99.0.10/24 carrier 1$'
    [ "$(pid)" = "$before" ]
}

@test "a machine that does not answer is unknown and not absent" {
    process=$(pid)
    kill -STOP "$process"
    unknown=$(look .unknown)
    kill -CONT "$process"
    [ "$unknown" = true ]
    until_true 30 state_is running
}

@test "a machine whose record is gone is unknown, and no second one is started" {
    local before record=$STATE/instances/$INSTANCE
    before=$(pid)
    mv "$record/record.json" "$STATE/record.kept"
    [ "$(look .unknown)" = true ]
    apply create | jq -e '.error.data.kind == "conflict" and (.error.message | test("'"$before"'"))'
    apply delete | jq -e '.error.data.kind == "conflict"'
    mv "$record" "$STATE/rundir.kept"
    [ "$(look .unknown)" = true ]
    mv "$STATE/rundir.kept" "$record"
    mv "$STATE/record.kept" "$record/record.json"
    [ "$(look .status.state)" = running ]
    [ "$(pid)" = "$before" ]
}

@test "a killed machine is told from one that shut itself down" {
    kill -9 "$(pid)"
    until_true 30 state_is off
    [ "$(look '.status.exit | "\(.reason) \(.signal)"')" = "killed 9" ]
    [ "$(look .spec.power)" = off ]
}

@test "it is started again with the same disks at the same places" {
    boots_before=$(grep -c "spinel-guest ready" "$STATE/instances/$INSTANCE/serial.log")
    applied update spec.power
    until_true 120 boots $((boots_before + 1))
    until_true 30 guest_says '^disk vda 67108864 root$'
}

@test "a guest that shuts itself down is reported as such" {
    type_in 'poweroff -f'
    until_true 30 state_is off
    [ "$(look .status.exit.reason)" = guest-shutdown ]
}

@test "a restart asks the guest first and gives it a new process" {
    applied update spec.power
    first=$(pid)
    boots_before=$(grep -c "spinel-guest ready" "$STATE/instances/$INSTANCE/serial.log")
    until_true 120 boots $((boots_before + 1))
    applied restart
    [ "$(pid)" != "$first" ]
    until_true 120 boots $((boots_before + 2))
    grep -q "spinel-guest power button" "$STATE/instances/$INSTANCE/serial.log"
}

@test "a serial log that grows too large is cut, and its newest part is kept" {
    log=$STATE/instances/$INSTANCE/serial.log
    { head -c 17000000 /dev/zero | tr '\0' x; echo the newest; } >>"$log"
    is_cut() { [ "$(stat -c %s "$log")" -lt 1000000 ]; }
    until_true 30 is_cut
    cat "$log.old" "$log" | grep -q "the newest"
    [ "$(stat -c %s "$log.old")" -le 8388608 ]
    type_in 'echo still here >/dev/console'
    is_heard() { head -c 100000 "$log" | grep -q "still here"; }
    until_true 10 is_heard
}

@test "a guest that panics is told from one that shuts down" {
    type_in 'echo c >/proc/sysrq-trigger'
    until_true 30 state_is off
    [ "$(look .status.exit.reason)" = guest-panic ]
}

@test "a missing volume is named before anything is started" {
    spec '.power="off" | .shutdown.method="kill"'
    applied update spec.power
    mv "$STATE/pools/default/$ROOT.raw" "$STATE/away"
    spec '.power="on"'
    reply=$(apply update spec.power)
    mv "$STATE/away" "$STATE/pools/default/$ROOT.raw"
    [[ $(jq -r .error.message <<<"$reply") == *"disk root (volume root)"* ]]
    [ "$(look .status.state)" = off ]
}

@test "an instance that is deleted leaves nothing behind but its volumes" {
    applied update spec.power
    process=$(pid)
    applied delete
    [ "$(look .absent)" = true ]
    [ ! -e "/proc/$process" ]
    [ -z "$(ls "$STATE/instances" "$STATE/drivers/qemu/users" | grep -v : | tr -d '\n')" ]
    [ -f "$STATE/pools/default/$ROOT.raw" ]
}
