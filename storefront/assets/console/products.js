// All products, on sale or off, to be searched and edited.

import { read } from "../common/api.js";
import { el } from "../common/browser.js";
import { money, number, t } from "../common/i18n.js";
import { go } from "../common/router.js";
import { choice, heading, more, table } from "./parts-of-page.js";

const FEW = 5;

export async function show({ place, url, signal }) {
  const q = url.searchParams.get("q") ?? "";
  const off = url.searchParams.get("sale") === "off";
  const cursor = url.searchParams.get("cursor");
  const asked = new URLSearchParams({ limit: 50, ...(q && { q }), ...(cursor && { cursor }) });
  const { body } = await read(`/api/products${off ? "/off-sale" : ""}?${asked}`, { signal });
  const columns = ["name", "sku", "category", "price.short", "stock"].map((name) => t(`product.${name}`));
  place.replaceChildren(
    heading(t("products.title"), el("a", { class: "primary", href: "/console/products/new" }, t("products.new"))),
    searchForm(q, off),
    body.items.length ? table(t("products.title"), columns, body.items.map(row))
      : el("p", { class: "notice" }, t(q ? "products.none" : off ? "products.none.off" : "none")),
    more("/console/products", body.next_cursor, wanted(q, off)),
  );
  return { title: t("products.title") };
}

const row = (product) => [
  el("a", { href: `/console/products/${product.id}` }, product.name),
  product.sku, product.category.name, money(product.price_cents, product.currency),
  el("span", { class: product.stock <= FEW ? "hint few" : "" }, number(product.stock)),
];

const wanted = (q, off) => ({ ...(q && { q }), ...(off && { sale: "off" }) });

/** A number (`#83`) leads to that product, on sale or off. */
function searchForm(q, off) {
  const label = t("products.search");
  const input = el("input", { type: "search", name: "q", value: q, "aria-label": label, placeholder: label });
  const sale = choice(t("products.sale"), "sale", [["on", t("products.on")], ["off", t("products.off")]], off ? "off" : "on");
  const form = el("form", { class: "search found-by", role: "search" }, input, sale);
  const find = () => {
    const id = /^#(\d{1,15})$/.exec(input.value.trim())?.[1];
    const list = new URLSearchParams(wanted(input.value.trim(), form.sale.value === "off"));
    go(id ? `/console/products/${id}` : `/console/products?${list}`);
  };
  form.sale.addEventListener("change", find);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    find();
  });
  return form;
}
