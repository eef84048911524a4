// Makes elements and says things to people. Owns the only ways in which text gets into the page:
// as text nodes and attribute values, never as markup, and with directional characters made visible.

import { unturned } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";

/** How many notices stand at a time; older ones go. */
const NOTICES_MAX = 4;

/** Finds the one element that the selector names. */
export const find = (selector, within = document) => within.querySelector(selector);

/**
 * An element. `props` are attributes; `on` holds listeners, `text` is its text, and a value of
 * `false` or `null` leaves an attribute out.
 */
export function el(tag, props = {}, ...children) {
  return filled(document.createElement(tag), props, children);
}

/** As `el`, for SVG. */
export function svg(tag, props = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), props, children);
}

function filled(node, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else if (name === "text") {
      node.textContent = unturned(value);
    } else if (value !== false && value !== null && value !== undefined) {
      node.setAttribute(name, value === true ? "" : readable(name, String(value)));
    }
  }
  const present = children.filter((child) => child !== null && child !== undefined);
  node.append(...present.map((child) => (typeof child === "string" ? unturned(child) : child)));
  return node;
}

/** The value of an attribute; what people read of it cannot be turned around. */
const readable = (name, value) =>
  name === "title" || name === "aria-label" ? unturned(value) : value;

/** Sets the text of a node if it differs: the browser then has nothing to do for most rows. */
export function setText(node, text) {
  const shown = unturned(text);
  if (node.textContent !== shown) node.textContent = shown;
}

/** Sets an attribute if it differs; `null` takes it away. */
export function setAttr(node, name, value) {
  if (value === null) return node.removeAttribute(name);
  const shown = readable(name, value);
  if (node.getAttribute(name) !== shown) node.setAttribute(name, shown);
}

/** A stroke icon from the sprite in the page. */
export function icon(name) {
  const use = svg("use", { href: `#i-${name}` });
  return svg("svg", { class: "icon", "aria-hidden": "true", viewBox: "0 0 16 16" }, use);
}

/** A button with an icon, a label or both; `label` is what a screen reader says. */
export function button(label, { icon: name, kind = "", bare = false, on, ...rest } = {}) {
  const parts = [name ? icon(name) : null, bare ? null : el("span", { text: label })];
  const named = bare ? { "aria-label": label, title: label } : {};
  const listeners = on ? { click: on } : {};
  const props = { type: "button", class: `button ${kind}`, ...named, ...rest, on: listeners };
  return el("button", props, ...parts);
}

/** A badge for a status; shape and word show it, not only color. */
export function statusBadge(status) {
  const badge = el("span", { class: "status" }, el("i", { class: "dot" }), el("span"));
  setStatus(badge, status);
  return badge;
}

/** Changes a badge made by `statusBadge`. */
export function setStatus(badge, status) {
  setAttr(badge, "data-status", status);
  setText(badge.lastChild, status);
}

/** Says a sentence to screen readers only. */
export function announce(sentence) {
  setText(find("#announcer"), sentence);
}

/** Shows a notice for a while, or, if it is a warning, until it is dismissed. */
export function notify(sentence, kind = "info") {
  const box = find("#notices");
  const close = button("Dismiss", { icon: "close", kind: "ghost small", bare: true });
  const notice = el("div", { class: `notice ${kind}` }, el("p", { text: sentence }), close);
  close.addEventListener("click", () => notice.remove());
  box.append(notice);
  while (box.children.length > NOTICES_MAX) box.firstChild.remove();
  if (kind === "info") setTimeout(() => notice.remove(), 5000);
}

/** Opens a dialog, its `data-first` in focus, and gives the focus back when it closes. */
export function openDialog(dialog) {
  const before = document.activeElement;
  if (!dialog.open) dialog.showModal();
  find("[data-first]", dialog)?.focus();
  dialog.addEventListener("close", () => before?.isConnected && before.focus(), { once: true });
}

/** Asks a question; resolves to whether the answer was yes. */
export function confirm(question, detail, verb, isDangerous = true) {
  const yes = el("button", {
    class: `button ${isDangerous ? "danger" : "primary"}`, value: "yes", text: verb,
  });
  const no = el("button", { class: "button", value: "no", text: "Cancel", "data-first": true });
  const dialog = el("dialog", { class: "dialog small", "aria-labelledby": "confirm-title" },
    el("form", { method: "dialog" },
      el("h2", { id: "confirm-title", text: question }),
      el("p", { class: "soft", text: detail }),
      el("div", { class: "buttons" }, no, yes)));
  document.body.append(dialog);
  openDialog(dialog);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}

/** Copies a text and says so; where the browser does not let us, says that instead. */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    notify(`${what} copied.`);
  } catch {
    notify(`The browser does not allow copying here. Select the ${what.toLowerCase()} instead.`);
  }
}
