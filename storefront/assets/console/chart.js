// A row of bars, drawn as SVG: one bar a minute.

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 60;

function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** Bars of `values`, oldest first; `shown` makes a value readable. */
export function bars(values, label, shown) {
  const most = Math.max(1, ...values);
  const picture = shape("svg", {
    viewBox: `0 0 ${values.length * 10} ${HEIGHT}`, class: "bars", role: "img",
    preserveAspectRatio: "none", "aria-label": `${label}: ${values.map(shown).join(", ")}`,
  });
  values.forEach((value, i) => {
    const height = value ? Math.max(3, (value / most) * HEIGHT) : 1;
    picture.append(shape("rect", { x: i * 10 + 1, y: HEIGHT - height, width: 8, height }));
  });
  return picture;
}

/** What the orders of each of the last `minutes` come to, oldest first. */
export function perMinute(orders, minutes, worth) {
  const sums = Array(minutes).fill(0);
  for (const order of orders) {
    const ago = Math.max(0, Math.floor((Date.now() - Date.parse(order.created_at)) / 60_000));
    if (ago < minutes) sums[minutes - 1 - ago] += worth(order);
  }
  return sums;
}
