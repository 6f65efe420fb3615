// Two edits of one product: what it is now and what was written, side by side.

import { el } from "../common/browser.js";
import { t } from "../common/i18n.js";
import { table } from "./parts-of-page.js";

/**
 * The choice. `theirs` is all that can be edited as it is now, `mine` what was to be changed; fields
 * in which the two agree are not asked about. `onChosen(changes)` gets what is still to be changed.
 */
export function conflict({ theirs, mine, version, shown, label, onChosen }) {
  const differing = Object.keys(mine).filter((name) => mine[name] !== theirs[name]);
  const option = (name, whose, value) => el("label", {},
    el("input", { type: "radio", name: `choice-${name}`, value: whose, checked: whose === "theirs" }),
    " ", shown(name, value));
  const rows = differing.map((name) => [
    el("b", {}, label(name)), option(name, "theirs", theirs[name]), option(name, "mine", mine[name]),
  ]);
  const columns = [t("conflict.field"), t("conflict.theirs"), t("conflict.mine")];
  const form = el("form", { class: "panel form conflict", tabindex: -1, "aria-label": t("conflict.title") },
    el("h2", {}, t("conflict.title")),
    el("p", {}, t("conflict.lead", { n: version })),
    table(t("conflict.title"), columns, rows),
    el("button", { class: "primary" }, t("conflict.save")));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const kept = differing.filter((name) => form.elements[`choice-${name}`].value === "mine");
    onChosen(Object.fromEntries(kept.map((name) => [name, mine[name]])));
  });
  return form;
}
