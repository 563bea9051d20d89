# SPDX-License-Identifier: MPL-2.0
"""Commands on a rack of N volumes on the simulated driver, beside the floors that the libraries
set on the same repository, and beside the peers on as much work."""
import json, os, signal, sqlite3, subprocess

import daemon
from measure import compile_c, measure, wait_for
from report import FLAT


def floors(base, rack):
    """CPU and wall of what the libraries take by themselves."""
    manifests = compile_c("floor_manifests", "-lgit2", "-lyaml")
    path = os.path.join(base, "floor%d.db" % rack.count)

    def clean():
        for end in ("", "-wal", "-shm"):
            if os.path.exists(path + end):
                os.unlink(path + end)
    return {"process": measure([manifests, "head", rack.repository], 5), "events": measure([manifests, "events", rack.repository], 3),
            "store": measure([compile_c("floor_store", "-lsqlite3"), path, str(rack.count)], 3, before=clean),
            "calls": measure([compile_c("floor_lines", "-ljansson"), "calls", str(rack.count)], 3)}


def row(report, work, rack, figure, floor, floor_is, asked=None, growth=1.05):
    """One work beside its floor."""
    report.cost(work, rack.count, "s CPU", figure["cpu"], floor, floor_is, asked, growth=growth, wall=figure["wall"],
                mib=figure["mib"], spread=figure["spread"], note="%.3f s, %.0f MiB" % (figure["wall"], figure["mib"]))


def beside_peers(report, work, rack, figure, found, kind, asked):
    for name, figures in found.items():
        if figures and kind in figures:
            report.faster(work, rack.count, "s CPU", figure["cpu"], figures[kind]["cpu"], name + ", times slower", asked.get(name))


def plans(args, rack, report, floor, found):
    plan = [args.spinel, "--site", rack.site, "plan", "--json"]
    cold = measure(plan, 5, before=rack.empty_cache)
    rack.apply(args.spinel)
    warm, cached = measure(plan, 5), measure(plan + ["--cached"], 5)
    again = measure([args.spinel, "--site", rack.site, "apply", "--yes"], 3)
    rack.change_one()
    one = measure(plan + ["--cached"], 5, ok=(2,))
    rack.apply(args.spinel)
    events, process = floor["events"]["cpu"], floor["process"]["cpu"]
    row(report, "plan, cold", rack, cold, events, "libgit2 and libyaml's events", 1.3)
    report.value("plan, cold: memory", rack.count, "MiB", cold["mib"], 64 if rack.count <= 100000 else None)
    beside_peers(report, "plan, cold", rack, cold, found, "plan", {"CFEngine": 6, "Terraform": 100})
    row(report, "plan, from the parse cache", rack, warm, events, "libgit2 and libyaml's events")
    row(report, "plan --cached, nothing changed", rack, cached, process, "a process with libgit2", growth=FLAT)
    report.value("plan --cached, nothing changed", rack.count, "s", cached["wall"], 0.1)
    beside_peers(report, "plan --cached, nothing changed", rack, cached, found, "plan", {"CFEngine": 100})
    row(report, "plan --cached, one changed", rack, one, process, "a process with libgit2", growth=FLAT)
    report.value("plan --cached, one changed", rack.count, "s CPU", one["cpu"], 0.02)
    row(report, "apply, nothing changed", rack, again, events, "libgit2 and libyaml's events")
    beside_peers(report, "apply, nothing changed", rack, again, found, "plan", {"CFEngine": 1})


def first_apply(args, rack, report, floor, found):
    figure = measure([args.spinel, "--site", rack.site, "apply", "--yes", "--wait=1h"], 1 if rack.count > 10000 else 3,
                     before=rack.forget, warm=False)
    floor_s = sum(floor[name]["cpu"] for name in ("events", "calls", "store"))
    row(report, "first apply", rack, figure, floor_s, "parse, calls and store writes", 1.5)
    beside_peers(report, "first apply", rack, figure, found, "apply", {"CFEngine": 1})


def asked_of_store(rack, query):
    """One value from the store; None while there is none."""
    try:
        db = sqlite3.connect("file:%s/state/spinel.db?mode=ro" % rack.dir, uri=True)
        try:
            return db.execute(query).fetchone()[0]
        finally:
            db.close()
    except sqlite3.Error:
        return None


def end_state(args, rack):
    """All that a person would compare: the plan's verdict, the journal, each volume and its spec."""
    done = subprocess.run([args.spinel, "--site", rack.site, "plan", "--json"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    items = json.loads(subprocess.run([args.spinel, "--site", rack.site, "get", "volume", "--json"], capture_output=True).stdout)["items"]
    return {"plan exits": done.returncode, "store": asked_of_store(rack, "PRAGMA integrity_check"),
            "open intents": asked_of_store(rack, "SELECT count(*) FROM intent WHERE state IN ('pending', 'claimed')"),
            "volumes": sorted((item["metadata"]["name"], json.dumps(item["spec"]), item["status"]["state"]) for item in items)}


def killed(args, rack, report):
    """kill -9 in the middle of a first apply: the next one must end where an undisturbed one does."""
    rack.forget()
    rack.apply(args.spinel)
    whole = end_state(args, rack)
    rack.forget()
    child = subprocess.Popen([args.spinel, "--site", rack.site, "apply", "--yes", "--wait=1h"], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    done = "SELECT count(*) FROM intent WHERE state = 'confirmed'"
    wait_for(lambda: (asked_of_store(rack, done) or 0) >= rack.count // 4, 600)
    child.send_signal(signal.SIGKILL)
    child.wait()
    confirmed, sound = asked_of_store(rack, done), asked_of_store(rack, "PRAGMA integrity_check")
    rack.apply(args.spinel)
    resumed = end_state(args, rack)
    report.check("first apply, kill -9 midway, resumed", rack.count, confirmed < rack.count and sound == "ok" and same(whole, resumed),
                 "%d of %d were confirmed; journal %s" % (confirmed, rack.count, sound))


def same(a, b):
    return a == b and a["plan exits"] == 0 and a["store"] == "ok" and a["open intents"] == 0


def at_rest(args, rack, report):
    rest = daemon.at_rest(args.spinel, rack.site)
    small = rack.count <= 100000
    report.value("at rest: first answer", rack.count, "s", rest["first_answer_s"], 0.05 if small else None)
    report.value("at rest: first pass, nothing changed", rack.count, "s", rest["first_pass_s"], 2 if rack.count <= 10000 else None)
    report.value("at rest: memory of all processes", rack.count, "MiB", rest["rss_mib"], 80 if small else None,
                 note="%d processes; %.0f MiB proportionally" % (rest["processes"], rest["pss_mib"]))
    report.value("at rest: wake-ups a second", rack.count, "", rest["wakeups_per_s"], 1)
    report.value("at rest: CPU", rack.count, "s/s", rest["cpu_per_s"])
