// SPDX-License-Identifier: MPL-2.0
// What the views are made of.
import {h} from "./dom.js";

export const MARKS = ["true", "unknown", "pending", "drifting", "held"];
// What nobody could look at is an exception, and has room only where there is some.
export const marksIn = (sums) => MARKS.filter((m) => m !== "unknown" || sums.unknown);
export const view = document.getElementById("view");

export async function get(path, query) {
  const url = new URL("/api/v1/" + path, location.origin);
  for (const [key, value] of Object.entries(query ?? {}))
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(key, value);
  const response = await fetch(url, {headers: {Accept: "application/json"}});
  const body = await response.json();
  if (!response.ok) throw new Error(body.detail ?? response.statusText);
  return body;
}

export const label = (o) => `${o.kind} ${o.project ? o.project + "/" : ""}${o.name}`;
export const linkTo = (o, text) => h("a", {href: "#/resource/" + o.uid}, text ?? label(o));
export const marked = (mark, ...text) => h("span", {class: mark}, text.length ? text : mark);
export const soft = (...text) => h("span", {class: "soft"}, text);
export const code = (text) => h("code", {}, text);
export const cut = (text, most) => text.length > most ? text.slice(0, most - 1) + "…" : text;
export const counted = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;

export function lasted(s) {
  return s < 60 ? s + " s" : s < 3600 ? Math.floor(s / 60) + " min" : s < 172800 ? Math.floor(s / 3600) + " h" : Math.floor(s / 86400) + " d";
}

const agoText = (at) => lasted(Math.max(0, Math.round((Date.now() - Date.parse(at)) / 1000))) + " ago";
export function ago(at) {
  return at ? h("time", {datetime: at, title: at, "data-ago": true}, agoText(at)) : "";
}
setInterval(() => {
  for (const time of document.querySelectorAll("time[data-ago]")) {
    const text = agoText(time.dateTime);
    if (time.textContent !== text) time.textContent = text;
  }
}, 1000);

// 201326592 as "192 MiB", 90 as "90 s": exactly, or not at all.
function measured(value, unit) {
  const steps = unit === "bytes" ? [["TiB", 2 ** 40], ["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 1024]]
                                 : [["d", 86400], ["h", 3600], ["min", 60]];
  for (const [name, size] of steps) if (value >= size && value % size === 0) return `${value / size} ${name}`;
  return `${value} ${unit === "bytes" ? "bytes" : "s"}`;
}

export function valueText(value, unit) {
  if (value === undefined || value === null) return "–";
  if (typeof value === "object" && "sensitive" in value) return `(sensitive, ${value.sensitive})`;
  if (/^keyed:[0-9a-f]{64}$/.test(value)) return "(sensitive)";
  if (unit && typeof value === "number") return measured(value, unit);
  return typeof value === "string" ? value : JSON.stringify(value);
}
export function shown(value, unit) {
  if (value === undefined || value === null) return soft("–");
  return h("code", {title: unit ? String(value) : null}, valueText(value, unit));
}

// Rows are lists of cells; one with a key stays itself when others come and go. On a phone each row
// of a wide table is a card, with the title beside each cell.
export function table(titles, rows, empty) {
  if (rows.length === 0) return h("p", {class: "soft"}, empty);
  const isNumber = (title) => MARKS.includes(title);
  const line = (cells) => h("tr", {role: "row", class: cells.class, "data-key": cells.key},
    cells.map((cell, i) => {
      const content = h("div", {}, cell);
      return h("td", {role: "cell", class: isNumber(titles[i]) ? "number" : !content.textContent && "none", "data-title": titles[i]}, content);
    }));
  return h("div", {class: "scroll"}, h("table", {role: "table", class: titles.some(isNumber) ? "" : "cards"},
    h("thead", {role: "rowgroup"}, h("tr", {role: "row"}, titles.map((t) => h("th", {role: "columnheader", scope: "col", class: isNumber(t) && "number"}, t)))),
    h("tbody", {role: "rowgroup"}, rows.map(line))));
}
export const row = (key, ...cells) => Object.assign(cells, {key});

// The same view with other words of its query.
export function linkWith(query, changes) {
  const made = new URLSearchParams(query);
  for (const [key, value] of Object.entries(changes)) if (value === "" || value === null) made.delete(key); else made.set(key, value);
  const [path] = location.hash.split("?");
  return path + (made.size ? "?" + made : "");
}

// How many rows of a long list are shown is in the URL too.
const FIRST = 100;
export const rowsAsked = (query) => Math.min(Math.max(Number(query.get("n")) || FIRST, FIRST), 500);
export function more(query, has, total) {
  if (has >= total) return null;
  const next = Math.min(rowsAsked(query) + 200, 500);
  return h("p", {class: "soft"}, `${has} of ${total}. `, next > rowsAsked(query) && h("a", {href: linkWith(query, {n: next}), "data-stay": true}, "Show more"));
}

// {a: {b: 1}, c: [2]} as [["a.b", 1], ["c", [2]]]; lists of named maps by their names.
export function leaves(value, path = "", out = []) {
  if (Array.isArray(value) && value.length && value.every((v) => v && typeof v === "object" && "name" in v))
    for (const item of value) leaves(item, `${path}[${item.name}]`, out);
  else if (value && typeof value === "object" && !Array.isArray(value))
    for (const [key, item] of Object.entries(value)) leaves(item, path ? path + "." + key : key, out);
  else out.push([path, value]);
  return out;
}
