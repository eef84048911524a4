// Small drawings: the line of a rate over time, and the strip of statuses. Pure functions of their
// data into SVG; owns no state.

import { el, setAttr, svg } from "./dom.js";
import { duration, moment } from "./format.js";

/** The path of a line through `points`, `[x, y]` each in 0 to 1, for a box of this size. */
function pathOf(points, width, height, isArea) {
  const at = ([x, y]) => `${(x * width).toFixed(1)} ${(height - y * (height - 2) - 1).toFixed(1)}`;
  const line = points.map((point, index) => `${index === 0 ? "M" : "L"}${at(point)}`).join("");
  if (!isArea || points.length === 0) return line;
  const first = (points[0][0] * width).toFixed(1);
  const last = (points[points.length - 1][0] * width).toFixed(1);
  return `${line}L${last} ${height}L${first} ${height}Z`;
}

/** A young line is not squeezed into a corner: the span begins here and grows. */
const SPAN_MIN_MS = 20_000;

/** A chart of one rate: `draw(samples, spanMaxMs)` with `[{ageMs, value}]` changes it. */
export function rateChart(kind, width = 300, height = 48) {
  const area = svg("path", { class: `area ${kind}` });
  const line = svg("path", { class: `line ${kind}`, "vector-effect": "non-scaling-stroke" });
  const node = svg("svg", {
    class: "chart", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none",
    "aria-hidden": "true",
  }, area, line);
  const draw = (samples, spanMaxMs) => {
    const spanMs = Math.min(spanMaxMs, Math.max(SPAN_MIN_MS, samples[0]?.ageMs ?? 0));
    const top = Math.max(1, ...samples.map((sample) => sample.value));
    // Some air above: a steady rate should not look like a full glass.
    const scale = top * 1.25;
    const seen = samples.filter((sample) => sample.ageMs <= spanMs);
    const points = seen.map(({ ageMs, value }) => [1 - ageMs / spanMs, value / scale]);
    setAttr(line, "d", pathOf(points, width, height, false));
    setAttr(area, "d", pathOf(points, width, height, true));
    return top;
  };
  return { node, draw };
}

/** The line in a row of the list. */
export function sparkline() {
  const { node, draw } = rateChart("sum", 72, 18);
  node.classList.add("spark");
  return { node, draw };
}

/**
 * The strip of statuses since the page knows the instance: `draw(statuses, nowMs)` fills it with
 * `[{atMs, status}]`, each as wide as it took.
 */
export function statusStrip() {
  const bar = el("div", { class: "strip" });
  const from = el("span");
  const node = el("figure", { class: "strip-figure", role: "img" }, bar,
    el("figcaption", {}, from, el("span", { text: "now" })));
  const draw = (statuses, nowMs) => {
    const start = statuses[0].atMs;
    const whole = Math.max(1, nowMs - start);
    while (bar.children.length > statuses.length) bar.lastChild.remove();
    while (bar.children.length < statuses.length) bar.append(el("i"));
    const spoken = [];
    statuses.forEach(({ atMs, status }, index) => {
      const end = statuses[index + 1]?.atMs ?? nowMs;
      const part = bar.children[index];
      const took = duration((end - atMs) / 1000);
      setAttr(part, "data-status", status);
      setAttr(part, "title", `${status} for ${took}, from ${moment(atMs)}`);
      part.style.flexGrow = String(Math.max(0.004, (end - atMs) / whole));
      spoken.push(`${status} for ${took}`);
    });
    from.textContent = `${duration(whole / 1000)} ago`;
    setAttr(node, "aria-label", `Status history: ${spoken.slice(-8).join(", ")}`);
  };
  return { node, draw };
}
