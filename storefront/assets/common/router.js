// Paths to views. A view is a module with `show({ place, match, url, signal, saved })`, which draws
// into `place` and may return `{ title, save() }`; what `save` returns is given back as `saved` when
// the shopper comes back to that step of the history.

import { el } from "./browser.js";
import { t } from "./i18n.js";

/** A view that has drawn nothing by then is shown to be on its way. */
const LATE_MILLISECONDS = 150;

const steps = new Map();
let views = [];
let place;
let home = "/";
let ready = Promise.resolve();
let step = null;
let running = new AbortController();
let shown = {};

/** Show what the address says, now and whenever it changes. `session` is who is logged in. */
export function start(routes, element, session, start = "/") {
  views = routes;
  home = start;
  place = element;
  ready = session;
  history.scrollRestoration = "manual";
  document.addEventListener("click", followLink);
  addEventListener("popstate", () => leave() || render());
  render();
}

/** Go to another path of the shop. */
export function go(path, { replace = false } = {}) {
  leave();
  if (replace) history.replaceState({ step: step ?? newStep() }, "", path);
  else history.pushState({ step: newStep() }, "", path);
  steps.delete(history.state.step);
  return render({ moved: !replace });
}

/** Draw the view of the address (again). */
export async function render({ moved = false } = {}) {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  step = history.state?.step ?? newStep();
  if (!history.state) history.replaceState({ step }, "");
  const url = new URL(location.href);
  const [match, view] = find(url.pathname);
  const saved = steps.get(step);
  const before = place.firstElementChild;
  const late = setTimeout(() => {
    if (!signal.aborted && url.pathname !== "/" && place.firstElementChild === before) place.replaceChildren(skeleton());
  }, LATE_MILLISECONDS);
  try {
    shown = {};
    // Only the shelf looks the same to everybody.
    if (url.pathname !== "/") await ready;
    const module = await view();
    if (signal.aborted) return;
    shown = (await module.show({ place, match, url, signal, saved: saved?.view })) ?? {};
  } catch (error) {
    if (signal.aborted) return;
    console.error(error);
    place.replaceChildren(apology());
  } finally {
    clearTimeout(late);
  }
  if (signal.aborted) return;
  document.title = shown.title ? `${shown.title} · Feira` : "Feira";
  settle(saved?.scroll ?? 0, moved, url);
  dispatchEvent(new CustomEvent("feira:view"));
}

function settle(scroll, moved, url) {
  // Whoever types or chooses stays where he is while the list below changes.
  if (url.pathname === "/" && document.activeElement?.closest(".search, .filters")) return;
  if (moved) place.focus({ preventScroll: true });
  scrollTo({ top: scroll, behavior: "instant" });
}

function leave() {
  if (step !== null) steps.set(step, { scroll: scrollY, view: shown.save?.() });
}

const newStep = () => crypto.getRandomValues(new Uint32Array(2)).join("-");

function find(path) {
  for (const [pattern, view] of views) {
    const match = pattern.exec(path);
    if (match) return [match, view];
  }
  return [null, () => ({ show: showMissing })];
}

const skeleton = () =>
  el("div", { class: "skeleton page", "aria-hidden": "true" }, el("span"), el("span"), el("span"));

function showMissing({ place: here }) {
  here.replaceChildren(message(t("missing.title"), t("missing.lead")));
  return { title: t("missing.title") };
}

function apology() {
  const again = el("button", { class: "primary", type: "button", onclick: () => render() }, t("again"));
  return message(t("error.title"), t("error.lead"), again);
}

/** What is drawn where there is nothing else to draw. */
export function message(title, lead, action) {
  action ??= el("a", { class: "primary", href: home }, t("home"));
  return el("section", { class: "message" }, el("h1", {}, title), el("p", { class: "lead" }, lead), action);
}

/** Says how long the shop is still waited for; above everything, an open cart too. */
class WaitNotice extends HTMLElement {
  connectedCallback() {
    addEventListener("feira:wait", ({ detail }) => this.say(detail));
  }

  say(wait) {
    this.hidePopover();
    this.textContent = wait ? t(wait.problem.status ? "wait" : "wait.alone", { n: wait.seconds }) : "";
    if (wait) this.showPopover();
  }
}

customElements.define("wait-notice", WaitNotice);

function followLink(event) {
  const link = event.target.closest?.("a[href]");
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!link || !plain || event.defaultPrevented || link.origin !== location.origin) return;
  if (!views.some(([pattern]) => pattern.test(link.pathname))) return;
  event.preventDefault();
  go(link.pathname + link.search);
}
