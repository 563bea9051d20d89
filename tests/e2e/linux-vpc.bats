#!/usr/bin/env bats
# SPDX-License-Identifier: MPL-2.0
# The linux-vpc driver against a real kernel: packets are sent, and either come or not.

setup_file() {
    export DRIVER="${BUILD:-$BATS_TEST_DIRNAME/../../build}/drivers/linux-vpc"
    export W="$BATS_FILE_TMPDIR"
    . "$BATS_TEST_DIRNAME/linux-vpc/world.bash"
    requires >"$W/skip" || return 0
    rm "$W/skip"
    world_start
    world_build >"$W/build.log" 2>&1 || { cat "$W/build.log"; return 1; }
}

teardown_file() {
    . "$BATS_TEST_DIRNAME/linux-vpc/world.bash"
    [ -f "$W/skip" ] && return 0
    world_load
    world_stop
}

setup() {
    . "$BATS_TEST_DIRNAME/linux-vpc/world.bash"
    [ ! -f "$W/skip" ] || skip "$(cat "$W/skip")"
    world_load
    names
}

names() {
    VPC_A=$(uid 1) FRONT=$(uid 2) BACK=$(uid 3) WEB=$(uid 4) DB=$(uid 5) APP=$(uid 6)
    FIREWALL=$(uid 7) FLOATING=$(uid 8) FORWARD=$(uid 9)
    VPC_B=$(uid 17) SUBNET_B=$(uid 18) NIC_B=$(uid 19) FIREWALL_B=$(uid 20)
    SPEC_A='{"prefixes":["10.0.0.0/16"],"nat":true,"mtu":1400}'
    DNS='{"enabled":true,"servers":[],"domain":"internal"}'
    SPEC_FRONT="{\"vpc\":\"a\",\"cidr\":\"10.0.1.0/24\",\"dhcp\":true,\"dns\":$DNS}"
    SPEC_BACK="{\"vpc\":\"a\",\"cidr\":\"10.0.2.0/24\",\"dhcp\":true,\"dns\":$DNS}"
    REFS_A="{\"VPC\":{\"a\":{\"uid\":\"$VPC_A\",\"spec\":$SPEC_A}},\"Subnet\":{\"front\":{\"uid\":\"$FRONT\",\"spec\":$SPEC_FRONT},\"back\":{\"uid\":\"$BACK\",\"spec\":$SPEC_BACK}}}"
    SPEC_B_NET="${SPEC_FRONT/\"a\"/\"b\"}"
    REFS_B="{\"VPC\":{\"b\":{\"uid\":\"$VPC_B\",\"spec\":$SPEC_A}},\"Subnet\":{\"front\":{\"uid\":\"$SUBNET_B\",\"spec\":$SPEC_B_NET}}}"
    RULES='[{"name":"http","direction":"in","action":"allow","priority":1000,"targets":[{"label":"role=web"}],"hosts":[],"protocols":[{"protocol":"tcp","ports":["80"]}],"log":false},{"name":"ping","direction":"in","action":"allow","priority":1000,"targets":[],"hosts":[{"vpc":"a"}],"protocols":[{"protocol":"icmp","icmpTypes":["echo-request"]}],"log":false}]'
    SPEC_FIREWALL="{\"vpc\":\"a\",\"rules\":$RULES}"
    SPEC_FLOATING='{"address":"192.0.2.50","vpc":"a","instance":"web"}'
    SPEC_FORWARD='{"vpc":"a","protocol":"tcp","port":8080,"instance":"web","targetPort":80}'
}

nic_spec() {
    echo "{\"instance\":\"$1\",\"interface\":\"eth0\",\"subnet\":\"$2\",\"address\":\"$3\",\"mac\":\"$4\",\"labels\":{\"role\":\"$1\"}}"
}

world_build() {
    names
    apply create VPC a "$VPC_A" "$SPEC_A" '{}'
    look "$VPC_A" .status.namespace >"$W/netns"
    NS=$(cat "$W/netns")
    apply create Subnet front "$FRONT" "$SPEC_FRONT" "$REFS_A"
    apply create Subnet back "$BACK" "$SPEC_BACK" "$REFS_A"
    apply create NIC web.eth0 "$WEB" "$(nic_spec web front 10.0.1.5 02:00:00:00:01:05)" "$REFS_A"
    apply create NIC db.eth0 "$DB" "$(nic_spec db front 10.0.1.6 02:00:00:00:01:06)" "$REFS_A"
    apply create NIC app.eth0 "$APP" "$(nic_spec app back 10.0.2.7 02:00:00:00:02:07)" "$REFS_A"
    apply create Firewall fw "$FIREWALL" "$SPEC_FIREWALL" "$REFS_A"
    guest web "$NS" "$(look "$WEB" .status.tap)" 02:00:00:00:01:05
    guest db "$NS" "$(look "$DB" .status.tap)" 02:00:00:00:01:06
    guest app "$NS" "$(look "$APP" .status.tap)" 02:00:00:00:02:07
    serve_in "$(guest_netns web)" 80
    serve_in "$(guest_netns web)" 81
    serve_in "$(guest_netns db)" 80
    serve_in "$OUTSIDE" 80
}

@test "a guest gets its address, router, MTU and name server by DHCP" {
    in_guest web ip -br addr show eth0 | grep -w 10.0.1.5/24
    in_guest web ip route | grep "default via 10.0.1.1"
    in_guest web ip link show eth0 | grep "mtu 1400"
    [ "$(cat "$W/lease-web")" = "10.0.1.1 internal" ]
    in_guest app ip -br addr show eth0 | grep -w 10.0.2.7/24
}

@test "what was just made has no damage" {
    for object in "$VPC_A" "$FRONT" "$BACK" "$WEB" "$DB" "$APP" "$FIREWALL"; do
        [ "$(look "$object" '.damage | length')" = 0 ]
    done
}

@test "a look tells the etag that the object is listed under" {
    rpc observe '{}' | jq -r '.result.list[] | "\(.[0]) \(.[2])"' | sort >"$W/listed"
    rpc observe "$(jq -Rcn '{uids:[inputs | split(" ")[0]]}' <"$W/listed")" |
        jq -r '.result.objects[] | "\(.uid) \(.etag)"' | sort >"$W/looked"
    [ "$(wc -l <"$W/listed")" = 7 ]
    diff "$W/listed" "$W/looked"
}

@test "names of instances resolve, others do not" {
    in_guest db busybox nslookup web.internal 10.0.1.1 | grep 10.0.1.5
    in_guest app busybox nslookup web.internal 10.0.2.1 | grep 10.0.1.5
    fails in_guest db busybox nslookup example.org 10.0.1.1
}

@test "within one subnet the allowed port passes and the denied does not" {
    fetch_from "$(guest_netns db)" 10.0.1.5:80 | grep "this is"
    fails fetch_from "$(guest_netns db)" 10.0.1.5:81 1
    fails fetch_from "$(guest_netns web)" 10.0.1.6:80 1
}

@test "across subnets the allowed port passes and the denied does not" {
    fetch_from "$(guest_netns app)" 10.0.1.5:80 | grep "this is"
    fails fetch_from "$(guest_netns app)" 10.0.1.5:81 1
    fails fetch_from "$(guest_netns app)" 10.0.1.6:80 1
    in_guest app ping -c 1 -W 2 10.0.1.6
}

@test "a packet of the size of the MTU passes whole" {
    in_guest app ping -c 1 -W 2 -M do -s 1372 10.0.1.5
}

@test "a forged source address or MAC is dropped at the tap" {
    # The address of another guest, which the rules would let through to web.
    in_guest web nft 'table ip seen { chain in { type filter hook input priority 0; ip saddr 10.0.2.7 counter; }; }'
    in_guest db ip addr add 10.0.2.7/32 dev eth0
    fails in_guest db ping -c 2 -i 0.2 -W 1 -I 10.0.2.7 10.0.1.5
    in_guest db ip addr del 10.0.2.7/32 dev eth0
    in_guest web nft list table ip seen | grep "packets 0 "
    in_guest app ping -c 1 -W 2 10.0.1.5
    in_guest web nft list table ip seen | grep "packets 1 "
    in_guest web nft delete table ip seen
    in_guest db ip link set eth0 address 02:00:00:00:0f:0f
    fails in_guest db ping -c 1 -W 1 10.0.1.5
    in_guest db ip link set eth0 address 02:00:00:00:01:06
    in_guest db ping -c 1 -W 2 10.0.1.5
}

@test "guests reach out through NAT and nothing comes in by itself" {
    fetch_from "$(guest_netns db)" 192.0.2.9 | grep "this is $OUTSIDE"
    ip -n "$OUTSIDE" route add 10.0.0.0/16 via 192.0.2.1
    fails fetch_from "$OUTSIDE" 10.0.1.5:80 1
    ip -n "$OUTSIDE" route del 10.0.0.0/16
}

@test "guests do not reach the host" {
    serve_in "$HOST" 8000
    fails fetch_from "$(guest_netns db)" 192.0.2.1:8000 1
    fails fetch_from "$(guest_netns db)" 100.64.0.1:8000 1
    fails in_guest db ping -c 1 -W 1 192.0.2.1
    in_guest db ping -c 1 -W 2 10.0.1.1
}

@test "a floating IP leads in, is spoken from, and moves" {
    apply create FloatingIP fip "$FLOATING" "$SPEC_FLOATING" "$REFS_A"
    fetch_from "$OUTSIDE" 192.0.2.50 | grep "this is $(guest_netns web)"
    fetch_from "$HOST" 192.0.2.50 | grep "this is $(guest_netns web)"
    fetch_from "$(guest_netns db)" 192.0.2.50 | grep "this is $(guest_netns web)"
    in_guest web ping -c 1 -W 2 192.0.2.9
    in_outside ip neigh show 192.0.2.50 | grep -i lladdr
    [ "$(damage "$FLOATING")" = "" ]
    apply update FloatingIP fip "$FLOATING" "${SPEC_FLOATING/web/db}" "$REFS_A"
    fails fetch_from "$OUTSIDE" 192.0.2.50 1
    apply update FloatingIP fip "$FLOATING" "$SPEC_FLOATING" "$REFS_A"
    fetch_from "$OUTSIDE" 192.0.2.50 | grep "this is"
}

@test "a floating IP that is an address of the host is refused" {
    run apply create FloatingIP bad "$(uid 40)" '{"address":"192.0.2.1","vpc":"a"}' "$REFS_A"
    [ "$status" -ne 0 ]
    [[ "$output" == *"is an address of this host"* ]]
}

@test "a forwarded port leads in from outside, from the host and from its loopback" {
    apply create PortForward web "$FORWARD" "$SPEC_FORWARD" "$REFS_A"
    fetch_from "$OUTSIDE" 192.0.2.1:8080 | grep "this is $(guest_netns web)"
    fetch_from "$HOST" 192.0.2.1:8080 | grep "this is"
    fetch_from "$HOST" 127.0.0.1:8080 | grep "this is"
    [ "$(damage "$FORWARD")" = "" ]
}

@test "a port that the host listens on is refused" {
    run apply create PortForward bad "$(uid 41)" '{"vpc":"a","protocol":"tcp","port":8000,"instance":"web"}' "$REFS_A"
    [ "$status" -ne 0 ]
    [[ "$output" == *"listens on tcp port 8000"* ]]
}

@test "two VPCs with the same addresses live side by side and do not meet" {
    apply create VPC b "$VPC_B" "$SPEC_A" '{}'
    apply create Subnet front "$SUBNET_B" "$SPEC_B_NET" "$REFS_B"
    apply create NIC web.eth0 "$NIC_B" "$(nic_spec web front 10.0.1.5 02:00:00:00:11:05)" "$REFS_B"
    guest other "$(look "$VPC_B" .status.namespace)" "$(look "$NIC_B" .status.tap)" 02:00:00:00:11:05
    in_guest other ip -br addr show eth0 | grep -w 10.0.1.5/24
    fetch_from "$(guest_netns other)" 192.0.2.9 | grep "this is $OUTSIDE"
    fails fetch_from "$(guest_netns other)" 192.0.2.50 1
    fails fetch_from "$(guest_netns other)" 192.0.2.1:8080 1
    fails fetch_from "$(guest_netns other)" 10.0.2.7 1
    fails fetch_from "$(guest_netns other)" 100.64.0.2:8080 1
    fetch_from "$(guest_netns db)" 10.0.1.5:80 | grep "this is $(guest_netns web)"
}

@test "a rule edited by hand is told as the field that differs, and healed" {
    handle=$(in_vpc nft -a list chain inet spinel in | sed -n 's/.*tcp dport 80 .*# handle //p')
    in_vpc nft replace rule inet spinel in handle "$handle" ip daddr @"$(in_vpc nft list chain inet spinel in | sed -n 's/.*ip daddr @\(sel_[0-9a-f]*\) tcp dport 80 .*/\1/p')" tcp dport '{ 80, 81 }' accept
    [ "$(look "$FIREWALL" '.spec.rules[0].protocols[0].ports | join(",")')" = "80,81" ]
    fetch_from "$(guest_netns db)" 10.0.1.5:81 | grep "this is"
    wait_until "grep -q 'nftables changed by process [0-9]* (nft)' '$W/out'"
    apply update Firewall fw "$FIREWALL" "$SPEC_FIREWALL" "$REFS_A"
    [ "$(look "$FIREWALL" '.spec.rules[0].protocols[0].ports | join(",")')" = "80" ]
    fails fetch_from "$(guest_netns db)" 10.0.1.5:81 1
}

@test "a rule added or removed by hand is damage, and healed" {
    in_vpc nft insert rule inet spinel in tcp dport 22 accept
    [ "$(damage "$FIREWALL")" = "spec.rules[?]" ]
    handle=$(in_vpc nft -a list chain inet spinel in | sed -n 's/.*echo-request.*# handle //p')
    in_vpc nft delete rule inet spinel in handle "$handle"
    look "$FIREWALL" '.damage[] | select(.path == "spec.rules[ping]") | .observed' | grep -E "missing|dport 22"
    apply update Firewall fw "$FIREWALL" "$SPEC_FIREWALL" "$REFS_A"
    [ "$(damage "$FIREWALL")" = "" ]
}

@test "a deleted table is damage of the VPC alone, and healed" {
    in_vpc nft delete table inet spinel
    [[ "$(damage "$VPC_A")" == *status.table* ]]
    [ "$(damage "$FIREWALL")" = "" ]
    in_host nft delete table inet "spinel_$(look "$VPC_A" .status.uplink)"
    [[ "$(damage "$VPC_A")" == *status.hostTable* ]]
    apply update VPC a "$VPC_A" "$SPEC_A" '{}'
    [ "$(damage "$VPC_A")" = "" ]
    fetch_from "$(guest_netns db)" 10.0.1.5:80 | grep "this is"
}

@test "a deleted tap is damage of its NIC, is told, and healed" {
    tap=$(look "$APP" .status.tap)
    kill "$(cat "$W/guest-app.pid")"
    ip -n "$NS" link del "$tap"
    [[ "$(damage "$APP")" == *status.tap* ]]
    wait_until "grep -q 'link $tap removed' '$W/out'"
    apply update NIC app.eth0 "$APP" "$(nic_spec app back 10.0.2.7 02:00:00:00:02:07)" "$REFS_A"
    [ "$(damage "$APP")" = "" ]
    ip netns del "$(guest_netns app)"
    guest app "$NS" "$tap" 02:00:00:00:02:07
    fetch_from "$(guest_netns app)" 10.0.1.5:80 | grep "this is"
}

@test "a port that is no longer isolated is damage, and healed" {
    tap=$(look "$DB" .status.tap)
    bridge -n "$NS" link set dev "$tap" isolated off
    [ "$(damage "$DB")" = "status.port.isolated" ]
    apply update NIC db.eth0 "$DB" "$(nic_spec db front 10.0.1.6 02:00:00:00:01:06)" "$REFS_A"
    [ "$(damage "$DB")" = "" ]
}

# together VERB NIC-NUMBER...: all at once, answers awaited afterwards; request 9000 + n, uid 100 + n
together() {
    local verb=$1 n epoch spec
    shift
    epoch=$(($(cat "$W/epoch") + 1))
    echo $epoch >"$W/epoch"
    for n in "$@"; do
        spec=null
        [ "$verb" = delete ] || spec=$(nic_spec "many$n" back "10.0.2.$((100 + n))" "02:00:00:00:03:$(printf %02x "$n")")
        [ "$n" -ne 13 ] || spec=${spec/10.0.2.113/fd00::13}
        jq -cn --argjson id $((9000 + epoch * 100 + n)) --argjson e $epoch --arg v "$verb" --arg u "$(uid $((100 + n)))" \
            --argjson s "$spec" --argjson r "$REFS_A" --arg n "many$n.eth0" '{jsonrpc:"2.0",id:$id,method:"apply",params:{
            op:"\($v)\($e)-\($n)",uid:$u,epoch:$e,verb:$v,kind:"NIC",project:"shop",name:$n,generation:1,spec:$s,
            labels:{},changed:[],refs:(if $v == "delete" then {} else $r end),deadline:30}}'
    done >"$W/together"
    cat "$W/together" >"$W/in"
    for n in "$@"; do wait_until "grep -q '\"id\":$((9000 + epoch * 100 + n))[,}]' '$W/out'"; done
    grep '"id":' "$W/out" | jq -c "select(.id > $((9000 + epoch * 100)))" >"$W/answers"
}

# handles FAMILY CHAIN: of its rules, in order
handles() { in_vpc nft -a list chain "$1" spinel "$2" | sed -n 's/.* # handle //p' | tail -n +2 | xargs; }
db_update() { apply update NIC db.eth0 "$DB" "$(nic_spec db front "$1" 02:00:00:00:01:06)" "$REFS_A"; }
own_files() { echo "$W/state/drivers/linux-vpc/$VPC_A"; }

@test "a step writes the chains and the table that it changes, and no others" {
    web=$(look "$WEB" .status.tap) db=$(look "$DB" .status.tap)
    rules=$(handles inet in) web_rules=$(handles netdev "$web") db_rules=$(handles netdev "$db")
    db_update 10.0.1.6
    [ "$(handles inet in) $(handles netdev "$web") $(handles netdev "$db")" = "$rules $web_rules $db_rules" ]
    apply update Firewall fw "$FIREWALL" "${SPEC_FIREWALL/\"80\"/\"82\"}" "$REFS_A"
    in_vpc nft list chain inet spinel in | grep -q 'dport 82 '
    [ "$(handles netdev "$web") $(handles netdev "$db")" = "$web_rules $db_rules" ]
    apply update Firewall fw "$FIREWALL" "$SPEC_FIREWALL" "$REFS_A"
    db_update 10.0.1.61
    [ "$(handles netdev "$web")" = "$web_rules" ]
    [ "$(handles netdev "$db")" != "$db_rules" ]
    in_vpc nft list chain netdev spinel "$db" | grep -q 'ip saddr 10.0.1.61 accept'
    [ "$(in_vpc nft list chain netdev spinel "$db" | grep -c 'ip saddr 10.0.1.* accept')" = 1 ]
    db_update 10.0.1.6
    for object in "$VPC_A" "$WEB" "$DB" "$FIREWALL"; do [ "$(damage "$object")" = "" ]; done
}

@test "what somebody changed between two steps is written anew by the next one, whatever that is for" {
    web=$(look "$WEB" .status.tap)
    in_vpc nft flush chain netdev spinel "$web"
    db_update 10.0.1.6
    in_vpc nft list chain netdev spinel "$web" | grep -q 'ip saddr 10.0.1.5 accept'
    in_vpc nft insert rule inet spinel in tcp dport 22 accept
    db_update 10.0.1.6
    [ "$(in_vpc nft list chain inet spinel in | grep -c 'dport 22 ')" = 0 ]
    in_vpc nft delete table netdev spinel
    db_update 10.0.1.6
    in_vpc nft list chain netdev spinel "$web" | grep -q 'ip saddr 10.0.1.5 accept'
    for object in "$VPC_A" "$WEB" "$DB" "$FIREWALL"; do [ "$(damage "$object")" = "" ]; done
}

# Some kernels take the chain away with the tap, others keep it for the next one of that name.
@test "a tap that somebody made anew has its chain after the next step, whatever that is for" {
    tap=$(look "$APP" .status.tap)
    kill "$(cat "$W/guest-app.pid")"
    ip -n "$NS" link del "$tap"
    ip -n "$NS" tuntap add "$tap" mode tap
    rules=$(handles netdev "$tap" || true)
    db_update 10.0.1.6
    in_vpc nft list chain netdev spinel "$tap" | grep -q 'ip saddr 10.0.2.7 accept'
    [ "$(handles netdev "$tap")" != "$rules" ]
    apply update NIC app.eth0 "$APP" "$(nic_spec app back 10.0.2.7 02:00:00:00:02:07)" "$REFS_A"
    [ "$(damage "$APP")" = "" ]
    ip netns del "$(guest_netns app)"
    guest app "$NS" "$tap" 02:00:00:00:02:07
}

@test "a step that died between its commit and its notes is made good by the next one" {
    db=$(look "$DB" .status.tap)
    for kept in "seal.json" "seal.json committed.json" "seal.json committed.json committed-spoof.json"; do
        mkdir "$W/kept"
        for file in $kept; do cp "$(own_files)/$file" "$W/kept"; done
        db_update 10.0.1.61
        cp "$W/kept"/* "$(own_files)"
        db_update 10.0.1.6 # as those notes say it is already
        in_vpc nft list chain netdev spinel "$db" | grep -q 'ip saddr 10.0.1.6 accept'
        for object in "$VPC_A" "$WEB" "$DB" "$FIREWALL"; do [ "$(damage "$object")" = "" ]; done
        rm -r "$W/kept"
    done
}

@test "notes that somebody took away are made anew by the next step, and nothing is passed over without them" {
    for file in committed-spoof.json committed.json; do
        rm "$(own_files)/$file"
        db_update 10.0.1.6
        [ -s "$(own_files)/$file" ]
        for object in "$VPC_A" "$WEB" "$DB" "$FIREWALL"; do [ "$(damage "$object")" = "" ]; done
        [ "$(look "$WEB" .spec.address)" = 10.0.1.5 ]
    done
}

# firewall_send COUNT PORT: the firewall fw with so many more rules of which the middle one allows PORT
firewall_send() {
    local epoch
    epoch=$(($(cat "$W/epoch") + 1))
    echo $epoch >"$W/epoch"
    jq -cn --argjson count "$1" --arg port "$2" --argjson rules "$RULES" '{vpc:"a",rules:($rules + [range($count) |
        {name:"r\(.)",direction:"in",action:"allow",priority:2000,targets:[{label:"role=web"}],
         hosts:[{cidr:"10.\(100 + (. / 250 | floor)).\(. % 250).0/24"}],log:false,
         protocols:[{protocol:"tcp",ports:[if . == ($count / 2 | floor) then $port else "\(2000 + .)" end]}]}])}' >"$W/spec"
    jq -cn --argjson id $((5000 + epoch)) --argjson e $epoch --arg u "$FIREWALL" --slurpfile s "$W/spec" \
        --argjson r "$REFS_A" '{jsonrpc:"2.0",id:$id,method:"apply",params:{op:"op\($e)",uid:$u,epoch:$e,verb:"update",
        kind:"Firewall",project:"shop",name:"fw",generation:1,spec:$s[0],labels:{},changed:[],refs:$r,deadline:30}}' >"$W/big"
    cat "$W/big" >"$W/in"
}

firewall_answered() {
    local id=$((5000 + $(cat "$W/epoch")))
    wait_until "grep -q '\"id\":$id[,}]' '$W/out'"
    grep "\"id\":$id[,}]" "$W/out" | jq -e .result
}

@test "however much a step changes, a driver that is slow to hear of it does not lose count" {
    lines=$(wc -l <"$W/out")
    driver=$(cat "$W/driver")
    firewall_send 2000 7
    wait_until "! flock -n -s $W/state/drivers/linux-vpc/$VPC_A true" # its call is at work
    kill -STOP "$driver"
    wait_until "in_vpc nft list table inet spinel | grep -q 'tcp dport 7 accept'"
    kill -CONT "$driver"
    firewall_answered
    firewall_send 0 7
    firewall_answered
    [ "$(tail -n +$((lines + 1)) "$W/out" | grep -c '"changed"')" = 0 ]
    [ "$(damage "$FIREWALL")" = "" ]
}

# section PORT: the chain that the rule of that port stands in
section() { in_vpc nft list table inet spinel | sed -n "/chain /h; /tcp dport $1 /{x; s/.*chain \\([a-z_0-9]*\\).*/\\1/p}"; }

@test "of a long list of rules a step writes the section that it changes, and a look sees each of them" {
    firewall_send 300 7
    firewall_answered
    changed=$(section 7)
    for port in 2001 2100 2200 2299; do
        other=$(section $port)
        [ "$other" = "$changed" ] || break
    done
    [[ "$changed" = in_* && "$other" = in_* && "$changed" != "$other" ]]
    handles=$(handles inet "$other") rules=$(in_vpc nft list table inet spinel | sed 's/ # .*//; s/ comment.*//')
    inside=$(handles inet "$changed")
    firewall_send 300 8
    firewall_answered
    [ "$(handles inet "$other")" = "$handles" ]
    [ "$(handles inet "$changed")" != "$inside" ]
    [ "$(in_vpc nft list table inet spinel | sed 's/ # .*//; s/ comment.*//')" = "${rules/tcp dport 7 /tcp dport 8 }" ]
    for object in "$VPC_A" "$FIREWALL"; do [ "$(damage "$object")" = "" ]; done
    fetch_from "$(guest_netns db)" 10.0.1.5:80 | grep "this is $(guest_netns web)"

    handle=${handles%% *}
    name=$(in_vpc nft -a list chain inet spinel "$other" | sed -n "s|.*comment \"fw/\([^#.]*\)[#.].* handle $handle\$|\1|p")
    in_vpc nft delete rule inet spinel "$other" handle "$handle"
    [ "$(damage "$FIREWALL")" = "spec.rules[$name]" ]
    firewall_send 300 9 # of another section, and all is written
    firewall_answered
    for object in "$VPC_A" "$FIREWALL"; do [ "$(damage "$object")" = "" ]; done
    in_vpc nft insert rule inet spinel "$other" tcp dport 22 accept
    [ "$(damage "$FIREWALL")" = "spec.rules[?]" ]
    in_vpc nft delete rule inet spinel in handle "$(handles inet in | cut -d' ' -f2)"
    damage "$VPC_A" | grep -q 'status.rules\[in base/section\]'
    firewall_send 300 9
    firewall_answered
    for object in "$VPC_A" "$FIREWALL"; do [ "$(damage "$object")" = "" ]; done
    firewall_send 0 7
    firewall_answered
    [ "$(in_vpc nft list table inet spinel | grep -c 'in_')" = 0 ]
}

@test "a step that died with a section written is made good by the next one" {
    firewall_send 300 7
    firewall_answered
    mkdir "$W/kept"
    cp "$(own_files)"/{seal,committed}.json "$W/kept"
    firewall_send 300 8
    firewall_answered
    cp "$W/kept"/* "$(own_files)"
    firewall_send 300 7 # as those notes say it is already
    firewall_answered
    [ "$(section 7)$(section 8)" = "$(section 7)" ]
    for object in "$VPC_A" "$FIREWALL"; do [ "$(damage "$object")" = "" ]; done
    firewall_send 0 7
    firewall_answered
    rm -r "$W/kept"
}

@test "NICs that come at once are made together, and one that cannot be is refused alone" {
    together create $(seq 1 20)
    [ "$(jq -s 'map(select(.result)) | length' "$W/answers")" = 19 ]
    [ "$(jq -r 'select(.error) | .error.data.kind' "$W/answers")" = unsupported ]
    for n in 1 2 19 20; do [ "$(damage "$(uid $((100 + n)))")" = "" ]; done
    [ "$(look "$(uid 113)" .absent)" = true ]
    in_vpc nft list chain netdev spinel "$(look "$(uid 120)" .status.tap)" | grep -q 10.0.2.120
    [ "$(damage "$FIREWALL")" = "" ]
    together delete $(seq 1 20)
    [ "$(jq -s 'map(select(.result)) | length' "$W/answers")" = 20 ]
    [ "$(look "$(uid 101)" .absent)" = true ]
    [ "$(ip -n "$NS" -br link | grep -c '^spt')" = 3 ]
}

@test "NICs that go together take no link with them that somebody left in a group" {
    together create 1 2 3
    tap=$(look "$WEB" .status.tap)
    for group in 1 77 2147483647; do
        ip -n "$NS" link set "$tap" group $group
        together delete 1 2 3
        [ "$(jq -s 'map(select(.result)) | length' "$W/answers")" = 3 ]
        [ "$(ip -n "$NS" -br link | grep -c '^spt')" = 3 ]
        [ "$(damage "$WEB")" = "" ]
        together create 1 2 3
    done
    ip -n "$NS" link set "$tap" group 0
    together delete 1 2 3
}

@test "records of a group are on disk, and so is their directory, before anything is made of them" {
    : >"$W/syncs"
    together create 1 2 3
    directory=$(stat -c %i "$(own_files)")
    for n in 1 2 3; do
        record=$(own_files)/NIC-$(uid $((100 + n))).json
        inode=$(stat -c %i "$record")
        [ "$(grep -n "^sync $inode " "$W/syncs" | head -1 | cut -d: -f1)" -lt "$(grep -n "^name $inode " "$W/syncs" | cut -d: -f1)" ]
    done
    # Of two groups at most (the first may have gone alone) each: records, their directory, the tables' notes.
    [ "$(awk -v d="$directory" '/NIC-.*json$/ {open = 1} $1 == "sync" && $2 == d {open = 0}
        /committed.*json$/ && open {bad++} END {print bad + 0}' "$W/syncs")" = 0 ]
    grep -q "^sync $directory " "$W/syncs"
    grep -q 'committed-spoof.json$' "$W/syncs"
    together delete 1 2 3
}

@test "a record that is another kind's makes what it lies with unknown, and nothing is done to that" {
    record=$(own_files)/NIC-$DB.json
    cp "$record" "$W/record"
    tap=$(look "$DB" .status.tap)
    jq -c '.spec = {vpc: "a", cidr: "10.0.1.0/24"}' "$W/record" >"$record"
    [ "$(look "$DB" .unknown)" = true ]
    [ "$(look "$WEB" .unknown)" = true ]
    [[ $(look "$DB" .error.message) == *"NIC-$DB.json: it is no NIC: it has no instance"* ]]
    [[ $(rpc observe '{}') == *"it is no NIC"* ]] # no list: what is left out of one would be gone
    run apply delete NIC db.eth0 "$DB" '{}' '{}'
    [[ $output == *"it is no NIC"* ]]
    in_vpc ip link show "$tap"
    cp "$W/record" "$record"
    [ "$(damage "$DB")" = "" ]
}

@test "an address that changes takes lease, name and anti-spoofing with it" {
    apply update NIC db.eth0 "$DB" "$(nic_spec db front 10.0.1.60 02:00:00:00:01:06)" "$REFS_A"
    fails in_guest db ping -c 1 -W 1 10.0.1.5
    lease db
    in_guest db ip -br addr show eth0 | grep -w 10.0.1.60/24
    in_guest db ping -c 1 -W 2 10.0.1.5
    in_guest web busybox nslookup db.internal 10.0.1.1 | grep -w 10.0.1.60
    apply update NIC db.eth0 "$DB" "$(nic_spec db front 10.0.1.6 02:00:00:00:01:06)" "$REFS_A"
    lease db
    in_guest db ip -br addr show eth0 | grep -w 10.0.1.6/24
    [ "$(damage "$DB")" = "" ]
}

@test "NAT that is switched off ends the way out and leaves the floating IP" {
    apply update VPC a "$VPC_A" "${SPEC_A/true/false}" '{}'
    fails fetch_from "$(guest_netns db)" 192.0.2.9 1
    in_guest web ping -c 1 -W 2 192.0.2.9
    fetch_from "$OUTSIDE" 192.0.2.50 | grep "this is"
    apply update VPC a "$VPC_A" "$SPEC_A" '{}'
    fetch_from "$(guest_netns db)" 192.0.2.9 | grep "this is $OUTSIDE"
}

@test "a killed dnsmasq is damage, is told, and comes back" {
    kill -9 "$(look "$VPC_A" .status.pid)"
    wait_until "grep -q 'dnsmasq exited' '$W/out'"
    [ "$(damage "$VPC_A")" = "status.dhcp" ]
    apply update VPC a "$VPC_A" "$SPEC_A" '{}'
    [ "$(damage "$VPC_A")" = "" ]
    in_guest db busybox nslookup web.internal 10.0.1.1 | grep 10.0.1.5
}

@test "dnsmasq outlives the driver and is adopted" {
    pid=$(look "$VPC_A" .status.pid)
    driver_stop
    driver_start
    [ "$(look "$VPC_A" .status.pid)" = "$pid" ]
    apply update VPC a "$VPC_A" "$SPEC_A" '{}'
    [ "$(look "$VPC_A" .status.pid)" = "$pid" ]
}

@test "a dnsmasq that nobody has noted is ended before another one starts" {
    pid=$(look "$VPC_A" .status.pid)
    find "$W" -name dnsmasq.json -path "*$VPC_A*" -delete
    [ "$(damage "$VPC_A")" = "status.dhcp" ]
    apply update VPC a "$VPC_A" "$SPEC_A" '{}'
    [ "$(damage "$VPC_A")" = "" ]
    [ ! -d "/proc/$pid" ] || grep -q 'State:.*Z' "/proc/$pid/status"
    in_guest db busybox nslookup web.internal 10.0.1.1 | grep 10.0.1.5
}

# names_read: how often dnsmasq has read the names
names_read() { grep -c 'read .*/names' "/run/spinel/$NS/log"; }

@test "what a killed delete left in dnsmasq's files is damage, and the next delete takes it away" {
    local extra=$(uid 33)
    apply create NIC tmp.eth0 "$extra" "$(nic_spec tmp front 10.0.1.77 02:00:00:00:01:77)" "$REFS_A"
    grep -q 10.0.1.77 "/run/spinel/$NS/names"
    # As if it had died right after it removed the record.
    rm "$(find "$W/state/drivers/linux-vpc" -name "*NIC-$extra.json")"
    [ "$(look "$extra" .absent)" = true ]
    [[ "$(damage "$VPC_A")" == *status.dhcp* ]]
    apply delete NIC tmp.eth0 "$extra" "$(nic_spec tmp front 10.0.1.77 02:00:00:00:01:77)" "$REFS_A"
    [ "$(damage "$VPC_A")" = "" ]
    fails grep -q 10.0.1.77 "/run/spinel/$NS/names"
    ip -n "$NS" link del "spt${extra:0:12}"
}

@test "files that dnsmasq was never told to read again are damage, and it is told" {
    local before
    before=$(names_read)
    echo of-another-time >"/run/spinel/$NS/read"
    [ "$(damage "$VPC_A")" = "status.dhcp" ]
    apply update VPC a "$VPC_A" "$SPEC_A" '{}'
    [ "$(damage "$VPC_A")" = "" ]
    wait_until "[ \$(names_read) -gt $before ]"
    before=$(names_read)
    apply update VPC a "$VPC_A" "$SPEC_A" '{}'
    sleep 0.3
    [ "$(names_read)" = "$before" ] # once is enough
    touch "/run/spinel/$NS/hosts.new" # a draft of somebody who was killed
}

@test "rules that are not written yet are damage of their VPC until they are" {
    local notes more
    notes=$(find "$W/state/drivers/linux-vpc" -type d -path "*$VPC_A*" | head -n 1)
    more=$(jq -c '.rules[0].protocols[0].ports = ["80", "443"]' <<<"$SPEC_FIREWALL")
    mkdir "$notes/committed.json.new" # what is written cannot be kept
    apply update Firewall fw "$FIREWALL" "$more" "$REFS_A" | jq -e .error
    rmdir "$notes/committed.json.new"
    [[ " $(damage "$VPC_A") " == *" status.rules "* ]]
    apply update VPC a "$VPC_A" "$SPEC_A" '{}'
    [ "$(damage "$VPC_A")" = "" ]
    in_vpc nft list ruleset | grep -q 443
    # As if it had died right after it wrote the record.
    sed -i 's/"443"/"444"/' "$(find "$notes" -name "*Firewall-$FIREWALL.json")"
    echo '{}' >"$notes/unfinished.json"
    [ "$(look "$FIREWALL" '.damage | length')" = 0 ]
    [ "$(damage "$VPC_A")" = status.rules ]
    apply update VPC a "$VPC_A" "$SPEC_A" '{}'
    [ "$(damage "$VPC_A")" = "" ]
    in_vpc nft list ruleset | grep -q 444
    # What is refused leaves nothing unfinished.
    apply update FloatingIP f "$(uid 34)" '{"address":"no address","vpc":"a","instance":"web"}' "$REFS_A" | jq -e .error
    [ "$(damage "$VPC_A")" = "" ]
    apply update Firewall fw "$FIREWALL" "$SPEC_FIREWALL" "$REFS_A"
    [ ! -e "$notes/unfinished.json" ]
}

@test "a tightened rule ends the connection that it forbids" {
    kill "$(cat "$W/serve-$(guest_netns web)-80.pid")"
    mkfifo "$W/ticks" "$W/silence"
    in_guest web busybox nc -l -p 80 <>"$W/silence" >"$W/stream" 3>&- & echo $! >"$W/listener.pid"
    wait_until "ip netns exec $(guest_netns web) ss -Hlnt 'sport = :80' | grep -q LISTEN"
    (while sleep 0.1; do echo tick; done) >"$W/ticks" 3>&- & echo $! >"$W/ticker.pid"
    in_guest db busybox nc 10.0.1.5 80 <"$W/ticks" 3>&- & echo $! >"$W/talker.pid"
    wait_until "grep -q tick '$W/stream'"
    apply update Firewall fw "$FIREWALL" '{"vpc":"a","rules":[]}' "$REFS_A"
    wait_until "grep -q 'connections ended' '$W/out'"
    before=$(wc -c <"$W/stream")
    wait_until "[ \$(ip netns exec $(guest_netns db) ss -Htn 'dport = :80' | awk '{print \$3}') -gt 20 ]"
    [ "$(wc -c <"$W/stream")" = "$before" ]
    kill "$(cat "$W/ticker.pid")" "$(cat "$W/talker.pid")" "$(cat "$W/listener.pid")"
}

@test "somebody who commits rules beside ours all the time breaks no step and no look" {
    # Not by in_vpc: what is killed would be its shell.
    ip netns exec "$NS" sh -c "while :; do nft add table ip other; nft delete table ip other; done" 3>&- & other=$!
    for port in 81 82 80; do
        apply update Firewall fw "$FIREWALL" "${SPEC_FIREWALL/\"80\"/\"$port\"}" "$REFS_A"
        [ "$(damage "$FIREWALL")" = "" ]
        [ "$(damage "$WEB")" = "" ]
        in_vpc nft list table inet spinel | grep -q "dport $port"
    done
    kill "$other"
    wait "$other" || true
    in_vpc nft delete table ip other 2>/dev/null || true
    db_update 10.0.1.6 # what is there is known again
    [ "$(damage "$VPC_A")" = "" ]
}

@test "everything is rebuilt from its records when the namespace is gone" {
    for name in web db app; do kill "$(cat "$W/guest-$name.pid")" 2>/dev/null || true; done
    kill -9 "$(look "$VPC_A" .status.pid)"
    umount "/run/netns/$NS"
    rm "/run/netns/$NS"
    [ "$(look "$VPC_A" .absent)" = true ]
    [ "$(look "$WEB" .absent)" = true ]
    apply create VPC a "$VPC_A" "$SPEC_A" '{}'
    [ "$(damage "$VPC_A")" = "" ]
    [ "$(damage "$WEB")" = "" ]
    [ "$(damage "$FIREWALL")" = "" ]
}

@test "everything goes without a trace" {
    apply delete PortForward web "$FORWARD" null '{}'
    apply delete FloatingIP fip "$FLOATING" null '{}'
    apply delete Firewall fw "$FIREWALL" null '{}'
    run apply delete VPC a "$VPC_A" null '{}'
    [ "$status" -ne 0 ]
    for nic in "$WEB" "$DB" "$APP" "$NIC_B"; do apply delete NIC x "$nic" null '{}'; done
    for subnet in "$FRONT" "$BACK" "$SUBNET_B"; do apply delete Subnet x "$subnet" null '{}'; done
    for vpc in "$VPC_A" "$VPC_B"; do apply delete VPC x "$vpc" null '{}'; done
    [ "$(rpc observe '{}' | jq -c .result.list)" = "[]" ]
    [ ! -e "/run/netns/$NS" ]
    [ -z "$(in_host nft list tables | grep spinel)" ]
    [ -z "$(ip -n "$HOST" -br link | grep spu)" ]
    [ -z "$(ip -n "$HOST" route show proto 201)" ]
    [ -z "$(ip -n "$HOST" neigh show proxy)" ]
    [ "$(in_host cat /proc/sys/net/ipv4/ip_forward)" = 0 ]
    [ -z "$(find "$W/state/drivers/linux-vpc" -mindepth 1 ! -name lock ! -name ledger ! -name key-print)" ]
    [ ! -e "/run/spinel/$NS" ]
}
