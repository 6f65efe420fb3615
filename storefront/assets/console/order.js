// One order as operators see it: what happened, and what comes next.

import { call, Problem } from "../common/api.js";
import { el } from "../common/browser.js";
import { money, number, t } from "../common/i18n.js";
import { every } from "../common/live.js";
import { drawSteps } from "../shop/timeline.js";
import { attempt, heading, note } from "./parts-of-page.js";

const NEXT = { confirmed: "preparing", preparing: "shipped", shipped: "delivered" };
const CANCELLABLE = ["pending", "reserved", "paid", "confirmed"];

export async function show({ place, match, signal }) {
  const page = { id: match[1], signal, said: note(), timeline: el("ol", { class: "timeline" }) };
  page.title = heading(t("order.number", { id: page.id.slice(-6) }));
  page.state = el("p", { class: "figure" });
  page.actions = el("div", { class: "actions" });
  page.summary = el("aside", { class: "panel summary" });
  place.replaceChildren(page.title, page.state, page.actions, page.said, el("div", { class: "columns" },
    el("section", { class: "panel" }, el("h2", {}, t("order.timeline")), page.timeline), page.summary));
  await look(page);
  every(2000, () => look(page).catch((problem) => {
    if (!(problem instanceof Problem) && problem.name !== "AbortError") throw problem;
  }), signal);
  return { title: t("order.number", { id: page.id.slice(-6) }) };
}

async function look(page) {
  const path = `/api/orders/${page.id}`;
  const [order, timeline] = await Promise.all([
    call("GET", path, { signal: page.signal }), call("GET", `${path}/timeline`, { signal: page.signal }),
  ]);
  draw(page, order.body);
  drawSteps(page.timeline, timeline.body.items);
}

function draw(page, order) {
  if (page.version === order.version) return;
  page.version = order.version;
  page.state.textContent = t(`status.${order.status}`);
  const next = NEXT[order.status];
  const actions = [];
  if (next) actions.push(act(page, t("order.move", { status: t(`status.${next}`) }), "primary", "status", { status: next }));
  if (CANCELLABLE.includes(order.status)) actions.push(act(page, t("order.cancel"), "secondary", "cancel"));
  page.actions.replaceChildren(...actions);
  const to = order.shipping_address;
  page.summary.replaceChildren(
    el("h2", {}, t("order.items")),
    el("ul", { class: "items" }, ...order.items.map((item) => el("li", {},
      el("span", {}, `${number(item.quantity)} × ${item.name}`),
      el("span", {}, money(item.quantity * item.unit_price_cents, order.currency))))),
    el("p", { class: "total" }, el("span", {}, t("total")), el("b", {}, money(order.total_cents, order.currency))),
    to ? el("address", {}, to.recipient, el("br"), [to.street, to.number, to.complement].filter(Boolean).join(", "),
      el("br"), `${to.city}, ${to.state} ${to.postal_code}`) : "",
    el("p", { class: "muted small" }, order.id),
    order.failure ? el("p", { class: "said" }, order.failure.detail) : "",
  );
}

function act(page, text, kind, door, body) {
  const button = el("button", { class: kind, type: "button" }, text);
  button.addEventListener("click", async () => {
    button.disabled = true;
    await attempt(page.said, () => call("POST", `/api/orders/${page.id}/${door}`, { body }));
    await attempt(page.said, () => look(page));
    button.disabled = false;
  });
  return button;
}
