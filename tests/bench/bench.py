#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""Times Spinel beside its peers and beside what the machine can do at best.

Every figure is of a whole process (wall, user + system CPU, peak memory), the
median of several runs after a warm-up, and is printed as a ratio to a peer or a floor of
the same run: absolute times say more about the machine than about the program.
A peer that is not installed is named as such; nothing is ever assumed about it.
"""
import argparse, json, os, platform, shutil, statistics, subprocess, sys, tempfile, time



def measure(argv, runs, env=None, cwd=None, ok=(0,)):
    """Wall and CPU seconds and peak MiB of `argv`, medians of `runs` after one warm-up."""
    rows = []
    for turn in range(runs + 1):
        began = time.monotonic()
        child = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env, cwd=cwd)
        message = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = 0
        wall = time.monotonic() - began
        code = os.waitstatus_to_exitcode(status)
        if code not in ok:
            raise SystemExit("%s: exit %d: %s" % (argv[0], code, message.decode()[-500:]))
        if turn:
            rows.append((wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024))
    columns = list(zip(*rows))
    return {"wall": statistics.median(columns[0]), "cpu": statistics.median(columns[1]),
            "mib": max(columns[2]), "spread": [min(columns[0]), max(columns[0])], "runs": runs}


def manifests(folder, count):
    """A rack of about `count` resources: a project, then volumes, one manifest a file."""
    os.makedirs(folder)
    with open(os.path.join(folder, "project.yaml"), "w") as out:
        out.write("apiVersion: spinel/v1\nkind: Project\nmetadata: {name: bench}\n")
    for i in range(count - 1):
        part = os.path.join(folder, "%03d" % (i // 1000))
        os.makedirs(part, exist_ok=True)
        with open(os.path.join(part, "v%06d.yaml" % i), "w") as out:
            out.write("apiVersion: spinel/v1\nkind: Volume\nmetadata:\n  name: v%06d\n  project: bench\n"
                      "  labels:\n    tier: t%d\n    owner: team-%d\nspec:\n  size: %dMiB\n  format: raw\n"
                      % (i, i % 3, i % 17, 64 + i % 7 * 64))


def git(folder, *args):
    subprocess.run(["git", "-C", folder, "-c", "user.name=bench", "-c", "user.email=bench@example.org",
                    *args], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def spinel_site(spinel, base, count):
    site = os.path.join(base, "site%d" % count)
    work = os.path.join(base, "work%d" % count)
    os.makedirs(site)
    manifests(work, count)
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", site + "/manifests.git"], check=True)
    git(work, "init", "-q", "-b", "main")
    git(work, "add", "-A")
    git(work, "commit", "-qm", "bench")
    git(work, "push", "-q", site + "/manifests.git", "main")
    git(site + "/manifests.git", "gc", "-q")
    path = site + "/spinel.yaml"
    with open(path, "w") as out:
        out.write("apiVersion: spinel/v1\nkind: Site\nmetadata: {name: bench}\nspec:\n"
                  "  repository: {path: ./manifests.git}\n  stateDir: ./state\n  drivers: {default: sim}\n")
    return path, work


def cfengine(base, count):
    """The peer's usual work: one small file with fixed content for each resource."""
    agent = shutil.which("cf-agent")
    if not agent:
        return None
    folder = os.path.join(base, "cf%d" % count)
    os.makedirs(folder + "/files")
    policy = folder + "/promises.cf"
    with open(policy, "w") as out:
        out.write('body common control { bundlesequence => { "main" }; }\n'
                  "body edit_defaults whole { empty_file_before_editing => \"true\"; }\n"
                  "bundle edit_line lines(text) { insert_lines: \"$(text)\"; }\n"
                  "bundle agent main\n{\n  files:\n")
        for i in range(count):
            out.write('    "%s/files/v%06d" create => "true", edit_defaults => whole, '
                      'edit_line => lines("size=%d$(const.n)tier=%d$(const.n)owner=%d");\n'
                      % (folder, i, 64 + i % 7 * 64, i % 3, i % 17))
        out.write("}\n")
    os.chmod(policy, 0o600)
    apply = [agent, "-K", "-f", policy]
    first = measure(apply, 1)
    return {"apply": first, "plan": measure([agent, "-n", "-K", "-f", policy], 3)}


def terraform(base, count):
    program = shutil.which("terraform")
    if not program or count > 1000:
        return None
    folder = os.path.join(base, "tf%d" % count)
    os.makedirs(folder)
    with open(folder + "/main.tf", "w") as out:
        for i in range(count):
            out.write('resource "terraform_data" "v%06d" { input = "size=%d tier=%d" }\n' % (i, 64 + i % 7 * 64, i % 3))
    env = dict(os.environ, CHECKPOINT_DISABLE="1", TF_IN_AUTOMATION="1")
    for argv in (["init", "-input=false"], ["apply", "-input=false", "-auto-approve"]):
        if subprocess.run([program, *argv], cwd=folder, env=env, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode:
            return None
    return {"plan": measure([program, "plan", "-input=false"], 3, env=env, cwd=folder)}


def row(name, figure, beside=None, label=""):
    text = "  %-44s %8.3f s wall %8.3f s cpu %7.0f MiB" % (name, figure["wall"], figure["cpu"], figure["mib"])
    if beside:
        text += "   %.2f x %s" % (figure["wall"] / beside["wall"], label)
    print(text, flush=True)


def bench_plan(args, base, result):
    for count in args.sizes:
        site, _ = spinel_site(args.spinel, base, count)
        here = result.setdefault("plan", {}).setdefault(str(count), {})
        call = [args.spinel, "--site", site]
        print("\n%d resources" % count)
        cf, tf = cfengine(base, count), terraform(base, count)
        here["cold"] = measure(call + ["plan", "--json"], 3, ok=(2,))
        began = time.monotonic()
        subprocess.run(call + ["apply", "--yes"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        here["first_apply_wall"] = time.monotonic() - began
        here["unchanged"] = measure(call + ["plan", "--json"], 5)
        here["cached"] = measure(call + ["plan", "--cached", "--json"], 5)
        here["cfengine"], here["terraform"] = cf, tf
        peer = cf and cf["plan"]
        row("spinel plan, everything to create", here["cold"], peer, "CFEngine")
        row("spinel plan, nothing changed", here["unchanged"], peer, "CFEngine")
        row("spinel plan --cached, nothing changed", here["cached"], peer, "CFEngine")
        print("  %-44s %8.3f s wall" % ("spinel apply, first", here["first_apply_wall"]))
        if cf:
            row("CFEngine, nothing changed (-n)", cf["plan"])
            row("CFEngine, once more after the first apply", cf["apply"])
        else:
            print("  CFEngine: not installed (apt-get install cfengine3)")
        if tf:
            row("terraform plan, nothing changed", tf["plan"], peer, "CFEngine")
        else:
            print("  Terraform: not installed, or not run at this size")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--machines", type=int, default=10)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    args.build = os.path.abspath(args.build)
    args.spinel = args.build + "/spinel"
    result = {"machine": {"cpus": os.cpu_count(), "kernel": platform.release()},
              "versions": {"spinel": subprocess.run([args.spinel, "version"], capture_output=True, text=True).stdout.strip()}}
    base = tempfile.mkdtemp(prefix="spinel-bench.")
    try:
        print("%d CPUs, Linux %s; medians" % (os.cpu_count(), platform.release()))
        bench_plan(args, base, result)
        if os.geteuid() == 0 and shutil.which("qemu-system-x86_64"):
            import machines
            machines.bench(args, base, result)
        else:
            print("\nmachines: SKIP: needs root and qemu-system-x86_64")
    finally:
        shutil.rmtree(base, ignore_errors=True)
    with open(args.out, "w") as out:
        json.dump(result, out, indent=2)
    print("\nwritten to %s" % args.out)


if __name__ == "__main__":
    main()
