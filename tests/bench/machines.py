# SPDX-License-Identifier: MPL-2.0
"""Machines from `git push` to the ready line on their serial console, one and many together, beside
a shell script that makes the same disks and the same network and starts QEMU by the same words
(by_hand.py). In turns, everything made anew and taken away each time; the images are there before."""
import glob, os, time
from statistics import median

import by_hand
from measure import family, holders, shell, timed, usage, wait_for, write
from rack_site import Site

CMDLINE = "console=ttyS0 quiet cryptomgr.notests noreplace-smp no_timer_check tsc=reliable"
IMAGES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../examples/quickstart/images.yaml")
TURNS_OF_ONE, TURNS_OF_MANY, BOOT_S, IDLE_S = 4, 2, 900, 10

MACHINE = """---
apiVersion: spinel/v1
kind: Volume
metadata: {name: data-%(i)d, project: bench}
spec: {size: 64MiB, onRemove: delete}
---
apiVersion: spinel/v1
kind: Instance
metadata: {name: vm-%(i)d, project: bench, labels: {role: web}}
spec:
  cpus: 1
  memory: 192MiB
  kernel: {image: guest-kernel, initrd: guest-initrd, cmdline: "%(cmdline)s"}
  disks: [{name: data, volume: data-%(i)d}]
  nics: [{name: eth0, subnet: apps}]
  shutdown: {method: kill}
"""


def ready(logs):
    """How many have printed their ready line."""
    count = 0
    for log in glob.glob(logs):
        with open(log, "rb") as file:
            count += b"spinel-guest ready" in file.read()
    return count


def started(pid):
    """When a process began, in seconds since boot."""
    with open("/proc/%d/stat" % pid) as file:
        return int(file.read().rsplit(")", 1)[1].split()[19]) / os.sysconf("SC_CLK_TCK")


def now():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def words_of(pid):
    with open("/proc/%d/cmdline" % pid) as file:
        return file.read().rstrip("\0").split("\0")


class BySpinel:
    def __init__(self, args, base):
        self.site = Site(args, base, "machines")
        self.words, self.ends = {}, {}
        with open(IMAGES) as file:
            self.site.converge("Images", images=file.read())
        wait_for(lambda: glob.glob(self.site.place + "/state/drivers/qemu/accel.json"), 60)

    def turn(self, count):
        site = self.site
        site.commit("%d machines" % count, network=by_hand.NETWORK,
                    machines="".join(MACHINE % {"i": i, "cmdline": CMDLINE} for i in range(count)))
        before, _ = usage(family(site.daemon.pid))
        began = now()
        push = site.push_begin()
        wait_for(lambda: ready(site.place + "/state/instances/*/serial.log") == count, BOOT_S)
        took = now() - began
        after, _ = usage(family(site.daemon.pid))
        push.wait()
        pids = holders("qemu-system", site.place)
        own = after - before
        figures = {"ready": took, "exec": max(map(started, pids)) - began, "own": own, "cpu": own + usage(pids)[0]}
        self.remember(count, pids)
        return figures

    def remember(self, count, pids):
        if count not in self.words:
            self.words[count] = [words_of(pid) for pid in pids]
            self.ends[count] = [{"tap": "spt" + nic["metadata"]["uid"][:12], "mac": nic["spec"]["mac"], "ip": nic["spec"]["address"]}
                                for nic in self.site.call("get", "nic", "--json")["items"]]

    def idle(self):
        """CPU and memory of the daemon and its drivers while machines run and nothing happens."""
        pids = family(self.site.daemon.pid)
        before, _ = usage(pids)
        time.sleep(IDLE_S)
        after, mib = usage(pids)
        return (after - before) / IDLE_S, mib

    def remove(self):
        self.site.converge("No machines", network="", machines="")
        wait_for(lambda: not holders("qemu-system", self.site.place), 120)


class ByScript:
    def __init__(self, base, spinel, images):
        self.place, self.spinel, self.images = base + "/script", spinel, images
        self.netns, self.uplink = "bhand%d" % os.getpid(), "bh%d" % os.getpid()

    def script(self, count):
        text = "mkdir -p %s\n" % self.place + by_hand.network(self.netns, self.uplink, self.spinel.ends[count])
        text += by_hand.dhcp(self.netns, self.place, self.spinel.ends[count])
        for i, words in enumerate(self.spinel.words[count]):
            place = "%s/%d" % (self.place, i)
            mac = next(end for end in self.spinel.ends[count] if end["mac"] in " ".join(words))
            disk = next(word for word in words if "/dev/fdset/" in word and "disk" in word).split("/dev/fdset/")[1].split('"')[0]
            files = {"/dev/fdset/" + disk: place + "/data.raw", "/proc/self/fd/15": self.images[0], "/proc/self/fd/16": self.images[1]}
            text += "mkdir %s\ntruncate -s 64M %s/data.raw\nsetsid ip netns exec %s %s >%s/log 2>&1 &\n" % (
                place, place, self.netns, by_hand.qemu(words, place, mac["tap"], files), place)
        return text

    def turn(self, count):
        write(self.place + ".sh", self.script(count))
        began = now()
        script = timed(["sh", self.place + ".sh"])
        wait_for(lambda: ready(self.place + "/*/serial.log") == count, BOOT_S)
        took = now() - began
        pids = holders("qemu-system", self.place)
        return {"ready": took, "exec": max(map(started, pids)) - began, "own": script["cpu"], "cpu": script["cpu"] + usage(pids)[0]}

    def remove(self):
        by_hand.remove(self.netns, self.uplink)
        wait_for(lambda: not holders("qemu-system", self.place), 60)
        shell(["rm", "-rf", self.place])


def in_turns(spinel, script, count, turns, between):
    found = {spinel: [], script: []}
    for turn in range(turns):
        for one in ((spinel, script), (script, spinel))[turn % 2]:
            found[one].append(one.turn(count))
            between(one)
            one.remove()
    return [{name: [turn[name] for turn in found[one]] for name in ("ready", "exec", "own", "cpu")} for one in (spinel, script)]


def rows(report, what, count, ours, theirs):
    report.cost(what + ": push to ready line", count, "s", median(ours["ready"]), median(theirs["ready"]), "a script, the same QEMU", 1.05,
                spread=[ours["ready"], theirs["ready"]], note="%s; script %s" % tuple(
                    ", ".join("%.2f" % took for took in one["ready"]) for one in (ours, theirs)))
    report.cost(what + ": push to ready line, with the guests'", count, "s CPU", median(ours["cpu"]), median(theirs["cpu"]), "a script, the same QEMU", 1.05)
    report.cost(what + ": push to the last QEMU's start", count, "s", median(ours["exec"]), median(theirs["exec"]), "a script, the same QEMU")
    report.cost(what + ": until ready, without the guests'", count, "s CPU", median(ours["own"]), median(theirs["own"]), "a script, the same QEMU")


def bench(args, base, report):
    if not os.path.exists(IMAGES):
        report.skip("machines", "the guest is not built: make guest")
        return
    spinel, script, idle = BySpinel(args, base), None, []
    try:
        images = [glob.glob(spinel.site.place + "/state/images/" + digest)[0] for digest in digests()]
        script = ByScript(base, spinel, images)
        rows(report, "one VM", 1, *in_turns(spinel, script, 1, TURNS_OF_ONE, lambda one: None))
        if args.machines > 1:
            rows(report, "VMs together", args.machines, *in_turns(
                spinel, script, args.machines, TURNS_OF_MANY, lambda one: one is spinel and not idle and idle.append(spinel.idle())))
            report.value("VMs idle: the daemon and its drivers", args.machines, "s CPU/s", idle[0][0], note="%.0f MiB proportionally" % idle[0][1])
    finally:
        if script:
            script.remove()
        spinel.site.close()


def digests():
    """Of kernel and initrd, in this order."""
    with open(IMAGES) as file:
        return [line.split("sha256:")[1].strip() for line in file if "sha256:" in line]
