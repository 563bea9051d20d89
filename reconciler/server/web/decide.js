// SPDX-License-Identifier: MPL-2.0
// What a person with the site's token decides. There is no cookie: nothing goes along by itself.
import {h} from "./dom.js";
import {counted} from "./parts.js";

let token = ""; // kept by this page alone, until it is left
let decided = () => {};
export const whenDecided = (action) => { decided = action; };

export function decide(what, body, question) {
  const dialog = document.getElementById("decide"), form = dialog.querySelector("form");
  form.elements.token.value = token;
  dialog.querySelector("p").textContent = question;
  dialog.querySelector("[role=alert]").textContent = "";
  form.onsubmit = async (event) => {
    event.preventDefault();
    token = form.elements.token.value;
    const response = await fetch("/api/v1/" + what, {method: "POST", body: JSON.stringify(body),
      headers: {"Content-Type": "application/json", Authorization: "Bearer " + token}}).catch((e) => ({ok: false, json: async () => ({detail: e.message})}));
    if (response.ok) { dialog.close(); decided(); return; }
    dialog.querySelector("[role=alert]").textContent = (await response.json()).detail;
  };
  dialog.querySelector("button[type=button]").onclick = () => dialog.close();
  dialog.showModal();
}

export function holdBanner(hold, canDecide) {
  const words = `Held by ${hold.rule}: ${hold.reason} (${counted(hold.steps, "step")}). `;
  return h("p", {class: "banner", "data-key": hold.id}, words, hold.approvable && (canDecide
    ? h("button", {type: "button", onclick: () => decide("approve", {hold: hold.id}, `Approve ${hold.id}? ${hold.reason}`)}, "Approve " + hold.id)
    : h("code", {}, "spinel approve " + hold.id)));
}

export function freezeBanner(freeze, canDecide) {
  return h("p", {class: "banner", "data-key": freeze.what}, `${freeze.what} ${freeze.what === "healing" ? "is" : "are"} frozen by ${freeze.who}: ${freeze.why}`, freeze.until ? `, until ${freeze.until}. ` : ". ",
    canDecide ? h("button", {type: "button", onclick: () => decide("lift", {what: freeze.what}, `Lift the freeze of ${freeze.what}?`)}, "Lift")
      : h("code", {}, "spinel freeze --lift " + freeze.what));
}

export function freezeForm() {
  const form = h("form", {class: "filters", onsubmit(event) {
    event.preventDefault();
    const {what, why, until} = this.elements;
    decide("freeze", {what: what.value, why: why.value, until: until.value}, `Freeze ${what.value}: ${why.value}`);
  }}, h("select", {name: "what", "aria-label": "What"}, ["changes", "healing", "deletions"].map((w) => h("option", {}, w))),
    h("input", {name: "why", required: true, placeholder: "Why", "aria-label": "Why"}),
    h("input", {name: "until", placeholder: "For how long, such as 2h", "aria-label": "For how long"}),
    h("button", {}, "Freeze"));
  return h("details", {"data-key": "freeze"}, h("summary", {}, "Freeze"), form);
}
