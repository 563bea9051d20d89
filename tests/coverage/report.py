#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""Line and branch coverage per file and per folder, from what gcov counted.

report.py OBJ-DIR [--missed FILE...]

Fails when a floor below is not met. docs/testing.md says what is left out and why.
--missed lists the branches and lines of files that nothing took.
"""
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

# (what, least percentage of lines, least percentage of branches)
FLOORS = [
    ("reconciler/plan/guard.c", 100, 100),
    ("reconciler/plan/", 100, 100),
    ("reconciler/engine/core_task.c", 100, 100),
    ("reconciler/engine/core_task_new.c", 100, 100),
    ("reconciler/engine/core_ledger.c", 100, 100),
    ("model/json.c", 100, 100),
    ("model/check.c", 100, 100),
    ("model/format.c", 100, 100),
    ("model/digest.c", 100, 100),
    ("model/", 98.5, 95),
    ("reconciler/cli/", 98, 91),
    ("reconciler/engine/", 98, 90),
    ("reconciler/server/", 97, 90),
    ("reconciler/source/", 98, 90),
    ("reconciler/store/", 98, 90),
    ("reconciler/", 98, 92),
]

COUNTED = ("model/", "reconciler/")
THEIR_MACROS = re.compile(r"\b(HASH_|DL_|LL_|STAILQ_|va_arg)\w*\(")
ENDS = re.compile(r"\b(abort|_exit)\(")


class Source:
    """A file's text, and which of its lines cannot be asked of a test."""

    def __init__(self, name):
        with open(name, encoding="utf-8") as text:
            self.lines = [""] + text.read().split("\n")
        self.asserted = set()
        for number, line in enumerate(self.lines):
            if re.search(r"\b(assert|invariant)\(", line):
                self.asserted.update(self.statement(number))

    def statement(self, number):
        """The lines from this one to the end of its statement."""
        taken = []
        for at in range(number, len(self.lines)):
            taken.append(at)
            if self.lines[at].rstrip().split("/*")[0].rstrip().endswith(";"):
                break
        return taken

    def is_abort(self, number):
        return re.match(r"\s*abort\(\);", self.lines[number]) is not None

    def guards_abort(self, number):
        """Is this the condition of an `if` whose body is to end the process?"""
        for at in range(number + 1, min(number + 4, len(self.lines))):
            if self.is_abort(at):
                return True
            if re.search(r"[;{]\s*(/\*.*)?$", self.lines[at - 1]) and not re.search(
                r"\bif \(.*\{$", self.lines[at - 1]
            ):
                return False
        return False

    def lacks_default(self, number):
        """A switch that names every value of its enumeration and has no default."""
        if not re.search(r"\bswitch \(", self.lines[number]):
            return False
        indent = re.match(r"\s*", self.lines[number]).group()
        for line in self.lines[number + 1 :]:
            if line.startswith(indent + "default:"):
                return False
            if line.startswith(indent + "}"):
                return True
        return False


def gcov_read(obj):
    """{file: {line: [count, [branch counts]]}}, summed over all objects."""
    found = {}
    data = sorted(
        name for top in COUNTED for name in glob.glob(f"{obj}/{top}**/*.gcno", recursive=True)
    )
    root = os.getcwd()
    with tempfile.TemporaryDirectory() as scratch:
        for start in range(0, len(data), 40):
            some = [os.path.join(root, name) for name in data[start : start + 40]]
            out = subprocess.run(
                ["gcov", "--branch-probabilities", "--json-format", "--stdout", *some],
                cwd=scratch, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True,
            ).stdout
            for line in out.decode().splitlines():
                unit_add(found, json.loads(line))
    return found


def unit_add(found, unit):
    for part in unit["files"]:
        if not part["file"].startswith(COUNTED) or not part["file"].endswith(".c"):
            continue
        lines = found.setdefault(part["file"], {})
        for line in part["lines"]:
            have = lines.setdefault(line["line_number"], [0, []])
            have[0] += line["count"]
            counts = [branch["count"] for branch in line["branches"]]
            if len(have[1]) < len(counts):
                have[1] += [0] * (len(counts) - len(have[1]))
            for i, count in enumerate(counts):
                have[1][i] += count


def branches_of(source, number, count, branches):
    """The branches that a test can be asked to take, as counts."""
    if number in source.asserted or THEIR_MACROS.search(source.lines[number]):
        return []
    if not branches:
        return []
    if source.guards_abort(number):
        return [c for c in branches if c] if count else branches[: len(branches) // 2]
    if source.lacks_default(number) and 0 in branches:
        branches = list(branches)
        branches.remove(0)
    return branches


def file_measure(name, lines):
    source = Source(name)
    total = {"lines": 0, "lines_hit": 0, "branches": 0, "branches_hit": 0, "missed": []}
    for number, (count, raw) in sorted(lines.items()):
        if source.is_abort(number) or (number in source.asserted and not count):
            continue
        branches = branches_of(source, number, count, raw)
        hit = sum(1 for c in branches if c)
        total["lines"] += 1
        total["lines_hit"] += count > 0
        total["branches"] += len(branches)
        total["branches_hit"] += hit
        if not count or hit < len(branches):
            total["missed"].append((number, count, hit, len(branches), source.lines[number]))
    return total


def percent(hit, total):
    return 100.0 * hit / total if total else 100.0


def row(name, totals):
    lines, lines_hit, branches, branches_hit = (
        sum(t[key] for t in totals) for key in ("lines", "lines_hit", "branches", "branches_hit")
    )
    print(
        f"{name:<44}{percent(lines_hit, lines):7.1f}%{lines:7}{percent(branches_hit, branches):9.1f}%{branches:7}"
    )


def floors_check(files):
    failed = False
    for what, least_lines, least_branches in FLOORS:
        chosen = [t for name, t in files.items() if name.startswith(what)]
        if not chosen:
            sys.exit(f"coverage: no file is {what}")
        for noun, least in (("lines", least_lines), ("branches", least_branches)):
            have = percent(sum(t[noun + "_hit"] for t in chosen), sum(t[noun] for t in chosen))
            if have < least:
                print(f"coverage: {what}: {have:.1f}% of {noun}, the floor is {least}%")
                failed = True
    return failed


def main():
    obj, wanted = sys.argv[1], sys.argv[3:] if "--missed" in sys.argv else []
    files = {name: file_measure(name, lines) for name, lines in sorted(gcov_read(obj).items())}
    for name in files:
        if any(name.startswith(w) for w in wanted):
            for number, count, hit, of, text in files[name]["missed"]:
                print(f"{name}:{number}: {'never run' if not count else f'{hit}/{of}'}: {text.strip()}")
    if wanted:
        return
    print(f"{'':<44}{'lines':>8}{'of':>7}{'branches':>10}{'of':>7}")
    for folder in sorted({os.path.dirname(name) for name in files}):
        inside = {name: t for name, t in files.items() if os.path.dirname(name) == folder}
        for name, total in inside.items():
            row("  " + name, [total])
        row(folder, list(inside.values()))
    for top in COUNTED:
        row(top, [t for name, t in files.items() if name.startswith(top)])
    sys.exit(floors_check(files))


main()
