// SPDX-License-Identifier: MPL-2.0
import {h, svg} from "./dom.js";
import {ago, code, cut, get, label, lasted, linkTo, marked, more, row, rowsAsked, shown, soft, table, valueText, view} from "./parts.js";

export const isOpen = (d) => !d.healed && d.disposition !== "ignored";

// A field that came back again and again is one row, by its newest, with how often and in how long.
export function folded(rows) {
  const fields = new Map();
  for (const d of rows) {
    const key = d.uid + " " + d.path, known = fields.get(key);
    if (known) { known.times++; known.first = d.since; } else fields.set(key, {...d, times: 1, first: d.since});
  }
  return [...fields.values()];
}

const DOES = {run: "being healed", reported: "only reported", held: "held", deferred: "deferred", contested: "contested", frozen: "frozen", ignored: "ignored"};
function outcome(d) {
  if (!d.healed) return [d.disposition === "ignored" ? soft("ignored") : marked("drifting", DOES[d.disposition] ?? d.disposition), d.reason && soft(`: ${d.reason}`)];
  if (!d.healed.by) return marked("true", "as it should be again after ", lasted(d.healed.after), ", ", ago(d.healed.at));
  return [marked("true", "healed in ", lasted(d.healed.after), ", ", ago(d.healed.at)), " by ",
    h("a", {class: "inline", href: `#/operations?uid=${d.uid}`, title: d.healed.by}, "operation ", d.healed.by.slice(0, 8))];
}

function often(d) {
  if (d.times > 1) return soft(` · ${d.times} times in ${lasted(Math.max(1, Math.round((Date.parse(d.lastSeen) - Date.parse(d.first)) / 1000)))}`);
  return d.count > 0 && soft(` · ${d.count} times before`);
}

export function driftTable(rows, empty) {
  return table(["Resource", "Field", "Should be", "Is", "Since", "Probable cause", "What Spinel does"], rows.map((d) => row(d.uid + d.path,
    linkTo(d), code(d.path), shown(d.desired, d.unit), h("span", {class: isOpen(d) ? "drifting" : ""}, shown(d.observed, d.unit)),
    [ago(d.since), !d.healed && Date.parse(d.lastSeen) - Date.parse(d.since) > 60000 && soft(`, last seen `, ago(d.lastSeen))],
    [d.cause, soft(` (found by ${d.detectedBy})`)], [outcome(d), often(d)])), empty);
}

export const noDrift = (found) => found.unknown.length ? "No drift in what could be looked at." : "No drift.";

const SPANS = {"1 hour": 3600, "24 hours": 86400, "7 days": 604800, "30 days": 2592000}, LANES = 30;

function lanesOf(rows, start) {
  const lanes = new Map();
  for (const d of rows) {
    if (d.healed && Date.parse(d.healed.at) < start) continue;
    const key = d.uid + " " + d.path;
    lanes.set(key, [...(lanes.get(key) ?? []), d]);
  }
  return [...lanes.values()].sort((a, b) => isOpen(b[0]) - isOpen(a[0]));
}

// One lane a field, from when it was seen to when it was healed; what is open is first, and on top.
function timeline(rows, seconds) {
  const now = Date.now(), start = now - seconds * 1000, lanes = lanesOf(rows, start);
  if (!lanes.length) return h("p", {class: "soft"}, "Nothing drifted in this time.");
  const wide = Math.max(300, Math.min(view.clientWidth - 4, 1360)), isNarrow = wide < 700;
  const names = isNarrow ? 0 : 300, line = isNarrow ? 36 : 22, list = lanes.slice(0, LANES), high = list.length * line + 26;
  const x = (t) => names + Math.max(0, Math.min(1, (t - start) / (now - start))) * (wide - names - 8);
  const marks = isNarrow ? 2 : 4, grid = [];
  for (let i = 0; i <= marks; i++) {
    const t = start + i * (now - start) / marks;
    grid.push(svg("line", {x1: x(t), x2: x(t), y1: 0, y2: high - 22, class: "grid"}),
      svg("text", {x: x(t), y: high - 6, class: "second", "text-anchor": i === marks ? "end" : i ? "middle" : "start"}, i === marks ? "now" : lasted(Math.round((now - t) / 1000)) + " ago"));
  }
  const bar = (d, y) => {
    const from = x(Date.parse(d.since)), to = d.healed ? x(Date.parse(d.healed.at)) : x(now);
    return svg("rect", {x: Math.min(from, wide - 11), y, width: Math.max(3, to - from), height: 14, rx: 2, class: d.healed ? "bar healed" : isOpen(d) ? "bar open" : "bar ignored"},
      svg("title", {}, `${label(d)} ${d.path}: ${valueText(d.observed, d.unit)} instead of ${valueText(d.desired, d.unit)}, ${d.cause}, since ${d.since}` + (d.healed ? `, healed after ${d.healed.after} s` : "")));
  };
  const parts = list.map((each, i) => svg("g", {"data-key": each[0].uid + each[0].path},
    svg("a", {href: "#/resource/" + each[0].uid}, svg("text", {x: 0, y: i * line + 15}, cut(`${each[0].name} ${each[0].path}`, 42), svg("title", {}, label(each[0]) + " " + each[0].path))),
    [...each].reverse().map((d) => bar(d, i * line + (isNarrow ? 20 : 4)))));
  return [svg("svg", {viewBox: `0 0 ${wide} ${high}`, width: wide, height: high, class: "map", role: "group", "aria-label": `Timeline of ${list.length} fields`}, grid, parts),
    lanes.length > LANES && h("p", {class: "soft"}, `and ${lanes.length - LANES} more fields, in the tables`)];
}

function strangers(title, list) {
  return list.length > 0 && [h("h2", {}, `${title} (${list.length})`),
    table(["Kind", "Which", "Why it is left alone"], list.slice(0, 200).map((o) => row(null, o.kind, code(o.name ? label(o) : o.native ?? o.uid ?? ""), o.why ?? "")), ""),
    list.length > 200 && h("p", {class: "soft"}, `and ${list.length - 200} more: spinel drift --json`)];
}

function unseen(list) {
  return list.length > 0 && [h("h2", {}, `Could not be looked at (${list.length})`),
    h("p", {class: "unknown"}, "Nobody can say whether these are as declared: 'spinel status' tells which driver has a problem."),
    h("ul", {}, list.slice(0, 200).map((o) => h("li", {"data-key": o.uid}, linkTo(o)))),
    list.length > 200 && h("p", {class: "soft"}, `and ${list.length - 200} more: spinel drift --json`)];
}

export async function drift(query) {
  const span = SPANS[query.get("in")] ? query.get("in") : "24 hours", withIgnored = query.get("ignored") === "1";
  const found = await get("drift", {limit: 5000, since: Math.round(Date.now() / 1000) - SPANS[span]});
  const hidden = found.drift.filter((d) => d.disposition === "ignored" && !d.healed).length;
  const rows = found.drift.filter((d) => withIgnored || d.disposition !== "ignored");
  const fields = folded(rows), open = fields.filter((d) => !d.healed), healed = fields.filter((d) => d.healed), n = rowsAsked(query);
  const go = function () { location.hash = "#/drift?" + new URLSearchParams({in: this.form.elements.in.value, ...(this.form.elements.ignored.checked ? {ignored: 1} : {})}); };
  return [h("h1", {}, "Drift"), h("form", {class: "filters", onsubmit: (e) => e.preventDefault()},
    h("label", {}, "Last ", h("select", {name: "in", onchange: go}, Object.keys(SPANS).map((s) => h("option", {value: s, selected: s === span}, s)))),
    h("label", {}, h("input", {type: "checkbox", name: "ignored", checked: withIgnored, onchange: go}), ` with ignored (${hidden})`)),
    h("h2", {}, `Open (${open.length})`), driftTable(open.slice(0, n), noDrift(found)), more(query, Math.min(n, open.length), open.length),
    unseen(found.unknown),
    h("h2", {}, "Timeline"), timeline(rows, SPANS[span]),
    h("h2", {}, `Healed (${healed.length})`), driftTable(healed.slice(0, n), "Nothing was healed in this time."), more(query, Math.min(n, healed.length), healed.length),
    found.total > found.drift.length && h("p", {class: "soft"}, `The newest ${found.drift.length} of ${found.total}; 'spinel drift --since' tells all.`),
    strangers("Not ours", found.unmanaged), strangers("No longer in Git", found.orphans)];
}
