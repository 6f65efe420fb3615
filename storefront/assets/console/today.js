// The shop at a glance, live: from the order list, the product list and /status.

import { call } from "../common/api.js";
import { el } from "../common/browser.js";
import { money, number, t } from "../common/i18n.js";
import { every } from "../common/live.js";
import { bars, perMinute } from "./chart.js";
import { heading, quietly } from "./parts-of-page.js";
import { peersIn } from "./peers.js";

const MINUTES = 30;
const MOST_ORDERS = 500;
const LOW = 5;
const SOLD = ["reserved", "paid", "confirmed", "preparing", "shipped", "delivered"];

export function show({ place, signal }) {
  const panels = Object.fromEntries(
    ["orders", "revenue", "sagas", "low", "machine"].map((name) => [name, el("section", { class: `panel ${name}` })]),
  );
  for (const panel of Object.values(panels)) panel.append(el("p", { class: "skeleton row" }));
  place.replaceChildren(heading(t("today.title")), el("div", { class: "glance" }, ...Object.values(panels)));
  every(2000, () => quietly(() => drawMachine(panels, signal)), signal);
  every(3000, () => quietly(() => drawSales(panels, signal)), signal);
  every(15_000, () => quietly(() => drawLow(panels, signal)), signal);
  return { title: t("today.title") };
}

async function drawSales(panels, signal) {
  const since = Date.now() - MINUTES * 60_000;
  const orders = (await ordersSince(since, signal)).filter((order) => SOLD.includes(order.status));
  const counts = perMinute(orders, MINUTES, () => 1);
  const cents = perMinute(orders, MINUTES, (order) => order.total_cents);
  drawBars(panels.orders, t("today.orders"), counts, (n) => number(n));
  drawBars(panels.revenue, t("today.revenue"), cents, (n) => money(n));
}

function drawBars(panel, title, values, shown) {
  const label = `${title}, ${t("today.last")}`;
  panel.replaceChildren(
    el("h2", {}, title),
    el("p", { class: "figure" }, shown(values.at(-1))),
    bars(values, label, shown),
    el("p", { class: "muted small" }, t("today.last")),
  );
}

async function ordersSince(since, signal) {
  const found = [];
  let cursor = "";
  do {
    const { body } = await call("GET", `/api/orders?limit=100${cursor}`, { signal });
    found.push(...body.items);
    cursor = body.next_cursor && `&cursor=${encodeURIComponent(body.next_cursor)}`;
  } while (cursor && found.length < MOST_ORDERS && Date.parse(found.at(-1).created_at) > since);
  return found.filter((order) => Date.parse(order.created_at) > since);
}

async function drawLow(panels, signal) {
  const low = [];
  let cursor = "";
  do {
    const { body } = await call("GET", `/api/products?limit=100${cursor}`, { signal });
    low.push(...body.items.filter((product) => product.stock <= LOW));
    cursor = body.next_cursor && `&cursor=${encodeURIComponent(body.next_cursor)}`;
  } while (cursor);
  low.sort((a, b) => a.stock - b.stock);
  const lines = low.slice(0, 12).map((product) => el("li", {},
    el("a", { href: `/console/products/${product.id}` }, product.name),
    el("span", {}, product.stock ? t("today.left", { n: product.stock }) : t("stock.none"))));
  panels.low.replaceChildren(el("h2", {}, t("today.low")),
    lines.length ? el("ul", { class: "items" }, ...lines) : el("p", { class: "muted" }, t("today.low.none")));
}

async function drawMachine(panels, signal) {
  const { body: status } = await call("GET", "/status", { signal });
  drawSagas(panels.sagas, status.orders?.orders);
  const peers = peersIn(status).map((peer) => [peer.name,
    [t(`parts.${peer.state}`), peer.pending && t("parts.pending", { n: number(peer.pending) })].filter(Boolean).join(", "), peer.state !== "up"]);
  const waiting = status.orders?.asynchronous?.waiting;
  panels.machine.replaceChildren(el("h2", {}, t("today.machine")), el("div", { class: "house" },
    facts("catalog", storesOf(status.catalog)),
    facts("orders", [...storesOf(status.orders), breakerOf(status.orders), [t("today.async"), waiting === undefined ? null : number(waiting)]]),
    facts("cart", [breakerOf(status.cart)]),
    facts(t("today.peers"), peers.length ? peers : [[t("today.peers.none"), ""]])));
}

/** What is known of one part of the house: `[name, value, whether that is bad]`; null: no news. */
const facts = (title, known) => el("section", {}, el("h3", {}, title), el("dl", {}, ...known.map(([name, value, bad]) =>
  el("div", {}, el("dt", {}, name), el("dd", { class: bad ? "wrong" : value === null ? "muted" : "" }, value ?? t("unknown"))))));

function storesOf(service) {
  const { replication, pending } = service ?? {};
  const bus = pending?.bus;
  return [
    [t("today.primary"), replication?.primary ?? null],
    [t("today.lag"), replication?.standbys ? t("today.lag.value", { seconds: replication.lag_seconds ?? "?", bytes: replication.lag_bytes ?? "?" }) : null],
    [t("today.backlog"), bus === undefined || bus === null ? null : number(bus)],
  ];
}

function breakerOf(service) {
  const circuit = service?.catalog?.circuit;
  return [t("today.breaker"), circuit ? t(`circuit.${circuit}`) : null, circuit === "open"];
}

function drawSagas(panel, orders) {
  const rows = Object.entries(orders?.by_status ?? {}).map(([status, n]) =>
    el("li", {}, el("a", { href: `/console/orders?status=${status}` }, t(`status.${status}`)), el("b", {}, number(n))));
  panel.replaceChildren(
    el("h2", {}, t("today.sagas")),
    el("p", { class: "figure" }, orders ? number(orders.unfinished) : "–", " ", el("small", {}, t("today.unfinished"))),
    el("ul", { class: "items" }, ...rows),
  );
}
