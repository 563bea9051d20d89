# SPDX-License-Identifier: MPL-2.0
"""What is done to a rack while it works. Each fault undoes itself where the world would:
a stopped process is let go on, a full disk is emptied, the repository comes back."""
import os
import random
import shutil
import signal
import threading
import time

PROCESSES = {
    "supervisor": lambda rack, rng: rack.supervisor(),
    "core": lambda rack, rng: rack.core(),
    "qemu driver": lambda rack, rng: rack.driver("qemu"),
    "file driver": lambda rack, rng: rack.driver("file"),
    "linux-vpc driver": lambda rack, rng: rack.driver("linux-vpc"),
    "call": lambda rack, rng: one(rng, rack.calls("qemu") + rack.calls("file") + rack.calls("linux-vpc")),
    "QEMU": lambda rack, rng: one(rng, [pid for pid, _ in rack.qemus()]),
    "launcher": lambda rack, rng: rack.launcher(rng.choice(("web", "db"))),
    "dnsmasq": lambda rack, rng: one(rng, rack.dnsmasqs()),
}


def one(rng, some):
    return rng.choice(some) if some else None


def process_kill(rack, rng, who):
    pid = PROCESSES[who](rack, rng)
    return pid is not None and rack.signal(pid, signal.SIGKILL)


def process_stop(rack, rng, who):
    pid = PROCESSES[who](rack, rng)
    if pid is None or not rack.signal(pid, signal.SIGSTOP):
        return False
    time.sleep(rng.choice((0.1, 0.5, 2.0, 5.0)) * rng.uniform(0.5, 1.5))
    rack.signal(pid, signal.SIGCONT)
    return True


def disk_fill(rack, rng, _):
    path = rack.state_dir + "/filler"
    for size in (1 << 20, 512):
        try:
            with open(path, "ab", buffering=0) as file:
                while file.write(b"\0" * size):
                    pass
        except OSError:
            pass
    time.sleep(rng.uniform(0.5, 4))
    os.unlink(path)
    return True


def repository_away(rack, rng, _):
    try:
        os.rename(rack.git_dir, rack.git_dir + ".away")
    except OSError:
        return False
    time.sleep(rng.uniform(0.3, 3))
    if os.path.exists(rack.git_dir):  # somebody made one in its place
        os.rename(rack.git_dir, f"{rack.base}/stray-{time.monotonic_ns()}")
    os.rename(rack.git_dir + ".away", rack.git_dir)
    return True


STORE_DAMAGE = ("old copy", "truncate", "garbage page", "garbage header", "delete all", "delete database", "delete log",
                "truncate log", "garbage log", "empty database")


def store_break(rack, rng, how):
    """As after a disk that lost it: the daemon is not there while it happens."""
    if rack.daemon and rack.daemon.poll() is None:
        rack.daemon.kill()
        rack.daemon.wait()
    time.sleep(0.3)  # the others die with it
    db, log = rack.state_dir + "/spinel.db", rack.state_dir + "/spinel.db-wal"
    try:
        if how == "old copy":
            restore(db, rng.choice(rack.backups[-5:]))
        else:
            damage(rng, how, db, log)
    except OSError:
        return False
    return True


def restore(db, backup):
    for name in (db + "-wal", db + "-shm"):
        if os.path.exists(name):
            os.unlink(name)
    shutil.copyfile(backup, db)


def damage(rng, how, db, log):
    path = log if "log" in how else db
    if how == "delete all":
        for name in (db, log, db + "-shm"):
            if os.path.exists(name):
                os.unlink(name)
    elif how.startswith("delete"):
        os.unlink(path)
    elif how == "empty database":
        os.truncate(path, 0)
    elif how.startswith("truncate"):
        os.truncate(path, rng.randrange(os.path.getsize(path) or 1))
    else:
        size = os.path.getsize(path)
        at = 0 if how == "garbage header" else rng.randrange(max(1, size - 4096))
        with open(path, "r+b") as file:
            file.seek(at)
            file.write(rng.randbytes(rng.choice((16, 100, 4096))))


KINDS = (
    [("kill", process_kill, who, 4) for who in PROCESSES]
    + [("stop", process_stop, who, 3) for who in PROCESSES]
    + [("disk full", disk_fill, "", 5), ("repository away", repository_away, "", 5)]
    + [("store", store_break, how, 3 if how == "old copy" else 1) for how in STORE_DAMAGE]
)


def choose(rng, spares_store):
    kind, act, who, _ = rng.choices(KINDS, weights=[k[3] for k in KINDS])[0]
    return ("kill", process_kill, "core") if spares_store and kind == "store" else (kind, act, who)


class Storm(threading.Thread):
    """Some faults, at moments of their own. What really hit is in `hits`."""

    def __init__(self, rack, seed, spares_store):
        super().__init__(daemon=True)
        self.rack, self.rng = rack, random.Random(seed)
        count = self.rng.choices((1, 2, 3), weights=(5, 3, 1))[0]
        self.plan = [(self.rng.choice((0.0, 0.3, 1.0, 2.5)) * self.rng.random(), *choose(self.rng, spares_store)) for _ in range(count)]
        self.hits, self.failed = [], None

    def text(self):
        return ", ".join(f"+{delay:.2f}s {kind} {who}".strip() for delay, kind, _, who in self.plan)

    def run(self):
        try:
            for delay, kind, act, who in self.plan:
                time.sleep(delay)
                if act(self.rack, self.rng, who):
                    self.hits.append(f"{kind} {who}".strip())
        except Exception as err:  # pylint: disable=broad-except
            self.failed = err
