#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""The viewer's figures beside a static file that nginx serves, in one run, on one machine.

  requests a second and p99   wrk, 16 connections, for the API's status and nginx's file of the same bytes
  an engine pass              with no viewer and with 500 of them listening (spinel_observe + plan + a push's own time)
  page weight                 all that the page loads
"""
import argparse, json, os, re, shutil, signal, socket, statistics, subprocess, sys, tempfile, time, urllib.request

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--build", default="build")
parser.add_argument("--viewers", type=int, default=500)
parser.add_argument("--rounds", type=int, default=20)
parser.add_argument("--volumes", type=int, default=1000)
options = parser.parse_args()
build = os.path.abspath(options.build)
spinel = os.path.join(build, "spinel")
root = tempfile.mkdtemp(prefix="spinel-bench-viewer-")
site = os.path.join(root, "rack", "spinel.yaml")
env = dict(os.environ, SPINEL_SITE=site, HOME=root, GIT_CONFIG_GLOBAL="/dev/null", PATH=build + ":" + os.environ["PATH"],
           GIT_AUTHOR_NAME="a", GIT_AUTHOR_EMAIL="a@b", GIT_COMMITTER_NAME="a", GIT_COMMITTER_EMAIL="a@b")


def port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(url):
    return urllib.request.urlopen(url, timeout=20).read()


def until(what, seconds=60):
    end = time.time() + seconds
    while time.time() < end:
        try:
            if what():
                return
        except OSError:
            pass
        time.sleep(.02)
    raise SystemExit("it took too long")


def git(*words):
    subprocess.run(["git", "-C", os.path.join(root, "rack/manifests"), *words], env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def load(url):
    out = subprocess.run(["wrk", "-t", "1", "-c", "16", "-d", "4s", "--latency", url], capture_output=True, text=True).stdout
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
    p99, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", out).groups()
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return rate, float(p99) * {"us": .001, "ms": 1, "s": 1000}[unit], int(failed.group(1)) if failed else 0


def passes(web, volumes):
    """Medians in ms of a push that changes one volume, as the revision's trace has it."""
    took = []
    for i in range(options.rounds):
        path = os.path.join(root, "rack/manifests/many.yaml")
        text = open(path).read()
        size = (int(re.search(r"size: (\d+)MiB", text).group(1)) % 500) + 1
        open(path, "w").write(re.sub(r"size: \d+MiB", f"size: {size}MiB", text, count=1))
        git("commit", "-qam", "one")
        git("push", "-q")
        trace = json.loads(subprocess.run([spinel, "trace", "--json"], env=env, capture_output=True, text=True).stdout)
        took.append(sum(s["ms"] for s in trace["spans"] if s["name"] in ("load", "observe", "plan")))
    return statistics.median(took)


def main():
    for tool in ("nginx", "wrk"):
        if not shutil.which(tool, path=env["PATH"] + ":/usr/sbin"):
            raise SystemExit(f"SKIP: {tool} is not installed (nginx-light, wrk)")
    web, static = port(), port()
    subprocess.run([spinel, "init", "--drivers", "sim", os.path.join(root, "rack")], env=env, check=True, stdout=subprocess.DEVNULL)
    open(site, "a").write(f'  web: {{listen: "127.0.0.1:{web}"}}\n')
    with open(os.path.join(root, "rack/manifests/many.yaml"), "w") as f:
        for i in range(options.volumes):
            f.write(f"---\napiVersion: spinel/v1\nkind: Volume\nmetadata: {{name: many-{i}, project: shop}}\nspec: {{size: 1MiB}}\n")
    git("add", "-A"), git("commit", "-qm", "many")
    daemon = subprocess.Popen([spinel, "serve"], env=env, stderr=subprocess.DEVNULL)
    server = None
    try:
        api = f"http://127.0.0.1:{web}"
        until(lambda: get(api))
        git("push", "-q")
        until(lambda: json.loads(get(api + "/api/v1/status"))["converged"])
        body = get(api + "/api/v1/status")
        os.makedirs(os.path.join(root, "www"))
        open(os.path.join(root, "www/status"), "wb").write(body)
        os.chmod(root, 0o755)
        conf = os.path.join(root, "nginx.conf")
        open(conf, "w").write(f"daemon off; worker_processes 1; pid {root}/nginx.pid; error_log /dev/null; events {{}}\n"
                              f"http {{ access_log off; keepalive_requests 1000000; server {{ listen 127.0.0.1:{static}; root {root}/www; }} }}\n")
        server = subprocess.Popen(["/usr/sbin/nginx", "-c", conf], stderr=subprocess.DEVNULL)
        until(lambda: get(f"http://127.0.0.1:{static}/status"))
        rows = {"nginx": [], "spinel": []}
        for _ in range(3):
            rows["nginx"].append(load(f"http://127.0.0.1:{static}/status"))
            rows["spinel"].append(load(api + "/api/v1/status"))
        figures = {name: {"rps": statistics.median(r[0] for r in runs), "p99_ms": statistics.median(r[1] for r in runs), "failed": sum(r[2] for r in runs)}
                   for name, runs in rows.items()}
        figures["ratio"] = figures["spinel"]["rps"] / figures["nginx"]["rps"]
        figures["bytes"] = len(body)
        figures["page_bytes"] = sum(len(get(api + p)) for p in ("/", "/app.js", "/app.css", "/favicon.svg"))
        without = passes(web, options.volumes)
        streams = []
        for _ in range(options.viewers):
            s = socket.create_connection(("127.0.0.1", web))
            s.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            streams.append(s)
        with_viewers = passes(web, options.volumes)
        figures["pass_ms"] = {"viewers 0": without, f"viewers {options.viewers}": with_viewers}
        print(json.dumps(figures, indent=1))
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait()
        if server:
            server.terminate()
            server.wait()
        shutil.rmtree(root, ignore_errors=True)


main()
