# SPDX-License-Identifier: MPL-2.0
"""What a careful person writes in place of a VPC for guests that must not trust each other: a
namespace that routes between the isolated ports of one bridge, rules for what a guest may receive,
a guard on each tap, DHCP; and QEMU started by the very words that Spinel starts it by."""
import os, re, shlex, signal

from measure import shell

GATEWAY = "06:53:50:00:00:01"

# The same for Spinel; what begins any network of the benchmark.
NETWORK_HEAD = """apiVersion: spinel/v1
kind: Project
metadata: {name: bench}
---
apiVersion: spinel/v1
kind: VPC
metadata: {name: main, project: bench}
spec: {prefixes: [%s], nat: true}
---
apiVersion: spinel/v1
kind: Subnet
metadata: {name: apps, project: bench}
spec: {vpc: main, cidr: %s}
---
apiVersion: spinel/v1
kind: Firewall
metadata: {name: main, project: bench}
spec:
  vpc: main
  rules:
"""
NETWORK = NETWORK_HEAD % ("10.41.0.0/16", "10.41.1.0/24") + """\
    - {name: ping, protocols: [{protocol: icmp, icmpTypes: [echo-request]}]}
    - {name: web, protocols: [{protocol: tcp, ports: [80, 443]}], targets: [{label: role=web}]}
    - {name: ssh, protocols: [{protocol: tcp, ports: [22]}], hosts: [{cidr: 192.0.2.0/24}]}
    - {name: load, protocols: [{protocol: tcp, ports: [5201]}, {protocol: udp, ports: [5201]}]}
"""

RULES = """table inet filter {
    set web { type ipv4_addr; elements = { %s } }
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        ct state invalid drop
        oifname "br0" icmp type echo-request accept
        oifname "br0" ip daddr @web tcp dport { 80, 443 } accept
        oifname "br0" ip saddr 192.0.2.0/24 tcp dport 22 accept
        oifname "br0" tcp dport 5201 accept
        oifname "br0" udp dport 5201 accept
        iifname "br0" oifname "uplink" accept
    }
    chain input {
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        iifname "lo" accept
        iifname "br0" udp dport { 53, 67 } accept
        iifname "br0" icmp type echo-request accept
    }
    chain postrouting {
        type nat hook postrouting priority srcnat; policy accept;
        oifname "uplink" masquerade
    }
}
"""
GUARD = """table netdev guard {
    chain %(tap)s {
        type filter hook ingress device "%(tap)s" priority -300; policy drop;
        ether saddr != %(mac)s drop
        ip saddr %(ip)s accept
        arp saddr ip { 0.0.0.0, %(ip)s } accept
        ip saddr 0.0.0.0 udp dport 67 accept
    }
}
"""
SETTINGS = ("net/ipv4/ip_forward=1", "net/ipv4/conf/br0/send_redirects=0", "net/ipv4/conf/br0/proxy_arp_pvlan=1",
            "net/ipv4/conf/br0/proxy_arp=1", "net/ipv4/neigh/br0/proxy_delay=0")


def fed(command, lines):
    return "%s <<'END'\n%s\nEND\n" % (command, "\n".join(lines))


def network(netns, uplink, ends):
    """A shell script that wires a namespace with one tap for each of `ends`: tap, mac, ip."""
    links = ["link set lo up", "link add br0 address %s type bridge mcast_snooping 0" % GATEWAY,
             "link add uplink type veth peer name %s netns 1" % uplink, "link set uplink up"]
    ports = []
    for end in ends:
        links += ["tuntap add %(tap)s mode tap" % end, "link set %(tap)s master br0 up" % end]
        ports += ["link set dev %(tap)s isolated on learning off flood off" % end, "fdb add %(mac)s dev %(tap)s master static" % end]
    links += ["link set br0 up", "addr add 10.41.1.1/24 dev br0"]
    links += ["neigh add %(ip)s lladdr %(mac)s dev br0 nud permanent" % end for end in ends]
    rules = RULES % ", ".join(end["ip"] for end in ends) + "".join(GUARD % end for end in ends)
    settings = "; ".join("echo %s >/proc/sys/%s" % tuple(reversed(setting.split("="))) for setting in SETTINGS)
    return ("set -e\nip netns add %s\n" % netns + fed("ip -n %s -batch -" % netns, links)
            + fed("bridge -n %s -batch -" % netns, ports) + "ip netns exec %s sh -c '%s'\n" % (netns, settings)
            + fed("ip netns exec %s nft -f -" % netns, [rules]))


def dhcp(netns, place, ends):
    hosts = " ".join("--dhcp-host=%(mac)s,%(ip)s" % end for end in ends)
    return ("ip netns exec %s dnsmasq --conf-file=/dev/null --no-resolv --no-hosts --no-ping --bind-dynamic --interface=br0"
            " --dhcp-authoritative --dhcp-range=10.41.1.0,static,255.255.255.0,60m --pid-file=%s/dnsmasq.pid"
            " --dhcp-leasefile=%s/leases %s\n" % (netns, place, place, hosts))


def qemu(words, place, tap=None, files=()):
    """Spinel's own words, with paths where it passes descriptors. `files` replaces /dev/fdset/N and the like."""
    paths = dict(files, **{"/dev/fdset/1": place + "/serial.log"})
    argv, left = [], iter(words)
    for word in left:
        if word in ("-add-fd", "-S"):
            next(left) if word == "-add-fd" else None
            continue
        if "launcher" in word:  # Spinel's own third monitor, and the option before it
            argv.pop()
            continue
        word = re.sub(r"id=(control|events|serial),fd=\d+", r"id=\1,path=%s/\1.sock" % place, word)
        word = re.sub(r"^tap,id=(\w+),fd=\d+", r"tap,id=\1,ifname=%s,script=no,downscript=no" % tap, word)
        for before, after in paths.items():
            word = re.sub(re.escape(before) + r"(?!\d)", after, word)
        argv.append(word)
    return shlex.join(argv)


def remove(netns, uplink):
    """The namespace with all that runs in it. Its links go later, in the background, if one does not end them first."""
    if not os.path.exists("/run/netns/" + netns):
        return
    for pid in shell(["ip", "netns", "pids", netns]).split():
        os.kill(int(pid), signal.SIGKILL)
    if os.path.exists("/sys/class/net/" + uplink):
        shell(["ip", "link", "delete", uplink])
    shell(["ip", "netns", "delete", netns])
