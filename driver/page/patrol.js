// What Patrol's address says of an app or service: whether it is disabled or runs once, its
// key-values, its history and its log files; and the toggles. Hidden for every other instance.
//
// It speaks Patrol's API, which needs no key but the secret of an app that has one. A secret is kept
// while the page is open and nowhere else. Values are written with the CAS that was read, so that a
// change by another user is not lost.

import { button, confirm, el, notify, setAttr } from "./dom.js";
import { moment } from "./format.js";

/** How long an answer may take. */
const ANSWER_MS = 10_000;

/** Ended instances that are shown, the newest first. */
const HISTORY_MAX = 50;

/** Patrol's toggles, by what they do. */
const TOGGLE = { enable: 1, disable: 2, restart: 3, runOnce: 4, runAlways: 5 };

/** Owns its node; asks for one app or service at a time. */
export class PatrolView {
  constructor() {
    this.subject = null;
    this.secrets = new Map();
    this.summary = el("summary");
    this.toggles = el("div", { class: "buttons" });
    this.secret = el("input", { type: "password", autocomplete: "off", "aria-label": "Secret",
      placeholder: "Secret of this app or service", on: { change: () => this.keepSecret() } });
    this.logs = el("p", { class: "patrol-logs" });
    this.values = el("table", { class: "patrol-values", "aria-label": "Key-values" });
    this.history = el("ol", { class: "stored-events patrol-history",
      "aria-label": "Ended instances, the newest first" });
    this.buildForm();
    this.node = el("details", { class: "resource", id: "patrol", open: true, hidden: true },
      this.summary, this.secret, this.toggles, this.logs, this.values, this.form, this.history);
  }

  buildForm() {
    const input = (label, placeholder) => el("input", { type: "text", autocomplete: "off",
      spellcheck: "false", "aria-label": label, placeholder });
    this.name = input("Name of a value", "name");
    this.value = input("Value, as JSON or text", "value, as JSON or text");
    this.form = el("form", { class: "patrol-form", on: { submit: (event) => {
      event.preventDefault();
      this.setValue();
    } } }, this.name, this.value, el("button", { class: "button small", text: "Set" }));
  }

  /** Shows another instance, or none. */
  show(data) {
    this.subject = data === null ? null : subjectOf(data);
    this.shape = "";
    this.state = null;
    this.node.hidden = true;
    this.ask();
  }

  /** Asks for the state, if it is an app or a service. */
  async ask() {
    const { subject } = this;
    if (subject === null || document.hidden) return;
    try {
      const state = await request("GET", `?${new URLSearchParams(subject)}`);
      if (this.subject === subject) this.draw(state);
    } catch {
      // The connection says what is wrong with it.
    }
  }

  draw(state) {
    this.state = state;
    this.node.hidden = false;
    const { lastseen: _, ...rest } = state;
    const shape = JSON.stringify(rest);
    if (shape === this.shape) return;
    this.shape = shape;
    const { subject } = this;
    const flags = [["disabled", "disabled"], ["restart", "restart requested"],
      ["run-once", "runs once"], ["shutdown", "server is shutting down"]]
      .filter(([name]) => state[name]).map(([, words]) => words);
    this.summary.replaceChildren(el("span", { class: "label", text: "Patrol" }),
      el("strong", { text: `${subject.group} ${subject.id}` }),
      el("span", { text: flags.length > 0 ? flags.join(", ") : "enabled" }),
      el("code", { text: `CAS ${state.cas}` }));
    this.secret.hidden = !state.secret;
    this.drawToggles(state);
    this.drawLogs(state);
    this.drawValues(state.keyvalue ?? {});
    const ended = (state.history ?? []).slice(-HISTORY_MAX).reverse();
    this.history.replaceChildren(...ended.map(endedRow));
  }

  drawToggles(state) {
    const focused = document.activeElement?.dataset?.toggle;
    const one = (name, label, toggle) => button(label, { kind: "small", "data-toggle": name,
      on: () => this.toggle(toggle, label) });
    this.toggles.replaceChildren(
      state.disabled ? one("power", "Enable", TOGGLE.enable) : one("power", "Disable", TOGGLE.disable),
      one("restart", "Restart", TOGGLE.restart),
      state["run-once"] ? one("once", "Run always", TOGGLE.runAlways)
        : one("once", "Run once", TOGGLE.runOnce));
    // A button that was pressed keeps the focus.
    if (focused) this.toggles.querySelector(`[data-toggle=${focused}]`)?.focus();
  }

  /** Services have no logs, and logs behind a secret are not for a link: it would be in the address. */
  drawLogs(state) {
    this.logs.hidden = this.subject.group !== "app" || state.secret === true;
    if (this.logs.hidden || this.logs.childElementCount > 0) {
      if (this.logs.dataset.id === this.subject.id) return;
    }
    setAttr(this.logs, "data-id", this.subject.id);
    const link = (label, path) => el("a", { target: "_blank", rel: "noopener", text: label,
      href: address(`${path}/?${new URLSearchParams(this.subject)}`) });
    this.logs.replaceChildren("Log files: ", link("all", "logs"), " ", link("standard output", "stdout"),
      " ", link("standard error", "stderr"));
  }

  drawValues(values) {
    this.values.replaceChildren(...Object.entries(values).map(([name, value]) => el("tr", {},
      el("th", { scope: "row", text: name }), el("td", {}, el("code", { text: JSON.stringify(value) })),
      el("td", {}, button(`Remove ${name}`, { icon: "close", kind: "ghost small", bare: true,
        on: () => this.removeValue(name) })))));
  }

  keepSecret() {
    this.secrets.set(JSON.stringify(this.subject), this.secret.value);
  }

  toggle(toggle, label) {
    return this.change({ toggle }, label);
  }

  async setValue() {
    const name = this.name.value;
    if (name === "") return this.name.focus();
    const isDone = await this.change({ keyvalue: { [name]: parsed(this.value.value) },
      cas: this.state.cas }, `Set ${name}`);
    if (isDone) this.name.value = this.value.value = "";
  }

  async removeValue(name) {
    const { cas, keyvalue } = this.state;
    if (!await confirm(`Remove ${name}?`, "The app no longer finds this value.", "Remove")) return;
    const { [name]: _, ...rest } = keyvalue;
    await this.change({ keyvalue: rest, "keyvalue-replace": true, cas }, `Remove ${name}`);
  }

  /** Changes the app or service; resolves to whether that was done. */
  async change(change, label) {
    const { subject } = this;
    const secret = this.secrets.get(JSON.stringify(subject)) ?? "";
    try {
      const before = await request("POST", "", { ...subject, ...change }, secret);
      const isStale = before["cas-invalid"] === true;
      const why = before.secret === true && secret === "" ? "enter its secret first"
        : "somebody else changed it; look at it again";
      if (isStale) notify(`${label}: not done, ${why}.`, "bad");
      return !isStale;
    } catch (error) {
      notify(`${label}: ${error.message}`, "bad");
      return false;
    } finally {
      if (this.subject === subject) await this.ask();
    }
  }
}

/** Which app or service an instance is; null if it is none. */
function subjectOf({ type, url }) {
  if (type !== "app" && type !== "service") return null;
  const id = url.slice(type.length + 1).replace(/^\/\//, "");
  return { group: type, id };
}

/** An address of Patrol. They lie beside the page, whatever path of a proxy that is below. */
function address(path) {
  return new URL(`../${path}`, import.meta.url);
}

async function request(method, query, body, secret = "") {
  const headers = secret === "" ? {} : { "X-Patrol-Secret": secret };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await fetch(address(`api/${query}`), { method, headers, cache: "no-store",
    body: body === undefined ? undefined : JSON.stringify(body), redirect: "error",
    credentials: "same-origin", signal: AbortSignal.timeout(ANSWER_MS) });
  const answer = parsed(await response.text());
  if (response.ok) return answer;
  throw new Error(answer?.errors?.join(", ") ?? `the answer was status ${response.status}`);
}

function endedRow(record) {
  const flags = ["restart", "run-once", "disabled", "shutdown"].filter((name) => record[name]);
  const how = record.pid ? [`pid ${record.pid}`] : [];
  how.push(`exit ${record["exit-code"] ?? 0}`, ...flags);
  return el("li", { title: `instance ${record["instance-id"]}, started ${record.started}` },
    el("time", { text: timeOf(record.stopped) }), el("code", { text: how.join(", ") }),
    el("span", { text: `started ${timeOf(record.started)}` }));
}

/** The configuration may give times any form: one that is not understood is shown as it is. */
function timeOf(text) {
  return Number.isNaN(Date.parse(text)) ? String(text ?? "") : moment(new Date(text).toISOString());
}

/** JSON, or else the text itself. */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
