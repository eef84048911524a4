// The list of instances. Owns its rows, of which only those in sight exist, the filters above it, the
// active row and the selection. Does not own what is done to a selection (bulk.js) nor keys.

import { announce, button, el, find, setAttr, setStatus, setText, statusBadge } from "./dom.js";
import { bytes, duration, maskedUrl, plural, rate } from "./format.js";
import { sparkline } from "./chart.js";
import { ORDERS, STATUSES, arrange, tagsOf } from "./order.js";

/** Rows drawn above and below what is in sight. */
const OVERSCAN = 6;

/** A list sorted by live figures is sorted again this often: rows should not jump about. */
const LIVE_SORT_MS = 2000;

/** Otherwise this often at most, as ten thousand names take a while to sort. */
const SORT_MS = 400;

/** Tags shown in a row; the detail has all. */
const ROW_TAGS_MAX = 6;

/** The span of the line in a row. */
const SPARK_MS = 90_000;

const COLUMNS = [
  ["select", ""], ["status", "Status"], ["name", "Instance"], ["url", "URL or reason"], ["since", "Since"],
  ["rx", "In"], ["tx", "Out"], ["trend", "Traffic"], ["cpu", "CPU"], ["memory", "Memory"],
  ["connections", "Conns"], ["ping", "Ping"],
  ["tags", "Tags"],
];

/** The list; calls `onOpen(id)` and `onSelection(ids)`. */
export class List {
  constructor(model, { onOpen, onSelection }) {
    Object.assign(this, { model, onOpen, onSelection });
    this.filter = { search: "", tag: "", status: "" };
    this.sort = { column: "name", isReversed: false };
    this.rows = [];
    this.pool = [];
    this.selection = new Set();
    this.activeId = null;
    this.openId = null;
    this.anchor = null;
    this.sortedAtMs = 0;
    this.build();
    this.buildFilters();
    model.addEventListener("change", () => this.refresh());
    // Durations and rates change while nothing happens.
    setInterval(() => this.refresh(), 1000);
  }

  build() {
    this.all = el("input", { type: "checkbox", "aria-label": "Select all that are shown",
      on: { change: () => this.selectAll(this.all.checked) } });
    const heads = COLUMNS.map(([column, label]) => this.head(column, label));
    this.body = el("div", { class: "rows", role: "rowgroup" });
    this.scroller = el("div", { class: "scroller", id: "rows", tabindex: "0", role: "grid",
      "aria-label": "Instances", "aria-multiselectable": "true" },
    el("div", { class: "row head", role: "row", "aria-rowindex": "1" }, ...heads), this.body);
    this.empty = el("div", { class: "empty", hidden: true });
    find("#list").append(this.scroller, this.empty);
    this.scroller.addEventListener("scroll", () => this.draw(), { passive: true });
    this.scroller.addEventListener("focus", () => this.activeId === null && this.move(0));
    new ResizeObserver(() => this.measure()).observe(this.scroller);
    this.body.addEventListener("click", (event) => this.clicked(event));
  }

  head(column, label) {
    const props = { class: `cell c-${column}`, role: "columnheader" };
    if (column === "select") return el("div", props, this.all);
    if (!(column in ORDERS)) return el("div", props, label);
    const sort = el("button", { type: "button", class: "sort", text: label, tabindex: "0",
      on: { click: () => this.sortBy(column) } });
    return el("div", { ...props, "data-column": column, "aria-sort": "none" }, sort);
  }

  buildFilters() {
    const search = find("#search");
    search.addEventListener("input", () => this.filterBy({ search: search.value }));
    this.tagSelect = find("#tag-filter");
    this.tagSelect.addEventListener("change", () => this.filterBy({ tag: this.tagSelect.value }));
    // Where there is no room for the head of the columns.
    this.sortSelect = find("#sort-by");
    const sortable = COLUMNS.filter(([column]) => column in ORDERS);
    this.sortSelect.append(...sortable.map(([column, label]) =>
      el("option", { value: column, text: `Sort by ${label}` })));
    this.sortSelect.addEventListener("change", () => {
      this.sort = { column: this.sortSelect.value, isReversed: false };
      this.arrangeNow();
    });
    this.sortTurn = find("#sort-turn");
    this.sortTurn.addEventListener("click", () => this.sortBy(this.sort.column));
    this.statusButtons = ["", ...STATUSES].map((status) => {
      const number = el("b");
      const node = el("button", { type: "button", "data-status": status || "all",
        "aria-pressed": "false", on: { click: () => this.filterBy({ status }) } },
      el("i", { class: "dot" }), el("span", { text: status || "all" }), number);
      find("#statuses").append(node);
      return { status, node, number };
    });
  }

  filterBy(change) {
    Object.assign(this.filter, change);
    setAttr(this.tagSelect, "data-active", this.filter.tag === "" ? null : "");
    this.tagSelect.value = this.filter.tag;
    this.scroller.scrollTop = 0;
    this.arrangeNow();
    announce(`${plural(this.rows.length, "instance")} shown`);
  }

  sortBy(column) {
    const isSame = this.sort.column === column;
    this.sort = { column, isReversed: isSame && !this.sort.isReversed };
    this.arrangeNow();
  }

  /** Follows the model: sorts again if that is due, and draws. */
  refresh() {
    if (document.hidden) return;
    const spent = performance.now() - this.sortedAtMs;
    const isLive = ORDERS[this.sort.column].isLive;
    if (this.model.isListChanged && spent >= SORT_MS) this.arrangeNow();
    else if (isLive && spent >= LIVE_SORT_MS) this.arrangeNow();
    else this.draw();
    if (this.model.isListChanged) this.model.tell();
  }

  arrangeNow() {
    const isChanged = this.model.isListChanged;
    this.model.isListChanged = false;
    const entries = this.model.entries;
    const { rows, counts } = arrange(entries.values(), this.filter, this.sort, Date.now());
    this.rows = rows;
    this.sortedAtMs = performance.now();
    for (const { status, node, number } of this.statusButtons) {
      setText(number, counts[status || "all"].toLocaleString());
      setAttr(node, "aria-pressed", String(this.filter.status === status));
    }
    for (const head of this.scroller.querySelectorAll("[data-column]")) {
      const isThis = head.dataset.column === this.sort.column;
      const direction = this.sort.isReversed ? "descending" : "ascending";
      setAttr(head, "aria-sort", isThis ? direction : "none");
    }
    this.sortSelect.value = this.sort.column;
    setText(this.sortTurn, this.sort.isReversed ? "↑" : "↓");
    setAttr(this.sortTurn, "aria-pressed", String(this.sort.isReversed));
    if (isChanged) this.followEntries();
    this.showEmpty(entries.size);
    setAttr(this.scroller, "aria-rowcount", String(rows.length + 1));
    this.body.style.height = `${rows.length * this.rowHeight}px`;
    this.draw();
  }

  /** Instances came or went: tags may have, and what is selected may be gone. */
  followEntries() {
    const { entries } = this.model;
    const gone = [...this.selection].filter((id) => !entries.has(id));
    for (const id of gone) this.selection.delete(id);
    if (gone.length > 0) this.onSelection(this.selection);
    const tags = tagsOf(entries.values());
    const shape = tags.map(([tag, uses]) => `${tag} ${uses}`).join("\n");
    if (shape === this.tagShape) return;
    this.tagShape = shape;
    find("#tags").hidden = tags.length === 0 && this.filter.tag === "";
    const options = tags.map(([tag, uses]) => el("option", { value: tag, text: `${tag} (${uses})` }));
    if (this.filter.tag !== "" && !tags.some(([tag]) => tag === this.filter.tag)) {
      options.push(el("option", { value: this.filter.tag, text: `${this.filter.tag} (0)` }));
    }
    this.tagSelect.replaceChildren(el("option", { value: "", text: "All tags" }), ...options);
    this.tagSelect.value = this.filter.tag;
  }

  showEmpty(known) {
    this.empty.hidden = this.rows.length > 0;
    if (this.rows.length > 0) return;
    const isFiltered = known > 0;
    const state = isFiltered ? "filtered" : "none";
    if (this.empty.dataset.state === state) return;
    this.empty.dataset.state = state;
    const clear = button("Clear filters", { on: () => this.clearFilters() });
    const create = button("New instance", { icon: "plus", kind: "primary",
      on: () => find("#create").click() });
    this.empty.replaceChildren(...(isFiltered
      ? [el("p", { text: "No instance matches." }), clear]
      : [el("p", { class: "lead", text: "No instances yet" }),
        el("p", { class: "soft", text: "An instance is a URL and the process that runs it. "
          + "Try demo://first, or any command as exec:date" }), create]));
  }

  clearFilters() {
    find("#search").value = "";
    this.filterBy({ search: "", tag: "", status: "" });
  }

  measure() {
    const height = parseFloat(getComputedStyle(this.scroller).getPropertyValue("--row")) || 38;
    if (height !== this.rowHeight) {
      this.rowHeight = height;
      this.body.style.height = `${this.rows.length * height}px`;
      for (const row of this.pool) row.index = -1;
    }
    this.draw();
  }

  /** Draws the rows in sight; a row is moved rather than created again. */
  draw() {
    const height = this.rowHeight ?? 38;
    const { scrollTop, clientHeight } = this.scroller;
    const first = Math.max(0, Math.floor(scrollTop / height) - OVERSCAN);
    const last = Math.min(this.rows.length, Math.ceil((scrollTop + clientHeight) / height) + OVERSCAN);
    const wanted = last - first;
    while (this.pool.length < wanted) {
      this.pool.push(new Row());
      this.body.append(this.pool[this.pool.length - 1].node);
    }
    const nowMs = Date.now();
    this.scroller.classList.toggle("has-traffic", this.model.hasTraffic);
    this.pool.forEach((row, slot) => {
      // The row of index i always lies in slot i modulo the size of the pool.
      const size = this.pool.length;
      const index = first + (((slot - first) % size) + size) % size;
      const entry = index < last ? this.rows[index] : undefined;
      row.node.hidden = entry === undefined;
      if (entry !== undefined) row.show(entry, index, height, nowMs, this);
    });
    setAttr(this.scroller, "aria-activedescendant",
      this.activeId === null ? null : `row-${this.activeId}`);
    this.all.checked = this.selection.size > 0 && this.selection.size >= this.rows.length;
    this.all.indeterminate = this.selection.size > 0 && !this.all.checked;
  }

  clicked(event) {
    const id = event.target.closest(".row")?.dataset.id;
    if (id === undefined) return;
    const tag = event.target.closest(".tag");
    if (tag !== null && tag.dataset.tag) {
      this.filterBy({ tag: this.filter.tag === tag.dataset.tag ? "" : tag.dataset.tag });
    } else if (event.target.closest(".c-select") !== null) {
      if (event.target.type !== "checkbox") event.preventDefault();
      this.toggle(id, event.shiftKey);
    } else {
      this.activate(id);
      this.onOpen(id);
    }
  }

  /** Shows resource usage, once the master is known to report it. */
  showUsage(isTold) {
    this.scroller.classList.toggle("has-usage", isTold);
  }

  /** Makes a row the active one, without opening it. */
  activate(id) {
    this.activeId = id;
    this.draw();
  }

  /** Moves the active row by `step` and into sight. */
  move(step) {
    if (this.rows.length === 0) return;
    const at = this.rows.findIndex((entry) => entry.data.id === this.activeId);
    // Without one the first step leads to the first row, but End to the last.
    const from = at < 0 && Number.isFinite(step) ? 0 : at + step;
    const next = Math.min(this.rows.length - 1, Math.max(0, from));
    this.activeId = this.rows[next].data.id;
    const top = next * this.rowHeight;
    const room = this.scroller.clientHeight - this.rowHeight - this.body.offsetTop;
    if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
    else if (top > this.scroller.scrollTop + room) this.scroller.scrollTop = top - room;
    this.draw();
  }

  /** Selects a row or no longer; with `isRange` all from the last one to it. */
  toggle(id, isRange = false) {
    const at = this.rows.findIndex((entry) => entry.data.id === id);
    const from = this.rows.findIndex((entry) => entry.data.id === this.anchor);
    if (isRange && from >= 0 && at >= 0) {
      const range = this.rows.slice(Math.min(at, from), Math.max(at, from) + 1);
      for (const entry of range) this.selection.add(entry.data.id);
    } else if (!this.selection.delete(id)) {
      this.selection.add(id);
    }
    this.anchor = id;
    this.selected();
  }

  selectAll(isWanted) {
    this.selection.clear();
    if (isWanted) for (const entry of this.rows) this.selection.add(entry.data.id);
    this.selected();
  }

  selected() {
    this.onSelection(this.selection);
    this.draw();
  }
}

/** One row; it shows one entry after the other. */
class Row {
  constructor() {
    this.id = null;
    this.index = -1;
    this.drawnAtMs = 0;
    this.spark = sparkline();
    this.check = el("input", { type: "checkbox", tabindex: "-1" });
    this.status = statusBadge("stopped");
    this.alias = el("span", { class: "alias" });
    this.code = el("span", { class: "id" });
    const content = { select: [this.check], status: [this.status], name: [this.alias, this.code],
      trend: [this.spark.node] };
    this.cells = {};
    const cells = COLUMNS.map(([column]) => {
      const props = { class: `cell c-${column}`, role: "gridcell" };
      this.cells[column] = el("div", props, ...(content[column] ?? []));
      return this.cells[column];
    });
    this.node = el("div", { class: "row", role: "row" }, ...cells);
  }

  show(entry, index, height, nowMs, list) {
    const { data } = entry;
    const isOther = this.id !== data.id;
    if (this.index !== index) {
      this.index = index;
      this.node.style.transform = `translateY(${index * height}px)`;
      setAttr(this.node, "aria-rowindex", String(index + 2));
    }
    if (isOther || this.data !== data) this.showData(entry);
    this.showLive(entry, nowMs, isOther);
    const isSelected = list.selection.has(data.id);
    this.check.checked = isSelected;
    setAttr(this.node, "aria-selected", String(isSelected));
    this.node.classList.toggle("active", list.activeId === data.id);
    this.node.classList.toggle("open", list.openId === data.id);
  }

  showData(entry) {
    const { data } = entry;
    const { cells } = this;
    this.id = data.id;
    this.data = data;
    this.node.dataset.id = data.id;
    this.node.id = `row-${data.id}`;
    setAttr(this.check, "aria-label", `Select ${entry.name}`);
    setStatus(this.status, data.status);
    setText(this.alias, data.alias);
    setText(this.code, data.id);
    this.url = maskedUrl(data.url);
    setText(cells.connections, entry.connections === 0 ? "–" : entry.connections.toLocaleString());
    setText(cells.ping, data.ping === 0 ? "–" : `${data.ping} ms`);
    this.showTags(data.meta.tags);
  }

  showTags(tags) {
    const all = Object.entries(tags);
    const shape = JSON.stringify(tags);
    if (shape === this.tagShape) return;
    this.tagShape = shape;
    const shown = all.slice(0, ROW_TAGS_MAX).map(([key, value]) =>
      el("span", { class: "tag", "data-tag": `${key}=${value}`, title: `Filter by ${key}=${value}` },
        el("b", { text: key }), value === "" ? null : el("span", { text: value })));
    this.cells.tags.replaceChildren(...shown);
  }

  showLive(entry, nowMs, isOther) {
    // No user reads faster than this.
    if (!isOther && this.data === entry.data && nowMs - this.drawnAtMs < 500) return;
    this.drawnAtMs = nowMs;
    // Why it does not run is of more interest than its URL.
    const why = entry.data.status === "running" || entry.reason === "" ? "" : `${entry.reason} · `;
    const what = why + this.url;
    setText(this.cells.url, what);
    setAttr(this.cells.url, "title", what.slice(0, 500));
    const { rx, tx } = entry.meter.at(nowMs);
    const { atMs, isExact } = entry.since;
    setText(this.cells.since, `${isExact ? "" : "≥ "}${duration((nowMs - atMs) / 1000)}`);
    setAttr(this.cells.since, "title", isExact ? null : "At least: the page has not seen it begin.");
    setText(this.cells.rx, rate(rx));
    setText(this.cells.tx, rate(tx));
    const { cpu, memory } = entry.usage;
    setText(this.cells.cpu, cpu === null ? "–" : `${cpu.toFixed(cpu < 9.95 ? 1 : 0)} %`);
    setText(this.cells.memory, memory === null ? "–" : bytes(memory));
    const samples = entry.meter.history(nowMs);
    this.spark.draw(samples.map((one) => ({ ageMs: one.ageMs, value: one.rx + one.tx })), SPARK_MS);
  }
}
