# SPDX-License-Identifier: MPL-2.0
"""Forwarding through a VPC, beside the same topology wired by hand (by_hand.py). Both stand at once
and are measured in turns, so that what else the machine does meets both.

TCP: iperf3 between two namespaces behind the taps. UDP: small packets written to one tap and read
from the other; the kernel forwards within the write, so its CPU seconds are those of the path."""
import json, os, shutil, subprocess

import by_hand
from measure import compile_c, shell, timed, usage, wait_for, write
from rack_site import Site

TURNS, PACKETS = 15, 100000
MACHINE = """---
apiVersion: spinel/v1
kind: Instance
metadata: {name: %s, project: bench, labels: {role: web}}
spec: {cpus: 1, memory: 64MiB, nics: [{name: eth0, subnet: apps}]}
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
                                 by_hand.GATEWAY, str(PACKETS)]).split()
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
    def __init__(self):
        super().__init__("bhand%d" % os.getpid(),
                         [{"tap": "tap" + side, "mac": "02:00:00:00:41:0%d" % n, "ip": "10.41.1.%d" % n} for side, n in (("a", 2), ("b", 3))])

    def build(self, base):
        write(base + "/wire.sh", by_hand.network(self.netns, "bh%d" % os.getpid(), self.ends))
        shell(["sh", base + "/wire.sh"])

    def close(self):
        super().close()
        by_hand.remove(self.netns, "bh%d" % os.getpid())


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
        wire = compile_c("wire")
        site.converge("A network", network=by_hand.NETWORK, machines=MACHINE % "a" + MACHINE % "b")
        hand = ByHand()
        hand.build(base)
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
