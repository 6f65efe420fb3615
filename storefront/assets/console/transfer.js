// Units that an operator sends to another branch. Their id is made once and kept, across reloads,
// until there is an answer for good: however often it is sent, they go once.

import { call, patiently } from "../common/api.js";
import { forget, recall, remember } from "../common/browser.js";
import { user } from "../common/session.js";

const NAME = "transfer";
/** Crockford's base 32, of which ULIDs are made. */
const DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

let running = null;

/** The transfer that has had no answer for good, if it is this user's: `{ id, sku, to, quantity }`. */
export function current() {
  const kept = recall(NAME);
  return kept?.user === user()?.id ? (kept?.body ?? null) : null;
}

/** Begin a transfer of `{ sku, to, quantity }`, unless one is under way: then that one goes on. */
export function begin(body) {
  if (!current()) remember(NAME, { user: user().id, body: { id: newUlid(), ...body } });
}

/**
 * Send it until the shop has answered; the transfer.
 *
 * Throws the Problem that is final. After a refusal (4xx) nothing was sent, and the next one is
 * another one; after anything else it is kept, for it may have been.
 */
export function pursue(options = {}) {
  running ??= send(options).finally(() => (running = null));
  return running;
}

async function send({ waiting }) {
  const wanted = current();
  const post = () => call("POST", "/api/stock-transfers", { body: wanted });
  try {
    const { body } = await patiently(post, { waiting, tries: Infinity });
    settle(wanted);
    return body;
  } catch (problem) {
    if (problem.status >= 400 && problem.status < 500 && problem.status !== 401) settle(wanted);
    throw problem;
  }
}

/** Another tab may have begun the next one by now. */
function settle(wanted) {
  if (recall(NAME)?.body.id === wanted.id) forget(NAME);
}

function newUlid() {
  let time = Date.now();
  let id = "";
  for (let i = 0; i < 10; i += 1) {
    id = DIGITS[time % 32] + id;
    time = Math.floor(time / 32);
  }
  for (const byte of crypto.getRandomValues(new Uint8Array(16))) id += DIGITS[byte % 32];
  return id;
}
