// All products on sale, to be searched and edited.

import { read } from "../common/api.js";
import { el } from "../common/browser.js";
import { money, number, t } from "../common/i18n.js";
import { go } from "../common/router.js";
import { heading, table } from "./parts-of-page.js";

export async function show({ place, url, signal }) {
  const q = url.searchParams.get("q") ?? "";
  const cursor = url.searchParams.get("cursor");
  const asked = new URLSearchParams({ limit: 50, ...(q && { q }), ...(cursor && { cursor }) });
  const { body } = await read(`/api/products?${asked}`, { signal });
  const rows = body.items.map((product) => [
    el("a", { href: `/console/products/${product.id}` }, product.name),
    product.sku, product.category.name, money(product.price_cents, product.currency),
    el("span", { class: product.stock <= 5 ? "hint few" : "" }, number(product.stock)),
  ]);
  const columns = ["name", "sku", "category", "price.shown", "stock"].map((name) =>
    name === "price.shown" ? t("product.price.short") : t(`product.${name}`));
  const parts = [
    heading(t("products.title"), el("a", { class: "primary", href: "/console/products/new" }, t("products.new"))),
    searchForm(q),
    rows.length ? table(t("products.title"), columns, rows) : el("p", { class: "muted" }, t("none")),
  ];
  if (body.next_cursor) {
    asked.set("cursor", body.next_cursor);
    asked.delete("limit");
    parts.push(el("p", { class: "after" }, el("a", { class: "secondary", href: `/console/products?${asked}` }, t("more"))));
  }
  place.replaceChildren(...parts);
  return { title: t("products.title") };
}

/** A number (`#83`) leads to a product that is not sold any more, too. */
function searchForm(q) {
  const input = el("input", { type: "search", name: "q", value: q, "aria-label": t("products.search"), placeholder: t("products.search") });
  const form = el("form", { class: "search narrow-search", role: "search" }, input);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const id = /^#(\d{1,15})$/.exec(input.value.trim())?.[1];
    go(id ? `/console/products/${id}` : `/console/products?${new URLSearchParams({ q: input.value.trim() })}`);
  });
  return form;
}
