// The cart: kept by the shop, known here by its id, which survives a reload. A line is always set
// to a number (PUT), never added to, so a request whose answer was lost may be sent again.

import { call, patiently, Problem } from "../common/api.js";
import { forget, recall, remember, whenChangedElsewhere } from "../common/browser.js";
import { money, t } from "../common/i18n.js";

const NAME = "cart";
const SEEN = "seen";

let cart = null;
let queue = Promise.resolve();

export const current = () => cart;
export const count = () => cart?.items.reduce((sum, line) => sum + line.quantity, 0) ?? 0;
export const quantityOf = (id) => cart?.items.find((line) => line.product_id === id)?.quantity ?? 0;

/** Whether there is a cart of which nothing is known yet. */
export const unknown = () => !cart && recall(NAME) !== null;

/**
 * Ask the shop what is in the cart, if there is one. Where it cannot say, the old one stays; who is
 * `patient` waits for it, visibly, and in the end gets the Problem.
 */
export async function load({ patient = false } = {}) {
  const id = recall(NAME);
  if (!id) return keep(null);
  const ask = () => call("GET", `/api/carts/${id}`);
  try {
    keep((await (patient ? patiently(ask) : ask())).body);
  } catch (problem) {
    if (problem.status === 404) keep(null);
    else if (patient || !(problem instanceof Problem)) throw problem;
  }
  return cart;
}

/** Put `more` of a product into the cart. Throws a Problem, `insufficient-stock` among them. */
export function add({ id, name, image_url: picture }, more) {
  remember(SEEN, { ...recall(SEEN), [id]: { name, picture } });
  return change(() => put(id, quantityOf(id) + more));
}

/** The picture of what was put into the cart here; the cart itself knows of none. */
export const pictureOf = (id) => recall(SEEN)?.[id]?.picture;

/** What a line of a cart or an order is called, also while the catalogue cannot say. */
export const nameOf = ({ product_id: id, name }) => name || recall(SEEN)?.[id]?.name || t("cart.product", { id });

/** What the cart comes to, in words; while a price is not known, that is said. */
export function total() {
  if (!cart?.items.every((line) => line.line_total_cents !== null)) return t("cart.line.unverified");
  return money(cart.total_cents, cart.currency);
}

/** Set the line of a product. */
export const set = (id, quantity) => change(() => put(id, quantity));

/** Take a product out. That it is out already is fine. */
export const remove = (id) =>
  change(() => send("DELETE", `/api/carts/${cart.id}/items/${id}`)).catch((problem) => {
    if (problem.kind !== "item-not-found") throw problem;
    return load();
  });

/** Changes happen one after the other, each on what the one before left. */
function change(act) {
  queue = queue.catch(() => null).then(act);
  return queue;
}

async function put(id, quantity) {
  if (!recall(NAME)) await create();
  const path = () => `/api/carts/${recall(NAME)}/items/${id}`;
  try {
    return await send("PUT", path(), { quantity });
  } catch (problem) {
    if (problem.kind !== "cart-not-found") throw problem;
    // It expired while the page was open; what was in it is gone, the wish is not.
    await create();
    return send("PUT", path(), { quantity });
  }
}

async function create() {
  keep((await patiently(() => call("POST", "/api/carts", { body: {} }))).body);
}

async function send(method, path, body) {
  const answer = await patiently(() => call(method, path, { body }));
  keep(answer.body);
  return answer.body;
}

function keep(found) {
  cart = found;
  if (found) remember(NAME, found.id);
  else [NAME, SEEN].forEach(forget);
  dispatchEvent(new CustomEvent("feira:cart", { detail: count() }));
}

whenChangedElsewhere(NAME, () => load());
