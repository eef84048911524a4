// What is done to many instances at once. Owns the bar at the foot of the list: the actions, the
// question before what ends processes, the progress, and which of them failed and why. All but a
// delete is one request, so that the master continues without the page.

import { announce, button, confirm, el, find } from "./dom.js";
import { plural } from "./format.js";

/** Requests under way at a time: browsers open six connections, and the stream takes one. */
const AT_A_TIME = 4;

/** Names in the question, and failures shown. */
const NAMES_MAX = 5;
const FAILURES_MAX = 100;

const ACTIONS = [
  ["start", "Start", "play"], ["stop", "Stop", "stop"], ["restart", "Restart", "restart"],
  ["reset", "Reset counters", "reset"], ["delete", "Delete", "trash"],
];

/** The actions that end processes, and what the question says of them. */
const ENDS = {
  stop: "Their processes are stopped.",
  restart: "Their processes are stopped and started again.",
  delete: "Their processes are stopped, their totals are lost.",
};

/** The bar; `list` is whose selection it works on. */
export class Bulk {
  constructor(api, model, list) {
    Object.assign(this, { api, model, list });
    this.isBusy = false;
    this.node = find("#bulk");
    this.count = el("strong");
    this.progress = el("progress", { max: "1", value: "0", "aria-label": "Progress", hidden: true });
    this.outcome = el("div", { class: "outcome", role: "status" });
    this.buttons = ACTIONS.map(([action, label, icon]) =>
      button(label, { icon, kind: action === "delete" ? "danger-quiet" : "quiet",
        "data-action": action, on: () => this.run(action, label) }));
    this.clear = button("Clear selection", { icon: "close", kind: "ghost", bare: true,
      on: () => this.dismiss() });
    this.node.append(el("div", { class: "bulk-line" },
      this.count, this.progress, el("div", { class: "bulk-actions" }, ...this.buttons), this.clear),
    this.outcome);
  }

  /** Follows the selection. */
  show(selection) {
    if (!this.isBusy) this.count.textContent = `${selection.size.toLocaleString()} selected`;
    this.node.hidden = selection.size === 0 && !this.isBusy && this.outcome.childElementCount === 0;
    for (const one of this.buttons) one.disabled = this.isBusy || selection.size === 0;
  }

  dismiss() {
    this.outcome.replaceChildren();
    this.list.selectAll(false);
    find("#rows").focus();
  }

  async run(action, label) {
    const ids = [...this.list.selection].filter((id) => this.model.entries.has(id));
    if (ids.length === 0 || (action in ENDS && !(await this.isSure(ids, action, label)))) return;
    this.isBusy = true;
    this.outcome.replaceChildren();
    this.progress.hidden = false;
    const failures = action === "delete" ? await this.removeEach(ids, label)
      : await this.together(ids, action, label);
    this.isBusy = false;
    this.progress.hidden = true;
    this.showOutcome(label, ids.length, failures);
    this.show(this.list.selection);
  }

  isSure(ids, action, label) {
    const names = ids.slice(0, NAMES_MAX).map((id) => this.model.entries.get(id).name);
    const more = ids.length > names.length ? ` and ${ids.length - names.length} more` : "";
    return confirm(`${label} ${plural(ids.length, "instance")}?`,
      `${names.join(", ")}${more}. ${ENDS[action]}`, label, action !== "restart");
  }

  /** One request for all; resolves to the failures. */
  async together(ids, action, label) {
    this.progress.removeAttribute("value");
    this.count.textContent = `${label}: ${ids.length.toLocaleString()}`;
    try {
      const { results } = await this.api.actOn(ids, action);
      const refused = results.filter((result) => result.outcome === "refused");
      return refused.map(({ id, error }) => (
        { name: this.model.entries.get(id)?.name ?? id, error: new Error(error) }));
    } catch (error) {
      return ids.map((id) => ({ name: this.model.entries.get(id)?.name ?? id, error }));
    }
  }

  /** Deletes each, a few at a time; resolves to the failures. */
  async removeEach(ids, label) {
    const failures = [];
    const waiting = ids.values();
    let done = 0;
    this.progress.max = ids.length;
    this.progress.value = 0;
    const work = async () => {
      for (const id of waiting) {
        const name = this.model.entries.get(id)?.name ?? id;
        try {
          await this.api.remove(id);
        } catch (error) {
          // Another client has deleted it meanwhile: the result is the same.
          if (error.status !== 404) failures.push({ name, error });
          if (error.status === 401) return;
        }
        done += 1;
        this.progress.value = done;
        this.count.textContent =
          `${label}: ${done.toLocaleString()} of ${ids.length.toLocaleString()}`;
      }
    };
    await Promise.all(Array.from({ length: Math.min(AT_A_TIME, ids.length) }, work));
    return failures;
  }

  showOutcome(label, total, failures) {
    const worked = total - failures.length;
    if (failures.length === 0) {
      announce(`${label}: done for ${plural(total, "instance")}`);
      return;
    }
    const items = failures.slice(0, FAILURES_MAX).map(({ name, error }) =>
      el("li", {}, el("b", { text: name }), el("span", { text: ` ${error.message}` })));
    this.outcome.replaceChildren(el("details", { open: true },
      el("summary", { text: `${label}: ${worked} done, ${failures.length} failed` }),
      el("ul", {}, ...items)));
  }
}
