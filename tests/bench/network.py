# SPDX-License-Identifier: MPL-2.0
"""A VPC with so many NICs and as many rules: its first build and the change of one rule, from
`git push` to converged, beside `ip -batch` and `nft -f` of the very links and rules that came of it.
Networks are real, machines are simulated."""
import json, os, subprocess, time

from by_hand import NETWORK_HEAD
from measure import shell, timed, write
from rack_site import Site

NETWORK = NETWORK_HEAD % ("10.40.0.0/16", "10.40.0.0/18")
RULE = "    - {name: r%d, protocols: [{protocol: tcp, ports: [%d]}], hosts: [{cidr: 10.%d.%d.0/24}], targets: [{label: role=r%d}]}\n"
MACHINE = """---
apiVersion: spinel/v1
kind: Instance
metadata: {name: m%d, project: bench, labels: {role: r%d}}
spec: {cpus: 1, memory: 64MiB, nics: [{name: eth0, subnet: apps}]}
"""


def network(count, port):
    return NETWORK + "".join(RULE % (i, port if i == count // 2 else 1000 + i, i // 250 % 250, i % 250, i % 20)
                             for i in range(count))


def by_hand(base, netns):
    """The same links and rules in another namespace, from one batch and one file."""
    links = json.loads(subprocess.check_output(["ip", "-n", netns, "-j", "link"]))
    rules = subprocess.check_output(["ip", "netns", "exec", netns, "nft", "list", "ruleset"])
    bridges = [link["ifname"] for link in links if link["ifname"].startswith("spb")]
    taps = [link["ifname"] for link in links if link["ifname"].startswith("spt")]
    batch = ["link add uplink type veth peer name host"] + ["link add %s type bridge" % bridge for bridge in bridges]
    for tap in taps:
        batch += ["tuntap add %s mode tap" % tap, "link set %s master %s up" % (tap, bridges[0])]
    write(base + "/links", "\n".join(batch) + "\n")
    with open(base + "/rules", "wb") as file:
        file.write(rules)
    copy = "spinel-bench-%d" % os.getpid()
    shell(["ip", "netns", "add", copy])
    try:
        made = [timed(["ip", "-n", copy, "-batch", base + "/links"]),
                timed(["ip", "netns", "exec", copy, "nft", "-f", base + "/rules"])]
    finally:
        shell(["ip", "netns", "delete", copy])
    return {key: sum(part[key] for part in made) for key in ("wall", "cpu")}, made[1]


def bench(args, base, report):
    site = Site(args, base, "network", {"instance": "sim", "volume": "sim"})
    n = args.nics
    try:
        machines = "".join(MACHINE % (i, i % 20) for i in range(n))
        first = site.converge("A network", network=network(n, 1000), machines=machines)
        one = site.converge("One rule", network=network(n, 9))
        hand, rules = by_hand(base, site.netns())
        report.cost("VPC: first build of as many NICs and rules", n, "s CPU", first["cpu"], hand["cpu"], "ip -batch and nft -f", 1.2)
        report.cost("VPC: first build, wall", n, "s", first["wall"], hand["wall"], "ip -batch and nft -f", 1.2)
        report.cost("VPC: one rule changed", n, "s CPU", one["cpu"], rules["cpu"], "nft -f of all rules")
        report.value("VPC: one rule changed, push to converged", n, "s", one["wall"], 0.1)
    finally:
        began = time.monotonic()
        site.close()
    report.value("VPC: removal", n, "s", time.monotonic() - began)
