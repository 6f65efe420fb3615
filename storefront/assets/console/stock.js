// A product's stock: adjusted by hand with a reason, and every movement that led to it.

import { call } from "../common/api.js";
import { el } from "../common/browser.js";
import { knows, number, t } from "../common/i18n.js";
import { attempt, field, note, quietly, shortly, table } from "./parts-of-page.js";

export function stockPanel(product, signal) {
  const now = el("p", { class: "figure" }, number(product.stock));
  const said = note();
  const ledger = el("div", {});
  const branches = el("div", {});
  const form = el("form", { class: "form" },
    field(t("stock.delta"), "delta", { type: "number", step: 1, required: true }),
    field(t("stock.reason"), "reason", { required: true, maxlength: 200 }),
    said, el("button", { class: "secondary" }, t("stock.adjust")));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = { delta: form.delta.valueAsNumber, reason: form.reason.value.trim() };
    const button = form.querySelector("button");
    // Adding is not idempotent, so it is sent once and never again by itself.
    button.disabled = true;
    await attempt(said, async () => {
      const answer = await call("POST", `/api/products/${product.id}/stock-adjustments`, { body });
      now.textContent = number(answer.body.stock);
      form.reset();
      await Promise.all([drawLedger(ledger, product.id, signal), drawBranches(branches, product, signal)]);
    });
    button.disabled = false;
  });
  quietly(() => drawLedger(ledger, product.id, signal));
  quietly(() => drawBranches(branches, product, signal));
  return el("section", { class: "panel" }, el("h2", {}, t("stock.title")), now, branches, form,
    el("h2", {}, t("movements.title")), ledger);
}

async function drawLedger(place, id, signal) {
  const { body } = await call("GET", `/api/products/${id}/stock-movements?limit=50`, { signal });
  const columns = ["when", "delta", "kind", "reference"].map((name) => t(`movements.${name}`));
  place.replaceChildren(table(t("movements.title"), columns, body.items.map((line) => [
    shortly(line.at), `${line.delta > 0 ? "+" : ""}${number(line.delta)}`,
    knows(`kind.${line.kind}`) ? t(`kind.${line.kind}`) : line.kind,
    /^\w{26}$/.test(line.reference) ? el("a", { href: `/console/orders/${line.reference}` }, `…${line.reference.slice(-6)}`) : line.reference,
  ])));
}

/** How many each branch has, where there are several. */
async function drawBranches(place, product, signal) {
  const { body } = await call("GET", `/api/products/${product.id}/stock`, { signal });
  if (body.branches.length < 2) return;
  place.replaceChildren(
    el("ul", { class: "items" }, ...body.branches.map((each) =>
      el("li", {}, el("span", {}, each.branch), el("b", {}, number(each.stock))))),
    el("a", { href: `/console/branches?sku=${product.sku}` }, t("transfer.new")),
  );
}
