// SPDX-License-Identifier: MPL-2.0
// One resource: its three states side by side, what it needs, and what happened to it.
import {h} from "./dom.js";
import {ago, code, get, label, leaves, linkTo, marked, row, shown, table} from "./parts.js";
import {driftTable, folded} from "./drift.js";
import {eventTable, operationTable} from "./history.js";

function sides(o) {
  const columns = [o.desired, o.booted, o.observed].map((s) => new Map(s ? leaves(s) : []));
  const touched = new Set([...(o.step?.fields ?? []), ...o.drift.filter((d) => !d.healed)].map((f) => f.path.replace(/^spec\./, "")));
  const isTouched = (path) => touched.has(path) || [...touched].some((t) => path.startsWith(t + ".") || path.startsWith(t + "["));
  const paths = [...new Set(columns.flatMap((c) => [...c.keys()]))].sort((a, b) => isTouched(b) - isTouched(a));
  return table(["Field", "Desired", "Booted", "Observed"], paths.map((path) => {
    const line = row(path, [isTouched(path) && h("b", {class: "drifting", title: "differs"}, "≠ "), code(path)],
      ...columns.map((c) => shown(c.get(path), o.units[path.replace(/\[[^\]]*\]/g, "")])));
    if (isTouched(path)) line.class = "changed";
    return line;
  }), "No field is known yet.");
}

// The tree of what an object needs, or what needs it; a branch is asked for when it is opened.
function branches(list, side, empty) {
  if (!list.length) return h("p", {class: "soft"}, empty);
  return h("ul", {class: "tree"}, list.map((o) => {
    const inner = h("div", {class: "soft", "data-own": side + o.uid}, "…");
    const open = async function () {
      const place = this.querySelector(":scope > div");
      if (!this.open || place.dataset.asked) return;
      place.dataset.asked = "1";
      const got = await get("resources/" + o.uid).catch(() => ({[side]: []}));
      place.replaceChildren(branches(got[side], side, "nothing more"));
    };
    return h("li", {"data-key": o.uid}, linkTo(o), " ", marked(o.mark),
      h("details", {ontoggle: open}, h("summary", {}, (side === "needs" ? "What it needs" : "What needs it"), h("span", {class: "unseen"}, ": " + label(o))), inner));
  }));
}

export async function resource(query, uid) {
  const o = await get("resources/" + encodeURIComponent(uid));
  const facts = leaves(o.status ?? {}).filter(([, v]) => v !== null);
  return [
    h("h1", {}, label(o), " ", marked(o.mark)),
    o.step && h("p", {}, `${o.step.action}, ${o.step.disposition}: ${o.step.reason ?? ""}`, o.step.hold && [" ", h("a", {href: "#/plan"}, "the plan")]),
    h("dl", {class: "facts"}, h("dt", {}, "uid"), h("dd", {}, code(o.uid)), h("dt", {}, "observed"), h("dd", {}, ago(o.observedAt) || "never"),
      facts.map(([key, value]) => [h("dt", {}, key), h("dd", {}, typeof value === "object" ? JSON.stringify(value) : String(value))]),
      Object.keys(o.labels ?? {}).length > 0 && [h("dt", {}, "labels"), h("dd", {}, Object.entries(o.labels).map(([k, v]) => `${k}=${v}`).join(", "))]),
    (o.damage ?? []).length > 0 && [h("h2", {}, "Damage"), table(["Where", "Should be", "Is"], o.damage.map((d) =>
      row(d.path, code(d.path), shown(d.desired), marked("drifting", d.observed))), "")],
    h("h2", {}, "Desired, booted, observed"), sides(o),
    h("h2", {}, "Needs"), branches(o.needs, "needs", "It needs nothing else."),
    h("h2", {}, "Needed by"), branches(o.neededBy, "neededBy", "Nothing needs it."),
    h("h2", {}, "Drift"), driftTable(folded(o.drift), "It has never drifted."),
    h("h2", {}, "Operations"), operationTable(o.operations),
    h("h2", {}, "Events"), eventTable(o.events),
  ];
}
