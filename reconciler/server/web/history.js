// SPDX-License-Identifier: MPL-2.0
// Operations, revisions, one revision's trace, events.
import {h, svg} from "./dom.js";
import {ago, code, cut, get, lasted, linkTo, linkWith, marked, more, row, rowsAsked, soft, table, view} from "./parts.js";

const progress = new Map(); // of operations under way, by op: {percent, what}
export function progressTake(news) {
  for (const e of news) {
    if (e.type === "op.progress") progress.set(e.data.op, {percent: e.data.percent ?? 0, what: e.data.what ?? ""});
    else if (e.type.startsWith("op.")) progress.delete(e.data?.op);
  }
}
export const progressForget = () => progress.clear();

const TONES = {confirmed: "true", failed: "drifting", pending: "pending", claimed: "pending"};
function operationState(o) {
  const p = !o.finishedAt && progress.get(o.op);
  return [marked(TONES[o.state] ?? "soft", o.state), o.finishedAt ? soft(` in ${lasted(Math.round((Date.parse(o.finishedAt) - Date.parse(o.createdAt)) / 1000))}`) : "",
    p && [" ", h("progress", {max: 100, value: p.percent, "aria-label": p.what}), ` ${p.percent} % ${p.what}`]];
}

export function operationTable(list) {
  return table(["When", "Operation", "State", "Tries", "What went wrong", "More"], list.map((o) => row(o.op,
    ago(o.createdAt), [o.verb, " ", linkTo({uid: o.uid, kind: o.step?.kind ?? "", project: o.step?.project, name: o.step?.name ?? o.uid.slice(0, 8)})],
    operationState(o), o.attempts, o.error ?? "",
    h("details", {}, h("summary", {}, o.op.slice(0, 8)), h("dl", {class: "facts"}, h("dt", {}, "operation"), h("dd", {}, code(o.op)), h("dt", {}, "plan"), h("dd", {}, code(o.plan)),
      h("dt", {}, "epoch"), h("dd", {}, o.epoch), o.step?.reason && [h("dt", {}, "why"), h("dd", {}, o.step.reason)],
      (o.step?.fields ?? []).length > 0 && [h("dt", {}, "fields"), h("dd", {}, o.step.fields.map((f) => f.path.replace(/^spec\./, "")).join(", "))])))), "No operation yet.");
}

function pages(query, offset, has, limit) {
  return (offset > 0 || has === limit) && h("p", {}, offset > 0 && h("a", {href: linkWith(query, {offset: Math.max(0, offset - limit) || null})}, "Newer"), " ",
    has === limit && h("a", {href: linkWith(query, {offset: offset + limit})}, "Older"));
}

export async function operations(query) {
  const uid = query.get("uid"), offset = Number(query.get("offset")) || 0, limit = 100;
  const list = (await get("operations", {limit, offset, uid})).operations;
  const open = list.filter((o) => !o.finishedAt), done = list.filter((o) => o.finishedAt);
  return [h("h1", {}, "Operations"), uid && h("p", {}, "Of ", linkTo({uid}, "one resource"), " only. ", h("a", {href: "#/operations"}, "All")),
    h("h2", {}, `Under way (${open.length})`), open.length ? operationTable(open) : h("p", {class: "soft"}, "Nothing is under way."),
    h("h2", {}, "Ended"), operationTable(done), pages(query, offset, list.length, limit)];
}

export async function revisions(query) {
  const offset = Number(query.get("offset")) || 0, limit = 50;
  const {revisions} = await get("revisions", {offset, limit});
  return [h("h1", {}, "Revisions"), table(["Nr", "Commit", "Pushed", "Outcome", "Pushed by", "Author", "Subject"], revisions.map((r) => row("r" + r.revision,
    r.state === "refused" ? r.revision : h("a", {href: "#/trace/" + r.revision}, r.revision), code(r.commit.slice(0, 12)), ago(r.at),
    r.convergedAt ? [marked("true", "converged"), soft(` after ${lasted(Math.max(0, Math.round((Date.parse(r.convergedAt) - Date.parse(r.at)) / 1000)))}`)] : marked(r.state === "refused" ? "drifting" : "pending", r.state),
    r.pushedBy ?? soft("not known"), r.author, [r.subject, r.message && marked("drifting", (r.subject ? ": " : "") + r.message)])), "Nothing was pushed yet."), pages(query, offset, revisions.length, limit)];
}

const STATUS = {ok: "true", error: "drifting", open: "pending", superseded: "held"};
// What a revision spent its time on: one line a span, as 'spinel trace' shows it.
export async function trace(query, number) {
  const t = await get("trace", {revision: number});
  const root = t.spans[0], depth = (s) => s.parent === null ? 0 : s.parent === root.span ? 1 : 2;
  const whole = Math.max(1, ...t.spans.map((s) => s.offset + (s.ms ?? 0)));
  const wide = Math.max(340, Math.min(view.clientWidth - 4, 1360)), names = wide < 700 ? 150 : 280, took = 64, line = 20, room = wide - names - took;
  const list = t.spans;
  return [h("h1", {}, `Trace of revision ${t.revision.revision}: `, marked(t.outcome === "converged" ? "true" : t.outcome === "open" ? "pending" : "held", t.outcome)),
    h("p", {class: "soft"}, code(t.revision.commit.slice(0, 12)), ` “${t.revision.subject}”`, t.revision.pushedBy ? `, pushed by ${t.revision.pushedBy}` : "", `, ${t.failures} failures. Trace `, code(t.trace)),
    svg("svg", {viewBox: `0 0 ${wide} ${list.length * line}`, width: wide, height: list.length * line, class: "map", role: "group", "aria-label": "Waterfall"},
      list.map((s, i) => {
        const from = names + s.offset * room / whole, length = Math.max(2, (s.ms ?? whole - s.offset) * room / whole), d = depth(s);
        const text = svg("text", {x: d * 12, y: i * line + 14, class: d === 2 ? "second" : null}, cut(s.name, Math.floor(names / 7.2) - 2 * d), svg("title", {}, s.name));
        return [s.attributes.uid ? svg("a", {href: "#/resource/" + s.attributes.uid}, text) : text,
          svg("rect", {x: from, y: i * line + 4, width: length, height: line - 8, rx: 2, class: "span " + STATUS[s.status]}, svg("title", {}, `${s.name}: ${s.status}${s.attributes.error ? ", " + s.attributes.error : ""}`)),
          svg("text", {x: wide - 2, y: i * line + 14, class: "second", "text-anchor": "end"}, s.ms === null ? "open" : s.ms + " ms")];
      })),
    t.total > list.length && h("p", {class: "soft"}, `${t.total - list.length} more: spinel trace ${t.revision.revision}`)];
}

const TYPES = {"drift.found": "drifting", "op.failed": "drifting", "drift.contested": "held", converged: "true", "drift.healed": "true"};
export function eventTable(list) {
  return table(["At", "What", "Text"], list.map((e) => row("e" + e.seq,
    h("time", {datetime: e.at, title: e.at}, e.at.slice(0, 10), " ", e.at.slice(11, 23)), h("span", {class: TYPES[e.type] ?? "soft"}, e.type),
    e.uid ? h("a", {href: "#/resource/" + e.uid}, e.text) : e.text)), "No event yet.");
}

export async function events(query) {
  const before = query.get("before"), limit = rowsAsked(query), newest = await get("events", {limit, before: before ?? Number.MAX_SAFE_INTEGER});
  const list = newest.events, last = list.at(-1);
  return [h("h1", {}, "Events"), before && h("p", {}, h("a", {href: "#/events"}, "The newest")), eventTable(list),
    list.length === limit && h("p", {}, h("a", {href: linkWith(query, {before: last.seq})}, "Older"))];
}
