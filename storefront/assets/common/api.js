// Calls of the REST contract: problems become exceptions, an expired access token is renewed once,
// and what the shop asks to wait for is waited for, visibly.

import { pause } from "./browser.js";
import { accessToken, renew } from "./session.js";

/** Seconds before a read that got no answer at all is tried again. */
const NO_ANSWER_SECONDS = 2;
const LONGEST_WAIT_SECONDS = 60;
const MOST_TRIES = 6;
/** For so long after a write, reads ask for what it did, past every cache. */
const CONSISTENT_MILLISECONDS = 15_000;

let consistency = { tokens: new Map(), until: 0 };

/** An answer that is no success (RFC 9457), or `status` 0: there was none. */
export class Problem extends Error {
  constructor(status, document, retryAfter) {
    super(document.detail ?? document.title ?? `HTTP ${status}`);
    this.status = status;
    this.document = document;
    this.kind = (document.type ?? "").split("/").pop();
    this.retryAfter = retryAfter;
  }

  /** Whether sending the same again later is right. */
  get passes() {
    return [0, 429, 503, 504].includes(this.status) || this.kind === "in-progress";
  }
}

/**
 * One call. `{ status, body, headers }` of a success.
 *
 * Throws a Problem, or the AbortError of `signal`.
 */
export async function call(method, path, options = {}) {
  const token = accessToken();
  try {
    return await send(method, path, options, token);
  } catch (problem) {
    if (problem.status !== 401 || !token || !(await renew(token))) throw problem;
    return send(method, path, options, accessToken());
  }
}

/** A read that waits for as long as the shop asks it to, and tells the page of it. */
export function read(path, options = {}) {
  return patiently(() => call("GET", path, options), options);
}

/**
 * Do something idempotent until it is answered for good.
 *
 * Throws what is final, or what `tries` did not outlast.
 */
export async function patiently(act, { signal, tries = MOST_TRIES, waiting = tell } = {}) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await act();
    } catch (problem) {
      if (!(problem instanceof Problem) || !problem.passes || attempt >= tries) throw problem;
      await countDown(problem, signal, waiting);
    }
  }
}

async function countDown(problem, signal, waiting) {
  const wait = Math.min(problem.retryAfter ?? NO_ANSWER_SECONDS, LONGEST_WAIT_SECONDS);
  try {
    for (let left = Math.max(1, Math.ceil(wait)); left > 0; left -= 1) {
      waiting({ seconds: left, problem });
      await pause(1000, signal);
    }
  } finally {
    waiting(null);
  }
}

/** The page shows the wait; see `<wait-notice>`. */
function tell(wait) {
  dispatchEvent(new CustomEvent("feira:wait", { detail: wait }));
}

async function send(method, path, { body, headers = {}, signal }, token) {
  const sent = { Accept: "application/json", ...headers };
  if (body !== undefined) sent["Content-Type"] = "application/json";
  if (token) sent.Authorization = `Bearer ${token}`;
  if (Date.now() < consistency.until) {
    sent["X-Consistency-Token"] = [...consistency.tokens.values()].join(",");
  }
  let response;
  try {
    response = await fetch(path, {
      method, headers: sent, signal, credentials: "omit",
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, { title: "no answer" });
  }
  return understood(response, method);
}

async function understood(response, method) {
  const document = await response.json().catch(() => null);
  if (!response.ok) {
    const seconds = Number.parseInt(response.headers.get("Retry-After"), 10);
    const wait = Number.isNaN(seconds) ? undefined : seconds;
    throw new Problem(response.status, document ?? {}, wait);
  }
  // A success whose body was cut off is no answer.
  if (document === null && response.status !== 204) throw new Problem(0, { title: "no answer" });
  if (method !== "GET") keepConsistency(response.headers.get("X-Consistency-Token"));
  return { status: response.status, body: document, headers: response.headers };
}

function keepConsistency(header) {
  if (!header) return;
  for (const token of header.split(",")) consistency.tokens.set(token.split(":")[0], token);
  consistency.until = Date.now() + CONSISTENT_MILLISECONDS;
}
