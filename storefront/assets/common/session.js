// Who is logged in. The access token lives in this module's memory and nowhere else; the refresh
// token in a cookie that scripts cannot read and that goes to /auth only.

import { forget, recall, remember, whenChangedElsewhere } from "./browser.js";

/** Only whether it is worth asking for a token at all; guests save the request. */
const MARK = "signed-in";

let token = null;
let person = null;
let renewing = null;

export const accessToken = () => token;
export const user = () => person;
export const isOperator = () => person?.role === "operator" || person?.role === "admin";

/** Carry on the session that the cookie stands for, if there is one. */
export async function resume() {
  if (recall(MARK)) await renew(null);
  return person;
}

/** Log in. The answer of the shop, with `status` 200 when it worked. */
export async function signIn(email, password) {
  const answer = await post("/auth/login", { email, password, refresh_token_in: "cookie" });
  if (answer.ok) await begin(await answer.json());
  return answer;
}

/** Make an account; it has to log in then. */
export const register = (email, password, name) =>
  post("/auth/register", { email, password, name });

export async function signOut() {
  end();
  await post("/auth/logout", {}).catch(() => null);
}

/**
 * A new access token for `old`; whether there is one. However many calls ask at once, in however
 * many tabs, the shop is asked one after the other: a refresh token is worth one use.
 */
export function renew(old) {
  renewing ??= alone(() => refresh(old)).finally(() => (renewing = null));
  return renewing;
}

async function refresh(old) {
  if (token && token !== old) return true;
  // The browser finishes this even if the page is closed: an answer that is lost ends the session.
  const answer = await post("/auth/refresh", {}, { keepalive: true }).catch(() => null);
  if (answer?.ok) await begin(await answer.json());
  // No answer, or one that says "later", says nothing about the session.
  else if (answer && answer.status < 500 && answer.status !== 429) end();
  return Boolean(answer?.ok);
}

async function begin(tokens) {
  token = tokens.access_token;
  const headers = { Authorization: `Bearer ${token}` };
  const answer = await fetch("/auth/me", { headers, credentials: "omit" }).catch(() => null);
  if (answer?.ok) person = await answer.json();
  remember(MARK, true);
  changed();
}

function end() {
  token = null;
  person = null;
  forget(MARK);
  changed();
}

whenChangedElsewhere(MARK, () => {
  if (!recall(MARK) && token) end();
});

function changed() {
  dispatchEvent(new CustomEvent("feira:session"));
}

function post(path, body, options = {}) {
  const headers = { "Content-Type": "application/json" };
  return fetch(path, { method: "POST", headers, body: JSON.stringify(body), ...options });
}

function alone(act) {
  return navigator.locks ? navigator.locks.request("feira-refresh", act) : act();
}
