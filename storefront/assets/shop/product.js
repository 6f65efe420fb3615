// One product: picture, price, stock, and how many of it.

import { read } from "../common/api.js";
import { announce, clone, part } from "../common/browser.js";
import { money, t, translate } from "../common/i18n.js";
import { refusal, setHint, setPicture } from "./card.js";
import * as cart from "./cart.js";
import { message } from "../common/router.js";

export async function show({ place, match, signal }) {
  const skeleton = clone("product", translate);
  skeleton.classList.add("loading");
  place.replaceChildren(skeleton);
  let product;
  try {
    product = (await read(`/api/products/${match[1]}`, { signal })).body;
  } catch (problem) {
    if (problem.status !== 404) throw problem;
    place.replaceChildren(message(t("product.unknown"), t("missing.lead")));
    return { title: t("product.unknown") };
  }
  // Drawn at once and not bit by bit into what is there: nothing moves.
  const root = clone("product", translate);
  draw(root, product);
  place.replaceChildren(root);
  return { title: product.name };
}

function draw(root, product) {
  const category = part(root, "category");
  category.href = `/?category=${product.category.slug}`;
  category.textContent = product.category.name;
  setPicture(part(root, "picture"), product, true);
  part(root, "name").textContent = product.name;
  part(root, "price").textContent = money(product.price_cents, product.currency);
  part(root, "description").textContent = product.description;
  setHint(part(root, "hint"), product);
  if (!product.active) part(root, "hint").textContent = t("product.gone");
  prepareForm(root, product);
}

function prepareForm(root, product) {
  const form = part(root, "form");
  const quantity = part(root, "quantity");
  const sold = product.active && product.stock > 0;
  for (const field of form.elements) field.disabled = !sold;
  const step = (by) => () => {
    quantity.value = Math.max(1, Math.min(10_000, (quantity.valueAsNumber || 1) + by));
  };
  part(root, "less").addEventListener("click", step(-1));
  part(root, "more").addEventListener("click", step(1));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    add(root, product, quantity.valueAsNumber || 1);
  });
}

async function add(root, product, quantity) {
  const button = part(root, "add");
  const said = part(root, "said");
  if (button.ariaBusy === "true") return;
  button.ariaBusy = "true";
  said.textContent = "";
  try {
    await cart.add(product, quantity);
    announce(t("added", { name: product.name }));
    (await import("./cart-drawer.js")).open();
  } catch (problem) {
    said.textContent = refusal(problem);
  } finally {
    button.ariaBusy = "false";
  }
}
