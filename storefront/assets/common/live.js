// Looking again and again, while somebody looks.

import { pause } from "./browser.js";

/** Do something now and every so often until `signal` is aborted; not while the page is hidden. */
export async function every(milliseconds, act, signal) {
  while (!signal.aborted) {
    if (!document.hidden) await act();
    await pause(milliseconds, signal).catch(() => null);
  }
}
