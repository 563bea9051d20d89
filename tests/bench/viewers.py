# SPDX-License-Identifier: MPL-2.0
"""What 500 idle viewers of the page cost a pass of the engine: viewer.py, which `make bench-viewer` runs by itself."""
import json, os, subprocess, sys

VIEWERS, NOISE = 500, 1.25


def bench(args, base, report):
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "viewer.py")
    done = subprocess.run([sys.executable, program, "--build", args.build, "--viewers", str(VIEWERS)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit("bench: viewer.py: " + done.stderr[-1000:])
    figures = json.loads(done.stdout)
    without, with_viewers = figures["pass_ms"].values()
    report.cost("engine pass with idle viewers", VIEWERS, "ms", with_viewers, without, "with none; more is noise", NOISE)
    report.add("API status, requests a second", None, "/s", figures["spinel"]["rps"], figures["nginx"]["rps"], "nginx, a file of the same bytes",
               figures["ratio"])
