# SPDX-License-Identifier: MPL-2.0
"""A daemon on a rack of N volumes: a full look at the world, a plan of one change, a push beside
the same push to a repository without hooks, and one change from the hook's message to its step."""
import os, shutil, signal, statistics, subprocess, time

import daemon
from measure import compile_c, family, measure, shell, usage, wait_for, write
from rack import git
from rack_site import Control
from report import FLAT

ROUNDS = 8


def cpu_of(pid, work, rounds):
    """CPU seconds of the daemon and its drivers for one of `rounds` turns of `work`."""
    before, _ = usage(family(pid))
    for _ in range(rounds):
        work()
    after, _ = usage(family(pid))
    return (after - before) / rounds


def resync(base, pid, rack, control, report):
    figure = cpu_of(pid, lambda: control.ask("observe"), 5 * ROUNDS)
    floor = measure([compile_c("floor_lines", "-ljansson"), "list", str(rack.count)], 5)["cpu"]
    report.cost("resync: full listing, nothing changed", rack.count, "s CPU", figure, floor, "a listing written and parsed", 2, growth=1.05)


def plan_one(pid, rack, control, report):
    """The commit comes by a fetch, which runs no hooks: nothing is applied."""
    rack.change_one(push=False)
    git(rack.repository, "fetch", "-q", rack.work, "main:refs/bench/one")
    commit = rack.head()
    control.ask("plan", commit=commit, cached=True)
    figure = cpu_of(pid, lambda: control.ask("plan", commit=commit, cached=True), 200)
    report.value("plan of one change, in the daemon", rack.count, "s CPU", figure, 0.001, growth=FLAT)


def pushes(rack, report):
    """The same commits to both, in turns."""
    plain = rack.dir + "/plain.git"
    shell(["git", "clone", "-q", "--bare", rack.repository, plain])
    took = {rack.repository: [], plain: []}
    for _ in range(ROUNDS):
        rack.change_one(push=False)
        for repository, found in took.items():
            began = time.monotonic()
            git(rack.work, "push", "-q", repository, "main")
            found.append(time.monotonic() - began)
    shutil.rmtree(plain)
    ours, theirs = (statistics.median(found) for found in took.values())
    report.cost("git push of one change, converged", rack.count, "s", ours, theirs, "git push without hooks", growth=FLAT)


def resync_by_token(args, rack, report):
    """A daemon that looks at all once a second, by itself: nobody asks for whole lists then."""
    with open(rack.site) as file:
        before = file.read()
    write(rack.site, before + "  resync: 1s\n")
    try:
        child = come_up(args, rack)
        try:
            time.sleep(3)
            figure = cpu_of(child.pid, lambda: time.sleep(1), 5 * ROUNDS)
        finally:
            end(child)
    finally:
        write(rack.site, before)
    report.value("resync: with a change token", rack.count, "s CPU", figure, 0.005)


def step_times(rack, control, follower):
    """Seconds from the hook's message on the core's socket to the news that the step is sent."""
    found = []
    follower.ask("follow", seq=None)
    for _ in range(ROUNDS):
        old = rack.head()
        rack.change_one(push=False)
        git(rack.repository, "fetch", "-q", rack.work, "+main:refs/heads/main")
        began = time.monotonic()
        control.send("pushed", commit=rack.head(), old=old, who="bench")
        follower.next(lambda message: message.get("params", {}).get("type") == "op.started")
        found.append(time.monotonic() - began)
        follower.next(lambda message: message.get("params", {}).get("type") == "converged")
        control.next(lambda message: message.get("id") == 1)
    return found


def settle(pid):
    """Waits until nothing works any more: a note in Git and a trace come after a revision has ended."""
    last = [-1.0]

    def is_quiet():
        time.sleep(1)
        now, _ = usage(family(pid))
        was, last[0] = last[0], now
        return now == was
    wait_for(is_quiet, 120)


def come_up(args, rack):
    child = subprocess.Popen([args.spinel, "--site", rack.site, "serve"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    daemon.wait_for_pass(rack.site)
    return child


def begin(args, rack):
    child = come_up(args, rack)
    settle(child.pid)
    return child


def end(child):
    child.send_signal(signal.SIGTERM)
    child.wait()


def steps(args, rack, report):
    """On a memory file system, where an fsync costs nothing; else with what it costs here."""
    is_free = os.path.isdir("/dev/shm") and os.access("/dev/shm", os.W_OK)
    state = rack.dir + "/state"
    place = "/dev/shm/spinel-bench.%d" % os.getpid() if is_free else state
    if is_free:
        shutil.move(state, place)
        os.symlink(place, state)
    try:
        child = begin(args, rack)
        try:
            control, follower = Control(place + "/control.sock"), Control(place + "/control.sock")
            found = step_times(rack, control, follower)
            report.value("one change, hook's message to step sent", rack.count, "s", statistics.median(found), 0.002 if is_free else None,
                         growth=FLAT, spread=[min(found), max(found)], beside_is="fsyncs free" if is_free else "with fsyncs",
                         note="%.4f to %.4f" % (min(found), max(found)))
        finally:
            end(child)
    finally:
        if is_free:
            os.unlink(state)
            shutil.move(place, state)


def bench(args, base, rack, report):
    rack.hooks(args.spinel)
    child = begin(args, rack)
    try:
        control = Control(rack.dir + "/state/control.sock")
        if "resync" in args.rows:
            resync(base, child.pid, rack, control, report)
        if "push" in args.rows:
            plan_one(child.pid, rack, control, report)
            pushes(rack, report)
    finally:
        end(child)
    if "resync" in args.rows:
        resync_by_token(args, rack, report)
    if "push" in args.rows:
        steps(args, rack, report)
