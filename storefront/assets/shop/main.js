// The shop's page: which view a path is, the header, the search.

import { announce, el, recall } from "../common/browser.js";
import { languageNow, speak, t, translate } from "../common/i18n.js";
import { resume, user } from "../common/session.js";
import * as router from "../common/router.js";
import * as shelf from "./shelf.js";

const SEARCH_PAUSE = 200;
const VIEWS = [
  [/^\/$/, () => shelf],
  [/^\/products\/(\d{1,15})$/, () => import("./product.js")],
  [/^\/checkout$/, () => import("./checkout.js")],
  [/^\/account$/, () => import("./account.js")],
  [/^\/orders$/, () => import("./orders.js")],
  [/^\/orders\/(\w{26})$/, () => import("./order.js")],
];

const header = document.querySelector(".top");
const search = header.querySelector("#q");
const find = (name) => header.querySelector(`[data-part="${name}"]`);

const load = (language) => import(`./texts/${language}.js`);

function drawHeader() {
  translate(document.body);
  const other = find("language");
  other.textContent = t("language.short");
  other.setAttribute("aria-label", t("language.other"));
  other.lang = languageNow() === "pt" ? "en" : "pt-BR";
  find("account").textContent = user() ? user().name.split(" ")[0] : t("nav.account");
  drawCount();
}

function drawCount(n = Number(find("cart").dataset.count ?? 0)) {
  find("cart").dataset.count = n;
  find("count").textContent = n > 999 ? "999+" : n;
  find("cart").setAttribute("aria-label", t("cart.open", { n }));
}

/** Who has no cart needs nothing of it, until something is put into one. */
async function knowCart() {
  if (recall("cart")) (await import("./cart.js")).load();
}

async function openCart() {
  const drawer = await import("./cart-drawer.js");
  drawer.open();
}

async function changeLanguage() {
  await speak(load, languageNow() === "pt" ? "en" : "pt");
  document.querySelector("cart-drawer")?.remove();
  drawHeader();
  router.render();
}

function searchAsTyped() {
  let timer;
  const go = () => {
    const url = new URL(location.pathname === "/" ? location.href : "/", location.origin);
    const before = url.searchParams.get("q");
    if (search.value.trim()) url.searchParams.set("q", search.value.trim());
    else url.searchParams.delete("q");
    // One step of the history for one search, however many letters it has.
    router.go(url.pathname + url.search, { replace: location.pathname === "/" && Boolean(before) });
  };
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(go, SEARCH_PAUSE);
  });
  search.form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    go();
  });
  addEventListener("feira:view", () => {
    const q = new URLSearchParams(location.search).get("q") ?? "";
    if (document.activeElement !== search) search.value = q;
  });
}

/** A purchase that was begun and has had no answer for good is carried on, wherever one is. */
async function carryOn() {
  const intents = await import("./intent.js");
  if (!intents.current() || !user() || location.pathname === "/checkout") return;
  const order = await intents.pursue().catch(() => null);
  await intents.lookAfter().catch(() => null);
  if (order && location.pathname !== `/orders/${order}`) {
    announce(t("checkout.left"));
    document.querySelector("main").prepend(
      el("p", { class: "notice" }, t("checkout.left"), " ",
        el("a", { href: `/orders/${order}` }, t("checkout.left.see"))),
    );
  }
}

find("cart").addEventListener("click", openCart);
find("language").addEventListener("click", changeLanguage);
addEventListener("feira:cart", (event) => drawCount(event.detail));
addEventListener("feira:session", drawHeader);
await speak(load);
drawHeader();
searchAsTyped();
const resumed = resume();
knowCart();
router.start(VIEWS, document.getElementById("main"), resumed);
await resumed;
if (recall("intent")) carryOn();
