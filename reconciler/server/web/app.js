// SPDX-License-Identifier: MPL-2.0
// The viewer. Everything that comes from the server is set as text, never as markup;
// what is looked at is in the URL, so that every view can be linked to.
const MARKS = ["true", "pending", "drifting", "held"];
const VIEWS = [["", "Overview"], ["resources", "Resources"], ["network", "Network"], ["drift", "Drift"], ["plan", "Plan"],
               ["operations", "Operations"], ["revisions", "Revisions"], ["events", "Events"]];
const view = document.getElementById("view");
const live = document.getElementById("live");
let drawing = 0;      // number of the latest draw; older ones are dropped when they arrive
let refresh = null;   // redraws the parts of the present view that may have changed

// h("td", {class: "number"}, 3): an element with attributes, listeners and children.
function h(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children.flat(9)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

async function get(path, query) {
  const url = new URL("/api/v1/" + path, location.origin);
  for (const [key, value] of Object.entries(query ?? {}))
    if (value !== undefined && value !== "") url.searchParams.set(key, value);
  const response = await fetch(url, {headers: {Accept: "application/json"}});
  const body = await response.json();
  if (!response.ok) throw new Error(body.detail ?? response.statusText);
  return body;
}

// ---- small parts ------------------------------------------------------------------------

const label = (o) => `${o.kind} ${o.project ? o.project + "/" : ""}${o.name}`;
const linkTo = (o, text) => h("a", {href: "#/resource/" + o.uid}, text ?? label(o));
const marked = (mark, text) => h("span", {class: mark}, text ?? mark);

function ago(text) {
  if (!text) return "";
  const s = Math.max(0, Math.round((Date.now() - Date.parse(text)) / 1000));
  const words = s < 60 ? s + " s" : s < 3600 ? Math.floor(s / 60) + " min"
              : s < 172800 ? Math.floor(s / 3600) + " h" : Math.floor(s / 86400) + " d";
  return h("time", {datetime: text, title: text}, words + " ago");
}

// 201326592 as "192 MiB", 90 as "1 min 30 s": exactly, or not at all.
function measured(value, unit) {
  const steps = unit === "bytes" ? [["TiB", 2 ** 40], ["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 1024]]
                                 : [["d", 86400], ["h", 3600], ["min", 60]];
  for (const [name, size] of steps) if (value >= size && value % size === 0) return `${value / size} ${name}`;
  return `${value} ${unit === "bytes" ? "bytes" : "s"}`;
}

function shown(value, unit) {
  if (value === undefined || value === null) return h("span", {class: "soft"}, "–");
  if (unit && typeof value === "number") return h("code", {title: String(value)}, measured(value, unit));
  return h("code", {}, typeof value === "string" ? value : JSON.stringify(value));
}

function table(titles, rows, empty) {
  if (rows.length === 0) return h("p", {class: "soft"}, empty);
  return h("div", {class: "scroll", tabindex: "0"}, h("table", {},
    h("thead", {}, h("tr", {}, titles.map((t) => h("th", {scope: "col", class: MARKS.includes(t) && "number"}, t)))),
    h("tbody", {}, rows)));
}
const row = (...cells) => h("tr", {}, cells.map((c) => h("td", {}, c)));

// ---- views ------------------------------------------------------------------------------

function verdict(status) {
  const r = status.resources;
  if (!status.revision) return marked("pending", "Nothing was pushed yet.");
  if (r.drifting) return marked("drifting", `${r.drifting} drifting: the rack is not as Git says.`);
  if (r.held) return marked("held", `${r.held} held until a person decides.`);
  if (r.pending) return marked("pending", `${r.pending} pending: on its way.`);
  return marked("true", "The rack is as Git says.");
}

function byProject(groups) {
  const projects = new Map();
  for (const g of groups) projects.set(g.project ?? "", [...(projects.get(g.project ?? "") ?? []), g]);
  return [...projects.entries()];
}

async function overview() {
  const [status, drift] = await Promise.all([get("status"), get("drift")]);
  const open = drift.drift.filter((d) => !d.healed && d.disposition !== "ignored");
  const revision = status.revision;
  return [
    h("h1", {class: "verdict"}, verdict(status)),
    revision && h("p", {class: "soft"}, "Revision ", revision.revision, " ", h("code", {}, revision.commit.slice(0, 12)),
      ` “${revision.subject}” by ${revision.author.replace(/ <.*/, "")}, `, ago(revision.at),
      revision.convergedAt ? ["; true ", ago(revision.convergedAt)] : "; not true yet"),
    (status.holds ?? []).map((hold) => h("p", {class: "banner"}, `Held by ${hold.rule}: ${hold.reason}. `,
      hold.approvable && (status.decisions ? h("button", {type: "button", onclick: () => decide("approve", {hold: hold.id}, `Approve ${hold.id}? ${hold.reason}`)}, "Approve " + hold.id)
        : h("code", {}, "spinel approve " + hold.id)))),
    status.freezes.map((f) => h("p", {class: "banner"}, `${f.what} are frozen by ${f.who}: ${f.why}`, f.until ? `, until ${f.until}. ` : ". ",
      status.decisions ? h("button", {type: "button", onclick: () => decide("lift", {what: f.what}, `Lift the freeze of ${f.what}?`)}, "Lift") : h("code", {}, "spinel freeze --lift " + f.what))),
    h("div", {class: "tiles"}, MARKS.map((m) =>
      h("a", {class: "tile " + m, href: "#/resources?mark=" + m}, h("b", {}, status.resources[m]), m))),
    h("h2", {}, "Open drift"),
    driftTable(open, "No drift."),
    h("h2", {}, "By project"),
    table(["Project", ...MARKS], byProject(status.groups).map(([project, groups]) => h("tr", {},
      h("td", {}, project ? h("a", {href: "#/resources?" + new URLSearchParams({project})}, project) : h("span", {class: "soft"}, "rack")),
      MARKS.map((m) => groups.reduce((sum, g) => sum + g[m], 0)).map((n, i) => h("td", {class: "number"}, n ? marked(MARKS[i], n) : h("span", {class: "soft"}, "0"))))),
      "Nothing is declared."),
    h("h2", {}, "By project and kind"),
    table(["Project", "Kind", ...MARKS], status.groups.map((g) => h("tr", {},
      h("td", {}, g.project ?? h("span", {class: "soft"}, "rack")),
      h("td", {}, h("a", {href: "#/resources?" + new URLSearchParams({kind: g.kind, project: g.project ?? ""})}, g.kind)),
      MARKS.map((m) => h("td", {class: "number"}, g[m] ? marked(m, g[m]) : h("span", {class: "soft"}, "0"))))),
      "Nothing is declared."),
    status.decisions && freezeForm(),
  ];
}

// ---- decisions --------------------------------------------------------------------------

let token = ""; // kept by this page alone, until it is left

// What a person with the token decides. There is no cookie: nothing goes along by itself.
async function decide(what, body, question) {
  const dialog = document.getElementById("decide"), form = dialog.querySelector("form");
  form.elements.token.value = token;
  dialog.querySelector("p").textContent = question;
  dialog.querySelector("[role=alert]").textContent = "";
  form.onsubmit = async (event) => {
    event.preventDefault();
    token = form.elements.token.value;
    const response = await fetch("/api/v1/" + what, {method: "POST", body: JSON.stringify(body),
      headers: {"Content-Type": "application/json", Authorization: "Bearer " + token}}).catch((e) => ({ok: false, json: async () => ({detail: e.message})}));
    if (response.ok) { dialog.close(); draw(false); return; }
    dialog.querySelector("[role=alert]").textContent = (await response.json()).detail;
  };
  dialog.querySelector("button[type=button]").onclick = () => dialog.close();
  dialog.showModal();
}

function freezeForm() {
  const form = h("form", {class: "filters", onsubmit: (event) => {
    event.preventDefault();
    const {what, why, until} = form.elements;
    decide("freeze", {what: what.value, why: why.value, until: until.value}, `Freeze ${what.value}: ${why.value}`);
  }}, h("select", {name: "what", "aria-label": "What"}, ["changes", "healing", "deletions"].map((w) => h("option", {}, w))),
    h("input", {name: "why", required: true, placeholder: "Why", "aria-label": "Why"}),
    h("input", {name: "until", placeholder: "For how long, such as 2h", "aria-label": "For how long"}),
    h("button", {}, "Freeze"));
  return h("details", {}, h("summary", {}, "Freeze"), form);
}

function lasted(s) {
  return s < 60 ? s + " s" : s < 3600 ? Math.round(s / 60) + " min" : s < 172800 ? Math.round(s / 3600) + " h" : Math.round(s / 86400) + " d";
}

// A field that came back again and again is one row, by its newest, with how often and in how long.
function folded(rows) {
  const fields = new Map();
  for (const d of rows) {
    const key = d.uid + " " + d.path, known = fields.get(key);
    if (known) { known.times++; known.first = d.since; } else fields.set(key, {...d, times: 1, first: d.since});
  }
  return [...fields.values()];
}

function outcome(d) {
  if (d.healed) return marked("true", ["healed in ", lasted(d.healed.after), ", ", ago(d.healed.at)]);
  return d.disposition === "ignored" ? h("span", {class: "soft"}, "ignored") : marked("drifting", d.disposition === "run" ? "being healed" : d.disposition);
}

function driftTable(rows, empty) {
  return table(["Resource", "Field", "Should be", "Is", "Since", "Probable cause", "Found by", "Outcome"], folded(rows).map((d) => row(
    linkTo(d), h("code", {}, d.path), shown(d.desired, d.unit), shown(d.observed, d.unit), ago(d.since), d.cause, d.detectedBy,
    [outcome(d), d.times > 1 && h("span", {class: "soft"}, ` ${d.times} times in ${lasted(Math.max(1, Math.round((Date.parse(d.lastSeen) - Date.parse(d.first)) / 1000)))}`),
     d.times === 1 && d.count > 0 && h("span", {class: "soft"}, ` ${d.count} times before`)])), empty);
}

const SPANS = {"1 hour": 3600, "24 hours": 86400, "7 days": 604800, "30 days": 2592000};
// One lane a field, from when it was seen to when it was healed.
function timeline(rows, seconds) {
  const lanes = new Map(), now = Date.now(), start = now - seconds * 1000;
  for (const d of rows) {
    if (d.healed && Date.parse(d.healed.at) < start) continue;
    const key = d.uid + " " + d.path;
    if (!lanes.has(key)) lanes.set(key, []);
    lanes.get(key).push(d);
  }
  if (!lanes.size) return h("p", {class: "soft"}, "Nothing drifted in this time.");
  const names = 250, wide = Math.max(420, Math.min(view.clientWidth - 40, 1360)), line = 22, high = lanes.size * line + 26;
  const x = (t) => names + Math.max(0, Math.min(1, (t - start) / (now - start))) * (wide - names - 8);
  const parts = [];
  for (let i = 0; i <= 4; i++) {
    const t = start + i * (now - start) / 4;
    parts.push(svg("line", {x1: x(t), x2: x(t), y1: 0, y2: high - 22, class: "grid"}),
      svg("text", {x: x(t), y: high - 6, class: "second", "text-anchor": i === 4 ? "end" : i ? "middle" : "start"}, i === 4 ? "now" : lasted(Math.round((now - t) / 1000)) + " ago"));
  }
  [...lanes.values()].forEach((list, i) => {
    const d = list[0], y = i * line;
    parts.push(svg("a", {href: "#/resource/" + d.uid}, svg("text", {x: 0, y: y + 15}, cut(`${d.name} ${d.path}`, 34), svg("title", {}, label(d) + " " + d.path))));
    for (const each of list) {
      const from = x(Date.parse(each.since)), to = each.healed ? x(Date.parse(each.healed.at)) : x(now);
      parts.push(svg("rect", {x: from, y: y + 4, width: Math.max(3, to - from), height: line - 8, rx: 2, class: each.healed ? "bar healed" : each.disposition === "ignored" ? "bar ignored" : "bar open"},
        svg("title", {}, `${label(each)} ${each.path}: ${JSON.stringify(each.observed)} instead of ${JSON.stringify(each.desired)}, ${each.cause}, since ${each.since}` + (each.healed ? `, healed after ${each.healed.after} s` : ""))));
    }
  });
  return h("div", {class: "scroll", tabindex: "0"}, svg("svg", {viewBox: `0 0 ${wide} ${high}`, width: wide, height: high, class: "map", role: "group", "aria-label": `Timeline of ${lanes.size} fields`}, parts));
}

async function drift(query) {
  const span = SPANS[query.get("in")] ? query.get("in") : "24 hours", ignored = query.get("ignored") === "1";
  const all = (await get("drift", {limit: 5000, since: Math.round(Date.now() / 1000) - SPANS[span]})).drift;
  const hidden = all.filter((d) => d.disposition === "ignored" && !d.healed).length;
  const rows = all.filter((d) => ignored || d.disposition !== "ignored");
  const open = rows.filter((d) => !d.healed), healed = rows.filter((d) => d.healed);
  const go = () => { location.hash = "#/drift?" + new URLSearchParams({in: form.elements.in.value, ...(form.elements.ignored.checked ? {ignored: 1} : {})}); };
  const form = h("form", {class: "filters", onsubmit: (e) => e.preventDefault()},
    h("label", {}, "Last ", h("select", {name: "in", onchange: go}, Object.keys(SPANS).map((s) => h("option", {value: s, selected: s === span}, s)))),
    h("label", {}, h("input", {type: "checkbox", name: "ignored", checked: ignored, onchange: go}), ` with ignored (${hidden})`));
  return [h("h1", {}, "Drift"), form,
    h("h2", {}, "Open"), driftTable(open, "No drift."),
    h("h2", {}, "Timeline"), timeline(rows, SPANS[span]),
    h("h2", {}, "Healed"), driftTable(healed, "Nothing was healed in this time.")];
}

// A window onto up to a million rows: only those in sight exist, fetched a page at a time.
const ROW = 32, PAGE = 200;
async function resources(query) {
  const status = await get("status");
  const kinds = [...new Set(status.groups.map((g) => g.kind))].sort();
  const projects = [...new Set(status.groups.map((g) => g.project ?? ""))].filter(Boolean).sort();
  const pages = new Map();
  let total = 0;
  const space = h("div", {role: "presentation"});
  const frame = h("div", {class: "window", tabindex: "0", role: "table", "aria-label": "Resources"}, space);
  const count = h("p", {class: "soft", role: "status"});
  const filters = {q: query.get("q") ?? "", kind: query.get("kind") ?? "", project: query.get("project") ?? "", mark: query.get("mark") ?? ""};

  async function page(number) {
    if (pages.has(number)) return;
    pages.set(number, null);
    const got = await get("resources", {...filters, offset: number * PAGE, limit: PAGE});
    pages.set(number, got.items);
    total = got.total;
    space.style.height = Math.min(total * ROW, 1.5e7) + "px";
    count.textContent = `${total} resource${total === 1 ? "" : "s"}`;
  }
  function draw() {
    const first = Math.max(0, Math.floor(frame.scrollTop / ROW) - 10);
    const last = Math.min(total, Math.ceil((frame.scrollTop + frame.clientHeight) / ROW) + 10);
    const rows = [];
    for (let i = first; i < last; i++) {
      const items = pages.get(Math.floor(i / PAGE));
      if (items === undefined) page(Math.floor(i / PAGE)).then(draw, failed);
      const item = items?.[i % PAGE];
      const line = item ? h("div", {class: "row", role: "row"},
        h("span", {role: "cell"}, item.kind), h("span", {role: "cell", class: "soft"}, item.project ?? "rack"),
        h("span", {role: "cell"}, linkTo(item, item.name)), h("span", {role: "cell"}, marked(item.mark)),
        h("span", {role: "cell"}, item.state),
        h("span", {role: "cell", class: "soft"}, item.action ? `${item.action}: ${item.reason ?? item.disposition}` : ""))
        : h("div", {class: "row soft", role: "row"}, "…");
      line.style.top = i * ROW + "px";
      rows.push(line);
    }
    space.replaceChildren(...rows);
  }
  async function reload() {
    pages.clear();
    await page(Math.floor(frame.scrollTop / ROW / PAGE));
    draw();
  }
  function changed() {
    for (const field of form.elements) filters[field.name] = field.value;
    const kept = Object.entries(filters).filter(([, v]) => v !== "");
    history.replaceState(null, "", "#/resources" + (kept.length ? "?" + new URLSearchParams(kept) : ""));
    frame.scrollTop = 0;
    reload().catch(failed);
  }
  const choice = (name, all, values) => h("select", {name, "aria-label": name, onchange: changed},
    h("option", {value: ""}, all), values.map((v) => h("option", {value: v, selected: v === filters[name]}, v)));
  const form = h("form", {class: "filters", role: "search", onsubmit: (e) => e.preventDefault()},
    h("input", {type: "search", name: "q", placeholder: "Name, project, kind or uid", "aria-label": "Search", value: filters.q, oninput: changed}),
    choice("kind", "All kinds", kinds), choice("project", "All projects", projects), choice("mark", "All states", MARKS));
  frame.addEventListener("scroll", draw, {passive: true});
  refresh = reload;
  await page(0);
  requestAnimationFrame(draw);
  return [h("h1", {}, "Resources"), form, count, frame];
}

// {a: {b: 1}, c: [2]} as [["a.b", 1], ["c", [2]]]; lists of named maps by their names.
function leaves(value, path = "", out = []) {
  if (Array.isArray(value) && value.length && value.every((v) => v && typeof v === "object" && "name" in v))
    for (const item of value) leaves(item, `${path}[${item.name}]`, out);
  else if (value && typeof value === "object" && !Array.isArray(value))
    for (const [key, item] of Object.entries(value)) leaves(item, path ? path + "." + key : key, out);
  else out.push([path, value]);
  return out;
}

function sides(o) {
  const columns = [o.desired, o.booted, o.observed].map((s) => new Map(s ? leaves(s) : []));
  const paths = [...new Set(columns.flatMap((c) => [...c.keys()]))];
  const touched = new Set([...(o.step?.fields ?? []), ...o.drift.filter((d) => !d.healed)].map((f) => f.path.replace(/^spec\./, "")));
  return table(["Field", "Desired", "Booted", "Observed"], paths.map((path) => {
    const line = row(h("code", {}, path), ...columns.map((c) => shown(c.get(path), o.units[path.replace(/\[[^\]]*\]/g, "")])));
    if (touched.has(path)) line.classList.add("changed");
    return line;
  }), "No field is known yet.");
}

// The tree of what an object needs, or what needs it; a branch is asked for when it is opened.
function branches(list, side, empty) {
  if (!list.length) return h("p", {class: "soft"}, empty);
  return h("ul", {class: "tree"}, list.map((o) => {
    const inner = h("div", {class: "soft"}, "…");
    const open = async (event) => {
      if (!event.target.open || inner.dataset.asked) return;
      inner.dataset.asked = "1";
      const got = await get("resources/" + o.uid).catch(() => ({[side]: []}));
      inner.replaceChildren(branches(got[side], side, "nothing more"));
    };
    return h("li", {}, linkTo(o), " ", marked(o.mark),
      h("details", {ontoggle: open}, h("summary", {}, (side === "needs" ? "What it needs" : "What needs it"), h("span", {class: "unseen"}, ": " + label(o))), inner));
  }));
}

async function resource(query, uid) {
  const o = await get("resources/" + encodeURIComponent(uid));
  const facts = leaves(o.status ?? {}).filter(([, v]) => v !== null);
  return [
    h("h1", {}, label(o), " ", marked(o.mark)),
    o.step && h("p", {}, `${o.step.action}, ${o.step.disposition}: ${o.step.reason ?? ""}`),
    h("dl", {class: "facts"}, h("dt", {}, "uid"), h("dd", {}, h("code", {}, o.uid)),
      h("dt", {}, "observed"), h("dd", {}, ago(o.observedAt)),
      facts.map(([key, value]) => [h("dt", {}, key), h("dd", {}, typeof value === "object" ? JSON.stringify(value) : String(value))])),
    (o.damage ?? []).length > 0 && [h("h2", {}, "Damage"), table(["Where", "Should be", "Is"], o.damage.map((d) =>
      row(h("code", {}, d.path), shown(d.desired), marked("drifting", d.observed))))],
    h("h2", {}, "Desired, booted, observed"), sides(o),
    h("h2", {}, "Needs"), branches(o.needs, "needs", "It needs nothing else."),
    h("h2", {}, "Needed by"), branches(o.neededBy, "neededBy", "Nothing needs it."),
    h("h2", {}, "Drift"), driftTable(o.drift, "It has never drifted."),
    h("h2", {}, "Operations"), operationTable(o.operations),
  ];
}

function operationTable(list) {
  const tone = {confirmed: "true", failed: "drifting", pending: "pending", claimed: "pending"};
  return table(["When", "Operation", "State", "Attempts", "Error"], list.map((o) => row(
    ago(o.createdAt), [o.verb, " ", linkTo({uid: o.uid, kind: o.step?.kind ?? "", project: o.step?.project, name: o.step?.name ?? o.uid.slice(0, 8)})],
    [marked(tone[o.state] ?? "soft", o.state), !o.finishedAt && progress.has(o.op) && [" ", h("progress", {max: 100, value: progress.get(o.op).percent, "aria-label": progress.get(o.op).what}), ` ${progress.get(o.op).percent} % ${progress.get(o.op).what}`]],
    o.attempts, o.error ?? "")), "No operation yet.");
}

const progress = new Map(); // of operations under way, by op: {percent, what}
function progressTake(news) {
  for (const e of news) {
    if (e.type === "op.progress") progress.set(e.data.op, {percent: e.data.percent ?? 0, what: e.data.what ?? ""});
    else if (e.type.startsWith("op.")) progress.delete(e.data?.op);
  }
}

async function operations() {
  const list = (await get("operations", {limit: 200})).operations;
  const open = list.filter((o) => !o.finishedAt), done = list.filter((o) => o.finishedAt);
  return [h("h1", {}, "Operations"), h("h2", {}, `Under way (${open.length})`), open.length ? operationTable(open) : h("p", {class: "soft"}, "Nothing is under way."),
    h("h2", {}, "Ended"), operationTable(done)];
}

// ---- the network map --------------------------------------------------------------------

function svg(name, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined && value !== null) element.setAttribute(key, value);
  element.append(...children.flat(9).filter((c) => c !== null && c !== undefined && c !== false));
  return element;
}
const cut = (text, most) => text.length > most ? text.slice(0, most - 1) + "…" : text;

// One tile: a link with a name, a line below it, and everything in its title.
function tile(o, x, y, wide, second) {
  return svg("a", {href: "#/resource/" + o.uid, class: "node " + o.mark},
    svg("title", {}, `${label(o)}: ${o.mark}, ${o.state}. ${second}`),
    svg("rect", {x, y, width: wide, height: 38, rx: 4}),
    svg("text", {x: x + 8, y: y + 16}, cut(o.name, Math.floor(wide / 7.2))),
    svg("text", {x: x + 8, y: y + 31, class: "second"}, cut(second, Math.floor(wide / 6.4))));
}

const TILE = 158, GAP = 10;
function vpcMap(vpc, all, wide) {
  const inside = (kind) => all.filter((o) => o.kind === kind && o.spec && o.spec.vpc === vpc.name && (o.project === vpc.project));
  const subnets = inside("Subnet"), outside = [...inside("FloatingIP"), ...inside("PortForward")], firewalls = inside("Firewall");
  const columns = Math.max(1, Math.floor((wide - 4 * GAP) / (TILE + GAP)));
  const back = [], lines = [], parts = [], places = new Map();
  let y = 0;
  const grid = (list, text, place) => {
    list.forEach((o, i) => {
      const x = 2 * GAP + (i % columns) * (TILE + GAP), top = y + Math.floor(i / columns) * (38 + GAP);
      parts.push(tile(o, x, top, TILE, text(o)));
      place?.(o, x + TILE / 2, top);
    });
    y += Math.ceil(list.length / columns) * (38 + GAP);
  };
  const ends = [];
  if (outside.length) {
    y += 22;
    parts.push(svg("text", {x: GAP, y: y - 7, class: "second"}, "From outside"));
    grid(outside, (o) => o.kind === "FloatingIP" ? `${o.spec.address} → ${o.spec.instance ?? "nowhere"}`
      : `${o.spec.protocol} ${o.spec.port} → ${o.spec.instance}:${o.spec.targetPort ?? o.spec.port}`,
      (o, x, top) => ends.push([o, x, top + 38]));
  }
  for (const subnet of subnets) {
    const nics = all.filter((o) => o.kind === "NIC" && o.spec?.subnet === subnet.name && o.project === subnet.project);
    const top = y + 8;
    y += 36;
    grid(nics, (o) => o.spec.address ?? "no address yet", (o, x, nicTop) => places.set(`${o.spec.instance}`, [x, nicTop]));
    if (!nics.length) { parts.push(svg("text", {x: 2 * GAP, y: y + 14, class: "second"}, "no NIC")); y += 24; }
    back.push(svg("rect", {x: GAP, y: top, width: wide - 2 * GAP, height: y - top + 2, rx: 6, class: "subnet"}));
    parts.push(svg("a", {href: "#/resource/" + subnet.uid, class: subnet.mark}, svg("text", {x: 2 * GAP, y: top + 18}, `${subnet.name}  ${subnet.spec.cidr}`)));
    y += GAP;
  }
  for (const [o, x, from] of ends) {
    const to = places.get(o.spec.instance);
    if (to) lines.push(svg("path", {d: `M${x} ${from} C${x} ${(from + to[1]) / 2} ${to[0]} ${(from + to[1]) / 2} ${to[0]} ${to[1]}`, class: "lead"}));
  }
  const target = (t) => Object.entries(t)[0]?.join(" ") ?? "";
  return h("section", {},
    h("h2", {}, linkTo(vpc), " ", marked(vpc.mark), h("span", {class: "soft"},
      ` ${(vpc.spec?.prefixes ?? []).join(", ")}${vpc.spec?.nat === false ? ", no way out" : ", out through NAT"}`)),
    svg("svg", {viewBox: `0 0 ${wide} ${Math.max(y, 20)}`, width: wide, height: Math.max(y, 20), class: "map", role: "group", "aria-label": "Map of " + label(vpc)}, back, lines, parts),
    firewalls.map((f) => h("details", {}, h("summary", {}, `Rules of ${label(f)} (${(f.spec.rules ?? []).length})`), h("p", {}, linkTo(f)),
      table(["Rule", "Direction", "Action", "For", "Other end", "Protocols"], (f.spec.rules ?? []).map((r) => row(r.name, r.direction ?? "in", r.action ?? "allow",
        (r.targets ?? []).map(target).join("; ") || "all", (r.hosts ?? []).map(target).join("; ") || "anyone",
        (r.protocols ?? []).map((p) => [p.protocol, ...(p.ports ?? [])].join(" ")).join("; ") || "all")), "No rule: nothing comes in."))));
}

async function network() {
  const {objects} = await get("network");
  const wide = Math.max(300, Math.min(view.clientWidth - 40, 1360));
  const vpcs = objects.filter((o) => o.kind === "VPC");
  return [h("h1", {}, "Network"),
    vpcs.length === 0 && h("p", {class: "soft"}, "No VPC is declared."),
    vpcs.map((vpc) => vpcMap(vpc, objects, wide))];
}

async function plan() {
  const p = await get("plan");
  return [h("h1", {}, "Plan"),
    h("p", {class: "soft"}, "For ", h("code", {}, p.commit.slice(0, 12)), ", from what was observed last. ",
      `${p.summary.run} to run, ${p.summary.deferred} deferred, ${p.summary.held} held.`),
    p.steps.length === 0 && h("p", {}, marked("true", "No changes. The rack matches Git.")),
    p.steps.map((s) => [
      h("h2", {}, h("span", {class: s.cause === "drift" ? "drifting" : "pending"}, s.action), " ", linkTo(s), " ",
        s.disposition !== "run" && marked("held", `[${s.disposition}${s.hold ? " " + s.hold : ""}]`)),
      h("p", {class: "soft"}, s.reason ?? ""),
      s.fields.length > 0 && table(["Field", "From", "To", "Change", "Why"], s.fields.map((f) =>
        row(h("code", {}, f.path), shown(f.from, f.unit), shown(f.to, f.unit), f.change, f.reason ?? "")))])];
}

async function revisions() {
  const {revisions} = await get("revisions");
  return [h("h1", {}, "Revisions"), table(["Nr", "Commit", "When", "Outcome", "Pushed by", "Author", "Subject"], revisions.map((r) => row(
    h("a", {href: "#/trace/" + r.revision}, r.revision), h("code", {}, r.commit.slice(0, 12)), ago(r.at),
    r.convergedAt ? marked("true", "converged") : marked(r.state === "refused" ? "drifting" : "pending", r.state),
    r.pushedBy ?? "", r.author, r.message ?? r.subject)), "Nothing was pushed yet.")];
}

const STATUS = {ok: "true", error: "drifting", open: "pending", superseded: "held"};
// What a revision spent its time on: one line a span, as 'spinel trace' shows it.
async function trace(query, number) {
  const t = await get("trace", {revision: number});
  const root = t.spans[0], depth = (s) => s.parent === null ? 0 : s.parent === root.span ? 1 : 2;
  const whole = Math.max(1, ...t.spans.map((s) => s.offset + (s.ms ?? 0)));
  const names = 280, took = 70, line = 20, wide = Math.max(520, Math.min(view.clientWidth - 40, 1360)), room = wide - names - took;
  const list = t.spans.slice(0, 1000);
  return [h("h1", {}, `Trace of revision ${t.revision.revision}: `, marked(t.outcome === "converged" ? "true" : t.outcome === "open" ? "pending" : "held", t.outcome)),
    h("p", {class: "soft"}, h("code", {}, t.revision.commit.slice(0, 12)), ` “${t.revision.subject}”`, t.revision.pushedBy ? `, pushed by ${t.revision.pushedBy}` : "", `, ${t.failures} failures. Trace `, h("code", {}, t.trace)),
    h("div", {class: "scroll", tabindex: "0"}, svg("svg", {viewBox: `0 0 ${wide} ${list.length * line}`, width: wide, height: list.length * line, class: "map", role: "group", "aria-label": "Waterfall"},
      list.map((s, i) => {
        const from = names + s.offset * room / whole, length = Math.max(2, (s.ms ?? whole - s.offset) * room / whole), d = depth(s);
        const text = svg("text", {x: d * 14, y: i * line + 14, class: d === 2 ? "second" : null}, cut(s.name, 38 - 2 * d));
        return [s.attributes.uid ? svg("a", {href: "#/resource/" + s.attributes.uid}, text) : text,
          svg("rect", {x: from, y: i * line + 4, width: length, height: line - 8, rx: 2, class: "span " + STATUS[s.status]}, svg("title", {}, `${s.name}: ${s.status}${s.attributes.error ? ", " + s.attributes.error : ""}`)),
          svg("text", {x: wide - 4, y: i * line + 14, class: "second", "text-anchor": "end"}, s.ms === null ? "open" : s.ms + " ms")];
      }))),
    t.spans.length > list.length && h("p", {class: "soft"}, `${t.spans.length - list.length} more: spinel trace ${t.revision.revision}`)];
}

async function events() {
  const list = h("tbody");
  const line = (e) => row(h("time", {datetime: e.at}, e.at.slice(11, 23)), h("span", {class: "soft"}, e.type), e.uid ? h("a", {href: "#/resource/" + e.uid}, e.text) : e.text);
  const got = (await get("events", {limit: 200})).events;
  list.append(...got.reverse().map(line));
  refresh = (news) => { for (const e of news) list.prepend(line(e)); while (list.rows.length > 1000) list.lastChild.remove(); };
  return [h("h1", {}, "Events"), h("div", {class: "scroll", tabindex: "0"}, h("table", {}, list))];
}

// ---- the page ---------------------------------------------------------------------------

const DRAW = {"": overview, resources, network, resource, drift, plan, operations, revisions, events, trace};

function failed(error) {
  view.replaceChildren(h("h1", {}, "It cannot be shown"), h("p", {class: "drifting"}, error.message),
    h("p", {}, h("a", {href: "#/"}, "Overview")));
}

async function draw(isAnew) {
  const number = ++drawing;
  const [path, query] = (location.hash.replace(/^#\/?/, "") + "?").split("?");
  const [name, rest] = path.split("/");
  const make = DRAW[name] ?? (() => [h("h1", {}, "There is no such view")]);
  document.querySelectorAll("nav a").forEach((a) => {
    if (a.dataset.view === name) a.setAttribute("aria-current", "page"); else a.removeAttribute("aria-current");
  });
  refresh = null;
  try {
    const parts = await make(new URLSearchParams(query), rest);
    if (number !== drawing) return;
    view.replaceChildren(...parts.flat(9).filter((p) => p));
    if (isAnew) { view.focus({preventScroll: true}); scrollTo(0, 0); }
    document.title = (view.querySelector("h1")?.textContent ?? "Spinel") + " · Spinel";
  } catch (error) {
    if (number === drawing) failed(error);
  }
}

function listen() {
  const stream = new EventSource("/api/v1/stream");
  let news = [], timer = null, late = null;
  stream.addEventListener("spinel", (message) => {
    news.push(JSON.parse(message.data));
    timer ??= setTimeout(() => {
      const taken = news;
      news = []; timer = null;
      progressTake(taken);
      if (refresh) Promise.resolve(refresh(taken)).catch(failed); else draw(false);
      clearTimeout(late); // of a large rack, what was shown may have been older than the news
      late = setTimeout(() => { if (refresh) Promise.resolve(refresh([])).catch(failed); else draw(false); }, 2500);
    }, 150);
  });
  stream.addEventListener("open", () => { live.textContent = "live"; live.className = "true"; });
  stream.addEventListener("error", () => { live.textContent = "not connected; trying again"; live.className = "held"; });
}

document.getElementById("nav").append(...VIEWS.map(([name, text]) => h("a", {href: "#/" + name, "data-view": name}, text)));
get("status").then((s) => { document.getElementById("rack").textContent = s.rack; }, () => {});
addEventListener("hashchange", () => draw(true));
draw(false);
listen();
