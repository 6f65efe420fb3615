// What changed between two looks at the parts, and how long it had been otherwise.

import { knows, t } from "../common/i18n.js";
import { peersIn } from "./peers.js";

/** Remembers every part that was ever seen, so that one that dies is missed. */
export class Watch {
  #parts = new Map();
  #noPrimarySince = null;
  #first = true;

  /** The parts of a group (`service`, `store`, `peer`, `breaker`): `{ name, state, role, pending, since }`. */
  parts(group) {
    return [...this.#parts.values()].filter((part) => part.group === group);
  }

  /** Take a look at `now` (milliseconds); the changes since the one before. */
  take({ parts, status }, now) {
    const changes = [];
    for (const seen of this.#seen(parts, status)) changes.push(...this.#update(seen, now));
    if (parts) changes.push(...this.#primary(now));
    const told = this.#first ? [] : changes;
    this.#first = false;
    return told;
  }

  *#seen(parts, status) {
    yield { key: "gateway", group: "service", name: "gateway", state: status || parts ? "up" : "away" };
    if (parts) yield* services(parts);
    else yield* this.#withoutDoor(status);
    yield* this.#peers(status);
    for (const name of ["cart", "orders"]) {
      const circuit = status?.[name]?.catalog?.circuit;
      if (circuit) yield { key: `breaker ${name}`, group: "breaker", name: `${name} → catalog`, state: circuit };
    }
  }

  /** The door is at orders: when that is away, nothing is known of the others but what /status says. */
  *#withoutDoor(status) {
    for (const part of this.#parts.values()) {
      if (["breaker", "peer"].includes(part.group) || part.key === "gateway") continue;
      const answered = status?.[part.service]?.node !== undefined;
      const state = part.service === "orders" ? (answered ? "up" : "away") : answered ? part.state : "unknown";
      yield { ...part, state: part.group === "store" ? "unknown" : state };
    }
  }

  /** Who delivers to the other branches says how that goes; without them there is no news of it. */
  *#peers(status) {
    const peers = peersIn(status);
    for (const { name, state, pending } of peers) yield { key: `peer ${name}`, group: "peer", name, state, pending };
    for (const part of this.parts("peer")) {
      if (!peers.some(({ name }) => name === part.name)) yield { ...part, state: "unknown" };
    }
  }

  #update(seen, now) {
    const before = this.#parts.get(seen.key);
    const name = seen.name ?? before?.name ?? seen.key;
    const changed = before?.state !== seen.state;
    const role = seen.role ?? (seen.state === "up" ? null : before?.role) ?? null;
    // A branch is called away after some tries, and has been so since the first.
    const lost = ["away", "failing"].includes(seen.state) ? (before?.lost ?? now) : null;
    const part = { ...seen, name, role, lost, since: changed ? now : before.since };
    this.#parts.set(seen.key, part);
    if (!before) return [];
    const changes = [];
    if (changed && seen.group === "breaker") changes.push({ kind: "breaker", name, state: seen.state });
    else if (changed && seen.state === "away") changes.push({ kind: "away", name });
    // Gone and back between two looks.
    else if (seen.started && before.started && seen.started !== before.started && !before.lost) changes.push({ kind: "again", name });
    if (seen.state === "up" && before.state === "away") changes.push({ kind: "back", name, seconds: seconds(now - before.lost) });
    if (role && before.role && role !== before.role) changes.push({ kind: "role", name, role });
    return changes;
  }

  #primary(now) {
    const stores = this.parts("store").filter((part) => part.kind === "postgresql");
    if (!stores.length) return [];
    if (!stores.some((part) => part.state === "up" && part.role === "primary")) {
      this.#noPrimarySince ??= now;
      return [];
    }
    if (this.#noPrimarySince === null) return [];
    const without = seconds(now - this.#noPrimarySince);
    this.#noPrimarySince = null;
    return [{ kind: "primary", seconds: without }];
  }
}

function* services(parts) {
  const stores = new Map();
  for (const part of parts) {
    const key = `${part.service} ${part.address ?? ""}`;
    yield { key, group: "service", service: part.service, name: part.instance ?? undefined, state: part.state, started: part.started_at };
    for (const store of part.stores) {
      const known = stores.get(store.address);
      // One that anybody reaches is up; who does not is cut off from it.
      if (known?.state !== "up") stores.set(store.address, store);
    }
  }
  for (const store of stores.values()) {
    const kind = knows(`store.${store.kind}`) ? t(`store.${store.kind}`) : store.kind;
    const name = `${kind} ${store.address.replace(/^(127\.0\.0\.1|localhost):/, "")}`;
    yield { key: store.address, group: "store", name, kind: store.kind, state: store.state, role: store.role };
  }
}

const seconds = (milliseconds) => (milliseconds / 1000).toFixed(1);
