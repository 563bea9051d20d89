# SPDX-License-Identifier: MPL-2.0
"""The daemon at rest: when it first answers, what its processes hold and how often they wake."""
import glob, os, signal, socket, subprocess, time


def family(pid):
    """A process and all below it."""
    found, added = [pid], True
    while added:
        added = False
        for stat in glob.glob("/proc/[0-9]*/stat"):
            try:
                fields = open(stat).read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            child = int(stat.split("/")[2])
            if int(fields[1]) in found and child not in found:
                found.append(child)
                added = True
    return found


def lines_of(path):
    """Of a process that may have ended meanwhile: one of a moment, for a commit's note."""
    try:
        with open(path) as file:
            return file.readlines()
    except OSError:
        return []


def memory_mib(pids):
    """RSS summed, and PSS, which counts what processes share once."""
    rss = pss = 0
    for pid in pids:
        for line in lines_of("/proc/%d/smaps_rollup" % pid):
            rss += int(line.split()[1]) if line.startswith("Rss:") else 0
            pss += int(line.split()[1]) if line.startswith("Pss:") else 0
    return rss / 1024, pss / 1024


def wakeups(pids):
    """Of each process, how often it was put on a processor."""
    counts = {}
    for pid in pids:
        for line in lines_of("/proc/%d/status" % pid):
            if line.startswith(("voluntary_ctxt", "nonvoluntary_ctxt")):
                counts[pid] = counts.get(pid, 0) + int(line.split()[1])
    return counts


def status(state):
    """What the daemon says, None if it is not there. By the socket: `spinel status` without a daemon makes a plan first."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(os.path.join(state, "control.sock"))
            client.sendall(b'{"id":1,"method":"status","params":{}}\n')
            return client.makefile().readline() or None
        except OSError:
            return None


def wait_for(condition, seconds):
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if condition():
            return time.monotonic() - began
        time.sleep(0.002)
    raise SystemExit("the daemon did not get there in %d s" % seconds)


def wait_for_pass(site):
    """Until everything has been looked at, and is as Git says."""
    state = os.path.join(os.path.dirname(site), "state")
    wait_for(lambda: '"converged":true' in (status(state) or ""), 600)


def name_of(pid):
    return "%s %d" % ("".join(lines_of("/proc/%d/comm" % pid)).strip(), pid)


def cpu_s(pids):
    """Of each process."""
    used = {}
    for pid in pids:
        for line in lines_of("/proc/%d/stat" % pid):
            fields = line.rsplit(")", 1)[1].split()
            used[pid] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return used


def grown(before, after):
    """One that has ended meanwhile says no more."""
    return sum(after[pid] - before[pid] for pid in after)


def at_rest(spinel, site, seconds=10):
    daemon = subprocess.Popen([spinel, "--site", site, "serve"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        began = time.monotonic()
        first = wait_for(lambda: status(os.path.join(os.path.dirname(site), "state")), 120)
        wait_for_pass(site)
        passed = time.monotonic() - began
        time.sleep(2)
        pids = family(daemon.pid)
        before, worked = wakeups(pids), cpu_s(pids)
        time.sleep(seconds)
        rss, pss = memory_mib(pids)
        each = {name_of(pid): memory_mib([pid]) for pid in pids}
        after, has_worked = wakeups(pids), cpu_s(pids)
        return {"first_answer_s": first, "first_pass_s": passed, "rss_mib": rss, "pss_mib": pss, "processes": len(pids), "each_mib": each,
                "wakeups_per_s": grown(before, after) / seconds, "cpu_per_s": grown(worked, has_worked) / seconds}
    finally:
        daemon.send_signal(signal.SIGTERM)
        try:
            daemon.wait(30)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
