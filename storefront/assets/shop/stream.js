// An order as it happens: server-sent events, read with `fetch` because an EventSource cannot send
// a token. Falls back to asking every few seconds, and goes back to the stream when there is one.

import { call } from "../common/api.js";
import { pause } from "../common/browser.js";
import { accessToken, renew } from "../common/session.js";

const POLL_MILLISECONDS = 3000;
/** The shop says something every 2 seconds; after this silence the line is dead. */
const SILENCE_MILLISECONDS = 8000;
const MOST_FAILURES = 2;
const ENDED = ["confirmed", "preparing", "shipped", "delivered", "cancelled", "failed"];

/**
 * Follow an order until its checkout has ended or `signal` is aborted.
 *
 * `on.order(order)` whenever it changed, `on.steps(steps)` with the whole timeline so far,
 * `on.link("live" | "polling")` how it is followed.
 */
export async function follow(id, on, signal) {
  const state = { id, on, signal, last: null, steps: [], failures: 0, retry: 1000 };
  while (!signal.aborted) {
    const ended = state.failures < MOST_FAILURES ? await listen(state) : await poll(state);
    if (ended) return;
    await pause(state.failures < MOST_FAILURES ? state.retry : POLL_MILLISECONDS, signal);
  }
}

/** One connection; whether the checkout is over. */
async function listen(state) {
  const token = accessToken();
  const headers = { Authorization: `Bearer ${token}`, Accept: "text/event-stream" };
  if (state.last) headers["Last-Event-ID"] = state.last;
  const line = new AbortController();
  const hangUp = () => line.abort();
  state.signal.addEventListener("abort", hangUp);
  try {
    const options = { headers, signal: line.signal, credentials: "omit" };
    const response = await fetch(`/api/orders/${state.id}/events`, options);
    if (response.status === 204) return true;
    if (response.status === 401) await renew(token);
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    for await (const event of events(response, line)) {
      if (take(state, event)) return true;
    }
  } catch {
    state.failures += 1;
  } finally {
    state.signal.removeEventListener("abort", hangUp);
    line.abort();
  }
  return false;
}

function take(state, { name, id, data, retry }) {
  if (retry) state.retry = retry;
  if (!name) return false;
  state.failures = 0;
  state.on.link("live");
  if (id) state.last = id;
  if (name === "order") state.on.order(data);
  if (name === "step") state.on.steps((state.steps = [...state.steps, data]));
  return name === "end";
}

async function poll(state) {
  state.on.link("polling");
  try {
    const { body: order } = await call("GET", `/api/orders/${state.id}`, { signal: state.signal });
    const path = `/api/orders/${state.id}/timeline`;
    const { body } = await call("GET", path, { signal: state.signal });
    state.steps = body.items;
    state.on.order(order);
    state.on.steps(body.items);
    // The stream tells all from the beginning, so it is begun anew.
    state.last = null;
    if (ENDED.includes(order.status)) return true;
    state.steps = [];
    state.failures = MOST_FAILURES - 1;
  } catch {
    // Asked again in a moment.
  }
  return false;
}

/** The events of a response, as they come; hangs up after a silence. */
async function* events(response, line) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const silence = setTimeout(() => line.abort(), SILENCE_MILLISECONDS);
    const { done, value } = await reader.read().finally(() => clearTimeout(silence));
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) yield parsed(block);
  }
}

function parsed(block) {
  const fields = {};
  for (const line of block.split("\n")) {
    const [, field, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (field) fields[field] = value;
  }
  const retry = Number(fields.retry) || undefined;
  return { name: fields.event, id: fields.id, retry, data: fields.data && JSON.parse(fields.data) };
}
