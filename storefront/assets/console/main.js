// The console's page: who may see it, and which view a path is.

import { el } from "../common/browser.js";
import { languageNow, speak, t, translate } from "../common/i18n.js";
import * as router from "../common/router.js";
import { isOperator, resume, signOut, user } from "../common/session.js";
import { signInForm } from "../shop/sign-in.js";

const VIEWS = [
  [/^\/console\/?$/, () => guarded(import("./today.js"))],
  [/^\/console\/products$/, () => guarded(import("./products.js"))],
  [/^\/console\/products\/(new|\d{1,15})$/, () => guarded(import("./product.js"))],
  [/^\/console\/orders$/, () => guarded(import("./orders.js"))],
  [/^\/console\/orders\/(\w{26})$/, () => guarded(import("./order.js"))],
  [/^\/console\/branches$/, () => guarded(import("./branches.js"))],
  [/^\/console\/letters$/, () => guarded(import("./letters.js"))],
  [/^\/console\/parts$/, () => guarded(import("./parts.js"))],
  [/^\/console\/users$/, () => guarded(import("./users.js"))],
];

const top = document.querySelector(".top");
const find = (name) => top.querySelector(`[data-part="${name}"]`);

/** The console speaks the shop's words and its own. */
async function load(language) {
  const [shop, own] = await Promise.all([
    import(`../shop/texts/${language}.js`),
    import(`./texts/${language}.js`),
  ]);
  return { default: { ...shop.default, ...own.default } };
}

/** The view for operators; for others the door. What they may do, the shop itself decides. */
const guarded = (view) => (isOperator() ? view : { show: showDoor });

function showDoor({ place }) {
  const door = el("section", { class: "narrow" }, el("h1", {}, t("nav")));
  if (user()) {
    const out = el("button", { class: "secondary", type: "button" }, t("account.out"));
    out.addEventListener("click", () => signOut().then(() => router.render()));
    door.append(el("p", { class: "lead" }, t("console.forbidden")), out);
  } else {
    door.append(el("p", { class: "lead" }, t("console.sign")));
    door.append(signInForm(() => router.render(), { staff: true }));
  }
  place.replaceChildren(door);
  return { title: t("nav") };
}

function drawHeader() {
  translate(document.body);
  find("language").textContent = t("language.short");
  find("language").setAttribute("aria-label", t("language.other"));
  find("language").lang = languageNow() === "pt" ? "en" : "pt-BR";
  find("out").hidden = !user();
  find("who").textContent = user()?.name ?? "";
  find("out").title = user()?.name ?? "";
  find("nav").hidden = !isOperator();
  find("users").hidden = user()?.role !== "admin";
}

function markPlace() {
  for (const link of find("nav").querySelectorAll("a")) {
    const own = link.pathname === "/console" ? /^\/console\/?$/ : new RegExp(`^${link.pathname}`);
    if (own.test(location.pathname)) {
      link.setAttribute("aria-current", "page");
      // On a phone they are in one line that is longer than it.
      find("nav").scrollLeft = link.offsetLeft - find("nav").offsetLeft - 48;
    } else link.removeAttribute("aria-current");
  }
}

find("language").addEventListener("click", async () => {
  await speak(load, languageNow() === "pt" ? "en" : "pt");
  drawHeader();
  router.render();
});
find("out").addEventListener("click", () => signOut().then(() => router.render()));
addEventListener("feira:session", drawHeader);
addEventListener("feira:view", markPlace);
await speak(load);
drawHeader();
router.start(VIEWS, document.getElementById("main"), resume(), "/console");
