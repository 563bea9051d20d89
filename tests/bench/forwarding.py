# SPDX-License-Identifier: MPL-2.0
"""Forwarding through a VPC, beside the same topology wired by hand: a namespace that routes
between the isolated taps of one bridge, rules for what a guest may receive, and a guard on each
tap. Both stand at once and are measured in turns, so that what else the machine does meets both.

TCP: iperf3 between two namespaces behind the taps. UDP: small packets written to one tap and read
from the other; the kernel forwards within the write, so its CPU seconds are those of the path."""
import json, os, shutil, subprocess

from measure import compile_c, shell, timed, usage, wait_for, write
from rack_site import Site

TURNS, PACKETS = 15, 100000
GATEWAY = "06:53:50:00:00:01"

MANIFEST = """apiVersion: spinel/v1
kind: Project
metadata: {name: bench}
---
apiVersion: spinel/v1
kind: VPC
metadata: {name: main, project: bench}
spec: {prefixes: [10.41.0.0/16], nat: true}
---
apiVersion: spinel/v1
kind: Subnet
metadata: {name: apps, project: bench}
spec: {vpc: main, cidr: 10.41.1.0/24}
---
apiVersion: spinel/v1
kind: Firewall
metadata: {name: main, project: bench}
spec:
  vpc: main
  rules:
    - {name: ping, protocols: [{protocol: icmp, icmpTypes: [echo-request]}]}
    - {name: web, protocols: [{protocol: tcp, ports: [80, 443]}], targets: [{label: role=web}]}
    - {name: ssh, protocols: [{protocol: tcp, ports: [22]}], hosts: [{cidr: 192.0.2.0/24}]}
    - {name: load, protocols: [{protocol: tcp, ports: [5201]}, {protocol: udp, ports: [5201]}]}
"""
MACHINE = """---
apiVersion: spinel/v1
kind: Instance
metadata: {name: %s, project: bench, labels: {role: web}}
spec: {cpus: 1, memory: 64MiB, nics: [{name: eth0, subnet: apps}]}
"""

# What a careful person writes for two guests that must not trust each other.
RULES = """
table inet filter {
    set web { type ipv4_addr; elements = { 10.41.1.2, 10.41.1.3 } }
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
GUARD = """
table netdev guard {
    chain %(tap)s {
        type filter hook ingress device "%(tap)s" priority -300; policy drop;
        ether saddr != %(mac)s drop
        ip saddr %(ip)s accept
        arp saddr ip { 0.0.0.0, %(ip)s } accept
        ip saddr 0.0.0.0 udp dport 67 accept
    }
}
"""


class Wiring:
    """A namespace with two taps, and what stands behind them."""

    def __init__(self, netns, ends):
        self.netns, self.ends = netns, ends
        self.guests = ["%s-%s" % (netns[:12], side) for side in "ab"]
        self.running = []

    def flood(self, wire):
        a, b = self.ends
        came, wall, cpu = shell([wire, "flood", self.netns, a["tap"], a["mac"], a["ip"], b["tap"], b["mac"], b["ip"],
                                 GATEWAY, str(PACKETS)]).split()
        if int(came) < 0.98 * PACKETS:
            raise SystemExit("bench: of %d packets %s came through %s" % (PACKETS, came, self.netns))
        return {"per cpu s": int(came) / 1e6 / float(cpu), "per s": int(came) / 1e6 / float(wall)}

    def guests_begin(self, wire):
        for guest, end in zip(self.guests, self.ends):
            shell(["ip", "netns", "add", guest])
            child = subprocess.Popen([wire, "guest", self.netns, end["tap"], guest, end["mac"]], stdout=subprocess.PIPE)
            self.running.append(child)
            child.stdout.readline()
            for words in ("link set lo up", "addr add %s/24 dev eth0" % end["ip"], "route add default via 10.41.1.1"):
                shell(["ip", "-n", guest, *words.split()])
        self.running.append(subprocess.Popen(["ip", "netns", "exec", self.guests[1], "iperf3", "-s"],
                                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        wait_for(lambda: "5201" in shell(["ip", "netns", "exec", self.guests[1], "ss", "-ltn"]), 10)

    def stream(self):
        """One TCP stream: bits a second, and for each CPU second of both ends and of what carries frames."""
        before, _ = usage([child.pid for child in self.running])
        client = timed(["ip", "netns", "exec", self.guests[0], "iperf3", "-c", self.ends[1]["ip"], "-t", "1", "-J"])
        after, _ = usage([child.pid for child in self.running])
        came = json.loads(client["stdout"])["end"]["sum_received"]
        return {"per s": came["bits_per_second"] / 1e9, "per cpu s": 8e-9 * came["bytes"] / (after - before + client["cpu"])}

    def close(self):
        for child in self.running:
            child.kill()
            child.wait()
        for guest in self.guests:
            if os.path.exists("/run/netns/" + guest):
                shell(["ip", "netns", "delete", guest])


class ByHand(Wiring):
    def __init__(self, base):
        super().__init__("bhand%d" % os.getpid(),
                         [{"tap": "tap" + side, "mac": "02:00:00:00:41:0%d" % n, "ip": "10.41.1.%d" % n} for side, n in (("a", 2), ("b", 3))])
        shell(["ip", "netns", "add", self.netns])
        links = ["link set lo up", "link add br0 address %s type bridge mcast_snooping 0" % GATEWAY]
        ports, rules = [], RULES
        for end in self.ends:
            links += ["tuntap add %s mode tap" % end["tap"], "link set %s master br0 up" % end["tap"]]
            ports += ["link set dev %s isolated on learning off flood off" % end["tap"],
                      "fdb add %s dev %s master static" % (end["mac"], end["tap"])]
            rules += GUARD % end
        links += ["link set br0 up", "addr add 10.41.1.1/24 dev br0"]
        links += ["neigh add %s lladdr %s dev br0 nud permanent" % (end["ip"], end["mac"]) for end in self.ends]
        for name, lines in (("links", links), ("ports", ports)):
            write("%s/%s" % (base, name), "\n".join(lines) + "\n")
        write(base + "/rules", rules)
        shell(["ip", "-n", self.netns, "-batch", base + "/links"])
        shell(["bridge", "-n", self.netns, "-batch", base + "/ports"])
        inside = ["ip", "netns", "exec", self.netns]
        shell([*inside, "sh", "-c", "cd /proc/sys/net/ipv4; echo 1 >ip_forward; echo 0 >conf/br0/send_redirects;"
                                    " echo 1 >conf/br0/proxy_arp_pvlan; echo 1 >conf/br0/proxy_arp; echo 0 >neigh/br0/proxy_delay"])
        shell([*inside, "nft", "-f", base + "/rules"])

    def close(self):
        super().close()
        shell(["ip", "netns", "delete", self.netns])


def by_spinel(site):
    ends = []
    for nic in site.call("get", "nic", "--json")["items"]:
        ends.append({"tap": "spt" + nic["metadata"]["uid"][:12], "mac": nic["spec"]["mac"], "ip": nic["spec"]["address"]})
    return Wiring(site.netns(), sorted(ends, key=lambda end: end["ip"]))


def in_turns(ours, hand, run):
    """Figures of both, first the one and first the other by turns."""
    found = {ours: [], hand: []}
    for turn in range(TURNS):
        for wiring in ((ours, hand), (hand, ours))[turn % 2]:
            found[wiring].append(run(wiring))
    return [{name: [turn[name] for turn in found[wiring]] for name in found[wiring][0]} for wiring in (ours, hand)]


def bench(args, base, report):
    site, hand, ours = Site(args, base, "forwarding", {"instance": "sim", "volume": "sim"}), None, None
    try:
        wire = compile_c(base, "wire")
        site.converge("A network", network=MANIFEST, machines=MACHINE % "a" + MACHINE % "b")
        hand = ByHand(base)
        ours = by_spinel(site)
        spinel, other = in_turns(ours, hand, lambda wiring: wiring.flood(wire))
        report.pairs("forwarding: small UDP packets a CPU second", None, "M", spinel["per cpu s"], other["per cpu s"], "wired by hand", 0.95)
        report.pairs("forwarding: small UDP packets a second", None, "M", spinel["per s"], other["per s"], "wired by hand", 0.95)
        if not shutil.which("iperf3"):
            report.skip("forwarding: TCP", "iperf3 is not installed (contrib/setup bench)")
            return
        for wiring in (ours, hand):
            wiring.guests_begin(wire)
        spinel, other = in_turns(ours, hand, Wiring.stream)
        report.pairs("forwarding: TCP a CPU second", None, "Gbit", spinel["per cpu s"], other["per cpu s"], "wired by hand", 0.95)
        report.pairs("forwarding: TCP, one stream", None, "Gbit/s", spinel["per s"], other["per s"], "wired by hand", 0.95)
    finally:
        for wiring in (hand, ours):
            if wiring:
                wiring.close()
        site.close()
