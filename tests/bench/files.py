# SPDX-License-Identifier: MPL-2.0
"""Volumes that are files, each looked at for real, beside as many files of CFEngine's."""
import measure as measuring
from plans import beside_peers
from rack import Rack


def bench(args, base, count, report, found):
    rack = Rack(base, count, args.seed, "file", ("raw",))
    cfengine = {"CFEngine": found["CFEngine"]}
    try:
        call = [args.spinel, "--site", rack.site]
        first = measuring.measure([*call, "apply", "--yes", "--wait=1h"], 1, warm=False)
        plan = measuring.measure([*call, "plan", "--json"], 3)
        beside_peers(report, "files: first apply", rack, first, cfengine, "apply", {"CFEngine": 1})
        beside_peers(report, "files: plan, nothing changed", rack, plan, cfengine, "plan", {"CFEngine": 1})
    finally:
        rack.remove()
