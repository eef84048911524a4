// The master itself: its figures, its alias, its key, and TCP pings from it. Owns one dialog.

import { button, confirm, copy, el, find, notify, openDialog, setText } from "./dom.js";
import { bytes, duration, plural } from "./format.js";
import { field, setError } from "./forms.js";

/** The master samples its figures this often. */
const INFO_MS = 2000;

const FACTS = ["Version", "Id", "Up", "Machine up", "CPU", "Memory", "Swap", "Network", "Disks", "TLS"];

const TLS = { 0: "off", 1: "own certificate, made at start", 2: "certificate from files" };

/** The dialog; calls `onKey(promise)` before it changes the key. */
export class MasterDialog {
  constructor(api, model, { onKey }) {
    Object.assign(this, { api, model, onKey });
    // All rows are there before they are filled, so that nothing moves under the mouse.
    this.values = FACTS.map(() => el("dd", { text: "…" }));
    this.facts = el("dl", { class: "facts two" }, ...FACTS.map((name, index) =>
      el("div", {}, el("dt", { text: name }), this.values[index])));
    this.alias = el("input", { type: "text", autocomplete: "off", placeholder: "none" });
    this.target = el("input", { type: "text", class: "mono", autocomplete: "off", spellcheck: "false",
      placeholder: "host:port" });
    this.pingResult = el("p", { class: "result", role: "status", id: "ping-result" });
    this.newKey = el("div", { class: "new-key", hidden: true });
    this.rotate = button("Make a new key", { icon: "restart", kind: "danger-quiet",
      id: "rotate-key", on: () => this.rotateKey() });
    const close = button("Close", { icon: "close", kind: "ghost", bare: true,
      on: () => this.dialog.close() });
    this.dialog = el("dialog", { class: "dialog large", id: "master-dialog",
      "aria-labelledby": "master-title" },
    el("div", { class: "dialog-head" }, el("h2", { id: "master-title", tabindex: "-1", "data-first": true, text: "Master" }), close),
    this.facts,
    this.form("master-alias-form", field("master-alias", "Alias of the master", this.alias), "Save",
      () => this.saveAlias()),
    this.form("ping-form", field("ping-target", "TCP ping from the master", this.target), "Ping",
      () => this.ping(), this.pingResult),
    el("div", { class: "block" }, el("h3", { text: "API key" }),
      el("p", { class: "soft", text: "A new key locks out everybody who holds the old one, at once." }),
      this.rotate, this.newKey));
    // The key is shown once.
    this.dialog.addEventListener("close", () => this.hideKey());
    document.body.append(this.dialog);
    setInterval(() => this.dialog.open && !document.hidden && this.refresh(), INFO_MS);
  }

  form(id, content, label, onSubmit, ...rest) {
    const form = el("form", { class: "block inline", id, novalidate: true }, content,
      el("button", { class: "button", text: label }), ...rest);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      onSubmit();
    });
    return form;
  }

  open() {
    this.alias.value = this.model.masterAlias;
    setError(this.alias, "");
    setError(this.target, "");
    setText(this.pingResult, "");
    openDialog(this.dialog);
    this.refresh();
  }

  async refresh() {
    try {
      this.show(await this.api.info());
    } catch {
      // The connection says what is wrong with it.
    }
  }

  show(info) {
    const share = (used, total) => (total > 0
      ? `${bytes(used)} of ${bytes(total)} (${Math.round((used * 100) / total)} %)` : "none");
    const values = [
      `${info.ver}, ${info.os}/${info.arch}`, info.mid, duration(info.uptime), duration(info.sysup),
      info.cpu < 0 ? "not known" : `${info.cpu} % of ${plural(info.noc, "CPU")}`,
      share(info.mem_used, info.mem_total), share(info.swap_used, info.swap_total),
      `${bytes(info.netrx)} in, ${bytes(info.nettx)} out`,
      `${bytes(info.diskr)} read, ${bytes(info.diskw)} written`, TLS[info.tls] ?? info.tls,
    ];
    values.forEach((value, index) => setText(this.values[index], value));
  }

  async saveAlias() {
    setError(this.alias, "");
    try {
      this.show(await this.api.setMasterAlias(this.alias.value));
      notify("Saved.");
    } catch (error) {
      setError(this.alias, error.message);
      this.alias.focus();
    }
  }

  async ping() {
    const target = this.target.value.trim();
    setError(this.target, "");
    if (target === "") {
      setError(this.target, "Enter a host and a port, such as 127.0.0.1:22.");
      this.target.focus();
      return;
    }
    setText(this.pingResult, "Dialling…");
    try {
      const { connected, latency, error } = await this.api.ping(target);
      setText(this.pingResult, connected ? `Connected in ${latency} ms.` : "");
      if (!connected) setError(this.target, `Not connected: ${error}`);
    } catch (error) {
      setText(this.pingResult, "");
      setError(this.target, error.message);
    }
  }

  async rotateKey() {
    const isSure = await confirm("Make a new API key?",
      "Every client and every other tab needs the new key from then on.", "Make a new key");
    if (!isSure) return;
    this.rotate.disabled = true;
    const rotating = this.api.rotateKey();
    this.onKey(rotating);
    try {
      this.showKey(await rotating);
    } catch (error) {
      notify(`The key is not changed: ${error.message}`, "bad");
    } finally {
      this.rotate.disabled = false;
    }
  }

  showKey(key) {
    if (key === "") {
      notify("The key is changed. The new one is in the log of the master.", "good");
      return;
    }
    this.newKey.replaceChildren(
      el("p", { text: "The new key, shown this once. This tab uses it already." }),
      el("code", { id: "new-key", tabindex: "0", text: key }),
      button("Copy the key", { icon: "copy", kind: "small", on: () => copy(key, "Key") }));
    this.newKey.hidden = false;
    find("#new-key").focus();
  }

  hideKey() {
    this.newKey.replaceChildren();
    this.newKey.hidden = true;
  }
}
