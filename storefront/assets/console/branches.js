// The other branches, and stock that goes from one to another.

import { call, read } from "../common/api.js";
import { el } from "../common/browser.js";
import { number, t } from "../common/i18n.js";
import { every } from "../common/live.js";
import { attempt, choice, done, field, heading, more, note, quietly, shortly, state, table } from "./parts-of-page.js";
import { peersIn } from "./peers.js";
import * as transfers from "./transfer.js";

const SEARCH_PAUSE = 200;

export async function show({ place, url, signal }) {
  const cursor = url.searchParams.get("cursor");
  const asked = new URLSearchParams({ limit: 50, ...(cursor && { cursor }) });
  const page = { signal, path: `/api/stock-transfers?${asked}`, list: el("div", {}), said: note() };
  const [{ body: status }, { body }] = await Promise.all([read("/status", { signal }), read(page.path, { signal })]);
  const peers = peersIn(status);
  const parts = [heading(t("branches.title")), el("p", { class: "lead" }, t(peers.length ? "branches.lead" : "branches.none"))];
  if (peers.length) {
    parts.push(el("div", { class: "columns with-list" }, page.list, sendPanel(page, peers, url.searchParams.get("sku"))));
  } else if (body.items.length) parts.push(page.list);
  drawList(page, body);
  place.replaceChildren(...parts);
  // What had no answer before the page was closed goes on.
  if (peers.length && transfers.current()) carryOn(page);
  every(2000, () => quietly(() => look(page)), signal);
  return { title: t("branches.title") };
}

async function look(page) {
  drawList(page, (await call("GET", page.path, { signal: page.signal })).body);
}

function drawList(page, body) {
  // Redrawn only when there is something new: whoever reads or scrolls it is not disturbed.
  const seen = JSON.stringify(body);
  if (page.seen === seen) return;
  page.seen = seen;
  const columns = ["when", "sku", "way", "quantity", "state"].map((name) => t(`transfer.${name}`));
  const rows = body.items.map((each) => [
    shortly(each.at), each.sku, t("transfer.from.to", each), number(each.quantity),
    state(each.state === "received" ? "delivered" : "shipped", t(`transfer.${each.state}`)),
  ]);
  page.list.replaceChildren(
    rows.length ? table(t("transfer.title"), columns, rows) : el("p", { class: "notice" }, t("transfer.none")),
    more("/console/branches", body.next_cursor),
  );
}

function sendPanel(page, peers, sku) {
  const found = el("datalist", { id: "skus" });
  page.hint = el("p", { class: "hint" });
  page.form = el("form", { class: "panel form", "aria-label": t("transfer.new") }, el("h2", {}, t("transfer.new")),
    field(t("transfer.sku.label"), "sku", { required: true, maxlength: 32, list: "skus", autocomplete: "off", value: sku }),
    found, page.hint,
    choice(t("transfer.to"), "to", peers.map(({ name }) => [name, name])),
    field(t("transfer.quantity"), "quantity", { type: "number", min: 1, max: 10 ** 9, required: true }),
    page.said, el("button", { class: "primary" }, t("transfer.send")));
  suggest(page, found);
  page.form.addEventListener("submit", (event) => {
    event.preventDefault();
    const { sku: typed, to, quantity } = page.form;
    carryOn(page, { sku: typed.value.trim().toUpperCase(), to: to.value, quantity: quantity.valueAsNumber });
  });
  return page.form;
}

/** Products by the letters typed; of the one that is meant, how many there are. */
function suggest(page, found) {
  let timer;
  const search = () => quietly(async () => {
    const typed = page.form.sku.value.trim();
    const q = encodeURIComponent(typed);
    const known = [...found.children].find((option) => option.value === typed);
    page.hint.textContent = known ? known.textContent : "";
    if (!typed || known) return;
    const { body } = await call("GET", `/api/products?limit=10&q=${q}`, { signal: page.signal });
    found.replaceChildren(...body.items.map((each) =>
      el("option", { value: each.sku }, t("transfer.there", { name: each.name, n: number(each.stock) }))));
  });
  page.form.addEventListener("input", ({ target }) => {
    if (target !== page.form.sku) return;
    clearTimeout(timer);
    timer = setTimeout(search, SEARCH_PAUSE);
  });
}

/** Send the transfer that is under way, or begin with `body`. */
async function carryOn(page, body) {
  if (body) transfers.begin(body);
  lock(page, true);
  const waiting = (wait) => (page.said.textContent = wait ? t(wait.problem.status ? "wait" : "wait.alone", { n: wait.seconds }) : "");
  const sent = await attempt(page.said, () => transfers.pursue({ waiting }));
  if (page.signal.aborted) return;
  lock(page, false);
  if (sent) {
    page.form.reset();
    page.hint.textContent = "";
    done(page.said, t("transfer.done"));
  }
  await quietly(() => look(page));
}

/** While one is under way the form shows that one; nothing else is sent before it is settled. */
function lock(page, sending) {
  const kept = transfers.current();
  for (const name of ["sku", "to", "quantity"]) {
    if (kept) page.form[name].value = kept[name];
    page.form[name].disabled = Boolean(kept);
  }
  const button = page.form.querySelector("button");
  button.disabled = sending;
  button.textContent = t(sending ? "transfer.sending" : kept ? "again" : "transfer.send");
}
