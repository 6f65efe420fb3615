// What the console's views are made of: headings, tables that scroll by themselves, fields, notes.

import { Problem } from "../common/api.js";
import { announce, el } from "../common/browser.js";
import { knows, moment, t } from "../common/i18n.js";

/** The heading of a view, with what can be done there beside it. */
export const heading = (text, ...actions) =>
  el("header", { class: "heading" }, el("h1", {}, text), el("div", { class: "actions" }, ...actions));

/**
 * A table of `rows` (lists of cells: text or nodes). On a phone each row is a card of its own, whose
 * cells say what they are.
 */
export function table(label, columns, rows) {
  const head = el("tr", {}, ...columns.map((text) => el("th", { scope: "col" }, text)));
  const body = rows.map((cells) =>
    el("tr", {}, ...cells.map((cell, i) => el("td", { "data-label": columns[i] }, cell))));
  return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label },
    el("table", {}, el("thead", {}, head), el("tbody", {}, ...body)));
}

/** The way to the next page of a list, if there is one. `asked` is what else its address says. */
export function more(path, cursor, asked = {}) {
  if (!cursor) return "";
  const href = `${path}?${new URLSearchParams({ ...asked, cursor })}`;
  return el("p", { class: "after" }, el("a", { class: "secondary", href }, t("more")));
}

/** How something stands, as a word with a colour; `status` is one of an order's. */
export const state = (status, text) => el("span", { class: "state", "data-status": status }, text);

/** A time as short as a column of a table is. */
export const shortly = (time) => moment(time, { dateStyle: "short", timeStyle: "short" });

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

/** Say that it worked. */
export function done(place, text) {
  place.textContent = text;
  place.classList.add("fine");
  announce(text);
}

/** Do something that the shop may refuse; says so in `place`. Whether it worked. */
export async function attempt(place, act) {
  place.textContent = "";
  place.classList.remove("fine");
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

/** What cannot be asked now is asked again in a moment; what is shown stays. */
export async function quietly(act) {
  try {
    await act();
  } catch (problem) {
    if (!(problem instanceof Problem) && problem.name !== "AbortError") throw problem;
  }
}

function explained(problem) {
  const known = `refused.${problem.kind}`;
  if (knows(known)) return t(known, { n: problem.document.lines?.[0]?.available });
  if (problem.status === 401) return t("account.needed");
  const faults = problem.document.errors?.map((e) => `${e.field}: ${e.message}`).join("; ");
  return t("failed", { detail: faults ?? (problem.status ? problem.message : t("error.title")) });
}
