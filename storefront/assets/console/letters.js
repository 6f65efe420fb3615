// Events that were given up, and how they get their effect after all.

import { call, read } from "../common/api.js";
import { announce, el } from "../common/browser.js";
import { t } from "../common/i18n.js";
import { attempt, heading, note } from "./parts-of-page.js";

export async function show({ place, signal }) {
  const { body } = await read("/api/dead-letters", { signal });
  const list = el("ul", { class: "letters" }, ...body.items.map(letter));
  const away = body.away.length ? el("p", { class: "notice" }, t("letters.away", { names: body.away.join(", ") })) : "";
  const none = body.items.length ? "" : el("p", { class: "notice" }, t("letters.none"));
  place.replaceChildren(heading(t("letters.title")), el("p", { class: "lead" }, t("letters.lead")), away, none, list);
  return { title: t("letters.title") };
}

function letter(given) {
  const said = note();
  const button = el("button", { class: "secondary", type: "button" }, t("letters.replay"));
  const made = el("li", { class: "panel" },
    el("b", {}, given.type ?? t("unknown"), given.subject ? ` · ${given.subject}` : ""),
    el("p", { class: "muted small" }, t("letters.from", given), " · ", given.id),
    el("p", { class: "wrong" }, given.error),
    el("details", {}, el("summary", {}, "JSON"), el("pre", { tabindex: 0 }, given.document)),
    said, button);
  button.addEventListener("click", async () => {
    button.disabled = true;
    const path = `/api/dead-letters/${given.group}/${encodeURIComponent(given.id)}/replay`;
    if (await attempt(said, () => call("POST", path))) {
      made.replaceChildren(el("p", {}, t("letters.done")));
      announce(t("letters.done"));
    }
    button.disabled = false;
  });
  return made;
}
