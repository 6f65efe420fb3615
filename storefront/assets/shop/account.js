// The account: log in, or see who one is and log out.

import { clone, el, part } from "../common/browser.js";
import { t, translate } from "../common/i18n.js";
import { isOperator, signOut, user } from "../common/session.js";
import { go } from "../common/router.js";
import { signInForm } from "./sign-in.js";

export function show({ place, url }) {
  const root = clone("account", translate);
  const next = url.searchParams.get("next");
  // Only a path of this shop: no other address may be jumped to from here.
  const onward = next?.startsWith("/") && !next.startsWith("//") ? next : "/account";
  if (user()) part(root, "place").append(...greeting());
  else part(root, "place").append(signInForm(() => go(onward, { replace: true })));
  place.replaceChildren(root);
  return { title: t("account.title") };
}

function greeting() {
  const out = el("button", { class: "secondary", type: "button" }, t("account.out"));
  out.addEventListener("click", async () => {
    await signOut();
    go("/");
  });
  const console = isOperator() && el("a", { class: "secondary", href: "/console" }, t("nav.console"));
  return [
    el("p", { class: "lead" }, t("account.hello", { name: user().name })),
    el("p", { class: "muted" }, user().email),
    el("div", { class: "actions" },
      el("a", { class: "primary", href: "/orders" }, t("nav.orders")), console || null, out),
  ];
}
