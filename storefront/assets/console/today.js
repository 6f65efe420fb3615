// The shop at a glance, live: from the order list, the product list and /status.

import { call, Problem } from "../common/api.js";
import { el } from "../common/browser.js";
import { money, number, t } from "../common/i18n.js";
import { every } from "../common/live.js";
import { bars, perMinute } from "./chart.js";
import { heading } from "./parts-of-page.js";

const MINUTES = 30;
const MOST_ORDERS = 500;
const LOW = 5;
const SOLD = ["reserved", "paid", "confirmed", "preparing", "shipped", "delivered"];

export function show({ place, signal }) {
  const panels = Object.fromEntries(
    ["orders", "revenue", "sagas", "low", "machine"].map((name) => [name, el("section", { class: `panel ${name}` })]),
  );
  for (const panel of Object.values(panels)) panel.append(el("p", { class: "muted" }, t("loading")));
  place.replaceChildren(heading(t("today.title")), el("div", { class: "glance" }, ...Object.values(panels)));
  every(2000, () => quietly(() => drawMachine(panels, signal)), signal);
  every(3000, () => quietly(() => drawSales(panels, signal)), signal);
  every(15_000, () => quietly(() => drawLow(panels, signal)), signal);
  return { title: t("today.title") };
}

/** What cannot be asked now is asked again in a moment; the last figures stay. */
async function quietly(act) {
  try {
    await act();
  } catch (problem) {
    if (!(problem instanceof Problem) && problem.name !== "AbortError") throw problem;
  }
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
  const facts = [];
  for (const name of ["catalog", "orders"]) {
    const replication = status[name]?.replication;
    facts.push([`${t("today.primary")}, ${name}`, replication?.primary]);
    facts.push([`${t("today.lag")}, ${name}`, replication && lagOf(replication)]);
    for (const [sink, waiting] of Object.entries(status[name]?.pending ?? { bus: null })) {
      facts.push([`${t("today.backlog")}, ${name} → ${sink}`, waiting === null ? null : number(waiting)]);
    }
  }
  for (const name of ["cart", "orders"]) {
    const circuit = status[name]?.catalog?.circuit;
    facts.push([`${t("today.breakers")}, ${name} → catalog`, circuit && t(`circuit.${circuit}`)]);
  }
  facts.push([t("today.async"), status.orders?.asynchronous && number(status.orders.asynchronous.waiting)]);
  facts.push([t("today.peers"), peersOf(status)]);
  const list = facts.map(([name, value]) => el("div", {}, el("dt", {}, name),
    el("dd", { class: value ? "" : "muted" }, value ?? t("unknown"))));
  panels.machine.replaceChildren(el("h2", {}, t("today.machine")), el("dl", { class: "facts" }, ...list));
}

const lagOf = (replication) =>
  replication.standbys ? t("today.lag.value", { seconds: replication.lag_seconds ?? "?", bytes: replication.lag_bytes ?? "?" }) : null;

/** Branches show as sinks of the outbox beside the bus, and as `peers` where there are any. */
function peersOf(status) {
  const sinks = Object.keys(status.catalog?.pending ?? {}).filter((name) => name !== "bus");
  const peers = status.catalog?.peers ?? [];
  const named = Array.isArray(peers) ? peers.map((peer) => peer.name ?? String(peer)) : Object.keys(peers);
  return [...new Set([...sinks, ...named])].join(", ") || t("today.peers.none");
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
