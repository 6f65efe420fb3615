// Prices as people type them, in reais. Whole numbers all the way: no float comes near them.

import { languageNow } from "../common/i18n.js";

const MOST_CENTS = 10 ** 9;
/** What stands before the cents, and between thousands. */
const MARKS = { pt: [",", "."], en: [".", ","] };

/** What was typed (`1.234,50`, in English `1,234.50`) in cents; null if it is no price of the contract. */
export function centsOf(text) {
  const [point, group] = MARKS[languageNow()].map((mark) => `\\${mark}`);
  const price = new RegExp(`^(?:R\\$)?\\s*(\\d{1,3}(?:${group}\\d{3})+|\\d+)(?:${point}(\\d{1,2}))?$`);
  const [, whole, part = ""] = price.exec(text.trim()) ?? [];
  if (whole === undefined) return null;
  const cents = Number(whole.replace(/\D/g, "") + part.padEnd(2, "0"));
  return cents >= 1 && cents <= MOST_CENTS ? cents : null;
}

/** Cents as they would be typed: `33,00`, in English `33.00`. */
export function typed(cents) {
  const [point] = MARKS[languageNow()];
  return `${Math.floor(cents / 100)}${point}${String(cents % 100).padStart(2, "0")}`;
}
