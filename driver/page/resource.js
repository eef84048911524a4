// What the control API says of one instance: its phase, its conditions and its stored events. Hidden
// where the master has no control API.

import { el } from "./dom.js";
import { moment } from "./format.js";

/** Owns its node; asks the master for one instance at a time. */
export class ResourceView {
  constructor(api) {
    this.api = api;
    this.id = null;
    this.summary = el("summary");
    this.conditions = el("dl", { class: "facts conditions" });
    this.events = el("ol", { class: "stored-events", "aria-label": "Stored events, the newest first" });
    this.node = el("details", { class: "resource", id: "resource", hidden: true },
      this.summary, this.conditions, this.events);
  }

  /** Shows another instance, or none. */
  show(id) {
    this.id = id;
    this.shape = "";
    this.isOffered = true;
    this.node.hidden = true;
    this.ask();
  }

  /** Asks the master, unless it has no control API. */
  async ask() {
    const { id } = this;
    if (id === null || !this.isOffered || document.hidden) return;
    try {
      const resource = await this.api.control(id);
      if (this.id !== id) return;
      this.isOffered = resource !== null;
      if (resource !== null) this.draw(resource);
    } catch {
      // The connection says what is wrong with it.
    }
  }

  draw({ name, status, events = [] }) {
    const shape = JSON.stringify([name, status.phase, status.reason, status.message, status.conditions,
      events[0]?.id]);
    this.node.hidden = false;
    if (shape === this.shape) return;
    this.shape = shape;
    const message = status.message ? `: ${status.message}` : "";
    this.summary.replaceChildren(el("span", { class: "label", text: "Phase" }),
      el("strong", { class: `phase ${status.health}`, text: status.phase }),
      el("span", { text: `${status.reason}${message}` }),
      el("code", { text: `Process/${name}` }));
    this.conditions.replaceChildren(...status.conditions.map(conditionRow));
    this.events.replaceChildren(...events.map(eventRow));
  }
}

function conditionRow({ type, status, reason = "", lastTransitionTime }) {
  return el("div", {}, el("dt", { text: type }), el("dd", { title: `since ${moment(lastTransitionTime)}`,
    text: `${status}${reason && ` (${reason})`}` }));
}

function eventRow({ id, type, reason, message, createdAt }) {
  return el("li", { title: `event ${id}, ${reason}` }, el("time", { text: moment(createdAt) }),
    el("code", { text: type }), el("span", { text: message }));
}
