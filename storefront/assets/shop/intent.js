// A purchase that the shopper wants. Its Idempotency-Key is made once and kept, across reloads and
// tabs, until there is an answer for good: however often it is sent, it is bought once.

import { call, patiently, read } from "../common/api.js";
import { forget, recall, remember } from "../common/browser.js";
import { user } from "../common/session.js";

const NAME = "intent";
/** The shop keeps a key for 24 hours; after that it would be another purchase. */
const LIFE_MILLISECONDS = 23 * 3600 * 1000;

const ENDED = ["confirmed", "preparing", "shipped", "delivered", "cancelled", "failed"];

let running = null;

/** The purchase that is not over, if it is this user's: `{ key, body, user, at, order? }`. */
export function current() {
  const intent = recall(NAME);
  if (!intent) return null;
  if (Date.now() - intent.at > LIFE_MILLISECONDS) forget(NAME);
  else if (!user() || user().id === intent.user) return intent;
  return null;
}

/** Begin a purchase, unless one is under way: then it is that one that goes on. */
export async function begin(body) {
  await lookAfter();
  const intent = current();
  const sameCart = intent?.body.cart_id === body.cart_id && intent.body.cart_version === body.cart_version;
  // An order that waits for its bank keeps nobody from buying another cart.
  if (intent && (!intent.order || sameCart)) return;
  remember(NAME, { key: newKey(), body, user: user().id, at: Date.now() });
}

/** Forget the purchase if its order has ended while nobody watched. */
export async function lookAfter() {
  const order = current()?.order;
  if (!order) return;
  const { body } = await read(`/api/orders/${order}`);
  if (ENDED.includes(body.status)) settle(order);
}

/**
 * Send the purchase until the shop has answered; the order's id.
 *
 * Throws the Problem that is final: then nothing was bought with this key, and the next purchase
 * gets another. Without a login (401) it stays and goes on after the next one.
 */
export function pursue(options = {}) {
  running ??= send(options).finally(() => (running = null));
  return running;
}

async function send({ signal, waiting }) {
  const intent = current();
  if (intent.order) return intent.order;
  const headers = { "Idempotency-Key": intent.key, Prefer: "respond-async" };
  const post = () => call("POST", "/api/orders", { body: intent.body, headers, signal });
  try {
    const { body } = await patiently(post, { signal, waiting, tries: Infinity });
    remember(NAME, { ...intent, order: body.id });
    return body.id;
  } catch (problem) {
    if (problem.status && problem.status !== 401) forget(NAME);
    throw problem;
  }
}

/** The order has ended, well or not: the next purchase is another one. */
export function settle(orderId) {
  if (recall(NAME)?.order === orderId) forget(NAME);
}

function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(18));
  return btoa(String.fromCharCode(...bytes)).replaceAll("/", "_").replaceAll("+", "-");
}
