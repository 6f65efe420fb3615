// The other branches as /status has them.

const WORSE = ["up", "failing", "away"];

/**
 * Each peer once, though catalog and orders deliver to it separately:
 * `{ name, state, pending, parked }`. `up` answers both, `failing` did not answer the last time,
 * `away` has not for long enough that its breaker is open. A shop without branches has none.
 */
export function peersIn(status) {
  const found = new Map();
  for (const service of ["catalog", "orders"]) {
    for (const [name, peer] of Object.entries(status?.[service]?.peers ?? {})) {
      const known = found.get(name) ?? { name, state: "up", pending: 0, parked: 0 };
      const state = peer.breaker === "open" ? "away" : peer.failures ? "failing" : "up";
      if (WORSE.indexOf(state) > WORSE.indexOf(known.state)) known.state = state;
      known.pending += peer.pending ?? 0;
      known.parked += peer.parked ?? 0;
      found.set(name, known);
    }
  }
  return [...found.values()];
}
