# SPDX-License-Identifier: MPL-2.0
"""What guests write and sync, and what must therefore be found on their volumes.

A block is known once the guest has said that it was synced. One that was being written
when something happened may hold the old or the new bytes, and no others.
"""
import hashlib
import threading

from rack import MIB, Failed

BLOCK = 4096
BLOCKS = 1024  # the first 4 MiB of each volume


def block_of(tag):
    """As `yes TAG | head -c 4096` makes it."""
    line = (tag + "\n").encode()
    return (line * (BLOCK // len(line) + 1))[:BLOCK]


class Volume:
    def __init__(self, rack, guest, name, form):
        self.rack, self.guest, self.name, self.form = rack, guest, name, form
        self.known = {}   # block: tag
        self.maybe = {}   # block: tags that may be there too
        self.written = 0

    def write(self, block, tag, seconds=8):
        """One block, synced by the guest. True when the guest has said so."""
        self.maybe.setdefault(block, set()).add(tag)
        status, out = self.rack.guest(
            self.guest, f"d=$(grep -l '^data$' /sys/block/vd*/serial); d=${{d#/sys/block/}}; yes {tag} | head -c {BLOCK} | "
            f"dd of=/dev/${{d%%/*}} bs={BLOCK} seek={block} conv=notrunc,fsync 2>/dev/null && echo synced", seconds)
        if status != 0 or "synced" not in out:
            return False
        self.known[block] = tag
        self.maybe.pop(block)
        self.written += 1
        return True

    def read(self):
        """The whole volume as the host has it."""
        uid = self.rack.uid("volume", self.name)
        path = f"{self.rack.state_dir}/pools/default/{uid}.{self.form}"
        if self.form != "raw":
            raw = f"{self.rack.base}/{self.name}.raw"
            self.rack.run("qemu-img", "convert", "-U", "-f", self.form, "-O", "raw", path, raw)
            path = raw
        with open(path, "rb") as file:
            return file.read()

    def check(self, size_mib):
        data = self.read()
        if len(data) != size_mib * MIB:
            raise Failed(f"volume {self.name} has {len(data)} bytes, Git says {size_mib} MiB")
        for block in range(BLOCKS):
            have = data[block * BLOCK:(block + 1) * BLOCK]
            tags = self.maybe.get(block, set())
            may = [block_of(self.known[block])] if block in self.known else [bytes(BLOCK)]
            may += [block_of(tag) for tag in tags]
            if have not in may:
                raise Failed(f"volume {self.name}, block {block}: {have[:40]!r} instead of {[m[:40] for m in may]}")
            # From now on it is as it was found.
            for tag in tags:
                if have == block_of(tag):
                    self.known[block] = tag
            self.maybe.pop(block, None)
        if any(data[BLOCKS * BLOCK:]):
            raise Failed(f"volume {self.name}: bytes beyond what guests wrote")
        return hashlib.sha256(data).hexdigest()[:16]

    def check_inside(self):
        """As the guest reads it, past its own cache."""
        data = self.read()[:BLOCKS * BLOCK]
        status, out = self.rack.guest(
            self.guest, "d=$(grep -l '^data$' /sys/block/vd*/serial); d=${d#/sys/block/}; echo 3 >/proc/sys/vm/drop_caches; "
            f"dd if=/dev/${{d%%/*}} bs=65536 count={BLOCKS * BLOCK // 65536} 2>/dev/null | sha256sum", 30)
        if status != 0 or hashlib.sha256(data).hexdigest() not in out:
            raise Failed(f"guest {self.guest} reads other bytes from {self.name} than the host has: {out.strip()}")


class Writer(threading.Thread):
    """Keeps a guest writing until it is told to end."""

    def __init__(self, volume, rng, label):
        super().__init__(daemon=True)
        self.volume, self.rng, self.label = volume, rng, label
        self.ending, self.failed = threading.Event(), None

    def run(self):
        count = 0
        try:
            while not self.ending.is_set():
                block = self.rng.randrange(BLOCKS)
                if self.volume.maybe.get(block):
                    continue
                count += 1
                self.volume.write(block, f"{self.label}.{count}")
                self.ending.wait(0.05)
        except Exception as err:  # pylint: disable=broad-except
            self.failed = err
