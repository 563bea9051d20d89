// SPDX-License-Identifier: MPL-2.0
// The plan as `spinel plan` tells it.
import {h} from "./dom.js";
import {code, counted, get, label, linkTo, marked, more, row, rowsAsked, shown, soft, table} from "./parts.js";
import {holdBanner} from "./decide.js";

const SIGNS = {create: ["+", "true"], update: ["~", "pending"], restart: ["↻", "held"], replace: ["±", "drifting"], delete: ["−", "drifting"], adopt: ["<", "pending"], release: [">", "held"]};
const SUMS = {create: "to create", update: "to update", restart: "to restart", replace: "to replace", delete: "to delete", adopt: "to adopt", release: "to release"};

function summed(summary) {
  const parts = Object.entries(SUMS).filter(([action]) => summary[action]).map(([action, words]) => `${summary[action]} ${words}`);
  const waits = ["deferred", "held", "reported"].filter((w) => summary[w]).map((w) => `${summary[w]} ${w}`);
  const run = summary.run ? `${counted(summary.run, "step")} would run` : "Nothing would run now";
  return [...(parts.length ? [parts.join(", ") + ". "] : []), [run, ...waits].join(", "), "."].join("");
}

function stepPart(step, reasons) {
  const [sign, tone] = SIGNS[step.action] ?? [" ", ""];
  return h("section", {class: "step", "data-key": step.uid},
    h("h3", {}, marked(tone, sign + " " + step.action), " ", linkTo(step), step.renamedFrom && soft(` was ${step.renamedFrom}`), " ",
      step.disposition !== "run" && marked("held", `[${step.disposition}${step.hold ? " " + step.hold : ""}]`), step.cause === "drift" && marked("drifting", " drift")),
    step.reason && !reasons.has(step.reason) && h("p", {class: "soft"}, step.reason),
    step.fields.length > 0 && table(["Field", "From", "To", "Change", "Why"], step.fields.map((f) =>
      row(f.path, code(f.path.replace(/^spec\./, "")), shown(f.from, f.unit), shown(f.to, f.unit), [f.change, f.disposition !== step.disposition && marked("held", ` [${f.disposition}]`)],
        [f.reason ?? "", f.means && soft(`${f.reason ? ": " : ""}${f.means}`)])), ""));
}

function impacts(steps) {
  const touched = steps.filter((s) => s.impact && (s.impact !== "none" || s.running));
  return touched.length > 0 && [h("h2", {}, "What happens to machines"),
    table(["Machine", "Impact"], touched.map((s) => row(s.uid, linkTo(s, label(s)), marked(s.impact === "none" ? "true" : "held", s.impact))), "")];
}

export async function plan(query, rest, asked) {
  const [p, status] = await Promise.all([get("plan", {limit: rowsAsked(query)}), asked]);
  if (!p.total && p.observed.unknown) return [h("h1", {}, "Plan"), h("p", {}, marked("unknown", "No changes in what could be looked at."),
    ` Of ${p.observed.unknown} nobody can say whether they are as `, code(p.commit.slice(0, 12)), " declares.")];
  if (!p.total) return [h("h1", {}, "Plan"), h("p", {}, marked("true", "No changes."), " The rack matches ", code(p.commit.slice(0, 12)), ".")];
  const reasons = new Set(p.holds.map((hold) => hold.reason)); // said once, with the hold
  return [h("h1", {}, "Plan"),
    h("p", {class: "soft"}, "For ", code(p.commit.slice(0, 12)), ", from what was observed last."),
    h("p", {class: "sum"}, summed(p.summary)),
    p.holds.map((hold) => holdBanner(hold, status.decisions)),
    impacts(p.steps),
    h("h2", {}, "Steps"),
    p.steps.map((s) => stepPart(s, reasons)), more(query, p.steps.length, p.total)];
}
