// What the pages ask of the browser: elements, pauses, and a memory that survives a reload.
//
// Elements are made here and from templates only. Text is only ever set as text: nothing parses
// markup, so a product called <script> is a product called <script>.

/**
 * An element. Attributes that begin with `on` are listeners; `true` sets an attribute without a
 * value; `false`, `null` and `undefined` leave it out. Children that are not nodes become text.
 */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

/** The first element of the page's `<template>` of this id, cloned and translated. */
export function clone(id, translate) {
  const made = document.getElementById(id).content.firstElementChild.cloneNode(true);
  translate?.(made);
  return made;
}

/** The element that a template names `data-part="name"`. */
export const part = (root, name) => root.querySelector(`[data-part="${name}"]`);

/** Say something to those who listen instead of looking, without moving the focus. */
export function announce(text) {
  const place = document.getElementById("announcer");
  place.textContent = "";
  requestAnimationFrame(() => (place.textContent = text));
}

/** Wait; ends early, with the signal's reason, when that is aborted. */
export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => (clearTimeout(timer), reject(signal.reason));
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}

const PREFIX = "feira.";
const here = new Map();

/**
 * What was remembered by this name, or null. Nothing secret is kept: scripts can read it. Where a
 * browser keeps nothing (private windows, full disks), it is kept until the page is closed.
 */
export function recall(name) {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + name)) ?? here.get(name) ?? null;
  } catch {
    return here.get(name) ?? null;
  }
}

export function remember(name, value) {
  here.set(name, value);
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // Kept in memory only.
  }
}

export function forget(name) {
  here.delete(name);
  try {
    localStorage.removeItem(PREFIX + name);
  } catch {
    // It was never there.
  }
}

/** Be told when another tab changes one of these names. */
export function whenChangedElsewhere(name, listener) {
  addEventListener("storage", (event) => {
    if (event.key === PREFIX + name) listener();
  });
}
