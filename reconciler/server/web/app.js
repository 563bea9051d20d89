// SPDX-License-Identifier: MPL-2.0
// The viewer. Everything that comes from the server is set as text, never as markup; what is
// looked at is in the URL, so that every view can be linked to.
import {h, patchChildren} from "./dom.js";
import {get, view} from "./parts.js";
import {whenDecided} from "./decide.js";
import {overview, verdict} from "./overview.js";
import {resources} from "./resources.js";
import {resource} from "./resource.js";
import {network} from "./network.js";
import {drift} from "./drift.js";
import {plan} from "./plan.js";
import {events, operations, progressForget, progressTake, revisions, trace} from "./history.js";

const VIEWS = [["", "Overview"], ["resources", "Resources"], ["network", "Network"], ["drift", "Drift"], ["plan", "Plan"],
               ["operations", "Operations"], ["revisions", "Revisions"], ["events", "Events"]];
const DRAW = {"": overview, resources, network, resource, drift, plan, operations, revisions, events, trace};
const LEAST_MS = 30, SHARE = 4, LATE_MS = 2500;

const live = document.getElementById("live");
let drawing = 0;       // number of the latest draw; what an older one asked for is dropped
let refresh = null;    // of a view that looks after itself
let endedAt = 0, tookMs = 0, dueTimer = null, lateTimer = null, isBusy = false, isDue = false;

function failed(error) {
  view.replaceChildren(h("h1", {}, "It cannot be shown"), h("p", {class: "drifting"}, error.message),
    h("p", {}, h("a", {href: "#/"}, "Overview")));
}

function headDraw(status, name) {
  const [mark, words] = verdict(status);
  const rack = document.getElementById("rack");
  rack.replaceChildren(h("span", {class: "dot " + mark}, "●"), " ", status.rack);
  rack.title = words;
  rack.setAttribute("aria-label", `${status.rack}: ${words}`);
  for (const a of document.querySelectorAll("nav a"))
    if (a.dataset.view === name) a.setAttribute("aria-current", "page"); else a.removeAttribute("aria-current");
}

async function draw(isAnew) {
  const number = ++drawing;
  const [path, query] = (location.hash.replace(/^#\/?/, "") + "?").split("?");
  const [name, rest] = path.split("/");
  const make = DRAW[name] ?? (() => [h("h1", {}, "There is no such view"), h("p", {}, h("a", {href: "#/"}, "Overview"))]);
  let own = null;
  try {
    const asked = get("status");
    const [parts, status] = await Promise.all([make(new URLSearchParams(query), rest, asked, (reload) => { own = reload; }), asked]);
    if (number !== drawing) return;
    refresh = own;
    headDraw(status, name);
    const made = h("main", {}, parts);
    if (isAnew || own) view.replaceChildren(...made.childNodes); else patchChildren(view, made);
    if (isAnew) { view.focus({preventScroll: true}); scrollTo(0, 0); }
    view.dataset.at = "#/" + path;
    view.dataset.drawn = number;
    document.title = (view.querySelector("h1")?.textContent ?? "Spinel") + " · Spinel";
  } catch (error) {
    if (number === drawing && (isAnew || !document.body.classList.contains("stale"))) failed(error);
  }
}

async function redraw() {
  if (!refresh) return draw(false);
  const [name] = location.hash.replace(/^#\/?/, "").split("?");
  get("status").then((status) => headDraw(status, name), () => {});
  return refresh();
}

// One redraw at a time, and a share of the time at most; what comes meanwhile is one more, after it.
async function soon() {
  isDue = true;
  if (isBusy || dueTimer) return;
  dueTimer = setTimeout(async () => {
    const began = performance.now();
    dueTimer = null; isDue = false; isBusy = true;
    await redraw();
    endedAt = performance.now(); tookMs = endedAt - began; isBusy = false;
    clearTimeout(lateTimer); // of a large rack, what was shown may have been older than the news
    lateTimer = setTimeout(redraw, LATE_MS);
    if (isDue) soon();
  }, Math.max(LEAST_MS, SHARE * tookMs - (performance.now() - endedAt)));
}

let wasLost = false;
const HEARD = {
  news(data) { progressTake([JSON.parse(data)]); soon(); },
  open() {
    live.textContent = "live"; live.className = "true";
    document.body.classList.remove("stale");
    if (wasLost) { progressForget(); draw(false); }
    wasLost = false;
  },
  lost() {
    if (!wasLost) live.textContent = `not connected since ${new Date().toTimeString().slice(0, 8)}; trying again`;
    live.className = "held";
    document.body.classList.add("stale");
    wasLost = true;
  },
};

// Through the one worker of all tabs, where there is one.
function listen() {
  if (self.SharedWorker) {
    const {port} = new SharedWorker("/stream.js");
    port.onmessage = ({data}) => HEARD[data.what](data.data);
    addEventListener("pagehide", () => port.postMessage("bye"));
    addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
    return;
  }
  const stream = new EventSource("/api/v1/stream");
  stream.addEventListener("spinel", (message) => HEARD.news(message.data));
  stream.addEventListener("open", HEARD.open);
  stream.addEventListener("error", HEARD.lost);
}

document.getElementById("nav").append(...VIEWS.map(([name, text]) => h("a", {href: "#/" + name, "data-view": name}, text)));
whenDecided(() => draw(false));
let shownPath = location.hash.split("?")[0];
addEventListener("hashchange", () => { // more of the same view leaves one where one is
  const path = location.hash.split("?")[0], isSame = path === shownPath && !refresh;
  shownPath = path;
  draw(!isSame);
});
addEventListener("resize", () => { if (!refresh) soon(); });
draw(false);
listen();
