#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""A real site under real accidents, round after round.

torture.py --build DIR [--rounds N] [--seed N] [--first N] [--keep]

A round is a change that is pushed, guests that write and sync meanwhile, and one to
three faults at random moments: processes killed or stopped, a full disk, the repository
gone, the store broken, lost, or an old copy of it. Then everything must be as if nothing had happened: `spinel plan`
exits 0, one QEMU runs per machine, kernel and files are as in an undisturbed run of the
same manifests, packets pass, and each volume holds every byte that a guest was told is
synced. The same seed makes the same changes and faults; the moments are the machine's.
With --first the schedule begins at that round, in the state that the one before ends in.
"""
import argparse
import collections
import difflib
import random
import sys
import time

from faults import Storm
from rack import FIRST, Failed, Rack
from writer import Volume, Writer

CONVERGENCE_S = 150


def change(state, rng):
    """The next state, one or two small things from this one."""
    state = dict(state)
    for _ in range(rng.choice((1, 1, 2))):
        what = rng.choices(("port", "memory", "scratch", "nic", "grow", "third"), weights=(5, 2, 4, 2, 2, 1))[0]
        if what == "port":
            state.update(port=8080, role="db") if state["port"] == 80 else state.update(port=80, role="web")
        elif what == "nic":
            state.update(nic=not state["nic"], nat=state["nic"])
        elif what == "third":
            state["third"] = not state["third"]
        elif what == "memory":
            state["memory"] = 256 if state["memory"] == 192 else 192
        elif what == "scratch":
            state["scratch"] = {"absent": "present", "present": rng.choice(("absent", "attached")),
                                "attached": "present"}[state["scratch"]]
        else:
            volume = rng.choice(("web_mib", "db_mib"))
            state[volume] = min(state[volume] + 1, 48)
    return state


def removes(before, after):
    """What leaves Git in the moment in which the store is lost is an orphan for ever, told
    and not touched: there is nothing left that says that it may go."""
    return any(before[what] and not after[what] for what in ("nic", "third")) or (
        after["scratch"] == "absent" != before["scratch"])


def key(state):
    """What decides a description: sizes only grow, and are checked by themselves."""
    return tuple(value for name, value in sorted(state.items()) if not name.endswith("_mib"))


def machines(state):
    return ["web", "db"] + (["third"] if state["third"] else [])


def check_processes(rack, state):
    want = sorted(rack.uid("instance", name) for name in machines(state))
    have = sorted(uid for _, uid in rack.qemus())
    if want != have:
        raise Failed(f"QEMU processes {have}, not one for each of {want}")
    if len(rack.dnsmasqs()) != 1:
        raise Failed(f"{len(rack.dnsmasqs())} dnsmasq processes, not 1")
    if len(rack.namespaces()) != 1:
        raise Failed(f"{len(rack.namespaces())} network namespaces, not 1")


def check_packets(rack, state):
    addresses = {name: rack.await_guest(name) for name in ("web", "db")}
    server, client = ("web", "db") if state["role"] == "web" else ("db", "web")
    end = time.monotonic() + 20
    while True:
        status, out = rack.guest(client, f"ping -c 1 -W 2 {addresses[server]} >/dev/null && "
                                 f"nc -w 3 {addresses[server]} {state['port']} </dev/null", 10)
        if status == 0:
            return
        if time.monotonic() > end:
            raise Failed(f"{client} does not reach {server} at {addresses[server]}:{state['port']}: {out[-200:]}")


class Torture:
    def __init__(self, rack, seed, rounds):
        self.rack, self.seed, self.rounds = rack, seed, rounds
        self.reference = {}
        self.volumes = [Volume(rack, "web", "web-data", "raw"), Volume(rack, "db", "db-data", "qcow2")]
        self.faults = collections.Counter()
        rng = random.Random(f"changes {seed}")
        self.states = [FIRST]
        for _ in range(rounds):
            self.states.append(change(self.states[-1], rng))

    def settle(self, state):
        self.rack.await_convergence(CONVERGENCE_S)
        for name in ("web", "db"):
            self.rack.await_guest(name)
        check_processes(self.rack, state)
        self.rack.check_deaths()
        self.rack.backup()

    def is_as_undisturbed(self, state):
        """Notices may still be on their way for a moment after a plan has nothing to do."""
        want = self.reference[key(state)]
        for _ in range(10):
            have = self.rack.description()
            if have == want:
                return
            time.sleep(0.5)
        raise Failed("the world is not as in an undisturbed run:\n" + "\n".join(
            difflib.unified_diff(want.splitlines(), have.splitlines(), "undisturbed", "now", lineterm="", n=0)))

    def undisturbed(self, first):
        """Each state that rounds will end in, reached in peace; and the one before the first."""
        sizes = {"web_mib": FIRST["web_mib"], "db_mib": FIRST["db_mib"]}
        before = self.states[first - 1]
        for state in self.states[first:] + [before]:
            if key(state) in self.reference and state is not before:
                continue
            self.rack.commit(dict(state, **sizes))
            self.rack.push()
            self.settle(state)
            time.sleep(0.5)
            self.reference[key(state)] = self.rack.description()

    def round(self, number):
        state, rng = self.states[number], random.Random(f"round {self.seed} {number}")
        storm = Storm(self.rack, f"storm {self.seed} {number}", removes(self.states[number - 1], state))
        writers = [Writer(volume, rng, f"{volume.name}.{number}") for volume in self.volumes]
        self.rack.commit(state)
        print(f"round {number}: {dict(set(state.items()) - set(self.states[number - 1].items()))}; {storm.text()}", flush=True)
        for writer in writers:
            writer.start()
        storm.start()
        self.rack.push()
        storm.join()
        for writer in writers:
            writer.ending.set()
            writer.join()
        for thread in [storm] + writers:
            if thread.failed:
                raise thread.failed
        self.faults.update(storm.hits)
        self.settle(state)
        check_packets(self.rack, state)
        self.is_as_undisturbed(state)
        for volume in self.volumes:
            volume.check(state[volume.name.replace("-data", "_mib")])

    def summary(self, done):
        print(f"{done} rounds, {sum(self.faults.values())} faults that hit, {self.rack.starts} starts of the daemon, "
              f"{self.rack.moved} stores that it refused, "
              f"{sum(v.written for v in self.volumes)} blocks written and synced by guests, none lost")
        for what, count in sorted(self.faults.items()):
            print(f"  {count:4} {what}")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--build", required=True)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seed", type=int, default=int(time.time()))
    options.add_argument("--first", type=int, default=1, help="the round of the schedule to begin with")
    options.add_argument("--keep", action="store_true", help="leave the site as it is when something fails")
    options = options.parse_args()
    print(f"seed {options.seed}, {options.rounds} rounds", flush=True)
    rack = Rack(options.build)
    done, failed = 0, None
    try:
        torture = Torture(rack, options.seed, options.rounds)
        torture.undisturbed(options.first)
        print(f"{len(torture.reference)} states reached undisturbed", flush=True)
        for done in range(options.first, options.rounds + 1):
            torture.round(done)
        for volume in torture.volumes:
            volume.check_inside()
        torture.summary(done + 1 - options.first)
    except (Failed, KeyboardInterrupt) as err:
        failed = err or "interrupted"
        print(f"FAILED in round {done}: {failed}\nagain: torture.py --seed {options.seed} --rounds {max(done, 1)}")
        torture.summary(max(done - options.first, 0))
        print(rack.run("sh", "-c", "tail -n 60 ../serve.log | cut -c 1-240", check=False, cwd=rack.dir)[1])
    if failed and options.keep:
        print(f"kept: {rack.base}, SPINEL_SITE={rack.env['SPINEL_SITE']}")
    else:
        rack.remove()
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
