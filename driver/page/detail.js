// One instance in full. Owns the side panel: its head and actions, the figures, charts and facts,
// and which of its tabs is open. Lines of output are logview.js, editing is forms.js, phase and
// events of the control API are resource.js, apps and services are patrol.js.

import { button, confirm, copy, el, find, icon, notify, setAttr, setStatus, setText, statusBadge }
  from "./dom.js";
import { MASK, bytes, count, duration, maskedUrl, moment, rate, urlPieces } from "./format.js";
import { rateChart, statusStrip } from "./chart.js";
import { ResourceView } from "./resource.js";
import { SettingsForm } from "./forms.js";
import { LogView } from "./logview.js";

/** The span of the charts. */
const CHART_MS = 180_000;

/** Facts about the process are asked for this often while they are in sight. */
const PROCESS_MS = 2000;

/** Lines of history that are fetched when an instance is opened. */
const HISTORY_LINES = 1000;

/** Lines that a search finds at most. */
const SEARCH_LINES = 5000;

/** Lines of standard error that are asked for at a time. */
const STREAM_LINES = 1000;

const FIGURES = [["connections", "Connections"], ["ping", "Ping"], ["pool", "Pool"], ["mode", "Mode"]];

/** The panel; `onClose` is called when it should go. */
export class Detail {
  constructor(api, model, { onClose, onTag }) {
    Object.assign(this, { api, model, onClose, onTag });
    this.id = null;
    this.node = find("#detail");
    this.logView = new LogView(model, (id) => this.fetchEarlier(id),
      async (id, grep) => (await api.logs(id, { grep, limit: SEARCH_LINES }))?.lines ?? null);
    this.resource = new ResourceView(api);
    this.patrol = null;
    this.patrolPlace = el("div");
    this.settings = new SettingsForm(api, model, { onDeleted: onClose });
    this.build();
    model.addEventListener("change", () => {
      this.refresh();
      if (this.isAttached && this.id !== null && !document.hidden) this.askStreams();
    });
    // After a gap the master may still have what the stream had not.
    model.addEventListener("picture", () => this.id !== null && this.isAttached
      && this.fetchLines(this.id, null));
    setInterval(() => this.refresh(), 1000);
    setInterval(() => this.askProcess(), PROCESS_MS);
    setInterval(() => {
      if (this.tab !== "overview") return;
      this.resource.ask();
      this.patrol?.ask();
    }, PROCESS_MS);
  }

  build() {
    this.status = statusBadge("stopped");
    this.title = el("h2", { tabindex: "-1", id: "detail-title" });
    this.code = el("button", { type: "button", class: "id link", title: "Copy the id",
      on: { click: () => copy(this.id, "Id") } });
    this.close = button("Close", { icon: "close", kind: "ghost", bare: true, id: "detail-close",
      on: () => this.onClose() });
    this.actions = [["start", "Start", "play"], ["stop", "Stop", "stop"],
      ["restart", "Restart", "restart"], ["reset", "Reset counters", "reset"]].map(
      ([action, label, name]) => button(label, { icon: name, kind: "small", "data-action": action,
        on: () => this.act(action, label) }));
    this.tabs = [["overview", "Overview"], ["settings", "Settings"]].map(([tab, label]) =>
      el("button", { type: "button", role: "tab", id: `tab-${tab}`, "aria-controls": `panel-${tab}`,
        text: label, on: { click: () => this.showTab(tab), keydown: (event) => this.tabKey(event) } }));
    this.overview = el("div", { class: "overview", role: "tabpanel", id: "panel-overview",
      "aria-labelledby": "tab-overview" }, ...this.buildOverview(), this.logView.node);
    this.panel = el("div", { class: "settings", role: "tabpanel", id: "panel-settings",
      "aria-labelledby": "tab-settings", hidden: true }, this.settings.node);
    this.node.append(
      el("header", { class: "detail-head" },
        el("div", { class: "detail-name" }, this.title, this.close),
        el("div", { class: "detail-sub" }, this.status, this.code)),
      el("div", { class: "detail-actions" }, el("div", { class: "tabs", role: "tablist" }, ...this.tabs),
        el("div", { class: "buttons" }, ...this.actions)),
      this.overview, this.panel);
    this.showTab("overview");
  }

  buildOverview() {
    this.rates = Object.fromEntries([["rx", "In"], ["tx", "Out"]].map(([kind, label]) => {
      const part = { now: el("strong"), total: el("span"), peak: el("span", { class: "peak" }),
        chart: rateChart(kind) };
      part.node = el("div", { class: `tile wide ${kind}` },
        el("div", { class: "tile-line" }, el("span", { class: "label", text: label }), part.now,
          part.total), part.chart.node, part.peak);
      return [kind, part];
    }));
    this.figures = Object.fromEntries(FIGURES.map(([name]) => [name, el("strong")]));
    const tiles = FIGURES.map(([name, label]) => el("div", { class: "tile" },
      el("span", { class: "label", text: label }), this.figures[name]));
    this.strip = statusStrip();
    this.facts = el("dl", { class: "facts" });
    this.processFacts = el("dl", { class: "facts process", hidden: true });
    this.tiles = el("div", { class: "tiles" }, this.rates.rx.node, this.rates.tx.node, ...tiles);
    return [this.tiles, this.strip.node, this.processFacts, this.facts, this.patrolPlace,
      this.resource.node];
  }

  /** Opens an instance; one that is not there says so. */
  open(id, tab = "overview") {
    const isOther = this.id !== id;
    this.id = id;
    this.node.hidden = false;
    if (isOther) {
      this.process = null;
      this.hasProcess = true;
      this.isRevealed = false;
      this.shape = "";
      this.processFacts.hidden = true;
      this.isAttached = false;
      this.resource.show(null);
      this.patrol?.show(null);
      this.logView.show(id);
    }
    this.showTab(tab);
    this.refresh();
  }

  /** Begins to follow an instance once it is known: an address may be older than the picture. */
  attach() {
    this.isAttached = true;
    this.model.watch(this.id);
    this.fetchLines(this.id, null);
    this.askProcess();
    this.resource.show(this.id);
    this.showPatrol(this.id);
  }

  /** Most masters have no apps and services: what shows them is loaded with the first one. */
  async showPatrol(id) {
    const { data } = this.model.entries.get(id);
    if (data.type !== "app" && data.type !== "service") return;
    if (this.patrol === null) {
      const { PatrolView } = await import("./patrol.js");
      this.patrol ??= new PatrolView();
      this.patrolPlace.replaceChildren(this.patrol.node);
    }
    if (this.id === id) this.patrol.show(data);
  }

  shut() {
    this.id = null;
    this.resource.show(null);
    this.patrol?.show(null);
    this.node.hidden = true;
    this.model.watch(null);
  }

  showTab(name) {
    this.tab = name;
    for (const tab of this.tabs) {
      const isThis = tab.id === `tab-${name}`;
      setAttr(tab, "aria-selected", String(isThis));
      setAttr(tab, "tabindex", isThis ? "0" : "-1");
    }
    this.overview.hidden = name !== "overview";
    this.panel.hidden = name !== "settings";
    if (name === "settings" && this.id !== null) this.settings.open(this.id);
    if (name === "overview" && this.id !== null) this.logView.toEnd();
  }

  tabKey(event) {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    event.preventDefault();
    const other = this.tabs.find((tab) => tab !== event.target);
    other.click();
    other.focus();
  }

  refresh() {
    if (this.id === null || document.hidden) return;
    const entry = this.model.entries.get(this.id);
    if (entry === undefined) return this.showMissing();
    if (!this.isAttached) this.attach();
    const { data } = entry;
    setText(this.title, entry.name);
    setText(this.code, data.id);
    setStatus(this.status, data.status);
    this.status.hidden = false;
    // What waits for its time or for another instance can be stopped too.
    const facts = this.process;
    const isWaiting = Boolean(facts && (facts.nextRestart || facts.nextRun || facts.waitsFor));
    this.actions[0].disabled = data.status === "running";
    this.actions[1].disabled = data.status === "stopped" && !isWaiting;
    for (const action of this.actions.slice(2)) action.disabled = false;
    this.showFigures(entry);
    this.showFacts(data);
    this.showProcess(data);
  }

  showMissing() {
    setText(this.title, "No such instance");
    setText(this.code, this.id);
    this.status.hidden = true;
    for (const action of this.actions) action.disabled = true;
  }

  showFigures(entry) {
    const nowMs = Date.now();
    const { data } = entry;
    const now = entry.meter.at(nowMs);
    const history = entry.meter.history(nowMs);
    // A plain command reports nothing; its log has the room.
    this.tiles.hidden = history.length === 0 && data.mode === 0 && entry.rxTotal + entry.txTotal === 0
      && entry.connections === 0 && data.ping === 0 && data.pool === 0;
    for (const kind of ["rx", "tx"]) {
      const part = this.rates[kind];
      setText(part.now, now[kind] > 0 ? rate(now[kind]) : "0 B/s");
      const [tcp, udp] = [data[`tcp${kind}`], data[`udp${kind}`]];
      setText(part.total, `${bytes(tcp + udp)} in all`);
      setAttr(part.total, "title", `TCP ${count(tcp)} B, UDP ${count(udp)} B`);
      const samples = history.map((one) => ({ ageMs: one.ageMs, value: one[kind] }));
      const top = part.chart.draw(samples, CHART_MS);
      setText(part.peak, samples.length > 0 ? `peak ${rate(top)} in 3 min` : "no traffic seen yet");
    }
    setText(this.figures.connections, `${count(data.tcps)} TCP · ${count(data.udps)} UDP`);
    setText(this.figures.ping, `${count(data.ping)} ms`);
    setText(this.figures.pool, count(data.pool));
    setText(this.figures.mode, count(data.mode));
    this.strip.draw(entry.statuses, nowMs);
  }

  /** Rendered again only when it changes: a button in it may have the focus. */
  showFacts(data) {
    const shape = JSON.stringify([data.url, data.restart, data.meta, this.isRevealed]);
    if (shape === this.shape) return;
    this.shape = shape;
    const { peer, tags } = data.meta;
    const facts = [["URL", this.url(data.url)],
      ["Restart", data.restart ? "after a failure, and with the master" : "never by itself"]];
    const peers = [["sid", peer.sid], ["type", peer.type], ["alias", peer.alias]]
      .filter(([, value]) => value !== "").map(([name, value]) => `${name} ${value}`);
    if (peers.length > 0) facts.push(["Peer", peers.join(" · ")]);
    if (Object.keys(tags).length > 0) facts.push(["Tags", this.tags(tags)]);
    this.facts.replaceChildren(...factRows(facts));
  }

  url(url) {
    const hasSecret = urlPieces(url).some((piece) => piece.secret);
    const text = el("code", { text: this.isRevealed ? url : maskedUrl(url) });
    const reveal = button(this.isRevealed ? "Hide the secrets" : "Show the secrets", { icon: "eye",
      kind: "ghost small", bare: true, id: "reveal", "aria-pressed": String(this.isRevealed),
      on: () => {
        this.isRevealed = !this.isRevealed;
        this.refresh();
        find("#reveal").focus();
      } });
    const copyUrl = button("Copy the URL", { icon: "copy", kind: "ghost small", bare: true,
      on: () => copy(url, "URL") });
    return el("span", { class: "url-line" }, text, hasSecret ? reveal : null, copyUrl);
  }

  tags(tags) {
    return el("span", { class: "tag-list" }, ...Object.entries(tags).map(([key, value]) =>
      el("button", { type: "button", class: "tag", title: `Filter by ${key}=${value}`,
        on: { click: () => this.onTag(`${key}=${value}`) } },
      el("b", { text: key }), value === "" ? null : el("span", { text: value }))));
  }

  async askProcess() {
    const { id } = this;
    if (id === null || !this.hasProcess || document.hidden || this.tab !== "overview") return;
    try {
      const process = await this.api.process(id);
      if (this.id !== id) return;
      this.process = process;
      this.hasProcess = process !== null;
      this.refresh();
    } catch {
      // The connection says what is wrong with it.
    }
  }

  showProcess() {
    const facts = this.process;
    this.processFacts.hidden = facts === null;
    if (facts === null) return;
    const rows = processRows(facts);
    const shape = JSON.stringify(rows);
    if (shape === this.processShape) return;
    this.processShape = shape;
    this.processFacts.replaceChildren(...factRows(rows));
  }

  /** Fetches the lines before the first one that is known. */
  fetchEarlier(id) {
    const log = this.model.entries.get(id)?.log;
    const first = log?.lines.find((line) => line.id !== null);
    return log?.hasOlder && first ? this.fetchLines(id, first.id) : Promise.resolve();
  }

  /** Fetches the last lines before one of them, or the very last. */
  async fetchLines(id, before) {
    try {
      const answer = await this.api.logs(id, { limit: HISTORY_LINES, before });
      if (answer !== null) this.model.addHistory(id, answer.lines, answer.more === true);
    } catch {
      // What is seen live is still there.
    }
  }

  /** Events do not name the stream of a line: asks which of the new lines are of standard error. */
  async askStreams() {
    const { id } = this;
    const entry = this.model.entries.get(id);
    if (entry?.data.type !== "exec" || this.isAskingStreams || entry.log.lastId === null) return;
    const { markedTo: cursor, lastId } = entry.log;
    if (cursor === lastId) return;
    this.isAskingStreams = true;
    try {
      const answer = await this.api.logs(id, { stream: "stderr", cursor, limit: STREAM_LINES });
      const lines = answer?.lines ?? [];
      const isPart = cursor !== null && answer?.more === true;
      this.model.markStderr(id, lines, isPart ? lines[lines.length - 1].id : lastId);
    } catch {
      // The connection says what is wrong with it; the next line asks again.
    } finally {
      this.isAskingStreams = false;
    }
  }

  /** A start of what is in error means: try again now. */
  async act(action, label) {
    const { id } = this;
    const isAgain = action === "start" && this.model.entries.get(id)?.data.status === "error";
    try {
      await this.api.act(id, isAgain ? "restart" : action);
    } catch (error) {
      notify(`${label}: ${error.message}`, "bad");
    }
  }
}

function factRows(facts) {
  return facts.map(([name, value, title = ""]) => el("div", { class: name === "Last exit" && "wide" },
    el("dt", { text: name }), el("dd", { title: title || false },
      typeof value === "string" ? el("span", { text: value }) : value)));
}

/** The process object as words; absent fields are left out. */
function processRows(facts) {
  const rows = [];
  const isTold = (value) => value !== null && value !== undefined;
  const add = (name, value, title = "") => isTold(value) && rows.push([name, value, title]);
  const more = facts.processes > 1 ? `, ${facts.processes} in its group` : "";
  if (facts.reason) add("Reason", facts.reason);
  add("Process", facts.pid ? `pid ${facts.pid}${more}` : "none");
  if (facts.started) {
    add("Up", duration((Date.now() - Date.parse(facts.started)) / 1000), moment(facts.started));
  }
  if (isTold(facts.restarts)) add("Restarts", count(facts.restarts));
  if (isTold(facts.cpuPercent)) add("CPU", `${Number(facts.cpuPercent).toFixed(1)} %`);
  if (isTold(facts.memoryBytes)) add("Memory", bytes(facts.memoryBytes));
  if (facts.nextRestart) {
    const left = (Date.parse(facts.nextRestart) - Date.now()) / 1000;
    add("Next start", left > 0 ? `in ${duration(left)}` : "now");
  }
  if (facts.lastExit) add("Last exit", exitOf(facts.lastExit));
  return rows;
}

function exitOf({ code, signal, reason, time }) {
  const how = signal ? `signal ${signal}` : `status ${code ?? "not known"}`;
  return `${reason || how}, ${moment(time)}`;
}
