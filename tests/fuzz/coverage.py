#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""What each fuzz target's corpus runs of the files that the target is for: lines and branches by gcov.

  coverage.py BUILD TARGET...

BUILD was made with --coverage. Each target is replayed alone on its seeds, its corpus and what was
found with it; the counters of the files named below are then read."""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))

# Files that parse or judge what the target reads; what they call is reached by other tests.
FOR = {
    "call_frames": ["drivers/lib/call.c", "drivers/lib/group.c"],
    "control": ["reconciler/server/request.c", "reconciler/server/report.c"],
    "core_messages": ["reconciler/server/supervisor.c"],
    "driver_frames": ["reconciler/engine/core_observe.c", "reconciler/engine/core_driver.c", "reconciler/engine/core_task.c", "reconciler/engine/core_task_new.c"],
    "driver_requests": ["drivers/lib/method.c", "drivers/lib/wire.c"],
    "driver_streams": ["reconciler/engine/channel.c", "reconciler/engine/lines.c"],
    "driver_suite": ["reconciler/server/conformance.c", "reconciler/server/subject.c"],
    "follow_frames": ["reconciler/cli/follow.c", "reconciler/server/control.c"],
    "git_objects": ["reconciler/source/tree.c", "reconciler/source/load.c", "reconciler/source/receive.c"],
    "http": ["reconciler/server/web_request.c", "reconciler/server/web_route.c", "reconciler/server/web_view.c"],
    "instances": ["drivers/qemu/process.c", "drivers/qemu/instance.c", "drivers/qemu/look.c", "drivers/qemu/machine_value.c"],
    "kinds": ["model/kind_read.c", "model/kind_schema.c", "model/kind_manual.c"],
    "ledgers": ["drivers/lib/ledger.c"],
    "manifests": ["model/document.c", "model/check.c", "model/set.c", "model/set_refs.c", "model/set_networks.c"],
    "netlink": ["drivers/linux-vpc/rtnl.c", "drivers/linux-vpc/link.c", "drivers/linux-vpc/route.c", "drivers/linux-vpc/conntrack.c"],
    "networks": ["drivers/linux-vpc/network.c", "drivers/linux-vpc/policy.c", "drivers/linux-vpc/compile.c", "drivers/linux-vpc/dhcp_files.c"],
    "nft_texts": ["drivers/linux-vpc/decompile.c", "drivers/linux-vpc/nft.c"],
    "pools": ["drivers/file/place.c", "drivers/file/trash.c", "drivers/file/mark.c"],
    "program_outputs": ["drivers/file/qcow2.c", "drivers/lib/run.c"],
    "pushes": ["reconciler/source/receive.c"],
    "qcow2_headers": ["drivers/file/qcow2.c"],
    "qmp": ["drivers/qemu/qmp.c"],
    "rack_identities": ["reconciler/store/rack.c"],
    "records": ["drivers/linux-vpc/records.c", "drivers/qemu/machine_value.c"],
    "saved_plans": ["reconciler/plan/document.c", "reconciler/plan/text.c"],
    "scripts": ["drivers/exec/exec.c", "drivers/exec/script.c"],
    "seeds": ["model/set_derive.c", "drivers/file/seed.c"],
    "site": ["model/site.c"],
    "store_rows": ["reconciler/store/object.c", "reconciler/store/intent.c", "reconciler/store/event.c", "reconciler/store/trace.c",
                   "reconciler/store/revision.c", "reconciler/store/record.c", "reconciler/store/drift.c", "reconciler/store/documents.c"],
    "tags": ["drivers/lib/tag.c", "drivers/file/mark.c"],
    "texts": ["model/format.c", "model/unit.c", "model/net.c", "model/json.c", "model/json_plain.c", "model/text.c"],
    "yaml_paths": ["model/yaml_read.c", "model/yaml_plain.c", "model/yaml_text.c", "model/yaml_write.c"],
}


def counters_clear(build):
    for folder, _, names in os.walk(build):
        for name in names:
            if name.endswith(".gcda"):
                os.remove(os.path.join(folder, name))


def counters_read(build):
    """{file: ({line: ran}, [branch taken, ...])} of all counters below the build."""
    found = [os.path.join(folder, name) for folder, _, names in os.walk(build) for name in names if name.endswith(".gcda")]
    files = {}
    for gcda in found:
        said = subprocess.run(["gcov", "--json-format", "--stdout", "--branch-probabilities", gcda], capture_output=True, check=True)
        for line in said.stdout.splitlines():
            for file in json.loads(line)["files"]:
                lines, branches = files.setdefault(file["file"], ({}, {}))
                for row in file["lines"]:
                    number = row["line_number"]
                    lines[number] = lines.get(number, False) or row["count"] > 0
                    for at, branch in enumerate(b for b in row["branches"] if not b["throw"]):
                        branches[number, at] = branches.get((number, at), False) or branch["count"] > 0
    return files


def percent(part, whole):
    return "-" if not whole else "%d%%" % (100 * part // whole)


def replay(build, target):
    path = os.path.join(build, "fuzz", target)
    said = subprocess.run(["sh", os.path.join(HERE, "replay.sh"), path], capture_output=True, text=True)
    words = said.stdout.split()
    return words[words.index("inputs;") - 1] if "inputs;" in words else "?"


def main():
    build, targets = sys.argv[1], sys.argv[2:]
    print("%-16s %7s %12s %6s %12s %6s  %s" % ("target", "inputs", "lines", "", "branches", "", "of"))
    for target in targets:
        counters_clear(build)
        inputs = replay(build, target)
        files = counters_read(build)
        rows = [files.get(name, ({}, {})) for name in FOR.get(target, [])]
        lines = [ran for row in rows for ran in row[0].values()]
        branches = [ran for row in rows for ran in row[1].values()]
        print("%-16s %7s %12s %6s %12s %6s  %s" % (
            target, inputs, "%d/%d" % (sum(lines), len(lines)), percent(sum(lines), len(lines)),
            "%d/%d" % (sum(branches), len(branches)), percent(sum(branches), len(branches)), " ".join(FOR.get(target, ["(no file is named)"]))), flush=True)


main()
