#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""Times Spinel beside its peers and beside what the machine can do at best, in one run.

Each row says what was done, at which N, Spinel's figure, the peer's or the floor's, their ratio,
what is asked of it and whether that is reached; the same goes into the JSON. Figures are of whole
processes, CPU seconds (user + system, with children's) where they say something: what else the
machine does meanwhile hardly moves them. Where only the clock says something, the two are
measured in turns. baseline.json keeps the ratios of the last recorded run, no times, so that a
regression shows on any machine. Nothing is asserted: a row that is not reached is printed.

ROWS chooses: plan, apply, kill, rest, resync, push, files at each of SIZES; machines, network,
forwarding, disk, viewers.
"""
import argparse, importlib, json, os, platform, shutil, signal, subprocess, sys, tempfile

import files, live, peers, plans
from measure import measure
from rack import Rack
from report import Report, baseline_read

AT_EACH_SIZE = ("plan", "apply", "kill", "rest", "resync", "push", "files")

# Of those that stand by themselves: the programs each needs, and whether only root can.
ALONE = {
    "machines": (("qemu-system-x86_64", "dnsmasq", "ip", "nft"), True),
    "network": (("dnsmasq", "ip", "nft"), True),
    "forwarding": (("dnsmasq", "ip", "bridge", "nft", "cc"), True),
    "disk": (("qemu-system-x86_64", "dnsmasq"), True),
    "viewers": (("nginx", "wrk"), False),
}


def bench_size(args, base, count, report):
    wanted = set(args.rows)
    found = peers.beside(measure, base, count) if wanted & {"plan", "apply", "files"} else {}
    for name in (name for name, figures in found.items() if not figures):
        report.skip("%s at %d" % (name, count), "not installed, or not run at this size")
    if wanted & set(AT_EACH_SIZE) - {"files"}:
        rack = Rack(base, count, args.seed)
        try:
            bench_rack(args, base, rack, report, found)
        finally:
            rack.remove()
    if "files" in wanted and count > 10000:
        report.skip("files at %d" % count, "run to 10,000: each is a file of its own, made by a process of its own")
    elif "files" in wanted:
        files.bench(args, base, count, report, found)


def bench_rack(args, base, rack, report, found):
    floor = plans.floors(base, rack) if {"plan", "apply"} & set(args.rows) else None
    if "apply" in args.rows:
        plans.first_apply(args, rack, report, floor, found)
    if "kill" in args.rows:
        plans.killed(args, rack, report)
    rack.apply(args.spinel)
    if "plan" in args.rows:
        plans.plans(args, rack, report, floor, found)
    if "rest" in args.rows:
        plans.at_rest(args, rack, report)
    if {"resync", "push"} & set(args.rows):
        live.bench(args, base, rack, report)


def why_not(args, name):
    programs, needs_root = ALONE[name]
    missing = [program for program in programs if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin")]
    if missing:
        return "%s not installed (contrib/setup bench)" % ", ".join(missing)
    if needs_root and os.geteuid() != 0:
        return "needs root"
    if {"machines": args.machines, "network": args.nics}.get(name) == 0:
        return "%s=0" % {"machines": "MACHINES", "network": "NICS"}[name]
    return None


def bench_all(args, base, report):
    for count in args.sizes if set(args.rows) & set(AT_EACH_SIZE) else ():
        bench_size(args, base, count, report)
    for name in (name for name in ALONE if name in args.rows):
        why = why_not(args, name)
        if why:
            report.skip(name, why)
        else:
            importlib.import_module(name).bench(args, base, report)
    report.grown()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--sizes", type=int, nargs="*", default=[1000, 10000])
    parser.add_argument("--rows", default="", help="some of those above, with commas; all if left out")
    parser.add_argument("--machines", type=int, default=20)
    parser.add_argument("--nics", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=20261127)
    parser.add_argument("--out", required=True)
    parser.add_argument("--baseline", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "baseline.json"))
    parser.add_argument("--record", action="store_true", help="writes the ratios of this run to the baseline")
    args = parser.parse_args()
    args.rows = args.rows.replace(",", " ").split() or [*AT_EACH_SIZE, *ALONE]
    unknown = set(args.rows) - {*AT_EACH_SIZE, *ALONE}
    if unknown:
        parser.error("no such rows: %s" % ", ".join(sorted(unknown)))
    args.build = os.path.abspath(args.build)
    args.spinel = args.build + "/spinel"
    return args


def write_json(path, document):
    with open(path, "w") as out:
        json.dump(document, out, indent=1)
        out.write("\n")
    print("written to %s" % path)


def main():
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was made is taken away
    report = Report(baseline_read(args.baseline))
    version = subprocess.run([args.spinel, "version"], capture_output=True, text=True).stdout.strip()
    versions = dict(peers.versions(), spinel=version)
    machine = {"cpus": os.cpu_count(), "kernel": platform.release(), "load": os.getloadavg()[0]}
    print("%d CPUs, Linux %s, load %.1f, seed %d" % (machine["cpus"], machine["kernel"], machine["load"], args.seed))
    print(", ".join("%s %s" % pair for pair in sorted(versions.items())))
    base = tempfile.mkdtemp(prefix="spinel-bench.")
    try:
        bench_all(args, base, report)
    finally:
        shutil.rmtree(base, ignore_errors=True)
        write_json(args.out, {"schema": "spinel/bench/v4", "seed": args.seed, "machine": machine, "versions": versions, "rows": report.rows})
    if args.record:
        write_json(args.baseline, report.baseline())


if __name__ == "__main__":
    main()
