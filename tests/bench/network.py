# SPDX-License-Identifier: MPL-2.0
"""A VPC with so many NICs and as many rules: its first build and the change of one rule, from
`git push` to converged, beside `ip -batch` and `nft -f` of the very links and rules that came of it.
Networks are real, machines are simulated."""
import json, os, re, signal, subprocess, time

from machines import family, shell, usage, wait_for

NETWORK = """apiVersion: spinel/v1
kind: Project
metadata: {name: bench}
---
apiVersion: spinel/v1
kind: VPC
metadata: {name: main, project: bench}
spec: {prefixes: [10.40.0.0/16]}
---
apiVersion: spinel/v1
kind: Subnet
metadata: {name: apps, project: bench}
spec: {vpc: main, cidr: 10.40.0.0/18}
---
apiVersion: spinel/v1
kind: Firewall
metadata: {name: main, project: bench}
spec:
  vpc: main
  rules:
"""
RULE = "    - {name: r%d, protocols: [{protocol: tcp, ports: [%d]}], hosts: [{cidr: 10.%d.%d.0/24}], targets: [{label: role=r%d}]}\n"
MACHINE = """---
apiVersion: spinel/v1
kind: Instance
metadata: {name: m%d, project: bench, labels: {role: r%d}}
spec: {cpus: 1, memory: 64MiB, nics: [{name: eth0, subnet: apps}]}
"""


class Site:
    def __init__(self, args, base):
        self.place = os.path.join(base, "network")
        self.manifests = self.place + "/manifests"
        self.spinel = args.spinel
        self.env = dict(os.environ, SPINEL_SITE=self.place + "/spinel.yaml", GIT_AUTHOR_NAME="bench",
                        GIT_AUTHOR_EMAIL="bench@example.org", GIT_COMMITTER_NAME="bench",
                        GIT_COMMITTER_EMAIL="bench@example.org")
        shell([self.spinel, "init", self.place, "--drivers", "host"], env=self.env)
        with open(self.place + "/spinel.yaml") as file:
            text = file.read()
        with open(self.place + "/spinel.yaml", "w") as file:
            file.write(re.sub(r"(?m)^  drivers:.*$", "  drivers: {instance: sim, volume: sim, network: linux-vpc}", text)
                       + "  pushWait: 1h\n")
        self.git("rm", "-rqf", ".")
        self.log = open(self.place + "/serve.log", "w")
        self.daemon = subprocess.Popen([self.spinel, "serve"], env=self.env, stdout=self.log, stderr=self.log)
        wait_for(lambda: self.call("status", "--json").get("daemon"), 20)

    def call(self, *words):
        done = subprocess.run([self.spinel, *words], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return json.loads(done.stdout or b"{}")

    def git(self, *words):
        subprocess.run(["git", "-C", self.manifests, *words], env=self.env, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def converge(self, message):
        """Commits and pushes what is there: wall and CPU seconds until it has converged."""
        self.git("add", "-A")
        self.git("commit", "-qm", message)
        before, _ = usage(family(self.daemon.pid))
        began = time.monotonic()
        self.git("push", "-q", "origin", "HEAD:main")
        for hold in self.call("plan", "--cached", "--json").get("holds", []):
            shell([self.spinel, "approve", hold["id"]], env=self.env)
        wait_for(lambda: self.call("status", "--json").get("converged"), 1800)
        wall = time.monotonic() - began
        after, _ = usage(family(self.daemon.pid))
        return {"wall": wall, "cpu": after - before}

    def netns(self):
        """A VPC's namespace bears the beginning of its uid."""
        (vpc,) = [name for name in os.listdir(self.place + "/state/drivers/linux-vpc") if re.fullmatch("[0-9a-f]{32}", name)]
        return "spn" + vpc[:12]

    def close(self):
        try:
            self.git("rm", "-rqf", ".")
            self.converge("Remove everything")
        finally:
            self.daemon.send_signal(signal.SIGTERM)
            self.daemon.wait()


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def network(count, port):
    return NETWORK + "".join(RULE % (i, port if i == count // 2 else 1000 + i, i // 250 % 250, i % 250, i % 20)
                             for i in range(count))


def timed(argv):
    began = time.monotonic()
    child = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    message = child.stderr.read()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = 0
    if status:
        raise SystemExit("%s: %s" % (" ".join(argv), message.decode()[-300:]))
    return {"wall": time.monotonic() - began, "cpu": used.ru_utime + used.ru_stime}


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


def bench(args, base, result):
    here = result["network"] = {"nics": args.nics}
    site = Site(args, base)
    try:
        write(site.manifests + "/network.yaml", network(args.nics, 1000))
        write(site.manifests + "/machines.yaml", "".join(MACHINE % (i, i % 20) for i in range(args.nics)))
        here["first build"] = site.converge("A network")
        write(site.manifests + "/network.yaml", network(args.nics, 9))
        here["one rule"] = site.converge("One rule")
        here["by hand"], here["rules by hand"] = by_hand(base, site.netns())
    finally:
        began = time.monotonic()
        site.close()
        here["removal"] = {"wall": time.monotonic() - began}
    print("\na VPC with %d NICs and %d rules %13s %9s" % (args.nics, args.nics, "wall s", "cpu s"))
    for name in ("first build", "by hand", "one rule", "rules by hand"):
        print("  %-38s %9.2f %9.2f" % (name, here[name]["wall"], here[name]["cpu"]))
    print("  %-38s %9.2f" % ("removal", here["removal"]["wall"]))

