// Two languages. Texts are data (`texts/<language>.js`); money and dates are formatted by Intl.

import { remember, recall } from "./browser.js";

const LOCALES = { pt: "pt-BR", en: "en-GB" };

let language = "pt";
let texts = {};
let plural = new Intl.PluralRules("pt-BR");

export const languageNow = () => language;
export const locale = () => LOCALES[language];

/** Load the texts of a page in the chosen language, or in the browser's. */
export async function speak(load, chosen = recall("language")) {
  const wanted = chosen ?? navigator.language.slice(0, 2).toLowerCase();
  language = wanted in LOCALES ? wanted : "en";
  texts = (await load(language)).default;
  plural = new Intl.PluralRules(locale());
  document.documentElement.lang = locale();
  if (chosen) remember("language", chosen);
}

/**
 * The text of a key with `{name}` filled in. A text may have forms by number: then `values.n`
 * chooses one. A key that has no text shows itself, so that it is seen and mended.
 */
export function t(key, values = {}) {
  let text = texts[key] ?? key;
  if (typeof text === "object") text = text[plural.select(values.n)] ?? text.other;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

/** Whether there is a text of this key. */
export const knows = (key) => key in texts;

/** Put the texts into what a template marks with data-t, data-t-label and data-t-placeholder. */
export function translate(root) {
  for (const each of root.querySelectorAll("[data-t]")) each.textContent = t(each.dataset.t);
  for (const each of root.querySelectorAll("[data-t-label]")) {
    each.setAttribute("aria-label", t(each.dataset.tLabel));
  }
  for (const each of root.querySelectorAll("[data-t-placeholder]")) {
    each.setAttribute("placeholder", t(each.dataset.tPlaceholder));
  }
  return root;
}

export function money(cents, currency = "BRL") {
  return new Intl.NumberFormat(locale(), { style: "currency", currency }).format(cents / 100);
}

export const number = (value) => new Intl.NumberFormat(locale()).format(value);

export function moment(time, style = { dateStyle: "medium", timeStyle: "short" }) {
  return new Intl.DateTimeFormat(locale(), style).format(new Date(time));
}

export const clock = (time) => moment(time, { timeStyle: "medium" });
