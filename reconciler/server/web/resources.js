// SPDX-License-Identifier: MPL-2.0
// A window onto up to a million rows: only those in sight exist, fetched a page at a time.
import {h} from "./dom.js";
import {MARKS, counted, get, linkTo, marked} from "./parts.js";

const ROW = 32, PAGE = 200, AROUND = 10, HIGHEST = 1.5e7;
const COLUMNS = [["kind", "Kind"], ["project", "Project"], ["name", "Name"], ["mark", "Git"], ["state", "State"], [null, "What comes"]];

function line(i, item) {
  const cell = (...text) => h("span", {role: "cell"}, text);
  const made = h("div", {class: "row", role: "row", "aria-rowindex": i + 2}, item ? [
    cell(item.kind), cell(item.project ?? "rack"), cell(linkTo(item, item.name)), cell(marked(item.mark)), cell(item.state),
    cell(item.action ? `${item.action}: ${item.reason ?? item.disposition}` : "")] : cell("…"));
  made.style.top = i * ROW + "px";
  return made;
}

export async function resources(query, rest, known, keep) {
  const status = await known;
  const kinds = [...new Set(status.groups.map((g) => g.kind)), "NIC"].sort();
  const projects = [...new Set(status.groups.map((g) => g.project ?? ""))].filter(Boolean).sort();
  const asked = {};
  for (const name of ["q", "kind", "project", "mark", "sort", "order"]) asked[name] = query.get(name) ?? "";
  let pages = new Map(), rows = new Map(), total = 0, reading = 0, typing = null;

  const space = h("div", {role: "rowgroup", class: "space"});
  const head = h("div", {class: "row head", role: "row", "aria-rowindex": 1});
  const frame = h("div", {class: "window", role: "table", "aria-label": "Resources", onscroll: () => draw()}, h("div", {role: "rowgroup"}, head), space);
  const count = h("p", {class: "soft", role: "status"});

  function headDraw() {
    head.replaceChildren(...COLUMNS.map(([name, text]) => {
      const sorted = name && asked.sort === name ? (asked.order === "down" ? "descending" : "ascending") : null;
      return h("span", {role: "columnheader", "aria-sort": sorted}, name ? h("button", {type: "button", "data-sort": name, onclick: () => {
        asked.order = asked.sort === name && asked.order !== "down" ? "down" : "";
        asked.sort = name;
        changed();
        head.querySelector(`[data-sort=${name}]`).focus();
      }}, text, sorted ? (asked.order === "down" ? " ↓" : " ↑") : "") : text);
    }));
  }
  // What an older question asked for is dropped when it arrives.
  async function page(number, mine) {
    pages.set(number, null);
    try {
      const got = await get("resources", {...asked, offset: number * PAGE, limit: PAGE});
      if (mine !== reading) return;
      pages.set(number, got.items);
      total = got.total;
      space.style.height = Math.min(total * ROW, HIGHEST) + "px";
      frame.setAttribute("aria-rowcount", total + 1);
      count.textContent = counted(total, "resource");
    } catch (error) {
      if (mine !== reading) return;
      pages.delete(number);
      count.textContent = "It cannot be read now: " + error.message;
    }
  }
  function draw() {
    const first = Math.max(0, Math.floor(frame.scrollTop / ROW) - AROUND);
    const last = Math.min(total, Math.ceil((frame.scrollTop + frame.clientHeight) / ROW) + AROUND);
    for (const [i, row] of rows) if (i < first || i >= last) { row.element.remove(); rows.delete(i); }
    for (let i = first; i < last; i++) {
      const items = pages.get(Math.floor(i / PAGE)), item = items?.[i % PAGE], text = JSON.stringify(item);
      if (items === undefined) { const mine = reading; page(Math.floor(i / PAGE), mine).then(() => mine === reading && draw()); }
      const old = rows.get(i);
      if (old && (old.text === text || !item)) continue;
      const element = line(i, item);
      if (old) old.element.replaceWith(element);
      else { // in their order, for whoever goes through them by keyboard
        const next = [...rows.keys()].filter((k) => k > i).reduce((a, b) => Math.min(a, b), Infinity);
        space.insertBefore(element, rows.get(next)?.element ?? null);
      }
      rows.set(i, {element, text});
    }
  }
  async function reload() {
    const mine = ++reading;
    const old = pages;
    pages = new Map(old.size ? [[-1, null]] : []);
    await page(Math.floor(frame.scrollTop / ROW / PAGE), mine);
    if (mine === reading) draw();
  }
  function changed() {
    for (const field of form.elements) if (field.name) asked[field.name] = field.value;
    const kept = Object.entries(asked).filter(([, v]) => v !== "");
    history.replaceState(null, "", "#/resources" + (kept.length ? "?" + new URLSearchParams(kept) : ""));
    headDraw();
    frame.scrollTop = 0;
    reload();
  }
  const choice = (name, all, values) => h("select", {name, "aria-label": name, onchange: changed},
    h("option", {value: ""}, all), values.map((v) => h("option", {value: v, selected: v === asked[name]}, v)));
  const form = h("form", {class: "filters", role: "search", onsubmit: (e) => e.preventDefault()},
    h("input", {type: "search", name: "q", placeholder: "Name, project, kind or uid", "aria-label": "Search", value: asked.q, oninput: () => { clearTimeout(typing); typing = setTimeout(changed, 150); }}),
    choice("kind", "All kinds", kinds), choice("project", "All projects", projects), choice("mark", "All states", MARKS));
  headDraw();
  keep(reload);
  await page(0, reading);
  requestAnimationFrame(draw);
  return [h("h1", {}, "Resources"), form, count, frame];
}
