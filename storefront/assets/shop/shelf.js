// The shelf: all products, or those of a category, a search, a price. The address says which, so it
// can be kept, shared and gone back to.

import { read } from "../common/api.js";
import { announce, clone, el, part } from "../common/browser.js";
import { money, t, translate } from "../common/i18n.js";
import { card } from "./card.js";
import { go } from "../common/router.js";

const PAGE = 24;
/** About as many as are in sight at first. */
const EAGER = 6;
const WANTED = ["q", "category", "in_stock", "min_price_cents", "max_price_cents", "sort"];

let categories = null;

export async function show({ place, url, signal, saved }) {
  const shelf = { root: place.querySelector(".shelf"), url, signal, items: [], cursor: null };
  // While letters are typed the page stays, and only what is found changes.
  if (!shelf.root || shelf.root.lang !== document.documentElement.lang) {
    shelf.root = clone("shelf", translate);
    shelf.root.lang = document.documentElement.lang;
    place.replaceChildren(shelf.root);
    prepareFilters(shelf.root);
  }
  drawWishes(shelf);
  drawCategories(shelf);
  if (saved) draw(shelf, saved.items, saved.cursor);
  else await firstPage(shelf);
  const save = () => ({ items: shelf.items, cursor: shelf.cursor });
  return { title: title(url), save };
}

async function firstPage(shelf) {
  const grid = part(shelf.root, "grid");
  const searching = grid.querySelector(".card:not(.skeleton)");
  grid.setAttribute("aria-busy", "true");
  if (!searching) grid.replaceChildren(...skeletons(EAGER * 2));
  const { body } = await read(`/api/products?${query(shelf.url)}`, { signal: shelf.signal });
  grid.removeAttribute("aria-busy");
  draw(shelf, body.items, body.next_cursor);
  announce(t("shelf.said", { n: body.items.length }));
}

function draw(shelf, items, cursor) {
  shelf.items = items;
  shelf.cursor = cursor;
  part(shelf.root, "grid").replaceChildren(...items.map((each, i) => card(each, i < EAGER)));
  drawEnd(shelf);
  drawTray(part(shelf.root, "tray"), items);
}

/** Three of what is there, to look at. */
function drawTray(tray, items) {
  if (tray.children.length || tray.offsetParent === null) return;
  const pictured = items.filter((each) => each.image_url.startsWith("/"));
  const chosen = [5, 13, 21].map((i) => pictured[i]).filter(Boolean);
  tray.replaceChildren(...chosen.map((each) => el("img", { src: each.image_url, alt: "", width: 400, height: 400 })));
}

function drawEnd(shelf) {
  const after = part(shelf.root, "after");
  if (!shelf.items.length) {
    after.replaceChildren(
      el("h2", {}, t("shelf.none")),
      el("p", { class: "muted" }, t("shelf.none.lead")),
      el("a", { class: "primary", href: "/" }, t("home")),
    );
  } else if (shelf.cursor) {
    const more = el("button", { class: "secondary", type: "button" }, t("shelf.more"));
    more.addEventListener("click", () => nextPage(shelf, more));
    after.replaceChildren(more);
  } else after.replaceChildren();
}

async function nextPage(shelf, button) {
  button.disabled = true;
  const grid = part(shelf.root, "grid");
  const waiting = skeletons(EAGER);
  grid.append(...waiting);
  try {
    const path = `/api/products?${query(shelf.url)}&cursor=${encodeURIComponent(shelf.cursor)}`;
    const { body } = await read(path, { signal: shelf.signal });
    const made = body.items.map((each) => card(each));
    waiting.forEach((each) => each.remove());
    grid.append(...made);
    shelf.items = [...shelf.items, ...body.items];
    shelf.cursor = body.next_cursor;
    drawEnd(shelf);
    // The keyboard goes on where the new ones begin.
    made[0]?.querySelector("a").focus({ preventScroll: true });
    announce(t("shelf.said", { n: shelf.items.length }));
  } catch (problem) {
    waiting.forEach((each) => each.remove());
    button.disabled = false;
    if (!shelf.signal.aborted) announce(t("error.title"));
  }
}

const skeletons = (n) => Array.from({ length: n }, () => clone("card-skeleton"));

function query(url) {
  const asked = new URLSearchParams({ limit: PAGE });
  for (const name of WANTED) {
    const value = url.searchParams.get(name);
    if (value) asked.set(name, value);
  }
  return asked;
}

function title(url) {
  const q = url.searchParams.get("q");
  if (q) return t("shelf.found", { q });
  const slug = url.searchParams.get("category");
  return categories?.find((each) => each.slug === slug)?.name ?? (slug ? "" : t("shelf.all"));
}

function drawWishes(shelf) {
  const { root, url } = shelf;
  const any = WANTED.some((name) => url.searchParams.get(name));
  part(root, "hero").hidden = any;
  part(root, "title").textContent = title(url);
  // Without the greeting above, this is what the page is about.
  part(root, "title").ariaLevel = any ? "1" : "2";
  const filters = part(root, "filters");
  filters.in_stock.checked = url.searchParams.get("in_stock") === "true";
  filters.max_price_cents.value = url.searchParams.get("max_price_cents") ?? "";
  filters.sort.value = url.searchParams.get("sort") ?? "name";
}

function prepareFilters(root) {
  const filters = part(root, "filters");
  for (const option of filters.max_price_cents.options) {
    if (option.value) option.textContent = money(Number(option.value));
  }
  filters.addEventListener("change", () => {
    const url = new URL(location.href);
    for (const name of ["in_stock", "max_price_cents", "sort"]) {
      const field = filters[name];
      const value = field.type === "checkbox" ? (field.checked ? "true" : "") : field.value;
      if (value && !(name === "sort" && value === "name")) url.searchParams.set(name, value);
      else url.searchParams.delete(name);
    }
    go(`/${url.search}`);
  });
  filters.addEventListener("submit", (event) => event.preventDefault());
}

async function drawCategories(shelf) {
  const { root, url, signal } = shelf;
  try {
    categories ??= (await read("/api/categories?limit=100", { signal })).body.items;
  } catch {
    // The shelf is as good without them.
    return;
  }
  if (signal.aborted) return;
  const now = url.searchParams.get("category") ?? "";
  const chip = (slug, name) => {
    const current = slug === now ? "page" : null;
    return el("a", { href: slug ? `/?category=${slug}` : "/", "aria-current": current }, name);
  };
  const all = chip("", t("category.all"));
  const chips = part(root, "categories");
  chips.replaceChildren(all, ...categories.map((c) => chip(c.slug, c.name)));
  const current = chips.querySelector("[aria-current]");
  chips.scrollLeft = current ? current.offsetLeft - chips.offsetLeft - 48 : 0;
  part(root, "title").textContent = title(url);
}
