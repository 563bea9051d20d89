# SPDX-License-Identifier: MPL-2.0
"""Times, processes and waiting: what all rows are measured with."""
import glob, os, statistics, subprocess, tempfile, time

PROGRAMS = tempfile.TemporaryDirectory(prefix="spinel-bench-programs.")  # goes when this process ends


def measure(argv, runs, env=None, cwd=None, ok=(0,), before=None, warm=True):
    """Wall and CPU seconds and peak MiB of `argv`: medians of `runs`, after one that warms up."""
    rows = []
    for turn in range(runs + warm):
        if before:
            before()
        figures = run(argv, env, cwd, ok)
        if turn >= warm:
            rows.append(figures)
    columns = list(zip(*rows))
    return {"wall": statistics.median(columns[0]), "cpu": statistics.median(columns[1]),
            "mib": max(columns[2]), "spread": [min(columns[1]), max(columns[1])], "runs": runs}


def run(argv, env, cwd, ok):
    """Wall and CPU seconds and peak MiB of one run (run.c)."""
    told, tell = os.pipe()
    child = subprocess.Popen([compile_c("run"), str(tell), *argv], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, env=env, cwd=cwd, pass_fds=[tell])
    os.close(tell)
    try:
        message = child.stderr.read()
    finally:
        child.wait()
    with os.fdopen(told) as file:
        wall, cpu, kib, code = file.read().split()
    if int(code) not in ok:
        raise SystemExit("%s: exit %s: %s" % (" ".join(argv), code, message.decode()[-500:]))
    return float(wall), float(cpu), int(kib) / 1024


def shell(argv, **options):
    """What it says; what it says is also the error if it fails."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode:
        raise SystemExit("bench: %s: exit %d: %s" % (" ".join(argv), done.returncode, done.stdout[-1000:]))
    return done.stdout


def timed(argv):
    """Of one run: wall and CPU seconds, and what it says."""
    began = time.monotonic()
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = child.stdout.read()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = 0
    if status:
        raise SystemExit("bench: %s: %s" % (" ".join(argv), said[-1000:]))
    return {"wall": time.monotonic() - began, "cpu": used.ru_utime + used.ru_stime, "stdout": said}


def compile_c(name, *libraries):
    """The program of `name`.c beside this file."""
    here = os.path.dirname(os.path.abspath(__file__))
    program = os.path.join(PROGRAMS.name, name)
    if not os.path.exists(program):
        shell(["cc", "-O2", "-std=c17", "-D_GNU_SOURCE", "-o", program, os.path.join(here, name + ".c"), *libraries])
    return program


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return time.monotonic()
        time.sleep(0.002)
    raise SystemExit("bench: gave up after %d s" % seconds)


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


def family(pid):
    """A daemon and everything below it but machines."""
    found, parents = [pid], {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path) as file:
                text = file.read()
        except OSError:
            continue
        if "(qemu-system" not in text:
            parents.setdefault(int(text.rsplit(")", 1)[1].split()[1]), []).append(int(text.split()[0]))
    for parent in found:
        found += parents.get(parent, [])
    return found


def usage(pids):
    """CPU seconds, with those of children that ended, and MiB (PSS) of some processes."""
    ticks = pss = 0
    for pid in pids:
        try:
            with open("/proc/%d/stat" % pid) as file:
                fields = file.read().rsplit(")", 1)[1].split()
            ticks += sum(int(field) for field in fields[11:15])
            with open("/proc/%d/smaps_rollup" % pid) as file:
                pss += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        except OSError:
            pass
    return ticks / os.sysconf("SC_CLK_TCK"), pss / 1024


def ran(pid):
    """Seconds that a process's threads were on a processor, to the nanosecond; those that ended are not counted."""
    total = 0
    for path in glob.glob("/proc/%d/task/*/schedstat" % pid):
        try:
            with open(path) as file:
                total += int(file.read().split()[0])
        except OSError:
            pass
    return total / 1e9


def write(path, text):
    with open(path, "w") as file:
        file.write(text)
