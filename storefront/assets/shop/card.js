// A product as the shelf shows it, and what is said of its stock.

import { announce, clone, part } from "../common/browser.js";
import { money, t, translate } from "../common/i18n.js";

const FEW = 5;

/** A card; `eager`: it is in sight at once, so its picture is asked for at once. */
export function card(product, eager = false) {
  const made = clone("card", translate);
  part(made, "link").href = `/products/${product.id}`;
  part(made, "name").textContent = product.name;
  part(made, "price").textContent = money(product.price_cents, product.currency);
  setPicture(part(made, "picture"), product, eager);
  setHint(part(made, "hint"), product);
  const button = part(made, "add");
  button.setAttribute("aria-label", t("add.named", { name: product.name }));
  button.disabled = product.stock === 0;
  button.addEventListener("click", () => addOne(button, product, part(made, "hint")));
  return made;
}

/** Pictures come from the shop itself; any other address is not asked. */
export function setPicture(image, product, eager) {
  image.loading = eager ? "eager" : "lazy";
  if (eager) image.fetchPriority = "high";
  image.addEventListener("error", () => image.classList.add("broken"), { once: true });
  if (product.image_url.startsWith("/")) image.src = product.image_url;
  else image.classList.add("broken");
}

export function setHint(place, product) {
  place.classList.remove("short");
  place.classList.toggle("few", product.stock <= FEW);
  if (product.stock === 0) place.textContent = t("stock.none");
  else if (product.stock <= FEW) place.textContent = t("stock.few", { n: product.stock });
  else place.textContent = t("stock.some");
}

/** What a Problem of adding to the cart means to the shopper. */
export function refusal(problem) {
  if (problem.kind === "insufficient-stock") {
    const n = problem.document.lines[0].available;
    return n ? t("short", { n }) : t("short.none");
  }
  if (problem.kind === "product-not-found") return t("product.gone");
  return problem.status ? t("error.here", { detail: problem.message }) : t("error.title");
}

async function addOne(button, product, hint) {
  if (button.ariaBusy === "true") return;
  button.ariaBusy = "true";
  try {
    const cart = await import("./cart.js");
    await cart.add(product, 1);
    announce(t("added", { name: product.name }));
    button.classList.add("done");
    setTimeout(() => button.classList.remove("done"), 900);
  } catch (problem) {
    hint.textContent = refusal(problem);
    hint.classList.add("short");
    announce(hint.textContent);
  } finally {
    button.ariaBusy = "false";
  }
}
