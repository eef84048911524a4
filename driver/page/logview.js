// The tail of one instance's log. Owns which of the kept lines are drawn, following, holding,
// searching, and the choice of a stream. Lines come from strangers: they go in as text, their colours as class names.

import { parseAnsi, stripAnsi } from "./ansi.js";
import { button, el, icon, setAttr, setText } from "./dom.js";
import { clock, count, moment, plural } from "./format.js";

/** Lines drawn at a time; more on request. */
const DRAWN_MAX = 500;

/** Of a longer line this much is shown until it is asked for. */
const LINE_CHARS = 1500;

/** Matches marked in one line. */
const MARKS_MAX = 200;

/** How near to the end counts as the end, in pixels. */
const NEAR_PX = 24;

/** A search begins when nothing was typed for this long. */
const SEARCH_MS = 250;

/** What lines of a level have in them. */
const LEVELS = { warnings: "\\b(warn(ing)?|error|fatal|panic(ked)?|critical)\\b",
  errors: "\\b(error|fatal|panic(ked)?|critical)\\b" };

/** The log pane; `show(id)` turns it to an instance, `onEarlier(id)` fetches what it had printed,
    `onSearch(id, grep)` resolves to the lines that the master has, or to null if it keeps none. */
export class LogView {
  constructor(model, onEarlier, onSearch) {
    Object.assign(this, { model, onEarlier, onSearch });
    this.lastTop = 0;
    this.id = null;
    /** The long lines that are shown whole; they stay so when the lines are drawn again. */
    this.opened = new WeakSet();
    this.isPaused = false;
    this.isWrapping = true;
    this.stream = "";
    /** The lines that the master found; null while it was not asked. */
    this.results = null;
    /** The node of each drawn line: its stream may become known later. */
    this.nodes = new WeakMap();
    this.build();
    model.addEventListener("change", () => this.refresh());
  }

  build() {
    this.search = el("input", { type: "search", id: "log-search", placeholder: "Search (regular expression)",
      "aria-label": "Search the log", autocomplete: "off", spellcheck: "false",
      on: { input: () => this.narrow() } });
    this.choice = el("select", { id: "log-stream", "aria-label": "Stream",
      on: { change: () => this.choose(this.choice.value) } },
      ...[["", "Both"], ["stdout", "stdout"], ["stderr", "stderr"]].map(([value, label]) =>
        el("option", { value, text: label })));
    this.level = el("select", { id: "log-level", "aria-label": "Level", on: { change: () => this.narrow() } },
      ...["", ...Object.keys(LEVELS)].map((value) => el("option", { value, text: value || "All levels" })));
    [this.from, this.to] = ["From", "To"].map((label) => el("input", { type: "datetime-local", step: "1",
      id: `log-${label.toLowerCase()}`, "aria-label": label, on: { change: () => this.narrow() } }));
    this.found = el("span", { class: "found", role: "status" });
    this.pauseButton = button("Pause", { icon: "pause", kind: "ghost small", id: "log-pause",
      on: () => this.pause() });
    this.wrapButton = button("Wrap long lines", { icon: "wrap", kind: "ghost small", bare: true,
      "aria-pressed": "true", on: () => this.wrap() });
    this.fullButton = button("Full screen", { icon: "full", kind: "ghost small", bare: true,
      "aria-pressed": "false", on: () => this.fill() });
    this.earlier = button("Earlier lines", { kind: "ghost small earlier",
      on: () => this.showEarlier() });
    this.lines = el("div", { class: "lines" });
    this.unfinished = el("div", { class: "unfinished", id: "log-unfinished", hidden: true });
    this.scroller = el("div", { class: "log", id: "log", tabindex: "0", role: "log",
      "aria-live": "off", "aria-label": "Log" }, this.earlier, this.lines, this.unfinished);
    this.scroller.addEventListener("scroll", () => this.scrolled(), { passive: true });
    // Whatever grows or shrinks, who follows stays at the end.
    const pin = new ResizeObserver(() => this.isFollowing && this.toEnd());
    pin.observe(this.scroller);
    pin.observe(this.lines);
    this.newer = el("button", { type: "button", class: "newer", hidden: true,
      on: { click: () => this.follow() } }, icon("down"), el("span"));
    this.node = el("section", { class: "log-pane", "aria-label": "Log" },
      el("div", { class: "log-tools" }, el("h3", { text: "Log" }),
        el("label", { class: "search small" }, icon("search"), this.search), this.found,
        this.choice, this.pauseButton, this.wrapButton, this.fullButton),
      el("details", { class: "more" }, el("summary", { text: "Level, dates, download" }),
        el("div", { class: "log-filter" }, this.level, this.from, this.to,
          button("Download", { kind: "small", id: "log-download", on: () => this.download() }))),
      el("div", { class: "log-frame" }, this.scroller, this.newer));
  }

  /** Turns to an instance. */
  show(id) {
    this.id = id;
    this.isPaused = false;
    this.isFollowing = true;
    this.stream = "";
    for (const input of [this.search, this.choice, this.level, this.from, this.to]) input.value = "";
    this.showPaused();
    this.narrow();
  }

  get log() {
    return this.model.entries.get(this.id)?.log ?? null;
  }

  pause() {
    this.isPaused = !this.isPaused;
    this.showPaused();
    if (!this.isPaused) this.follow();
  }

  /** The button says what a click does: its label changes, so it is not a toggle as well. */
  showPaused() {
    const label = this.isPaused ? "Resume" : "Pause";
    setText(this.pauseButton.lastChild, label);
    setAttr(this.pauseButton, "title", `${label} the log (p)`);
    setAttr(this.pauseButton.querySelector("use"), "href", this.isPaused ? "#i-play" : "#i-pause");
  }

  wrap() {
    this.isWrapping = !this.isWrapping;
    this.lines.classList.toggle("nowrap", !this.isWrapping);
    setAttr(this.wrapButton, "aria-pressed", String(this.isWrapping));
  }

  fill() {
    const isFull = this.node.parentElement.classList.toggle("log-only");
    setAttr(this.fullButton, "aria-pressed", String(isFull));
  }

  /** Shows what the search, the level and the dates let through; the master is asked soon. */
  narrow() {
    const text = this.search.value;
    this.pattern = text === "" ? null : expression(text);
    this.levels = this.level.value === "" ? null : expression(LEVELS[this.level.value]);
    const date = ({ value }) => (value === "" ? "" : new Date(value).toISOString().slice(0, 19));
    this.dates = [date(this.from), date(this.to) || "9"];
    this.isNarrow = [this.search, this.level, this.from, this.to].some((input) => input.value !== "");
    this.results = null;
    this.resultIds = new Set();
    this.problem = "";
    clearTimeout(this.asking);
    if (this.isNarrow) this.asking = setTimeout(() => this.askMaster(), SEARCH_MS);
    this.restart(DRAWN_MAX);
  }

  /** Lets the master search all that it has, not only what the page knows. */
  async askMaster() {
    const { id, pattern, levels } = this;
    const wanted = this.search.value || LEVELS[this.level.value];
    try {
      const lines = await this.onSearch(id, wanted ? `(?i)${wanted}` : null);
      if (this.id !== id || this.pattern !== pattern || this.levels !== levels) return;
      this.results = lines;
      this.resultIds = new Set(wanted ? lines?.map((line) => line.id) : []);
    } catch (error) {
      if (this.pattern === pattern) this.problem = error.message;
    }
    this.restart(DRAWN_MAX);
  }

  /** Every line that is let through: those that the master found, and those of the page. */
  matching() {
    const all = this.log?.lines ?? [];
    // Lines that the page has are the same objects before and after the answer.
    const known = new Set(all.map((line) => line.id));
    const both = this.results === null ? all
      : [...this.results.filter((line) => !known.has(line.id)), ...all].sort(byTime);
    const isAll = !this.isNarrow && this.stream === "";
    return isAll ? both : both.filter((line) => this.matches(line));
  }

  /** Saves these lines as a file, with all that the master has. */
  async download() {
    await this.askMaster();
    const lines = this.matching().filter((line) => line.gap === undefined);
    const text = lines.map((line) => `${line.time} ${stripAnsi(line.text)}\n`).join("");
    const href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
    el("a", { href, download: `${this.model.entries.get(this.id)?.name ?? this.id}.log` }).click();
    setTimeout(() => URL.revokeObjectURL(href), 10_000);
  }

  choose(stream) {
    this.stream = stream;
    this.restart(DRAWN_MAX);
  }

  /** Draws the last `size` lines that match again; stays at the end unless `isPinned` is false. */
  restart(size, isPinned = true) {
    this.size = size;
    const { log } = this;
    const all = log?.lines ?? [];
    const matching = this.matching();
    const drawn = matching.slice(-size);
    this.lines.replaceChildren(...drawn.map((line) => this.line(line)));
    this.merges = log?.merges ?? 0;
    this.marks = log?.marks ?? 0;
    // Other instances have one stream.
    this.choice.hidden = this.model.entries.get(this.id)?.data.type !== "exec";
    this.drawnTo = (log?.dropped ?? 0) + all.length;
    this.earlier.hidden = matching.length <= drawn.length && !(log?.hasOlder ?? false);
    this.lines.classList.toggle("is-empty", drawn.length === 0);
    this.showUnfinished(log);
    const found = this.isNarrow ? plural(matching.length, "match").replace("chs", "ches") : "";
    setText(this.found, this.problem || found);
    if (isPinned) this.toEnd();
    this.showNewer();
  }

  refresh() {
    const { log } = this;
    if (log === null || document.hidden) return;
    const isOther = this.stream !== "" && log.marks !== this.marks;
    if (isOther || log.merges !== this.merges) return this.restart(this.size, this.isFollowing);
    if (log.marks !== this.marks) this.showStreams(log);
    if (!this.isPaused && this.isFollowing) {
      this.appendNew(log);
      this.showUnfinished(log);
    }
    this.showNewer();
  }

  appendNew(log) {
    const fresh = log.lines.slice(Math.max(0, this.drawnTo - log.dropped));
    this.drawnTo = log.dropped + log.lines.length;
    const drawn = fresh.filter((line) => this.matches(line)).slice(-this.size);
    if (drawn.length === 0) return;
    this.lines.classList.remove("is-empty");
    this.lines.append(...drawn.map((line) => this.line(line)));
    while (this.lines.childElementCount > this.size) {
      this.lines.firstChild.remove();
      this.earlier.hidden = false;
    }
    if (this.isNarrow) this.restart(this.size);
    this.toEnd();
  }

  /** Marks drawn lines whose stream has become known. */
  showStreams(log) {
    this.marks = log.marks;
    for (const line of log.lines) {
      const node = this.nodes.get(line);
      if (node !== undefined && line.stream === "stderr") showStderr(node);
    }
  }

  /** Draws the lines that have not ended yet, if there are any. */
  showUnfinished(log) {
    const lines = Object.values(log?.unfinished ?? {}).filter((line) => line !== null && this.matches(line));
    this.unfinished.hidden = lines.length === 0;
    this.unfinished.replaceChildren(...lines.map((line) => {
      const node = this.line(line);
      node.append(el("span", { class: "cut", text: "not ended yet" }));
      return node;
    }));
    if (this.unfinished.hidden) return;
    this.lines.classList.remove("is-empty");
    if (this.isFollowing) this.toEnd();
  }

  showNewer() {
    const { log } = this;
    const waiting = log === null ? 0 : log.dropped + log.lines.length - this.drawnTo;
    this.newer.hidden = this.isFollowing && !(this.isPaused && waiting > 0);
    setText(this.newer.lastChild, waiting > 0 ? `${plural(waiting, "new line")}` : "To the end");
  }

  scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    const isAtEnd = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    // Only scrolling back leaves the end; a change of the layout does not.
    const isBack = scrollTop < this.lastTop;
    this.lastTop = scrollTop;
    if (isAtEnd === this.isFollowing || (!isAtEnd && !isBack)) return;
    this.isFollowing = isAtEnd;
    this.refresh();
  }

  /** Goes to the end and stays there. */
  follow() {
    this.isPaused = false;
    this.isFollowing = true;
    this.showPaused();
    this.restart(DRAWN_MAX);
  }

  toEnd() {
    this.isFollowing = true;
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.lastTop = this.scroller.scrollTop;
  }

  /** Draws more of what is kept, and asks the master for what is not. */
  async showEarlier() {
    const { id, log } = this;
    this.isFollowing = false;
    if (this.size >= log.lines.length) await this.onEarlier(id);
    if (this.id !== id) return;
    const before = this.scroller.scrollHeight - this.scroller.scrollTop;
    this.restart(this.size + DRAWN_MAX, false);
    this.scroller.scrollTop = this.scroller.scrollHeight - before;
  }

  matches(line) {
    if (this.stream !== "" && (line.stream ?? "stdout") !== this.stream) return false;
    if (!this.isNarrow) return true;
    const [time, text] = [line.time.slice(0, 19), stripAnsi(line.text)];
    if (line.gap !== undefined || time < this.dates[0] || time > this.dates[1]) return false;
    const has = (wanted) => wanted === null || text.search(wanted) >= 0;
    return has(this.levels) && (this.resultIds.has(line.id) || has(this.pattern));
  }

  line(line) {
    if (line.gap !== undefined) {
      const many = line.gap > 0 ? `${count(line.gap)} events` : "Events";
      return el("div", { class: "gap", text: `${many} were missed here; lines may be missing` });
    }
    const text = el("span", { class: "text" });
    this.fillText(text, this.shownText(line));
    const isLong = line.text.length > LINE_CHARS;
    const node = el("div", { class: line.text.includes("ERROR") ? "line bad" : "line" },
      el("time", { text: clock(line.time), title: moment(line.time) }), text);
    if (line.stream === "stderr") showStderr(node);
    this.nodes.set(line, node);
    if (isLong) node.append(this.moreButton(line, text));
    if (line.cut > 0) {
      node.append(el("span", { class: "cut", text: `${plural(line.cut, "byte")} cut by the master` }));
    }
    return node;
  }

  shownText(line) {
    return this.opened.has(line) ? line.text : line.text.slice(0, LINE_CHARS);
  }

  moreButton(line, text) {
    const more = el("button", { type: "button", class: "link more-text" });
    const label = () => {
      const isOpen = this.opened.has(line);
      more.textContent = isOpen ? "show less" : `show all ${count(line.text.length)} characters`;
      setAttr(more, "aria-expanded", String(isOpen));
    };
    more.addEventListener("click", () => {
      if (!this.opened.delete(line)) this.opened.add(line);
      this.fillText(text, this.shownText(line));
      label();
    });
    label();
    return more;
  }

  fillText(node, text) {
    const parts = parseAnsi(text).flatMap(({ text: run, classes }) => {
      const marked = this.marked(run);
      return classes === "" ? marked : [el("span", { class: classes }, ...marked)];
    });
    node.replaceChildren(...parts);
  }

  /** The text with what is searched for marked. */
  marked(text) {
    if (this.pattern === null) return [text];
    const parts = [];
    let at = 0;
    for (const { 0: found, index } of text.matchAll(this.pattern)) {
      if (found === "") continue;
      parts.push(text.slice(at, index), el("mark", { text: found }));
      at = index + found.length;
      if (parts.length >= 2 * MARKS_MAX) break;
    }
    return [...parts, text.slice(at)];
  }
}

/** The expression as the page matches it: what only the master understands matches nothing here. */
function expression(text) {
  try {
    return new RegExp(text, "gi");
  } catch {
    return /(?!)/g;
  }
}

const byTime = (a, b) => (a.time < b.time ? -1 : Number(a.time > b.time));

/** Says of a drawn line that it is of standard error. */
function showStderr(node) {
  if (node.classList.contains("stderr")) return;
  node.classList.add("stderr");
  node.querySelector("time").after(el("abbr", { class: "stream", text: "err", title: "standard error" }));
}
