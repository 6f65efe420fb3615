// The log of an order as a list: one line for each try of a step, with how it went.

import { el } from "../common/browser.js";
import { clock, knows, t } from "../common/i18n.js";

/** Draw all steps so far; those that are there already keep their place, so nothing flickers. */
export function drawSteps(list, steps) {
  const lines = new Map();
  for (const step of steps) lines.set(`${step.step} ${step.attempt}`, step);
  [...lines].forEach(([key, step], index) => {
    let line = list.children[index];
    if (line?.dataset.key !== key) {
      line = el("li", { "data-key": key });
      list.insertBefore(line, list.children[index] ?? null);
    }
    if (line.dataset.outcome !== step.outcome) drawStep(line, step);
  });
  while (list.children.length > lines.size) list.lastElementChild.remove();
}

function drawStep(line, step) {
  const name = knows(`step.${step.step}`) ? t(`step.${step.step}`) : step.step;
  const outcome = `outcome.${step.outcome}`;
  const tries = step.attempt > 1 ? `, ${t("attempt", { n: step.attempt })}` : "";
  line.dataset.outcome = step.outcome;
  line.replaceChildren(
    el("b", {}, name),
    el("span", { class: "muted" }, (knows(outcome) ? t(outcome) : step.outcome) + tries),
    el("time", { datetime: step.at, class: "muted" }, clock(step.at)),
  );
}
