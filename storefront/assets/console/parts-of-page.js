// What the console's views are made of: headings, tables that scroll by themselves, fields, notes.

import { Problem } from "../common/api.js";
import { announce, el } from "../common/browser.js";
import { t } from "../common/i18n.js";

/** The heading of a view, with what can be done there beside it. */
export const heading = (text, ...actions) =>
  el("header", { class: "heading" }, el("h1", {}, text), el("div", { class: "actions" }, ...actions));

/** A table of `rows` (lists of cells: text or nodes). It scrolls sideways where it is too wide. */
export function table(label, columns, rows) {
  const head = el("tr", {}, ...columns.map((text) => el("th", { scope: "col" }, text)));
  const body = rows.map((cells) => el("tr", {}, ...cells.map((cell) => el("td", {}, cell))));
  return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label },
    el("table", {}, el("thead", {}, head), el("tbody", {}, ...body)));
}

/** An input with its label. */
export const field = (label, name, attributes = {}) =>
  el("label", { class: "field" }, el("span", {}, label), el("input", { name, ...attributes }));

/** A choice with its label; `options` are [value, text]. */
export function choice(label, name, options, value) {
  const select = el("select", { name }, ...options.map(([key, text]) => el("option", { value: key }, text)));
  select.value = value ?? options[0]?.[0] ?? "";
  return el("label", { class: "field" }, el("span", {}, label), select);
}

export const note = () => el("p", { class: "said", role: "alert" });

/** Do something that the shop may refuse; says so in `place`. Whether it worked. */
export async function attempt(place, act) {
  place.textContent = "";
  try {
    await act();
    return true;
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    place.textContent = explained(problem);
    announce(place.textContent);
    return false;
  }
}

function explained(problem) {
  const faults = problem.document.errors?.map((e) => `${e.field}: ${e.message}`).join("; ");
  return t("failed", { detail: faults ?? (problem.status ? problem.message : t("error.title")) });
}
