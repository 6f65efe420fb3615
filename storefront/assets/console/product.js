// One product: made, or edited on the version that was read (If-Match), with its stock beside it.

import { call, read } from "../common/api.js";
import { el } from "../common/browser.js";
import { knows, money, t } from "../common/i18n.js";
import { go } from "../common/router.js";
import { conflict } from "./conflict.js";
import { attempt, choice, done, field, heading, note } from "./parts-of-page.js";
import { centsOf, typed } from "./price.js";
import { stockPanel } from "./stock.js";

const EDITED = ["name", "description", "category_id", "price_cents", "image_url", "active"];

export async function show({ place, match, signal }) {
  const { body: categories } = await read("/api/categories?limit=100", { signal });
  if (match[1] === "new") {
    place.replaceChildren(heading(t("products.new")), newForm(categories.items));
    return { title: t("products.new") };
  }
  const { body, headers } = await read(`/api/products/${match[1]}`, { signal });
  const page = { place, signal, product: body, etag: headers.get("ETag"), categories: categories.items };
  draw(page);
  return { title: body.name };
}

function draw(page) {
  const { product } = page;
  page.said = note();
  page.form = editForm(page);
  page.beside = el("div", {});
  page.place.replaceChildren(
    heading(product.name, el("span", { class: "muted" }, `#${product.id} · ${product.sku} · ${t("product.version", { n: product.version })}`)),
    page.beside,
    el("div", { class: "columns" }, page.form, stockPanel(product, page.signal)),
  );
}

function editForm(page) {
  const { product } = page;
  const form = el("form", { class: "panel form" }, ...fields(product, page.categories),
    el("label", { class: "tick" }, el("input", { type: "checkbox", name: "active", checked: product.active }), ` ${t("product.active")}`),
    page.said, el("button", { class: "primary" }, t("save")));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (priced(form, page.said)) save(page, changes(form, product));
  });
  return form;
}

function fields(product, categories) {
  const description = el("textarea", { name: "description", rows: 4, maxlength: 4000 });
  description.value = product?.description ?? "";
  const listed = categories.map((each) => [String(each.id), each.name]);
  return [
    field(t("product.name"), "name", { required: true, maxlength: 120, value: product?.name }),
    el("label", { class: "field" }, el("span", {}, t("product.description")), description),
    choice(t("product.category"), "category_id", listed, product && String(product.category.id)),
    field(t("product.price"), "price", { inputmode: "decimal", required: true, autocomplete: "off", maxlength: 20, placeholder: typed(3300), value: product && typed(product.price_cents) }),
    field(t("product.image"), "image_url", { maxlength: 500, value: product?.image_url }),
  ];
}

const written = (form) => ({
  name: form.elements.name.value.trim(),
  description: form.description.value.trim(),
  category_id: Number(form.category_id.value),
  price_cents: centsOf(form.price.value),
  image_url: form.image_url.value.trim(),
  ...(form.active && { active: form.active.checked }),
});

/** Whether the price can be read; says so and goes there if not. */
function priced(form, said) {
  const fine = centsOf(form.price.value) !== null;
  form.price.ariaInvalid = fine ? null : "true";
  said.textContent = fine ? "" : t("product.price.bad", { example: typed(3300), most: typed(10 ** 9) });
  if (!fine) form.price.focus();
  return fine;
}

/** What of a product may be edited, as the edit names it. */
export const editable = (product) =>
  Object.fromEntries(EDITED.map((name) => [name, name === "category_id" ? product.category.id : product[name]]));

function changes(form, product) {
  const before = editable(product);
  return Object.fromEntries(Object.entries(written(form)).filter(([name, value]) => value !== before[name]));
}

async function save(page, wanted) {
  if (!Object.keys(wanted).length) {
    done(page.said, t("unchanged"));
    return;
  }
  await attempt(page.said, async () => {
    try {
      const headers = { "If-Match": page.etag };
      taken(page, await call("PATCH", `/api/products/${page.product.id}`, { body: wanted, headers }));
    } catch (problem) {
      if (problem.status !== 412) throw problem;
      await settle(page, wanted);
    }
  });
}

function taken(page, answer) {
  page.product = answer.body;
  page.etag = answer.headers.get("ETag");
  draw(page);
  done(page.said, t("saved"));
}

/** Somebody else's edit came first: both versions side by side, and the operator chooses. */
async function settle(page, mine) {
  const { body, headers } = await call("GET", `/api/products/${page.product.id}`);
  const shown = (name, value) => {
    if (name === "category_id") return page.categories.find((each) => each.id === value)?.name ?? String(value);
    if (name === "price_cents") return money(value, body.currency);
    return typeof value === "boolean" ? t(value ? "product.yes" : "product.no") : String(value);
  };
  const onChosen = (wanted) => {
    page.product = body;
    page.etag = headers.get("ETag");
    if (Object.keys(wanted).length) save(page, wanted);
    else taken(page, { body, headers });
  };
  page.beside.replaceChildren(conflict({ theirs: editable(body), mine, version: body.version, shown, label, onChosen }));
  page.beside.firstElementChild.focus();
}

const LABELS = { category_id: "product.category", price_cents: "product.price", image_url: "product.image" };
const label = (name) => t(LABELS[name] ?? (knows(`product.${name}`) ? `product.${name}` : name));

function newForm(categories) {
  const said = note();
  const form = el("form", { class: "panel form narrow" },
    field(t("product.sku"), "sku", { required: true, maxlength: 32, pattern: "[A-Z0-9][A-Z0-9\\-]{1,31}" }),
    ...fields(null, categories),
    field(t("product.first"), "stock", { type: "number", min: 0, max: 10 ** 9, value: 0 }),
    said, el("button", { class: "primary" }, t("save")));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!priced(form, said)) return;
    const { image_url: picture, ...rest } = written(form);
    const body = { sku: form.sku.value.trim(), stock: form.stock.valueAsNumber || 0, ...rest, ...(picture && { image_url: picture }) };
    await attempt(said, async () => {
      const made = await call("POST", "/api/products", { body });
      go(`/console/products/${made.body.id}`);
    });
  });
  return form;
}
