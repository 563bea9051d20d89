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
  return h("div", {class: "scroll"}, h("table", {},
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

async function overview() {
  const [status, drift] = await Promise.all([get("status"), get("drift")]);
  const open = drift.drift.filter((d) => !d.healed);
  const revision = status.revision;
  return [
    h("h1", {class: "verdict"}, verdict(status)),
    revision && h("p", {class: "soft"}, "Revision ", revision.revision, " ", h("code", {}, revision.commit.slice(0, 12)),
      ` “${revision.subject}” by ${revision.author.replace(/ <.*/, "")}, `, ago(revision.at),
      revision.convergedAt ? ["; true ", ago(revision.convergedAt)] : "; not true yet"),
    (status.holds ?? []).map((hold) => h("p", {class: "banner"}, `Held by ${hold.rule}: ${hold.reason}. `,
      hold.approvable && h("code", {}, "spinel approve " + hold.id))),
    h("div", {class: "tiles"}, MARKS.map((m) =>
      h("a", {class: "tile " + m, href: "#/resources?mark=" + m}, h("b", {}, status.resources[m]), m))),
    h("h2", {}, "Open drift"),
    driftTable(open, "No drift."),
    h("h2", {}, "By project and kind"),
    table(["Project", "Kind", ...MARKS], status.groups.map((g) => h("tr", {},
      h("td", {}, g.project ?? h("span", {class: "soft"}, "rack")),
      h("td", {}, h("a", {href: "#/resources?" + new URLSearchParams({kind: g.kind, project: g.project ?? ""})}, g.kind)),
      MARKS.map((m) => h("td", {class: "number"}, g[m] ? marked(m, g[m]) : h("span", {class: "soft"}, "0"))))),
      "Nothing is declared."),
  ];
}

function driftTable(rows, empty) {
  return table(["Resource", "Field", "Should be", "Is", "Since", "Probable cause", "Outcome"], rows.map((d) => row(
    linkTo(d), h("code", {}, d.path), shown(d.desired, d.unit), shown(d.observed, d.unit), ago(d.since),
    [d.cause, d.count > 1 ? h("span", {class: "soft"}, ` (${d.count} times)`) : ""],
    d.healed ? marked("true", ["healed ", ago(d.healed.at)]) : marked("drifting", d.disposition))), empty);
}

async function drift() {
  const {drift} = await get("drift");
  return [h("h1", {}, "Drift"),
    h("h2", {}, "Open"), driftTable(drift.filter((d) => !d.healed), "No drift."),
    h("h2", {}, "Healed"), driftTable(drift.filter((d) => d.healed), "Nothing has drifted yet.")];
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
    h("h2", {}, "Drift"), driftTable(o.drift, "It has never drifted."),
    h("h2", {}, "Operations"), operationTable(o.operations),
  ];
}

function operationTable(list) {
  const tone = {confirmed: "true", failed: "drifting", pending: "pending", claimed: "pending"};
  return table(["When", "Operation", "State", "Attempts", "Error"], list.map((o) => row(
    ago(o.createdAt), [o.verb, " ", linkTo({uid: o.uid, kind: o.step?.kind ?? "", project: o.step?.project, name: o.step?.name ?? o.uid.slice(0, 8)})],
    marked(tone[o.state] ?? "soft", o.state), o.attempts, o.error ?? "")), "No operation yet.");
}

async function operations() {
  return [h("h1", {}, "Operations"), operationTable((await get("operations", {limit: 200})).operations)];
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
    firewalls.map((f) => h("details", {}, h("summary", {}, "Rules of ", linkTo(f), ` (${(f.spec.rules ?? []).length})`),
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
    r.revision, h("code", {}, r.commit.slice(0, 12)), ago(r.at),
    r.convergedAt ? marked("true", "converged") : marked(r.state === "refused" ? "drifting" : "pending", r.state),
    r.pushedBy ?? "", r.author, r.message ?? r.subject)), "Nothing was pushed yet.")];
}

async function events() {
  const list = h("tbody");
  const line = (e) => row(h("time", {datetime: e.at}, e.at.slice(11, 23)), h("span", {class: "soft"}, e.type), e.uid ? h("a", {href: "#/resource/" + e.uid}, e.text) : e.text);
  const got = (await get("events", {limit: 200})).events;
  list.append(...got.reverse().map(line));
  refresh = (news) => { for (const e of news) list.prepend(line(e)); while (list.rows.length > 1000) list.lastChild.remove(); };
  return [h("h1", {}, "Events"), h("div", {class: "scroll"}, h("table", {}, list))];
}

// ---- the page ---------------------------------------------------------------------------

const DRAW = {"": overview, resources, network, resource, drift, plan, operations, revisions, events};

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
draw(true);
listen();
