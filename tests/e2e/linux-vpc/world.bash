# SPDX-License-Identifier: MPL-2.0
# A world for the linux-vpc driver: an outer network namespace plays the host, another
# one the outside, and guests are namespaces behind the taps. The driver is spoken to
# over its own protocol.

requires() {
    [ "$(id -u)" = 0 ] || { echo "needs root"; return 1; }
    [ -c /dev/net/tun ] || { echo "needs /dev/net/tun"; return 1; }
    local program
    for program in dnsmasq nft ip jq busybox nsenter cc; do
        command -v "$program" >/dev/null || { echo "needs $program"; return 1; }
    done
    [ -x "$DRIVER" ] || { echo "needs build/drivers/linux-vpc"; return 1; }
    nft list tables >/dev/null 2>&1 || { echo "needs nf_tables"; return 1; }
}

# uid N LETTER: uids differ in their first digits, from which native names come.
uid() { printf '%02x%s%s' "$1" "$RUN" "$(printf '%0*d' 22 0)"; }

world_start() {
    RUN=$(printf '%08x' "$$")
    HOST=vh$$ OUTSIDE=vo$$
    mkdir -p "$W/state" "$W/www"
    head -c 32 /dev/urandom >"$W/key"
    chmod 600 "$W/key"
    cc -O1 -D_GNU_SOURCE -o "$W/tapguest" "$BATS_TEST_DIRNAME/linux-vpc/tapguest.c"
    cc -O1 -D_GNU_SOURCE -fPIC -shared -o "$W/sync_log.so" "$BATS_TEST_DIRNAME/../driver/sync_log.c"
    printf '#!/bin/sh\n[ "$1" = bound ] || exit 0\nip addr add "$ip/$mask" dev "$interface"\nip route add default via "$router"\nip link set "$interface" mtu "${mtu:-1500}"\necho "$dns $domain" >"$LEASE"\n' >"$W/lease.sh"
    chmod +x "$W/lease.sh"
    ip netns add "$HOST"
    ip netns add "$OUTSIDE"
    ip -n "$HOST" link set lo up
    ip netns exec "$HOST" sh -c 'echo 0 >/proc/sys/net/ipv4/ip_forward' # new ones inherit it
    ip -n "$OUTSIDE" link set lo up
    ip -n "$HOST" link add wan type veth peer name eth0 netns "$OUTSIDE"
    ip -n "$HOST" addr add 192.0.2.1/24 dev wan
    ip -n "$OUTSIDE" addr add 192.0.2.9/24 dev eth0
    ip -n "$HOST" link set wan up
    ip -n "$OUTSIDE" link set eth0 up
    printf '%s\n' "RUN=$RUN HOST=$HOST OUTSIDE=$OUTSIDE" >"$W/env"
    driver_start
}

driver_start() {
    rm -f "$W/in"
    mkfifo "$W/in"
    sleep 3600 >"$W/in" 3>&- & echo $! >"$W/keeper"
    LD_PRELOAD="$W/sync_log.so" SYNC_LOG="$W/syncs" nsenter --net="/run/netns/$HOST" "$DRIVER" <"$W/in" >"$W/out" 2>"$W/err" 3>&- &
    echo $! >"$W/driver"
    rpc initialize "$(jq -cn --arg t "$W" '{protocol:1,rack:{name:"lab",id:"00112233445566778899aabbccddeeff"},stateDir:($t+"/state"),keyFile:($t+"/key"),settings:{}}')"
}

driver_stop() {
    kill "$(cat "$W/keeper")" "$(cat "$W/driver")" 2>/dev/null
    wait_until "! kill -0 $(cat "$W/driver") 2>/dev/null"
}

world_load() {
    . "$W/env"
    [ ! -f "$W/netns" ] || NS=$(cat "$W/netns")
}

# pid_end PID: what may still write where something is to be removed is gone then
pid_end() {
    kill "$1" 2>/dev/null || return 0
    wait_until "! kill -0 $1 2>/dev/null" || kill -9 "$1" 2>/dev/null || :
}

world_stop() {
    local file
    for file in "$W"/*.pid; do
        [ ! -f "$file" ] || pid_end "$(cat "$file")"
    done
    driver_stop
    # What a test that failed half-way left behind.
    for file in "/run/spinel/spn"??"$RUN"*; do
        [ ! -f "$file/pid" ] || pid_end "$(cat "$file/pid")"
        rm -rf "$file"
    done
    for file in $(ip netns list | awk '{print $1}' | grep -E "^($HOST|$OUTSIDE|g$RUN.*|spn..$RUN.*)\$"); do
        ip netns del "$file"
    done
}

# fails COMMAND: bats itself does not notice a "! command" that should have failed.
fails() {
    if "$@"; then
        echo "should have failed: $*"
        return 1
    fi
}

# wait_until CONDITION: up to 20 seconds, no longer than needed.
wait_until() {
    local tries=0
    until eval "$1"; do
        tries=$((tries + 1))
        [ $tries -lt 400 ] || { echo "never came true: $1"; return 1; }
        sleep 0.05
    done
}

# rpc METHOD PARAMS: prints the answer, fails if it is an error.
rpc() {
    local id
    id=$(($(cat "$W/id" 2>/dev/null || echo 0) + 1))
    echo $id >"$W/id"
    printf '{"jsonrpc":"2.0","id":%d,"method":"%s","params":%s}\n' $id "$1" "$2" >"$W/in"
    wait_until "grep -qE '\"id\":$id[,}]' '$W/out'" || { cat "$W/err"; return 1; }
    grep -E "\"id\":$id[,}]" "$W/out" | tee "$W/answer"
    fails jq -e .error "$W/answer" >/dev/null
}

refs() {
    jq -cn --argjson vpc "$1" --argjson subnets "$2" '{VPC:$vpc,Subnet:$subnets}'
}

# apply VERB KIND NAME UID SPEC REFS
apply() {
    local epoch
    epoch=$(($(cat "$W/epoch" 2>/dev/null || echo 0) + 1))
    echo $epoch >"$W/epoch"
    rpc apply "$(jq -cn --argjson e $epoch --arg v "$1" --arg k "$2" --arg n "$3" --arg u "$4" \
        --argjson s "$5" --argjson r "$6" '{op:("op\($e)"),uid:$u,epoch:$e,verb:$v,kind:$k,
        project:"shop",name:$n,generation:1,spec:$s,labels:{},changed:[],refs:$r,deadline:30}')"
}

# look UID JQ-FILTER: of the one object.
look() { rpc observe "{\"uids\":[\"$1\"]}" | jq -r ".result.objects[0] | $2"; }
damage() { look "$1" '.damage | map(.path) | join(" ")'; }

guest_netns() { echo "g$RUN$1"; }
in_guest() { local name=$1; shift; ip netns exec "$(guest_netns "$name")" "$@"; }
in_host() { ip netns exec "$HOST" "$@"; }
in_outside() { ip netns exec "$OUTSIDE" "$@"; }
in_vpc() { ip netns exec "$NS" "$@"; }

# guest NAME VPC-NETNS TAP MAC: plugs a guest in and lets it ask for its address.
guest() {
    local netns
    netns=$(guest_netns "$1")
    ip netns add "$netns"
    ip -n "$netns" link set lo up
    "$W/tapguest" "$2" "$3" "$netns" "$4" >"$W/guest-$1.out" 2>&1 3>&- &
    echo $! >"$W/guest-$1.pid"
    wait_until "grep -q ready '$W/guest-$1.out'"
    lease "$1"
}

# lease NAME: the guest forgets its address and asks anew.
lease() {
    in_guest "$1" ip addr flush dev eth0 scope global
    LEASE="$W/lease-$1" in_guest "$1" busybox udhcpc -i eth0 -n -q -f -O mtu -t 10 -T 1 \
        -s "$W/lease.sh" >"$W/dhcp-$1.out" 2>&1 3>&-
}

# serve_in NETNS PORT: an HTTP server that says who it is.
serve_in() {
    local netns=$1 port=$2
    mkdir -p "$W/www/$netns"
    echo "this is $netns" >"$W/www/$netns/index.html"
    ip netns exec "$netns" busybox httpd -f -p "$port" -h "$W/www/$netns" >/dev/null 2>&1 3>&- &
    echo $! >"$W/serve-$netns-$port.pid"
    wait_until "fetch_from $netns 127.0.0.1:$port >/dev/null"
}

# fetch_from NETNS ADDRESS[:PORT] [SECONDS]: what the HTTP server there says. By bash
# itself: the wget of a static busybox crashes for want of a resolver.
fetch_from() {
    local port=80
    [[ $2 != *:* ]] || port=${2#*:}
    timeout "${3:-3}" ip netns exec "$1" bash -c \
        'exec 3<>"/dev/tcp/$0/$1" && printf "GET / HTTP/1.0\r\n\r\n" >&3 && cat <&3' \
        "${2%:*}" "$port" 2>/dev/null | grep "this is"
}
