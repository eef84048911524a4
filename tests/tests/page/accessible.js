// Runs in the page: looks for text that is hard to read (contrast under 4.5 to 1, WCAG AA), controls
// that a screen reader cannot name, and empty headings. Returns a line for each.
const faults = [];

function parse(colour) {
  const srgb = /^color\(srgb ([\d.]+) ([\d.]+) ([\d.]+)(?: \/ ([\d.]+))?\)$/.exec(colour);
  if (srgb !== null) return [srgb[1] * 255, srgb[2] * 255, srgb[3] * 255, Number(srgb[4] ?? 1)];
  const [red, green, blue, alpha = 1] = colour.match(/[\d.]+/g).map(Number);
  return [red, green, blue, alpha];
}

function over([r, g, b, a], [r2, g2, b2]) {
  return [r * a + r2 * (1 - a), g * a + g2 * (1 - a), b * a + b2 * (1 - a), 1];
}

function ground(node) {
  const layers = [];
  for (let at = node; at !== null; at = at.parentElement) {
    const colour = parse(getComputedStyle(at).backgroundColor);
    layers.push(colour);
    if (colour[3] === 1) break;
  }
  return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
}

function luminance([red, green, blue]) {
  const [r, g, b] = [red, green, blue].map((channel) => {
    const part = channel / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a, b) {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
}

function opacity(node) {
  let all = 1;
  for (let at = node; at !== null; at = at.parentElement) all *= Number(getComputedStyle(at).opacity);
  return all;
}

const isShown = (node) => node.checkVisibility({ visibilityProperty: true })
  && node.getBoundingClientRect().width > 1;
const dialog = document.querySelector("dialog[open]");
const root = dialog ?? document.body;

for (const node of root.querySelectorAll("*")) {
  const hasText = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim() !== "");
  // What is switched off may be faint.
  if (!hasText || !isShown(node) || node.closest(":disabled, .hidden, noscript") !== null) continue;
  const back = ground(node);
  const [r, g, b, a] = parse(getComputedStyle(node).color);
  const ratio = contrast(over([r, g, b, a * opacity(node)], back), back);
  if (ratio < 4.5) faults.push(`${ratio.toFixed(2)}: ${node.localName}.${node.className} "${node.textContent.slice(0, 30)}"`);
}

for (const node of root.querySelectorAll("button, input, select, [role]")) {
  if (!isShown(node)) continue;
  const labelled = node.getAttribute("aria-labelledby");
  const name = node.getAttribute("aria-label") ?? (labelled && document.getElementById(labelled)?.textContent)
    ?? (node.labels?.length ? node.labels[0].textContent : node.textContent);
  if (node.matches("button, input, select") && name.trim() === "") {
    faults.push(`no name: ${node.localName}#${node.id}.${node.className}`);
  }
}

for (const node of root.querySelectorAll("h1, h2, h3")) {
  if (isShown(node) && node.innerText.trim() === "") faults.push(`empty: ${node.localName}#${node.id}`);
}

const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
for (const id of new Set(ids.filter((one, at) => ids.indexOf(one) !== at))) faults.push(`id twice: ${id}`);
return [...new Set(faults)];
