# SPDX-License-Identifier: MPL-2.0
"""Disk throughput through an attached volume, by dd in the guest, past the guest's cache: beside a
bare QEMU with the same options on a file of its own, and beside one with the options that an expert
would choose for a disk that nobody else caches (cache.direct, aio=native, an I/O thread). All three
run at once and are measured in turns, over several boots: two emulated machines that are the same
differ by a tenth and more for as long as they run."""
import glob, os, re, subprocess

import by_hand
from measure import holders, ran, shell, wait_for, write
from machines import CMDLINE, IMAGES, digests, ready, words_of
from rack_site import Site

BOOTS, TURNS, MIB, BLOCKS = 3, 4, 192, 2000
GUEST_RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../contrib/guest-run")
MANIFEST = """apiVersion: spinel/v1
kind: Project
metadata: {name: bench}
---
apiVersion: spinel/v1
kind: Volume
metadata: {name: data, project: bench}
spec: {size: 512MiB, format: %(format)s, onRemove: delete}
---
apiVersion: spinel/v1
kind: Instance
metadata: {name: vm, project: bench}
spec:
  cpus: 1
  memory: 192MiB
  kernel: {image: guest-kernel, initrd: guest-initrd, cmdline: "%(cmdline)s"}
  disks: [{name: data, volume: data}]
  shutdown: {method: kill}
"""
WORKS = {name: (command, count * block) for name, command, count, block in (
    ("write", "dd if=/dev/zero of=/dev/vda bs=1M count=%d oflag=direct conv=fsync,notrunc" % MIB, MIB, 1 << 20),
    ("read", "for i in 1 2 3 4; do dd if=/dev/vda of=/dev/null bs=1M count=%d iflag=direct; done" % MIB, 4 * MIB, 1 << 20),
    ("4 KiB writes", "dd if=/dev/zero of=/dev/vda bs=4k count=%d oflag=direct conv=fsync,notrunc" % BLOCKS, BLOCKS, 4096))}


def expert(words):
    """The same machine, its disk as an expert would have it."""
    changed = []
    for word in words:
        if '"node-name":"disk0-file"' in word:
            word = word[:-1] + ',"cache":{"direct":true},"aio":"native"}'
        elif '"node-name":"disk0"' in word:
            word = word[:-1] + ',"cache":{"direct":true}}'
        elif '"id":"disk0"' in word:
            changed[-1:] = ["-object", "iothread,id=io0", "-device"]
            word = word[:-1] + ',"iothread":"io0"}'
        changed.append(word)
    return changed


class Bare:
    def __init__(self, base, name, words, form, images):
        self.place = "%s/%s" % (base, name)
        self.console = self.place + "/serial.sock"
        os.makedirs(self.place)
        shell(["qemu-img", "create", "-q", "-f", form, self.place + "/disk", "512M"])
        files = {"/dev/fdset/16": self.place + "/disk", "/proc/self/fd/15": images[0], "/proc/self/fd/16": images[1]}
        write(self.place + "/run.sh", "exec " + by_hand.qemu(words, self.place, files=files) + "\n")
        with open(self.place + "/log", "w") as log:
            self.child = subprocess.Popen(["sh", self.place + "/run.sh"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          start_new_session=True)  # as the launcher: the scheduler shares by session

    def close(self):
        self.child.kill()
        self.child.wait()
        shell(["rm", "-rf", self.place])


def throughput(machine, work):
    """MB a second by the guest's clock, and for each CPU second of its QEMU."""
    console, pid = machine
    command, size = WORKS[work]
    before = ran(pid)
    said = shell([GUEST_RUN, console, "120", "cat /proc/uptime; { %s; } 2>/dev/null; cat /proc/uptime" % command])
    after = ran(pid)
    began, ended = (float(line.split()[0]) for line in said.splitlines() if re.fullmatch(r"[\d.]+ [\d.]+", line))
    return {"per s": size / 1e6 / (ended - began), "per cpu s": size / 1e6 / (after - before)}


def in_turns(machines, work):
    found = [[] for _ in machines]
    for machine in machines:
        throughput(machine, work)  # files get their blocks
    for turn in range(TURNS):
        order = list(zip(machines, found))
        for machine, figures in order if turn % 2 == 0 else reversed(order):
            figures.append(throughput(machine, work))
    return found


def bench_boot(base, site, form, images, found):
    """Three machines, measured, and gone again."""
    bare = []
    site.converge("A machine", machine=MANIFEST % {"format": form, "cmdline": CMDLINE})
    try:
        wait_for(lambda: ready(site.place + "/state/instances/*/serial.log") == 1, 300)
        (pid,) = holders("qemu-system", site.place)
        (console,) = glob.glob(site.place + "/state/instances/*/serial.sock")
        bare.append(Bare(base, "same", words_of(pid), form, images))
        bare.append(Bare(base, "expert", expert(words_of(pid)), form, images))
        wait_for(lambda: ready(base + "/same/serial.log") + ready(base + "/expert/serial.log") == 2, 300)
        for work in WORKS:
            machines = [(console, pid), *((one.console, one.child.pid) for one in bare)]
            for figures, more in zip(found[work], in_turns(machines, work)):
                figures += more
    finally:
        for one in bare:
            one.close()
        site.converge("No machine", machine="")


def bench_format(base, site, form, images, report):
    found = {work: ([], [], []) for work in WORKS}
    for _ in range(BOOTS):
        bench_boot(base, site, form, images, found)
    for work, figures in found.items():
        ours, same, best = ({name: [turn[name] for turn in turns] for name in turns[0]} for turns in figures)
        what = "disk, %s: %s" % (form, work)
        report.pairs(what, None, "MB/s", ours["per s"], same["per s"], "bare QEMU, the same options", 0.97)
        report.pairs(what + " a CPU second", None, "MB", ours["per cpu s"], same["per cpu s"], "bare QEMU, the same options", 0.97)
        report.pairs(what, None, "MB/s", ours["per s"], best["per s"], "bare QEMU, direct and native")


def bench(args, base, report):
    if not os.path.exists(IMAGES):
        report.skip("disk", "the guest is not built: make guest")
        return
    site = Site(args, base, "disk")
    try:
        with open(IMAGES) as file:
            site.converge("Images", images=file.read())
        images = [site.place + "/state/images/" + digest for digest in digests()]
        for form in ("raw", "qcow2"):
            bench_format(base, site, form, images, report)
    finally:
        site.close()
