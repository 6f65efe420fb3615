// What somebody has bought, newest first.

import { read } from "../common/api.js";
import { announce, el } from "../common/browser.js";
import { moment, money, t } from "../common/i18n.js";
import { user } from "../common/session.js";
import { go, message } from "../common/router.js";

export async function show({ place, url, signal }) {
  if (!user()) return go(`/account?next=${encodeURIComponent(url.pathname)}`, { replace: true });
  const list = el("ul", { class: "orders" });
  const after = el("div", { class: "after" });
  const root = el("section", { class: "narrow" }, el("h1", {}, t("orders.title")), list, after);
  list.append(...Array.from({ length: 4 }, () => el("li", { class: "skeleton row", "aria-hidden": "true" })));
  place.replaceChildren(root);
  await page(list, after, signal, "");
  if (!list.children.length) place.replaceChildren(message(t("orders.none"), t("cart.empty.lead")));
  return { title: t("orders.title") };
}

async function page(list, after, signal, cursor) {
  const { body } = await read(`/api/orders?limit=20${cursor}`, { signal });
  list.querySelectorAll(".skeleton").forEach((each) => each.remove());
  list.append(...body.items.map(row));
  after.replaceChildren();
  if (!body.next_cursor) return;
  const more = el("button", { class: "secondary", type: "button" }, t("shelf.more"));
  const next = `&cursor=${encodeURIComponent(body.next_cursor)}`;
  more.addEventListener("click", () => page(list, after, signal, next).catch(() => announce(t("error.title"))));
  after.append(more);
}

function row(order) {
  const n = order.items.reduce((sum, item) => sum + item.quantity, 0);
  return el("li", { "data-status": order.status },
    el("a", { href: `/orders/${order.id}` },
      el("b", {}, t(`status.${order.status}`)),
      el("span", { class: "muted" }, moment(order.created_at, { dateStyle: "short", timeStyle: "short" })),
      el("span", { class: "muted" }, n ? t("orders.items", { n }) : ""),
      el("span", { class: "price" }, order.total_cents ? money(order.total_cents, order.currency) : "")));
}
