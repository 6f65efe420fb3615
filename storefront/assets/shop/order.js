// One order: what it is, and what happens to it, as it happens.

import { call, Problem, read } from "../common/api.js";
import { announce, clone, el, part, pause } from "../common/browser.js";
import { knows, moment, money, number, t, translate } from "../common/i18n.js";
import { user } from "../common/session.js";
import { refusal } from "./card.js";
import * as cart from "./cart.js";
import { settle } from "./intent.js";
import { go, message } from "../common/router.js";
import { follow } from "./stream.js";
import { drawSteps } from "./timeline.js";

const CANCELLABLE = ["pending", "reserved", "paid", "confirmed"];
const OVER = ["delivered", "cancelled", "failed"];
const LATER_MILLISECONDS = 10_000;
/** The cart is emptied a moment after the order is confirmed. */
const CART_LOOKS = [300, 1000, 3000];

export async function show({ place, match, url, signal }) {
  if (!user()) return go(`/account?next=${encodeURIComponent(url.pathname)}`, { replace: true });
  const page = { root: clone("order", translate), id: match[1], signal, order: null };
  try {
    draw(page, (await read(`/api/orders/${page.id}`, { signal })).body);
  } catch (problem) {
    if (problem.status !== 404) throw problem;
    place.replaceChildren(message(t("order.unknown"), t("missing.lead")));
    return { title: t("order.unknown") };
  }
  place.replaceChildren(page.root);
  // What is left to offer depends on what is in the cart.
  addEventListener("feira:cart", () => drawActions(page), { signal });
  watch(page).catch((reason) => signal.aborted || console.error(reason));
  return { title: t("order.number", { id: page.id.slice(-6) }) };
}

async function watch(page) {
  const on = {
    order: (order) => draw(page, order),
    steps: (steps) => drawSteps(part(page.root, "timeline"), steps),
    link: (kind) => (part(page.root, "link").textContent = t(`order.${kind}`)),
  };
  await follow(page.id, on, page.signal);
  if (page.signal.aborted) return;
  part(page.root, "link").textContent = "";
  ended(page);
  // The kitchen takes its time: no stream is held open for it.
  while (!OVER.includes(page.order.status)) {
    await pause(LATER_MILLISECONDS, page.signal);
    if (!document.hidden) await look(page, on);
  }
}

async function look(page, on) {
  try {
    const { body } = await call("GET", `/api/orders/${page.id}`, { signal: page.signal });
    if (body.version === page.order.version) return;
    draw(page, body);
    const path = `/api/orders/${page.id}/timeline`;
    on.steps((await call("GET", path, { signal: page.signal })).body.items);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
  }
}

async function ended(page) {
  settle(page.id);
  const bought = page.order.items.map((item) => item.product_id);
  for (const milliseconds of CART_LOOKS) {
    await cart.load();
    if (page.order.status === "failed") return;
    if (!cart.current()?.items.some((line) => bought.includes(line.product_id))) return;
    await pause(milliseconds);
  }
}

function draw(page, order) {
  if (page.order && page.order.version > order.version) return;
  const changed = page.order?.status !== order.status;
  page.order = order;
  const { root } = page;
  root.dataset.status = order.status;
  part(root, "number").textContent = t("order.number", { id: order.id.slice(-6) });
  part(root, "number").title = order.id;
  part(root, "status").textContent = t(`status.${order.status}`);
  part(root, "lead").textContent = leadOf(order);
  drawSummary(part(root, "summary"), order);
  drawActions(page);
  if (changed) announce(t(`status.${order.status}`));
}

function leadOf(order) {
  if (order.status !== "failed") return t(`status.${order.status}.lead`);
  const key = `failure.${order.failure?.type.split("/").pop()}`;
  return t(knows(key) ? key : "failure.other");
}

function drawSummary(place, order) {
  const to = order.shipping_address;
  place.replaceChildren(
    el("h2", {}, t("order.items")),
    el("ul", { class: "items" }, ...order.items.map((item) => el("li", {},
      el("span", {}, `${number(item.quantity)} × ${cart.nameOf(item)}`),
      el("span", {}, order.total_cents ? money(item.quantity * item.unit_price_cents, order.currency) : "")))),
    order.total_cents ? el("p", { class: "total" }, el("span", {}, t("total")),
      el("b", {}, money(order.total_cents, order.currency))) : "",
    to ? el("address", {}, el("b", {}, t("order.to")), el("br"), to.recipient, el("br"),
      [to.street, to.number, to.complement].filter(Boolean).join(", "), el("br"),
      `${to.city}, ${to.state} ${to.postal_code}`) : "",
    el("p", { class: "muted small" }, moment(order.created_at)),
  );
}

function drawActions(page) {
  const { order } = page;
  const actions = [];
  if (CANCELLABLE.includes(order.status)) actions.push(button(t("order.cancel"), () => cancel(page)));
  if (order.status === "failed") {
    for (const line of order.failure?.lines ?? []) actions.push(...remedies(page, line));
    actions.push(el("a", { class: "primary", href: "/checkout" }, t("order.retry")));
  }
  // What is the same is left alone: the keyboard may be on it.
  const offered = [order.version, ...actions.map((each) => each.textContent)].join("\n");
  if (page.offered === offered) return;
  page.offered = offered;
  part(page.root, "actions").replaceChildren(...actions);
}

/** Of a line that fell short and is still in the cart: what is left of it, or none of it. */
function remedies(page, { product_id: id, available }) {
  const line = cart.current()?.items.find((each) => each.product_id === id);
  if (!line || line.quantity <= available) return [];
  const name = cart.nameOf(line);
  const settleFor = (act) => () => settleLine(page, act);
  const drop = button(t("order.drop", { name }), settleFor(() => cart.remove(id)));
  if (!available) return [drop];
  const n = number(available);
  return [button(t("order.take", { n, name }), settleFor(() => cart.set(id, available))), drop];
}

/** One line is as the shopper wants it: to the next that fell short, or back to buying. */
async function settleLine(page, act) {
  try {
    await act();
  } catch (problem) {
    part(page.root, "lead").textContent = refusal(problem);
    return;
  }
  const next = part(page.root, "actions").querySelector("button");
  if (next) next.focus();
  else go("/checkout");
}

function button(text, act) {
  return el("button", { class: "secondary", type: "button", onclick: act }, text);
}

async function cancel(page) {
  if (!confirm(t("order.cancel.sure"))) return;
  try {
    draw(page, (await call("POST", `/api/orders/${page.id}/cancel`)).body);
    const { body } = await read(`/api/orders/${page.id}/timeline`, { signal: page.signal });
    drawSteps(part(page.root, "timeline"), body.items);
  } catch (problem) {
    const late = problem.kind === "status-conflict";
    part(page.root, "lead").textContent = late ? t("order.cancel.late") : t("error.title");
  }
}
