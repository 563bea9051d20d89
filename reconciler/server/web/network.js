// SPDX-License-Identifier: MPL-2.0
// The network as a map: each VPC with what leads into it, its rules, its subnets and their NICs. What a
// rule or a forward is about lights up when one points at it.
import {h, svg} from "./dom.js";
import {cut, get, label, linkTo, marked, row, table, view} from "./parts.js";

const GAP = 10, HIGH = 40, RULES = 24, WORST = ["true", "unknown", "pending", "held", "drifting"];

function tile(o, x, y, wide, text, second, more = {}) {
  return svg("a", {href: "#/resource/" + o.uid, class: "node " + (more.mark ?? o.mark), "data-key": o.uid + (more.key ?? ""), "data-nic": more.nic, ...more.listeners},
    svg("title", {}, `${label(o)}: ${more.title ?? `${o.mark}, ${o.state}`}. ${second}`),
    svg("rect", {x, y, width: wide, height: HIGH, rx: 5}),
    svg("text", {x: x + 9, y: y + 17}, cut(text, Math.floor((wide - 14) / 7.3))),
    svg("text", {x: x + 9, y: y + 32, class: "second"}, cut(second, Math.floor((wide - 14) / 6.3))));
}

// Points at the NICs that `is` picks, while the pointer or the focus is on it.
function pointing(is) {
  const light = (on) => function () {
    for (const node of this.closest("svg").querySelectorAll("[data-nic]")) node.classList.toggle("hit", on && is(node.dataset.nic));
  };
  return {onmouseenter: light(true), onmouseleave: light(false), onfocus: light(true), onblur: light(false)};
}

const target = (t) => Object.entries(t)[0]?.join(" ") ?? "";
function selects(selectors, nic) {
  return selectors.length === 0 || selectors.some((s) => {
    const [kind, word] = Object.entries(s)[0] ?? [];
    if (kind === "label") { const [k, v] = word.split("="); return nic.spec.labels?.[k] === v; }
    return kind === "vpc" || (kind === "instance" && nic.spec.instance === word) || (kind === "subnet" && nic.spec.subnet === word) || nic.spec.address === word;
  });
}
const protocols = (r) => (r.protocols ?? []).map((p) => [p.protocol, ...(p.ports ?? [])].join(" ")).join("; ") || "all";
const whom = (list, none) => (list ?? []).map(target).join("; ") || none;

function vpcMap(vpc, all, wide) {
  const mine = (o) => o.project === vpc.project, inside = (kind) => all.filter((o) => o.kind === kind && o.spec?.vpc === vpc.name && mine(o));
  const subnets = inside("Subnet"), firewalls = inside("Firewall"), doors = [...inside("FloatingIP"), ...inside("PortForward")];
  const names = new Set(subnets.map((s) => s.name)), nics = all.filter((o) => o.kind === "NIC" && mine(o) && names.has(o.spec?.subnet));
  const machines = new Map(all.filter((o) => o.kind === "Instance" && mine(o)).map((o) => [o.name, o]));
  const columns = Math.max(2, Math.floor((wide - 3 * GAP) / 168)), size = (wide - 3 * GAP) / columns - GAP;
  const back = [], parts = [];
  let y = 0;
  const grid = (list, make) => {
    list.forEach((o, i) => parts.push(make(o, 2 * GAP + (i % columns) * (size + GAP), y + Math.floor(i / columns) * (HIGH + GAP))));
    y += Math.ceil(list.length / columns) * (HIGH + GAP);
  };
  const heading = (text) => { y += 22; parts.push(svg("text", {x: GAP, y: y - 7, class: "second"}, text)); };
  if (doors.length) {
    heading("From outside");
    grid(doors, (o, x, top) => tile(o, x, top, size, o.name, o.kind === "FloatingIP" ? `${o.spec.address} → ${o.spec.instance ?? "nowhere"}`
      : `${o.spec.protocol ?? "tcp"} ${o.spec.port} → ${o.spec.instance}:${o.spec.targetPort ?? o.spec.port}`,
      {listeners: pointing((uid) => nics.find((n) => n.uid === uid)?.spec.instance === o.spec.instance)}));
  }
  const rules = firewalls.flatMap((f) => (f.spec.rules ?? []).map((r) => [f, r]));
  if (rules.length) {
    heading(`Rules${rules.length > RULES ? `, the first ${RULES} of ${rules.length}` : ""}`);
    grid(rules.slice(0, RULES), ([f, r], x, top) => tile(f, x, top, size, `${r.direction === "out" ? "↑" : "↓"} ${r.action ?? "allow"} ${r.name}`,
      `${protocols(r)}, ${r.direction === "out" ? "to" : "from"} ${whom(r.hosts, "anyone")}`, {key: r.name, mark: f.mark === "true" && r.action === "deny" ? "held" : f.mark,
        title: `rule ${r.name} for ${whom(r.targets, "all")}`, listeners: pointing((uid) => selects(r.targets ?? [], nics.find((n) => n.uid === uid)))}));
  }
  for (const subnet of subnets) {
    const list = nics.filter((n) => n.spec.subnet === subnet.name), top = y + 8;
    y += 36;
    grid(list, (o, x, at) => {
      const machine = machines.get(o.spec.instance), mark = WORST[Math.max(WORST.indexOf(o.mark), WORST.indexOf(machine?.mark ?? "true"))];
      const led = doors.filter((d) => d.spec.instance === o.spec.instance).length;
      return tile(o, x, at, size, o.name, (o.spec.address ?? "no address yet") + (led ? `  ⇠ ${led}` : ""),
        {mark, nic: o.uid, title: `${o.mark}, ${o.state}; Instance ${o.spec.instance}: ${machine ? `${machine.mark}, ${machine.state}` : "not there"}`});
    });
    if (!list.length) { parts.push(svg("text", {x: 2 * GAP, y: y + 14, class: "second"}, "no NIC")); y += 24; }
    back.push(svg("rect", {x: GAP, y: top, width: wide - 2 * GAP, height: y - top + 2, rx: 6, class: "subnet"}));
    parts.push(svg("a", {href: "#/resource/" + subnet.uid, class: subnet.mark}, svg("text", {x: 2 * GAP, y: top + 18}, `${subnet.name}  ${subnet.spec.cidr}`)));
    y += GAP;
  }
  return h("section", {"data-key": vpc.uid},
    h("h2", {}, linkTo(vpc), " ", marked(vpc.mark), h("span", {class: "soft"}, ` ${(vpc.spec?.prefixes ?? []).join(", ")}${vpc.spec?.nat === false ? ", no way out" : ", out through NAT"}`)),
    svg("svg", {viewBox: `0 0 ${wide} ${Math.max(y, 20)}`, width: wide, height: Math.max(y, 20), class: "map", role: "group", "aria-label": "Map of " + label(vpc)}, back, parts),
    firewalls.map((f) => h("details", {"data-key": f.uid}, h("summary", {}, `Rules of ${label(f)} (${(f.spec.rules ?? []).length})`), h("p", {}, linkTo(f)),
      table(["Rule", "Direction", "Action", "For", "Other end", "Protocols"], (f.spec.rules ?? []).map((r) => row(r.name, r.name, r.direction ?? "in", r.action ?? "allow",
        whom(r.targets, "all"), whom(r.hosts, "anyone"), protocols(r))), "No rule: nothing comes in."))));
}

export async function network() {
  const {objects} = await get("network");
  const wide = Math.max(300, Math.min(view.clientWidth - 4, 1360));
  const vpcs = objects.filter((o) => o.kind === "VPC");
  return [h("h1", {}, "Network"), vpcs.length === 0 && h("p", {class: "soft"}, "No VPC is declared."), vpcs.map((vpc) => vpcMap(vpc, objects, wide))];
}
