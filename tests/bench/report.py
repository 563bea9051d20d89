# SPDX-License-Identifier: MPL-2.0
"""Rows: what was done, at which N, Spinel, what stands beside it, their ratio, what is asked and
whether it is reached. Printed as they come; the same go into the JSON and, as ratios, into the baseline."""
import json, math
from statistics import median

FLAT = 0.09  # a factor of 1.5 over a hundredfold N
HEAD = "%-46s %8s %14s %14s  %-30s %8s %-10s %-4s %9s  %s"


def figure(number, unit):
    return "-" if number is None else "%.*f %s" % (0 if abs(number) >= 100 else 2 if abs(number) >= 1 else 4, number, unit)


class Report:
    def __init__(self, last):
        self.rows, self.last, self.growths, self.has_head = [], last, {}, False

    def add(self, what, n=None, unit="", spinel=None, beside=None, beside_is="", ratio=None, asked=None,
            limits="ratio", growth=None, **more):
        """`asked` is ("<=" or ">=", number), held against the ratio or, with limits="value", against Spinel's own figure."""
        row = dict(what=what, n=n, unit=unit, spinel=spinel, beside=beside, beside_is=beside_is, ratio=ratio, **more)
        row["asked"] = "%s %g%s" % (*asked, " x" if limits == "ratio" else "") if asked else None
        row["reached"] = held(ratio if limits == "ratio" else spinel, asked)
        before = self.last.get("ratio", {}).get(key(row))
        if ratio and before:
            row["recorded"] = before
            worse = before / ratio if asked and asked[0] == ">=" else ratio / before
            row["note"] = "WORSE THAN RECORDED " * (worse > 1.25) + row.get("note", "")
        if growth is not None and n:
            self.growths.setdefault(what, (growth, []))[1].append((n, max(more.get("grows_by", spinel), 1e-4)))
        self.rows.append(row)
        self.show(row)

    def cost(self, what, n, unit, spinel, beside, beside_is, asked=None, **more):
        """Less is better: how many times the floor it is."""
        self.add(what, n, unit, spinel, beside, beside_is, spinel / max(beside, 1e-9), asked and ("<=", asked), **more)

    def faster(self, what, n, unit, spinel, peer, peer_is, asked=None, **more):
        """Less is better: how many times faster than the peer it is."""
        self.add(what, n, unit, spinel, peer, peer_is, peer / max(spinel, 1e-9), asked and (">=", asked), **more)

    def pairs(self, what, n, unit, ours, theirs, theirs_is, asked=None):
        """More is better, of two measured in turns: the ratio is the median of those of each turn."""
        self.add(what, n, unit, median(ours), median(theirs), theirs_is, median(a / b for a, b in zip(ours, theirs)),
                 asked and (">=", asked), spread=[[min(ours), max(ours)], [min(theirs), max(theirs)]],
                 note="%.2f to %.2f, the other %.2f to %.2f" % (min(ours), max(ours), min(theirs), max(theirs)))

    def value(self, what, n, unit, spinel, asked=None, **more):
        """A figure by itself, at most so much."""
        self.add(what, n, unit, spinel, asked=asked and ("<=", asked), limits="value", **more)

    def check(self, what, n, is_so, note=""):
        row = dict(what=what, n=n, spinel=None, ratio=None, asked="holds", reached=is_so, note=note)
        self.rows.append(row)
        self.show(row)

    def skip(self, what, why):
        row = dict(what=what, n=None, skip=why)
        self.rows.append(row)
        print("%-46s SKIP: %s" % (what, why), flush=True)

    def show(self, row):
        if not self.has_head:
            print("\n" + HEAD % ("", "N", "Spinel", "beside", "which is", "ratio", "asked", "", "recorded", ""), flush=True)
            self.has_head = True
        unit, ratio, recorded = row.get("unit", ""), row.get("ratio"), row.get("recorded")
        print((HEAD % (row["what"], row["n"] or "", figure(row["spinel"], unit), figure(row.get("beside"), unit),
                       row.get("beside_is", ""), "%.2f" % ratio if ratio else "-", row["asked"] or "-",
                       {True: "yes", False: "NO", None: ""}[row["reached"]], "%.2f" % recorded if recorded else "-",
                       row.get("note", ""))).rstrip(), flush=True)

    def grown(self):
        """How each row's cost grows with N, where there is more than one N."""
        for what, (limit, points) in self.growths.items():
            if len({n for n, _ in points}) > 1:
                before, now = self.last.get("exponent", {}).get(what), exponent(points)
                note = "recorded %.2f%s" % (before, ": GROWS FASTER" * (now > before + 0.1)) if before is not None else ""
                self.value("growth: " + what, None, "", now, limit, beside_is="CPU ~ N to the power of", note=note)

    def baseline(self):
        ratios = {key(row): round(row["ratio"], 3) for row in self.rows if row.get("ratio")}
        grown = {row["what"][8:]: round(row["spinel"], 2) for row in self.rows if row["what"].startswith("growth: ")}
        return {"schema": "spinel/bench-baseline/v2", "ratio": dict(self.last.get("ratio", {}), **ratios),
                "exponent": dict(self.last.get("exponent", {}), **grown)}


def key(row):
    return "%s|%s|%s" % (row["what"], row["n"] or "", row["beside_is"])


def held(number, asked):
    if not asked or number is None:
        return None
    return number <= asked[1] if asked[0] == "<=" else number >= asked[1]


def exponent(points):
    """Of N, by least squares over the logarithms."""
    points = [(math.log(n), math.log(cost)) for n, cost in points]
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)


def baseline_read(path):
    """Ratios only, which any machine can be held to; no times."""
    try:
        with open(path) as file:
            found = json.load(file)
        return found if found.get("schema") == "spinel/bench-baseline/v2" else {}
    except (OSError, ValueError):
        return {}
