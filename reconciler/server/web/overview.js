// SPDX-License-Identifier: MPL-2.0
import {h} from "./dom.js";
import {MARKS, marksIn, ago, code, get, marked, row, soft, table} from "./parts.js";
import {freezeBanner, freezeForm, holdBanner} from "./decide.js";
import {driftTable, folded, isOpen, noDrift} from "./drift.js";

export function verdict(status) {
  const r = status.resources;
  if (!status.revision) return ["pending", "Nothing was pushed yet."];
  if (r.drifting) return ["drifting", `${r.drifting} drifting: the rack is not as Git says.`];
  if (r.held) return ["held", `${r.held} held until a person decides.`];
  if (r.pending) return ["pending", `${r.pending} pending: on its way, or waiting.`];
  if (r.unknown) return ["unknown", `${r.unknown} could not be looked at: nobody can say whether the rack is as Git says.`];
  return ["true", "The rack is as Git says."];
}

const sums = (o, marks) => marks.map((m) => o[m] ? marked(m, o[m]) : soft("0"));

function byProject(groups) {
  const projects = new Map();
  for (const g of groups) {
    const sum = projects.get(g.project ?? "") ?? {true: 0, unknown: 0, pending: 0, drifting: 0, held: 0};
    for (const m of MARKS) sum[m] += g[m];
    projects.set(g.project ?? "", sum);
  }
  return [...projects];
}

export async function overview(query, rest, asked) {
  const [found, status] = await Promise.all([get("drift", {limit: 60, since: Math.round(Date.now() / 1000) - 3600}), asked]);
  const open = found.drift.filter(isOpen), lately = folded(found.drift).filter((d) => d.healed), revision = status.revision, marks = marksIn(status.resources);
  return [
    h("h1", {class: "verdict"}, marked(...verdict(status))),
    revision && h("p", {class: "soft"}, "Revision ", h("a", {href: "#/trace/" + revision.revision}, revision.revision), " ", code(revision.commit.slice(0, 12)),
      ` “${revision.subject}” by ${revision.author.replace(/ <.*/, "")}, `, ago(revision.at),
      revision.convergedAt ? ["; true ", ago(revision.convergedAt)] : "; not true yet"),
    (status.holds ?? []).map((hold) => holdBanner(hold, status.decisions)),
    status.freezes.map((freeze) => freezeBanner(freeze, status.decisions)),
    h("div", {class: "tiles"}, marks.map((m) =>
      h("a", {class: "tile " + m, href: "#/resources?mark=" + m}, h("b", {}, status.resources[m]), " ", m))),
    h("h2", {}, "Open drift"),
    driftTable(open, noDrift(found)),
    found.open > open.length && found.open > 50 && h("p", {}, h("a", {href: "#/drift"}, `All ${found.open}`)),
    lately.length > 0 && [h("h2", {}, "Healed in the last hour"), driftTable(lately.slice(0, 3), ""),
      lately.length > 3 && h("p", {}, h("a", {href: "#/drift?in=1 hour"}, "All of them"))],
    found.unknown.length > 0 && h("p", {class: "unknown"}, h("a", {href: "#/drift"}, `${found.unknown.length} could not be looked at`), ": of these, no drift says nothing."),
    found.unmanaged.length + found.orphans.length > 0 && h("p", {class: "soft"}, h("a", {href: "#/drift"},
      `${found.unmanaged.length} not ours, ${found.orphans.length} no longer in Git`), ": left alone."),
    h("h2", {}, "By project"),
    table(["Project", ...marks], byProject(status.groups).map(([project, sum]) => row(project || "rack",
      project ? h("a", {href: "#/resources?" + new URLSearchParams({project})}, project) : soft("rack"), ...sums(sum, marks))), "Nothing is declared."),
    h("h2", {}, "By project and kind"),
    table(["Project", "Kind", ...marks], status.groups.map((g) => row(`${g.project}/${g.kind}`, g.project ?? soft("rack"),
      h("a", {href: "#/resources?" + new URLSearchParams({kind: g.kind, project: g.project ?? ""})}, g.kind), ...sums(g, marks))), "Nothing is declared."),
    status.decisions && freezeForm(),
  ];
}
