#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""Times Spinel beside its peers and beside what the machine can do at best.

Every figure is of a whole process (wall, user + system CPU with its children's, peak memory), the
median of several runs after a warm-up. Absolute times say more about the machine than about the
program: each row is given as a ratio to a floor that is measured in the same run (small C
programs of the libraries alone), with the exponent of its growth over N, and beside the ratio
that was recorded last (baseline.json: ratios only), so that a regression shows on any machine.
Ratios and exponents are of CPU seconds: what else the machine does meanwhile hardly moves them.
"""
import argparse, json, math, os, platform, shutil, statistics, subprocess, tempfile, time

import daemon, peers
from rack import Rack

def measure(argv, runs, env=None, cwd=None, ok=(0,), before=None, warm=True):
    """Wall and CPU seconds and peak MiB of `argv`: medians of `runs`, after one that warms up."""
    rows = []
    for turn in range(runs + warm):
        if before:
            before()
        began = time.monotonic()
        child = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env, cwd=cwd)
        message = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = 0
        wall = time.monotonic() - began
        code = os.waitstatus_to_exitcode(status)
        if code not in ok:
            raise SystemExit("%s: exit %d: %s" % (" ".join(argv), code, message.decode()[-500:]))
        if turn >= warm:
            rows.append((wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024))
    columns = list(zip(*rows))
    return {"wall": statistics.median(columns[0]), "cpu": statistics.median(columns[1]),
            "mib": max(columns[2]), "spread": [min(columns[1]), max(columns[1])], "runs": runs}

def floors_build(base):
    here = os.path.dirname(os.path.abspath(__file__))
    for name, libraries in (("floor_manifests", ["-lgit2", "-lyaml"]), ("floor_store", ["-lsqlite3"])):
        subprocess.run(["cc", "-O2", "-std=c17", "-D_GNU_SOURCE", "-o", os.path.join(base, name),
                        os.path.join(here, name + ".c"), *libraries], check=True)

def store_floor(base, count):
    path = os.path.join(base, "floor%d.db" % count)

    def clean():
        for end in ("", "-wal", "-shm"):
            if os.path.exists(path + end):
                os.unlink(path + end)
    return measure([os.path.join(base, "floor_store"), path, str(count)], 3, before=clean)

def floors(base, rack):
    program = os.path.join(base, "floor_manifests")
    of = {work: measure([program, work, rack.repository], 3) for work in ("walk", "read", "events")}
    of["store"] = store_floor(base, rack.count)
    of["process"] = measure([program, "head", rack.repository], 5)
    return of

def first_apply(args, rack):
    call = [args.spinel, "--site", rack.site, "apply", "--yes", "--wait=1h"]

    def fresh():
        shutil.rmtree(os.path.join(rack.dir, "state"), ignore_errors=True)
    return measure(call, 1 if rack.count > 10000 else 3, before=fresh, warm=False)

def bench_size(args, base, count):
    rack = Rack(base, count, args.seed)
    plan = [args.spinel, "--site", rack.site, "plan", "--json"]
    here = {"floor": floors(base, rack)}
    here["first apply"] = first_apply(args, rack)
    here["plan, cold"] = measure(plan, 5, before=rack.empty_cache)
    subprocess.run([args.spinel, "--site", rack.site, "apply", "--yes"], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    here["plan, warm"] = measure(plan, 5)
    here["plan --cached"] = measure(plan + ["--cached"], 5)
    here["apply, nothing changed"] = measure([args.spinel, "--site", rack.site, "apply", "--yes"], 3)
    here["at rest"] = daemon.at_rest(args.spinel, rack.site)
    rack.change_one()
    here["plan --cached, one change"] = measure(plan + ["--cached"], 5, ok=(2,))
    here["cfengine"] = peers.cfengine(measure, base, count)
    here["terraform"] = peers.terraform(measure, base, count)
    for name in ("work", "site", "cf", "tf"):
        shutil.rmtree(os.path.join(base, "%s%d" % (name, count)), ignore_errors=True)
    return here

# Which floor a row is held to, and the peer's row beside it.
ROWS = (
    ("plan, cold", ("events",), "plan"),
    ("plan, warm", ("events",), "plan"),
    ("plan --cached", ("process",), "plan"),
    ("plan --cached, one change", ("process",), "plan"),
    ("first apply", ("events", "store"), "apply"),
    ("apply, nothing changed", ("events",), "plan"),
)

def ratio(figures, name, floor_names):
    return figures[name]["cpu"] / max(sum(figures["floor"][floor]["cpu"] for floor in floor_names), 1e-4)

def exponent(plans, name):
    """Of N, by least squares over the logarithms; None with one size."""
    points = [(math.log(int(count)), math.log(max(figures[name]["cpu"], 1e-4))) for count, figures in plans.items()]
    if len(points) < 2:
        return None
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    return (sum((x - mean_x) * (y - mean_y) for x, y in points)
            / sum((x - mean_x) ** 2 for x, _ in points))

def print_size(count, figures, recorded):
    print("\n%d resources %19s %9s %8s   %-15s %8s %9s  %s" % (count, "wall s", "cpu s", "MiB", "cpu spread", "x floor",
                                                            "recorded", "beside"), flush=True)
    for name, floor_names, peer in ROWS:
        figure, cf, tf = figures[name], figures["cfengine"], figures["terraform"]
        beside = ["%.1f x faster than CFEngine" % (cf[peer]["cpu"] / figure["cpu"])] if cf else []
        if tf and peer == "plan":
            beside.append("%.0f x than Terraform" % (tf["plan"]["cpu"] / figure["cpu"]))
        before = "%.2f" % recorded[name] if name in recorded else "-"
        if name in recorded and ratio(figures, name, floor_names) > 1.25 * recorded[name]:
            beside.append("SLOWER THAN RECORDED")
        print("  %-27s %8.3f %9.3f %8.0f   %.3f-%-9.3f %8.2f %9s  %s"
              % (name, figure["wall"], figure["cpu"], figure["mib"], *figure["spread"],
                 ratio(figures, name, floor_names), before, ", ".join(beside)))
    for name, floor in figures["floor"].items():
        print("  floor: %-20s %8.3f %9.3f %8.0f" % (name, floor["wall"], floor["cpu"], floor["mib"]))
    rest = figures["at rest"]
    print("  at rest: first answer %.0f ms, %.1f wake-ups a second, %d processes: RSS %.0f MiB, PSS %.0f MiB"
          % (1000 * rest["first_answer_s"], rest["wakeups_per_s"], rest["processes"], rest["rss_mib"], rest["pss_mib"]))
    for name in ("cfengine", "terraform"):
        if not figures[name]:
            print("  %s: not installed, or not run at this size" % name)
        for work, figure in (figures[name] or {}).items():
            print("  %s: %-*s %8.3f %9.3f %8.0f" % (name, 23 - len(name), work, figure["wall"], figure["cpu"], figure["mib"]))

def bench_plans(args, base, result, last):
    floors_build(base)
    plans = result["plan"] = {}
    for count in args.sizes:
        plans[str(count)] = bench_size(args, base, count)
        ratios = {name: round(ratio(plans[str(count)], name, floor_names), 2) for name, floor_names, _ in ROWS}
        result["ratio"][str(count)] = ratios
        print_size(count, plans[str(count)], last.get("ratio", {}).get(str(count), {}))
    print("\ngrowth: CPU ~ N to the power of")
    for name, _, _ in ROWS:
        grown = exponent(plans, name)
        result.setdefault("exponent", {})[name] = grown
        print("  %-27s %s" % (name, "-" if grown is None else "%.2f" % grown))

def baseline_read(path):
    try:
        with open(path) as file:
            found = json.load(file)
        return found if found.get("schema") == "spinel/bench-baseline/v1" else {}
    except (OSError, ValueError):
        return {}

def baseline_write(path, result):
    """Ratios and exponents, which any machine can be held to; no times."""
    kept = {"schema": "spinel/bench-baseline/v1", "ratio": result["ratio"],
            "exponent": {name: None if grown is None else round(grown, 2) for name, grown in result["exponent"].items()}}
    with open(path, "w") as out:
        json.dump(kept, out, indent=2)
        out.write("\n")
    print("recorded in %s" % path)

def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--sizes", type=int, nargs="*", default=[1000, 10000, 100000])
    parser.add_argument("--machines", type=int, default=10)
    parser.add_argument("--nics", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=20261127)
    parser.add_argument("--out", required=True)
    parser.add_argument("--baseline", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "baseline.json"))
    parser.add_argument("--record", action="store_true", help="writes the ratios of this run to the baseline")
    args = parser.parse_args()
    args.build = os.path.abspath(args.build)
    args.spinel = args.build + "/spinel"
    last = baseline_read(args.baseline)
    version = subprocess.run([args.spinel, "version"], capture_output=True, text=True).stdout.strip()
    result = {"schema": "spinel/bench/v3", "ratio": {}, "exponent": {}, "seed": args.seed,
              "machine": {"cpus": os.cpu_count(), "kernel": platform.release(), "load": os.getloadavg()[0]},
              "versions": dict(peers.versions(), spinel=version)}
    base = tempfile.mkdtemp(prefix="spinel-bench.")
    try:
        print("%d CPUs, Linux %s, load %.1f, seed %d" % (os.cpu_count(), platform.release(), os.getloadavg()[0], args.seed))
        print(", ".join("%s %s" % pair for pair in sorted(result["versions"].items())))
        bench_plans(args, base, result, last)
        if os.geteuid() == 0 and shutil.which("qemu-system-x86_64") and args.machines:
            import machines
            machines.bench(args, base, result)
        else:
            print("\nmachines: SKIP: needs root, qemu-system-x86_64 and MACHINES above 0")
        if os.geteuid() == 0 and shutil.which("dnsmasq") and args.nics:
            import network
            network.bench(args, base, result)
        else:
            print("\nnetwork: SKIP: needs root, dnsmasq and NICS above 0")
    finally:
        shutil.rmtree(base, ignore_errors=True)
    with open(args.out, "w") as out:
        json.dump(result, out, indent=2)
    print("\nwritten to %s" % args.out)
    if args.record:
        baseline_write(args.baseline, result)

if __name__ == "__main__":
    main()
