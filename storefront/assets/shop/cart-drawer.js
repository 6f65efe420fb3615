// The cart beside the page. `<dialog>` keeps the keyboard inside and closes on Escape.

import { announce, clone, el, part } from "../common/browser.js";
import { money, number, t, translate } from "../common/i18n.js";
import { refusal } from "./card.js";
import * as cart from "./cart.js";

class CartDrawer extends HTMLElement {
  connectedCallback() {
    this.dialog = clone("cart-drawer", translate);
    this.append(this.dialog);
    part(this.dialog, "close").addEventListener("click", () => this.dialog.close());
    part(this.dialog, "checkout").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog || event.target.closest("a")) this.dialog.close();
    });
    this.redraw = () => this.draw();
    addEventListener("feira:cart", this.redraw);
    this.draw();
  }

  disconnectedCallback() {
    removeEventListener("feira:cart", this.redraw);
  }

  draw() {
    const items = cart.current()?.items ?? [];
    const unverified = items.some((line) => !line.verified);
    const notice = part(this.dialog, "notice");
    notice.hidden = !unverified;
    notice.textContent = unverified ? t("cart.unverified") : "";
    const lines = part(this.dialog, "lines");
    const focused = focusWithin(lines);
    lines.replaceChildren(...(items.length ? items.map(lineOf) : [cart.unknown() ? waiting() : nothing()]));
    restoreFocus(lines, focused, part(this.dialog, "close"));
    part(this.dialog, "foot").hidden = !items.length;
    part(this.dialog, "total").textContent = items.length ? cart.total() : "";
  }
}

const nothing = () =>
  el("li", { class: "message" }, el("h3", {}, t("cart.empty")), el("p", { class: "muted" }, t("cart.empty.lead")));

const waiting = () => el("li", { class: "skeleton row", "aria-hidden": "true" });

const away = () =>
  el("li", { class: "message" }, el("h3", {}, t("error.title")), el("p", { class: "muted" }, t("error.lead")),
    el("button", { class: "secondary", type: "button", onclick: open }, t("again")));

/** A line of the cart; its name, price and stock may not be known. */
function lineOf(line) {
  const made = clone("cart-line", translate);
  const name = cart.nameOf(line);
  const id = line.product_id;
  const hint = part(made, "hint");
  made.dataset.product = id;
  const picture = cart.pictureOf(id);
  if (picture?.startsWith("/")) part(made, "thumb").append(el("img", { src: picture, alt: "", width: 64, height: 64 }));
  part(made, "name").textContent = name;
  part(made, "name").href = `/products/${id}`;
  part(made, "sum").textContent = line.line_total_cents === null ? "" : money(line.line_total_cents);
  part(made, "quantity").textContent = number(line.quantity);
  if (!line.verified) hint.textContent = t("cart.line.unverified");
  else if (line.available === false) hint.textContent = t("cart.line.short");
  hint.classList.toggle("short", line.available === false);
  const act = (what) => () => perform(what, hint);
  wire(part(made, "less"), t("cart.less.named", { name }), act(() =>
    line.quantity > 1 ? cart.set(id, line.quantity - 1) : cart.remove(id)));
  wire(part(made, "more"), t("cart.more.named", { name }), act(() => cart.set(id, line.quantity + 1)));
  part(made, "remove").textContent = t("cart.remove");
  wire(part(made, "remove"), t("cart.remove.named", { name }), act(() => cart.remove(id)));
  return made;
}

function wire(button, label, act) {
  button.setAttribute("aria-label", label);
  button.addEventListener("click", act);
}

async function perform(act, hint) {
  try {
    await act();
  } catch (problem) {
    hint.textContent = refusal(problem);
    hint.classList.add("short");
    announce(hint.textContent);
  }
}

/** Lines are drawn anew; the keyboard stays on the button that was pressed. */
function focusWithin(lines) {
  const focused = document.activeElement;
  if (!lines.contains(focused)) return null;
  return { product: focused.closest("[data-product]")?.dataset.product, part: focused.dataset.part };
}

function restoreFocus(lines, focused, otherwise) {
  if (!focused) return;
  const line = lines.querySelector(`[data-product="${focused.product}"]`);
  ((line && part(line, focused.part)) ?? otherwise).focus();
}

customElements.define("cart-drawer", CartDrawer);

/** Show the cart. */
export async function open() {
  let drawer = document.querySelector("cart-drawer");
  if (!drawer) {
    drawer = el("cart-drawer");
    document.body.append(drawer);
  }
  drawer.draw();
  if (!drawer.dialog.open) drawer.dialog.showModal();
  try {
    await cart.load({ patient: cart.unknown() });
  } catch {
    part(drawer.dialog, "lines").replaceChildren(away());
  }
}
