// The keys of the page, and the help that lists them. Owns which key does what; what it does is handed
// in. No key alone stops, starts or deletes anything.

import { button, el, openDialog } from "./dom.js";

const KEYS = [
  ["The list", [
    ["j ↓  k ↑", "next, previous instance"], ["Page ↓  Page ↑", "a screen on, back"],
    ["Home  End", "first, last"], ["Enter", "open"], ["x  Space", "select"],
    ["Shift + click", "select all up to here"], ["/", "search"]]],
  ["An instance", [["l", "search its log"], ["p", "pause or resume its log"], ["Esc", "close"]]],
  ["Anywhere", [["n", "new instance"], ["m", "about the master"], ["t", "dark or light"], ["?", "this help"]]],
];

/** The dialog with all keys. */
export function helpDialog() {
  const groups = KEYS.map(([name, keys]) => el("section", {}, el("h3", { text: name }),
    el("dl", { class: "keys" }, ...keys.map(([key, what]) => el("div", {},
      el("dt", {}, ...key.split("  ").map((one) => el("kbd", { text: one }))),
      el("dd", { text: what }))))));
  const close = button("Close", { icon: "close", kind: "ghost", bare: true,
    on: () => dialog.close() });
  const dialog = el("dialog", { class: "dialog", id: "help-dialog", "aria-labelledby": "help-title" },
    el("div", { class: "dialog-head" }, el("h2", { id: "help-title", tabindex: "-1", "data-first": true, text: "Keys" }), close), ...groups);
  document.body.append(dialog);
  return { open: () => openDialog(dialog) };
}

/** Listens to the keyboard; `actions` has a function for each thing that keys do. */
export function bindKeys(actions) {
  const keys = {
    "/": actions.search, l: actions.searchLog, p: actions.pauseLog, n: actions.create,
    m: actions.master, t: actions.theme, "?": actions.help, x: actions.select,
    j: () => actions.move(1), ArrowDown: () => actions.move(1),
    k: () => actions.move(-1), ArrowUp: () => actions.move(-1),
    PageDown: () => actions.move(actions.page()), PageUp: () => actions.move(-actions.page()),
    Home: () => actions.move(-Infinity), End: () => actions.move(Infinity),
  };
  // These belong to whatever has the focus, unless that is the list.
  const listOnly = new Set(["ArrowDown", "ArrowUp", "PageDown", "PageUp", "Home", "End", "Enter", " "]);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    // A dialog that is open has its own keys.
    if (!actions.isReady() || document.querySelector("dialog[open]") !== null) return;
    const { target } = event;
    const isTyping = target.matches("input:not([type=checkbox]), select, textarea");
    if (event.key === "Escape") return actions.escape(target, isTyping);
    if (isTyping) return;
    const isInList = target.id === "rows" || target === document.body;
    if (listOnly.has(event.key) && !isInList) return;
    const action = { ...keys, Enter: actions.open, " ": actions.select }[event.key];
    if (action === undefined) return;
    event.preventDefault();
    action();
  });
}
