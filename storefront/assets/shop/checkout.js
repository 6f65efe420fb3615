// The checkout: who, where to, with what. The purchase itself is an intent, see `intent.js`.

import { clone, el, part } from "../common/browser.js";
import { knows, money, number, t, translate } from "../common/i18n.js";
import { resume, user } from "../common/session.js";
import * as cart from "./cart.js";
import * as intents from "./intent.js";
import { go, message } from "../common/router.js";
import { signInForm } from "./sign-in.js";

const NEEDED = ["recipient", "street", "number", "city", "state", "postal_code"];

/** What was typed of the address, for the way back here; until the page is closed or somebody else logs in. */
const draft = { user: null, values: {} };

export async function show({ place, signal }) {
  // A purchase that is under way goes on whatever the cart says.
  await cart.load({ patient: !unanswered() });
  if (signal.aborted) return {};
  if (!cart.current()?.items.length && !unanswered()) {
    place.replaceChildren(message(t("cart.empty"), t("cart.empty.lead")));
    return { title: t("checkout.title") };
  }
  const root = clone("checkout", translate);
  place.replaceChildren(root);
  const page = { root, signal, form: part(root, "form") };
  page.form.addEventListener("submit", (event) => {
    event.preventDefault();
    buy(page);
  });
  if (draft.user && draft.user !== user()?.id) draft.values = {};
  for (const [name, value] of Object.entries(draft.values)) page.form[name].value = value;
  page.form.addEventListener("input", keepAddress);
  const redraw = () => draw(page);
  addEventListener("feira:cart", redraw, { signal });
  addEventListener("feira:session", redraw, { signal });
  draw(page);
  // What was begun before a reload is carried on, not asked again.
  if (unanswered() && user()) carryOn(page);
  return { title: t("checkout.title") };
}

function keepAddress({ currentTarget: form }) {
  draft.user = user()?.id ?? null;
  for (const field of form.querySelectorAll(".fields input")) draft.values[field.name] = field.value;
}

function draw(page) {
  const who = part(page.root, "who");
  const title = el("h2", {}, t("checkout.who"));
  if (user()) who.replaceChildren(title, el("p", {}, t("checkout.as", user())));
  else if (!who.querySelector("form")) who.replaceChildren(title, signInForm(() => signedIn(page)));
  if (user() && !page.form.recipient.value) page.form.recipient.value = user().name;
  drawSummary(page);
  const send = part(page.form, "send");
  send.disabled = Boolean(page.sending) || !user();
  const unverified = cart.current()?.items.some((line) => line.line_total_cents === null);
  if (page.sending) send.textContent = t("checkout.sending");
  else if (!user()) send.textContent = t("checkout.sign");
  else send.textContent = unverified ? t("checkout.send.unverified") : t("checkout.send", { total: cart.total() });
}

const unanswered = () => intents.current() && !intents.current().order;

function signedIn(page) {
  draw(page);
  if (unanswered()) carryOn(page);
  else page.form.recipient.focus();
}

function drawSummary(page) {
  const items = cart.current()?.items ?? [];
  const unverified = items.some((line) => !line.verified);
  part(page.root, "summary").replaceChildren(
    el("h2", {}, t("checkout.summary")),
    el("ul", { class: "items" }, ...items.map((line) => el("li", {},
      el("span", {}, `${number(line.quantity)} × ${cart.nameOf(line)}`),
      el("span", {}, line.line_total_cents === null ? "" : money(line.line_total_cents))))),
    el("p", { class: "total" }, el("span", {}, t("total")),
      el("b", {}, items.length ? cart.total() : "")),
    unverified ? el("p", { class: "notice" }, t("cart.unverified")) : "",
  );
}

function buy(page) {
  if (page.sending || !user()) return;
  const address = addressOf(page);
  if (!address) return;
  carryOn(page, {
    cart_id: cart.current().id,
    cart_version: cart.current().version,
    payment: { method: "card", token: page.form.token.value },
    shipping_address: address,
  });
}

/** Send the purchase that is under way, or begin with `body`. */
async function carryOn(page, body) {
  if (page.sending) return;
  page.sending = true;
  draw(page);
  try {
    if (body) await intents.begin(body);
    // Not this view's signal: what was begun goes on while the shopper looks elsewhere.
    const order = await intents.pursue({ waiting: (wait) => tell(page, wait) });
    if (!page.signal.aborted) go(`/orders/${order}`, { replace: true });
  } catch (problem) {
    page.sending = false;
    if (problem.status === 401) await resume();
    await cart.load();
    draw(page);
    say(page, refusal(problem));
  }
}

function tell(page, wait) {
  if (!wait) return say(page, "");
  say(page, t(wait.problem.status ? "wait" : "wait.alone", { n: wait.seconds }));
}

const say = (page, text) => (part(page.form, "said").textContent = text);

function refusal(problem) {
  if (problem.status === 401) return t("account.needed");
  const key = `failure.${problem.kind}`;
  return knows(key) ? t(key) : t("error.here", { detail: problem.message });
}

/** The address of the form, or null with what is missing said and marked. */
function addressOf(page) {
  const { form } = page;
  const address = {};
  const missing = [];
  for (const field of form.querySelectorAll(".fields input")) {
    const value = field.value.trim();
    if (value) address[field.name] = value;
    const needed = !value && NEEDED.includes(field.name);
    field.ariaInvalid = needed ? "true" : null;
    if (needed) missing.push(field);
  }
  if (!missing.length) return address;
  const fields = missing.map((field) => t(`address.${field.name}`)).join(", ");
  say(page, t("checkout.missing", { fields }));
  missing[0].focus();
  return null;
}
