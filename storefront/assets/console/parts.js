// What happens when a part dies: every part as it is now, and a log of each change with its seconds.

import { call, Problem } from "../common/api.js";
import { announce, el } from "../common/browser.js";
import { clock, knows, t } from "../common/i18n.js";
import { every } from "../common/live.js";
import { heading } from "./parts-of-page.js";
import { Watch } from "./watch.js";

const LOOK_MILLISECONDS = 1000;
const GROUPS = ["service", "store", "peer", "breaker"];

export function show({ place, signal }) {
  const watch = new Watch();
  const groups = Object.fromEntries(GROUPS.map((name) => [name, el("ul", { class: "parts" })]));
  const log = el("ol", { class: "seen" }, el("li", { class: "muted" }, t("parts.log.none")));
  place.replaceChildren(
    heading(t("parts.title")), el("p", { class: "lead" }, t("parts.lead")),
    el("div", { class: "columns" },
      el("div", { class: "steps" }, ...GROUPS.map((name) =>
        el("section", {}, el("h2", {}, t(`parts.${name}`)), groups[name]))),
      el("section", { class: "panel" }, el("h2", {}, t("parts.log")), log)),
  );
  every(LOOK_MILLISECONDS, async () => {
    const found = await look(signal);
    if (signal.aborted) return;
    for (const change of watch.take(found, performance.now())) tell(log, change);
    for (const name of GROUPS) draw(groups[name], watch.parts(name));
    // A shop on its own has no other branches.
    groups.peer.parentElement.hidden = !groups.peer.children.length;
  }, signal);
  return { title: t("parts.title") };
}

/** Both doors at once; null for one that did not answer. */
async function look(signal) {
  const ask = (path) => call("GET", path, { signal: AbortSignal.any([signal, AbortSignal.timeout(4000)]) })
    .then((answer) => answer.body)
    .catch((problem) => {
      if (!(problem instanceof Problem) && problem.name !== "AbortError" && problem.name !== "TimeoutError") throw problem;
      return null;
    });
  const [parts, status] = await Promise.all([ask("/api/parts"), ask("/status")]);
  return { parts: parts?.items ?? null, status };
}

function draw(list, parts) {
  parts.forEach((part, index) => {
    const item = list.children[index] ?? list.appendChild(el("li", {}));
    const role = part.pending ? t("parts.pending", { n: part.pending }) : roleOf(part);
    const state = knows(`parts.${part.state}`) ? t(`parts.${part.state}`) : t(`circuit.${part.state}`);
    item.dataset.state = part.state;
    item.replaceChildren(el("b", {}, part.name), el("span", { class: "muted" }, role),
      el("span", {}, state), el("span", { class: "muted small" }, t("parts.since", { time: passed(part.since) })));
  });
  while (list.children.length > parts.length) list.lastElementChild.remove();
}

function roleOf({ role }) {
  return role && knows(`parts.role.${role}`) ? t(`parts.role.${role}`) : (role ?? "");
}

function passed(since) {
  const seconds = Math.round((performance.now() - since) / 1000);
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}

function tell(log, change) {
  const role = change.role && t(`parts.role.${change.role}`);
  const state = change.state && t(`circuit.${change.state}`);
  const text = t(`seen.${change.kind}`, { ...change, role, state });
  log.querySelector("li.muted")?.remove();
  log.prepend(el("li", { "data-kind": change.kind }, el("time", { class: "muted" }, clock(Date.now())), " ", text));
  while (log.children.length > 100) log.lastElementChild.remove();
  announce(text);
}
