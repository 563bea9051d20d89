# SPDX-License-Identifier: MPL-2.0
"""Figures with real machines: from `git push` to QEMU and to the ready line, beside a bare
QEMU start with the same kernel; and what the daemon costs while nothing happens."""
import glob, json, os, re, signal, statistics, subprocess, time

CMDLINE = "console=ttyS0 quiet cryptomgr.notests noreplace-smp no_timer_check tsc=reliable"
EXAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../examples/quickstart")


def shell(argv, **options):
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)


def qemus(place):
    return holders("qemu-system", place)


def holders(program, place):
    """Pids of processes of `program` that hold a file open below `place`."""
    found = []
    for path in glob.glob("/proc/[0-9]*"):
        try:
            if program not in os.readlink(path + "/exe"):
                continue
            if any(os.readlink(fd).startswith(place) for fd in glob.glob(path + "/fd/*")):
                found.append(int(path[6:]))
        except OSError:
            pass
    return found


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return time.monotonic()
        time.sleep(0.002)
    raise SystemExit("bench: gave up after %d s" % seconds)


def bare(base):
    """One QEMU started by hand with the example's kernel: seconds to exec, to the ready line."""
    guest = os.path.join(base, "bare")
    os.makedirs(guest, exist_ok=True)
    images = dict(re.findall(r"path: (\S+/(kernel|initrd\.img))", open(EXAMPLE + "/images.yaml").read()))
    kernel, initrd = sorted(images, key=lambda path: path.endswith("img"))
    log = guest + "/serial.log"
    if os.path.exists(log):
        os.unlink(log)
    began = time.monotonic()
    child = subprocess.Popen(
        ["qemu-system-x86_64", "-machine", "pc-q35-7.2", "-accel", "tcg", "-cpu", "max", "-m", "192", "-nodefaults",
         "-display", "none", "-kernel", kernel, "-initrd", initrd, "-append", CMDLINE,
         "-serial", "file:" + log], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        spawned = wait_for(lambda: child.pid in holders("qemu-system", guest), 20) - began
        ready = wait_for(lambda: os.path.exists(log) and b"spinel-guest ready" in open(log, "rb").read(), 120)
    finally:
        child.kill()
        child.wait()
    return spawned, ready - began


class Site:
    def __init__(self, args, base):
        self.place = os.path.join(base, "host")
        self.spinel = args.spinel
        self.env = dict(os.environ, SPINEL_SITE=self.place + "/spinel.yaml", GIT_AUTHOR_NAME="bench",
                        GIT_AUTHOR_EMAIL="bench@example.org", GIT_COMMITTER_NAME="bench",
                        GIT_COMMITTER_EMAIL="bench@example.org",
                        PATH=args.build + ":" + os.environ["PATH"])
        os.makedirs(self.place)
        shell([self.spinel, "init", self.place, "--example", EXAMPLE, "--drivers", "host"], env=self.env)
        self.log = open(self.place + "/serve.log", "w")
        self.daemon = subprocess.Popen([self.spinel, "serve"], env=self.env, stdout=self.log, stderr=self.log)
        wait_for(lambda: self.call("status", "--json").get("daemon"), 20)

    def call(self, *words):
        done = subprocess.run([self.spinel, *words], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return json.loads(done.stdout or b"{}")

    def git(self, *words):
        return subprocess.run(["git", "-C", self.place + "/manifests", *words], env=self.env, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)

    def commit(self, message):
        self.git("add", "-A")
        self.git("commit", "-qm", message)

    def ready(self):
        """How many machines have printed their ready line."""
        logs = glob.glob(self.place + "/state/**/serial.log", recursive=True)
        return sum(b"spinel-guest ready" in open(log, "rb").read() for log in logs)

    def push(self):
        done = self.git("push", "-q")
        if done.returncode:
            raise SystemExit("bench: git push failed:\n" + done.stdout)

    def close(self):
        """Takes everything away through Spinel itself, then ends the daemon."""
        try:
            self.git("rm", "-rqf", ".")
            self.commit("Remove everything")
            self.push()
            for hold in self.call("plan", "--json").get("holds", []):
                shell([self.spinel, "approve", hold["id"]], env=self.env)
            wait_for(lambda: not qemus(self.place), 120)
            wait_for(lambda: self.call("plan", "--json").get("summary", {}).get("run", 1) == 0, 60)
        finally:
            self.daemon.send_signal(signal.SIGTERM)
            self.daemon.wait()


def family(pid):
    """The daemon and everything below it but the machines themselves."""
    found, parents = [pid], {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            text = open(path).read()
        except OSError:
            continue
        if "(qemu-system" not in text:
            parents.setdefault(int(text.rsplit(")", 1)[1].split()[1]), []).append(int(text.split()[0]))
    for parent in found:
        found += parents.get(parent, [])
    return found


def usage(pids):
    ticks = rss = 0
    for pid in pids:
        try:
            fields = open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()
            ticks += sum(int(field) for field in fields[11:15])  # with those of children that ended
            for line in open("/proc/%d/smaps_rollup" % pid):
                if line.startswith("Pss:"):
                    rss += int(line.split()[1])
        except OSError:
            pass
    return ticks / os.sysconf("SC_CLK_TCK"), rss / 1024


MACHINE = """---
apiVersion: spinel/v1
kind: Instance
metadata: {name: extra-%d, project: shop}
spec:
  cpus: 1
  memory: 192MiB
  kernel: {image: guest-kernel, initrd: guest-initrd, cmdline: "%s"}
  nics: [{name: eth0, subnet: apps}]
  shutdown: {method: kill}
"""


def bench(args, base, result):
    here = result["machines"] = {}
    runs = [bare(base) for _ in range(3)]
    here["bare_qemu"] = statistics.median(run[0] for run in runs)
    here["bare_ready"] = statistics.median(run[1] for run in runs)
    site = Site(args, base)
    try:
        with open(site.place + "/manifests/machines.yaml") as file:
            text = file.read()
        quickstart = site.place + "/manifests/machines.yaml"
        with open(quickstart, "w") as file:
            file.write("")
        site.git("rm", "-qf", "--cached", "machines.yaml")
        os.unlink(quickstart)
        site.commit("Network only")
        site.push()
        with open(quickstart, "w") as file:
            file.write(MACHINE % (0, CMDLINE))
        site.commit("One machine")
        wait_for(lambda: glob.glob(site.place + "/state/drivers/qemu/accel.json"), 60)
        began = time.monotonic()
        push = subprocess.Popen(["git", "-C", site.place + "/manifests", "push", "-q"], env=site.env,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        here["push_to_qemu"] = wait_for(lambda: qemus(site.place), 60) - began
        here["push_to_ready"] = wait_for(lambda: site.ready() == 1, 120) - began
        push.wait()
        with open(quickstart, "a") as file:
            file.write("".join(MACHINE % (i, CMDLINE) for i in range(1, args.machines)))
        site.commit("All machines")
        site.push()
        wait_for(lambda: len(qemus(site.place)) == args.machines, 300)
        wait_for(lambda: site.call("plan", "--json").get("summary", {}).get("run", 1) == 0, 120)
        wait_for(lambda: site.ready() == args.machines, 300)
        time.sleep(10)
        pids = family(site.daemon.pid)
        before, _ = usage(pids)
        time.sleep(30)
        after, here["idle_mib"] = usage(pids)
        here["idle_cpu_percent"] = (after - before) / 30 * 100
        print("\n%d machines" % args.machines)
        print("  bare QEMU to the ready line                  %8.2f s" % here["bare_ready"])
        print("  bare QEMU running                            %8.2f s" % here["bare_qemu"])
        print("  git push to QEMU running                     %8.2f s" % here["push_to_qemu"])
        print("  git push to the ready line                   %8.2f s   %.2f x bare QEMU"
              % (here["push_to_ready"], here["push_to_ready"] / here["bare_ready"]))
        print("  the daemon and its drivers, idle, %2d machines: %.2f %% of a CPU, %.0f MiB (proportional)"
              % (args.machines, here["idle_cpu_percent"], here["idle_mib"]))
    finally:
        site.close()
