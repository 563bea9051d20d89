# SPDX-License-Identifier: MPL-2.0
"""A real site that can be hurt: its manifests, its processes, and what is true of it.

Everything is learned from the kernel, from files and from guests. Of Spinel's own
words only its names for things are used, and its exit statuses.
"""
import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "..", "..", ".."))
CMDLINE = "console=ttyS0 quiet cryptomgr.notests noreplace-smp no_timer_check tsc=reliable"
MIB = 1 << 20


def is_contested(plan):
    """What was damaged time and again is repaired only after a pause."""
    return any(field["disposition"] == "contested" for step in plan.get("steps", []) for field in step["fields"])


class Failed(Exception):
    """What should be so is not."""


def manifests(state):
    """The whole rack for one state: the ports, sizes and parts that rounds change. An address
    that comes and goes is given: a chosen one depends on what else there was at the time."""
    disks = "{name: data, volume: db-data}"
    if state["scratch"] == "attached":
        disks += ", {name: scratch, volume: scratch}"
    nics = "{name: eth0, subnet: apps}" + (", {name: eth1, subnet: side, address: 10.20.2.41}" if state["nic"] else "")
    kernel = f'{{image: guest-kernel, initrd: guest-initrd, cmdline: "{CMDLINE}"}}'
    files = {
        "net.yaml": f"""
apiVersion: spinel/v1
kind: Project
metadata: {{name: shop}}
spec: {{}}
---
apiVersion: spinel/v1
kind: VPC
metadata: {{name: main, project: shop}}
spec: {{prefixes: [10.20.0.0/16], nat: {str(state["nat"]).lower()}}}
---
apiVersion: spinel/v1
kind: Subnet
metadata: {{name: apps, project: shop}}
spec: {{vpc: main, cidr: 10.20.1.0/24}}
---
apiVersion: spinel/v1
kind: Subnet
metadata: {{name: side, project: shop}}
spec: {{vpc: main, cidr: 10.20.2.0/24}}
---
apiVersion: spinel/v1
kind: Firewall
metadata: {{name: main, project: shop}}
spec:
  vpc: main
  rules:
    - {{name: ping, protocols: [{{protocol: icmp, icmpTypes: [echo-request]}}]}}
    - {{name: web, targets: [{{label: role={state["role"]}}}], protocols: [{{protocol: tcp, ports: [{state["port"]}]}}]}}
""",
        "web.yaml": f"""
apiVersion: spinel/v1
kind: Volume
metadata: {{name: web-data, project: shop}}
spec: {{size: {state["web_mib"]}MiB}}
---
apiVersion: spinel/v1
kind: Instance
metadata: {{name: web, project: shop, labels: {{role: web}}}}
spec:
  cpus: 1
  memory: {state["memory"]}MiB
  maxMemory: 384MiB
  kernel: {kernel}
  disks: [{{name: data, volume: web-data}}]
  nics: [{nics}]
  cloudInit: {{}}
  shutdown: {{timeout: 10s}}
""",
        "db.yaml": f"""
apiVersion: spinel/v1
kind: Volume
metadata: {{name: db-data, project: shop}}
spec: {{size: {state["db_mib"]}MiB, format: qcow2}}
---
apiVersion: spinel/v1
kind: Instance
metadata: {{name: db, project: shop, labels: {{role: db}}}}
spec:
  cpus: 1
  memory: 192MiB
  kernel: {kernel}
  disks: [{disks}]
  nics: [{{name: eth0, subnet: apps}}]
  cloudInit: {{}}
  shutdown: {{timeout: 10s}}
""",
    }
    if state["scratch"] != "absent":
        files["scratch.yaml"] = """
apiVersion: spinel/v1
kind: Volume
metadata: {name: scratch, project: shop}
spec: {size: 8MiB, onRemove: delete}
"""
    if state["third"]:
        files["third.yaml"] = f"""
apiVersion: spinel/v1
kind: Instance
metadata: {{name: third, project: shop, labels: {{role: web}}}}
spec:
  cpus: 1
  memory: 192MiB
  kernel: {kernel}
  nics: [{{name: eth0, subnet: apps, address: 10.20.1.40}}]
  shutdown: {{method: kill}}
"""
    return files


FIRST = {"port": 80, "role": "web", "nat": True, "web_mib": 16, "db_mib": 16, "memory": 192,
         "scratch": "absent", "nic": False, "third": False}


def words(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().decode(errors="replace").split("\0")
    except OSError:
        return []


def exe(pid):
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


def parent(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


class Rack:
    def __init__(self, build, disk_mib=320):
        self.build = build
        self.base = tempfile.mkdtemp(prefix="spinel-torture.", dir="/tmp")
        os.chmod(self.base, 0o755)
        self.dir = self.base + "/rack"
        self.state_dir = self.dir + "/state"
        self.git_dir = self.dir + "/manifests.git"
        self.clone = self.dir + "/manifests"
        self.daemon = None
        self.starts = self.moved = self.log_at = 0
        self.backups = []
        self.log = open(self.base + "/serve.log", "ab")
        self.env = dict(os.environ, SPINEL_SITE=self.dir + "/spinel.yaml", GIT_CONFIG_GLOBAL=self.base + "/git",
                        PATH=build + ":" + os.environ["PATH"], NO_COLOR="1", GIT_CONFIG_NOSYSTEM="1")
        with open(self.base + "/git", "w") as file:
            file.write("[user]\n\tname = Torture\n\temail = torture@example.org\n[safe]\n\tdirectory = *\n"
                       "[init]\n\tdefaultBranch = main\n[gc]\n\tauto = 0\n")
        self.make(disk_mib)

    # ---- commands

    def run(self, *command, timeout=60, check=True, cwd=None):
        try:
            done = subprocess.run(command, env=self.env, cwd=cwd or self.base, timeout=timeout, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        except subprocess.TimeoutExpired as late:
            if check:
                raise Failed(f"{' '.join(command)}: not within {timeout} s") from late
            return 124, ""
        if check and done.returncode:
            raise Failed(f"{' '.join(command)}: exit {done.returncode}: {done.stdout[-600:]}")
        return done.returncode, done.stdout

    def json(self, *command):
        status, out = self.run("spinel", *command, "--json", check=False)
        try:
            return status, json.loads(out)
        except ValueError:
            return status, {}

    # ---- from nothing, and back

    def make(self, disk_mib):
        self.run("spinel", "init", self.dir, "--drivers", "host", "--example", ROOT + "/examples/quickstart")
        for name in ("machines.yaml", "network.yaml", "project.yaml"):
            os.unlink(f"{self.clone}/{name}")
        with open(self.dir + "/spinel.yaml", "a") as site:
            site.write("  pushWait: 1s\n  resync: 10s\n  keyFile: ../key\n"
                       "  deletionBudget: {count: 100000, percent: 100, collapsePercent: 100}\n")
        self.run("truncate", "-s", f"{disk_mib}M", self.base + "/disk")
        self.run("mkfs.ext4", "-q", "-m", "0", self.base + "/disk")
        os.makedirs(self.state_dir, exist_ok=True)
        self.run("mount", "-o", "loop", self.base + "/disk", self.state_dir)
        os.chmod(self.state_dir, 0o750)
        shutil.rmtree(self.state_dir + "/lost+found", ignore_errors=True)

    def remove(self):
        """Takes all away through Spinel, then what is left by force."""
        try:
            self.commit({})
            self.push()
            end = time.monotonic() + 60
            while time.monotonic() < end and (self.qemus() or self.dnsmasqs()):
                self.alive()
                self.approve_all()
                time.sleep(0.5)
        except Failed:
            pass
        spaces = self.namespaces()
        self.stop()
        for pid in [pid for pid, _ in self.qemus()] + self.dnsmasqs():
            self.signal(pid, signal.SIGKILL)
        for space in spaces:
            self.run("ip", "netns", "del", space, check=False)
            self.run("ip", "link", "del", "spu" + space[3:], check=False)
            self.run("nft", "delete", "table", "inet", "spinel_spu" + space[3:], check=False)
            shutil.rmtree("/run/spinel/" + space, ignore_errors=True)
        time.sleep(0.3)
        self.run("umount", "-l", self.state_dir, check=False)
        shutil.rmtree(self.base, ignore_errors=True)

    # ---- the daemon

    def start(self):
        self.log_at = os.path.getsize(self.base + "/serve.log")
        self.daemon = subprocess.Popen(["spinel", "serve"], env=self.env, cwd=self.base, stdin=subprocess.DEVNULL,
                                       stdout=self.log, stderr=self.log)
        self.starts += 1

    def stop(self):
        if self.daemon and self.daemon.poll() is None:
            self.daemon.terminate()
            try:
                self.daemon.wait(20)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()
        self.daemon = None

    def alive(self):
        """What an init system does: a daemon that ended is started again. And a person,
        who does what a start that was refused told to do about a broken store."""
        if self.daemon is not None and self.daemon.poll() is None:
            return
        with open(self.base + "/serve.log", "rb") as log:
            log.seek(self.log_at)
            told = b"move the file and its -wal and -shm aside" in log.read()
        if told:
            self.moved += 1
            for name in ("spinel.db", "spinel.db-wal", "spinel.db-shm"):
                if os.path.exists(f"{self.state_dir}/{name}"):
                    os.replace(f"{self.state_dir}/{name}", f"{self.state_dir}/{name}.aside")
        self.start()
        time.sleep(0.3)

    @staticmethod
    def signal(pid, number):
        try:
            os.kill(pid, number)
            return True
        except OSError:
            return False

    def backup(self):
        """A copy of the store, as a person keeps some: any of the last few may come back."""
        target = f"{self.base}/backup.{len(self.backups)}"
        try:
            with contextlib.closing(sqlite3.connect(f"file:{self.state_dir}/spinel.db?mode=ro", uri=True)) as store, \
                    contextlib.closing(sqlite3.connect(target)) as copy:
                store.backup(copy)
        except sqlite3.Error as err:
            raise Failed(f"the store cannot be copied: {err}") from err
        self.backups.append(target)

    def check_deaths(self):
        """Nobody dies of a mistake: of those signals that no fault of ours sends."""
        with open(self.base + "/serve.log", errors="replace") as log:
            for line in log:
                if re.search(r"\bsignal (4|6|7|8|11)\b", line):
                    raise Failed(f"a process died by itself: {line.strip()[:300]}")

    # ---- processes

    def children(self, pid, program=None):
        return [p for p in pids() if parent(p) == pid and is_running(p) and (not program or exe(p) == program)]

    def supervisor(self):
        return self.daemon.pid if self.daemon and self.daemon.poll() is None else None

    def core(self):
        return next(iter(self.children(self.supervisor() or -1, self.build + "/spinel")), None)

    def driver(self, name):
        return next(iter(self.children(self.supervisor() or -1, f"{self.build}/drivers/{name}")), None)

    def calls(self, name):
        main = self.driver(name)
        return self.children(main, f"{self.build}/drivers/{name}") if main else []

    def qemus(self):
        """(pid, uid) of each QEMU that holds a file of ours open."""
        found = []
        for pid in pids():
            if "qemu-system" not in exe(pid) or not is_running(pid):
                continue
            try:
                links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
            except OSError:
                continue
            if any(link.startswith(self.state_dir + "/") for link in links):
                line = words(pid)
                uuid = line[line.index("-uuid") + 1] if "-uuid" in line else ""
                found.append((pid, uuid.replace("-", "")))
        return found

    def qemu(self, name):
        uid = self.uid("instance", name)
        return next((pid for pid, have in self.qemus() if have == uid), None)

    def launcher(self, name):
        pid = self.qemu(name)
        above = parent(pid) if pid else 0
        return above if exe(above).endswith("/drivers/qemu") else None

    def dnsmasqs(self):
        spaces = self.namespaces()
        return [pid for pid in pids() if exe(pid).endswith("/dnsmasq") and is_running(pid)
                and any(f"/run/spinel/{space}/" in word for word in words(pid) for space in spaces)]

    def namespaces(self):
        folder = self.state_dir + "/drivers/linux-vpc"
        names = os.listdir(folder) if os.path.isdir(folder) else []
        return ["spn" + name[:12] for name in names if re.fullmatch("[0-9a-f]{32}", name)
                and os.path.exists("/run/netns/spn" + name[:12])]

    # ---- Git

    def commit(self, state):
        for name in os.listdir(self.clone):
            if name.endswith(".yaml") and (name != "images.yaml" or not state):
                os.unlink(f"{self.clone}/{name}")
        for name, text in (manifests(state) if state else {}).items():
            with open(f"{self.clone}/{name}", "w") as file:
                file.write(text.lstrip())
        self.run("git", "add", "-A", cwd=self.clone)
        self.run("git", "commit", "-q", "--allow-empty", "-m", "a change", cwd=self.clone)

    def head(self):
        return self.run("git", "rev-parse", "HEAD", cwd=self.clone)[1].strip()

    def push(self):
        return self.run("git", "push", "-q", "origin", "HEAD:main", cwd=self.clone, timeout=30, check=False)[0] == 0

    def is_pushed(self):
        status, out = self.run("git", "--git-dir", self.git_dir, "rev-parse", "main", check=False)
        return status == 0 and out.strip() == self.head()

    # ---- what is true

    def items(self):
        return self.json("get", "all")[1].get("items", [])

    def uid(self, kind, name):
        for item in self.items():
            if item["kind"].lower() == kind and item["metadata"]["name"] == name:
                return item["metadata"]["uid"]
        return None

    def approve_all(self):
        for hold in self.json("plan")[1].get("holds", []):
            if hold["approvable"]:
                self.run("spinel", "approve", hold["id"], check=False)

    def is_converged(self):
        status, plan = self.json("plan")
        if plan.get("holds"):
            self.approve_all()
            return False
        have = self.json("status")[1]
        true, total = (have.get("resources", {}).get(what) for what in ("true", "total"))
        # Without a daemon, status says what was true when it was last there.
        return (status == 0 and plan.get("commit") == self.head() and have.get("daemon") is not None
                and have.get("converged") is True and true == total and not is_contested(plan))

    def await_convergence(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.alive()
            if not self.is_pushed():
                self.push()
            if self.is_converged():
                return
            time.sleep(0.3)
        raise Failed(f"not converged within {seconds} s:\n{self.run('spinel', 'plan', check=False)[1]}"
                     f"{self.run('spinel', 'status', check=False)[1]}")

    # ---- guests

    def guest(self, name, command, seconds=10):
        folder = f"{self.state_dir}/instances/{self.uid('instance', name)}"
        return self.run(ROOT + "/contrib/guest-run", folder + "/serial.sock", str(seconds), command,
                        timeout=seconds + 5, check=False)

    def await_guest(self, name, seconds=90):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            status, out = self.guest(name, "ip -4 -o addr show dev eth0", 4)
            found = re.search(r"inet ([0-9.]+)/", out)
            if status == 0 and found:
                return found.group(1)
            time.sleep(0.3)
        raise Failed(f"guest {name} does not answer with an address within {seconds} s")

    # ---- the world, told without names that differ from run to run

    def description(self):
        names = {}
        for item in self.items():
            names[item["metadata"]["uid"]] = f"{item['kind']}/{item['metadata']['name']}"
        lines = []
        for space in self.namespaces():
            lines += self.run("ip", "netns", "exec", space, "nft", "-s", "list", "ruleset")[1].splitlines()
            links = json.loads(self.run("ip", "-n", space, "-j", "-d", "addr")[1])
            for link in sorted(links, key=lambda link: link["ifname"]):
                if link["ifname"] == "lo":
                    continue
                port = link.get("linkinfo", {}).get("info_slave_data", {})
                addresses = [f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"] if a["family"] == "inet"]
                lines.append(f"link {link['ifname']} mtu {link['mtu']} master {link.get('master')} {addresses} "
                             f"isolated {port.get('isolated')} learning {port.get('learning')} "
                             f"{'UP' if 'UP' in link['flags'] else 'DOWN'}")
            # A bridge that lost its last port has no carrier, one that never had any has: not ours to say.
            lines += sorted(self.run("ip", "-n", space, "route")[1].replace(" linkdown", "").splitlines())
            for file in ("config", "hosts", "options", "names"):
                with open(f"/run/spinel/{space}/{file}") as text:
                    lines += sorted(text.read().splitlines())
            lines += self.run("nft", "-s", "list", "table", "inet", "spinel_spu" + space[3:], check=False)[1].splitlines()
        for folder in ("pools/default", "images", "seeds", "instances"):
            lines += sorted(f"file {folder}/{name}" for name in os.listdir(f"{self.state_dir}/{folder}")
                            if not name.startswith("."))
        for item in sorted(self.items(), key=lambda item: (item["kind"], item["metadata"]["name"])):
            if item["kind"] == "Instance":
                lines.append(f"observed {item['metadata']['name']} {json.dumps(item['spec'], sort_keys=True)}")
        text = "\n".join(lines)
        for uid, name in names.items():
            text = text.replace(uid, name).replace(uid[:12], name).replace(":".join(
                [uid[i:i + 2] for i in range(0, 10, 2)]), name)
        text = re.sub(r'comment "spinel:.*"', 'comment "tag"', text)
        return "\n".join(sorted(text.splitlines()))
