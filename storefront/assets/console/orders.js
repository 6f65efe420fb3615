// All orders, newest first, by status.

import { read } from "../common/api.js";
import { el } from "../common/browser.js";
import { money, t } from "../common/i18n.js";
import { go } from "../common/router.js";
import { choice, heading, more, shortly, state, table } from "./parts-of-page.js";

const STATES = ["pending", "reserved", "paid", "confirmed", "preparing", "shipped", "delivered", "cancelled", "failed"];

export async function show({ place, url, signal }) {
  const asked = new URLSearchParams({ limit: 50 });
  for (const name of ["status", "cursor"]) {
    if (url.searchParams.get(name)) asked.set(name, url.searchParams.get(name));
  }
  const { body } = await read(`/api/orders?${asked}`, { signal });
  const columns = ["id", "status", "when", "total"].map((name) => t(`orders.${name}`));
  const rows = body.items.map((order) => [
    el("a", { href: `/console/orders/${order.id}` }, `…${order.id.slice(-6)}`),
    state(order.status, t(`status.${order.status}`)),
    shortly(order.created_at), order.items.length ? money(order.total_cents, order.currency) : "",
  ]);
  const states = [["", t("orders.any")], ...STATES.map((each) => [each, t(`status.${each}`)])];
  const filter = choice(t("orders.status"), "status", states, asked.get("status") ?? "");
  filter.querySelector("select").addEventListener("change", (event) => {
    go(event.target.value ? `/console/orders?status=${event.target.value}` : "/console/orders");
  });
  const status = asked.get("status");
  place.replaceChildren(
    heading(t("orders.title"), filter),
    rows.length ? table(t("orders.title"), columns, rows) : el("p", { class: "notice" }, t("none")),
    more("/console/orders", body.next_cursor, status ? { status } : {}),
  );
  return { title: t("orders.title") };
}
