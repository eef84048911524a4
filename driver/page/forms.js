// Creating and editing instances. Owns the forms, what is checked before the master is asked (only
// what it cannot tell by itself), and at which field its error is shown.

import { announce, button, confirm, el, find, notify, openDialog, setAttr, setText }
  from "./dom.js";
import { maskedUrl } from "./format.js";

/** Which field an error of the master is about, by how it begins. */
const ABOUT = [
  [/^alias\b/, "alias"], [/^meta\.peer\.(sid|type|alias)\b/, "peer"], [/\btag\b/, "tags"],
  [/\burl\b|^the URL|scheme/i, "url"],
];

/** A labelled input with a place for its error. */
export function field(id, label, input, hint = "") {
  const error = el("span", { class: "error", id: `${id}-error`, role: "alert" });
  setAttr(input, "id", id);
  setAttr(input, "aria-describedby", hint === "" ? `${id}-error` : `${id}-error ${id}-hint`);
  return el("div", { class: "field" }, el("label", { for: id, text: label }), input, error,
    hint === "" ? null : el("span", { class: "hint", id: `${id}-hint`, text: hint }));
}

/** Shows an error at an input, or takes it away. */
export function setError(input, message) {
  const error = document.getElementById(`${input.id}-error`);
  if (error !== null) setText(error, message);
  setAttr(input, "aria-invalid", message === "" ? null : "true");
}

const text = (props = {}) =>
  el("input", { type: "text", autocomplete: "off", spellcheck: "false", ...props });

/** Does `work` while the button is off; an error goes to `onError`. */
async function submit(control, work, onError) {
  control.disabled = true;
  try {
    await work();
  } catch (error) {
    onError(error);
  } finally {
    control.disabled = false;
  }
}

/** The parameters of an `exec:` URL that the form of a new instance has, each with an example. */
const PARAMETERS = [
  ["ready", "Ready when", "line:listening, tcp:127.0.0.1:80, notify"],
  ["ready_timeout", "Ready within", "10m"],
  ["after", "Starts after", "db, cache"],
  ["live", "Live check", "tcp:127.0.0.1:80"],
  ["watch", "Watched files", "/srv/app/src"],
  ["error", "Error lines", "(?i)fatal"],
  ["schedule", "Schedule", "30 2 * * 1-5, @daily"],
  ["schedule_tz", "Time zone", "that of the machine"],
  ["stderr", "Standard error", "apart, joined"],
];

/** A row of a table of names and values, which can be removed. */
function pairRow(labels, values, onRemoved) {
  const [name, content] = labels.map((label, at) =>
    text({ "aria-label": label, placeholder: label.toLowerCase(), value: values[at] }));
  const row = el("div", { class: "tag-row" }, name, content,
    button("Remove this row", { icon: "close", kind: "ghost small", bare: true, on: () => {
      row.remove();
      onRemoved();
    } }));
  return row;
}

/** The names and values in a table of such rows, without those that are empty. */
const pairsIn = (rows) => [...rows.children].map((row) =>
  [...row.querySelectorAll("input")].map((input) => input.value)).filter((pair) => pair.join("") !== "");

/** The dialog that creates an instance; calls `onCreated(id)`. */
export class CreateDialog {
  constructor(api, onCreated) {
    Object.assign(this, { api, onCreated });
    this.url = text({ class: "mono", placeholder: "demo://first" });
    this.command = text({ class: "mono", placeholder: "/usr/bin/node", "data-first": true });
    this.args = el("textarea", { class: "mono", rows: "2", spellcheck: "false" });
    this.folder = text({ class: "mono", placeholder: "/srv/app" });
    this.env = el("div", { class: "tag-rows", id: "create-env", role: "group", "aria-label": "Environment" });
    const add = button("Add a variable", { icon: "plus", kind: "small ghost", id: "create-add-env",
      on: () => {
        const row = pairRow(["Variable", "Value"], ["", ""], () => add.focus());
        this.env.append(row);
        row.querySelector("input").focus();
      } });
    this.alias = text({ placeholder: "optional" });
    this.ok = el("button", { class: "button primary", text: "Create and start" });
    this.parameters = PARAMETERS.map(([name, , example]) =>
      [name, text({ class: "mono", placeholder: example })]);
    this.more = el("details", { class: "more" },
      el("summary", { text: "For commands (exec:)" }),
      el("div", { class: "halves" }, ...PARAMETERS.map(([name, label], at) =>
        field(`create-${name}`, label, this.parameters[at][1]))));
    this.force = el("input", { type: "checkbox", id: "create-force" });
    this.forceBox = el("label", { class: "switch", for: "create-force", hidden: true }, this.force,
      el("span", {}, el("b", { text: "Create it anyway" }),
        el("small", { text: "it fails until the command can be started" })));
    const cancel = button("Cancel", { on: () => this.dialog.close() });
    const examples = [["demo://first", "demo://first"], ["exec: a command", "exec:ping?arg=127.0.0.1"],
      ["exec: a shell line", "exec:sh?arg=-c&arg=while+:;do+date;sleep+1;done"]].map(
      ([label, url]) => el("button", { type: "button", class: "chip", text: label, title: url,
        on: { click: () => this.example(url) } }));
    const form = el("form", { id: "create-form", novalidate: true },
      el("h2", { id: "create-title", text: "New instance" }),
      field("create-command", "Command", this.command, "A program: its name or its path."),
      field("create-args", "Arguments, one a line", this.args),
      field("create-folder", "Folder", this.folder),
      el("div", { class: "field" }, el("span", { class: "label", text: "Environment" }), this.env, add),
      field("create-url", "Or a URL", this.url, "The instance starts as soon as it is created."),
      el("div", { class: "chips" }, el("span", { text: "Try" }), ...examples),
      field("create-alias", "Alias", this.alias), this.more, this.forceBox,
      el("div", { class: "buttons" }, cancel, this.ok));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.create();
    });
    this.dialog = el("dialog", { class: "dialog", id: "create-dialog",
      "aria-labelledby": "create-title" }, form);
    document.body.append(this.dialog);
  }

  open() {
    for (const input of this.inputs()) input.value = "";
    this.env.replaceChildren();
    this.more.open = false;
    this.clear();
    this.offerForce(false);
    openDialog(this.dialog);
  }

  example(url) {
    this.url.value = url;
    setError(this.url, "");
    this.url.focus();
  }

  inputs() {
    return [this.command, this.args, this.folder, this.url, this.alias, ...this.parameters.map(([, input]) => input)];
  }

  clear() {
    for (const input of this.inputs()) setError(input, "");
  }

  offerForce(isOffered) {
    this.forceBox.hidden = !isOffered;
    if (!isOffered) this.force.checked = false;
  }

  get hasCommand() {
    return this.command.value.trim() !== "";
  }

  /** What the command says of itself in its URL. */
  ofCommand() {
    const lines = this.args.value.split("\n");
    if (lines[lines.length - 1] === "") lines.pop();
    const folder = this.folder.value.trim();
    return [...lines.map((line) => ["arg", line]), ...pairsIn(this.env).map((pair) => ["env", pair.join("=")]),
      ...(folder === "" ? [] : [["cwd", folder]])];
  }

  /** The URL with the parameters that are filled in; names of `after` stand between commas. */
  whole() {
    const { hasCommand } = this;
    const command = encodeURIComponent(this.command.value.trim()).replaceAll("%2F", "/");
    const url = hasCommand ? `exec:${command}` : this.url.value.trim();
    const given = this.parameters.flatMap(([name, input]) => {
      const values = name === "after" ? input.value.split(",") : [input.value];
      return values.map((value) => [name, value.trim()]);
    }).filter(([, value]) => value !== "");
    const pairs = [...(hasCommand ? this.ofCommand() : []), ...given];
    if (pairs.length === 0) return url;
    return `${url}${url.includes("?") ? "&" : "?"}${new URLSearchParams(pairs)}`;
  }

  create() {
    this.clear();
    const isCommand = this.hasCommand || /^exec:/i.test(this.url.value.trim());
    if (this.hasCommand && this.url.value.trim() !== "") {
      setError(this.url, "Give a command or a URL, not both.");
      this.url.focus();
      return undefined;
    }
    const given = this.parameters.find(([, input]) => input.value.trim() !== "");
    if (given !== undefined && !isCommand) {
      setError(given[1], "This goes with a command or an exec: URL.");
      given[1].focus();
      return undefined;
    }
    return submit(this.ok, async () => {
      const { id } = await this.api.create(this.whole(), this.alias.value, this.force.checked);
      this.dialog.close();
      announce("Instance created");
      this.onCreated(id);
    }, (error) => {
      const word = /^[a-z_]*/.exec(error.message)[0];
      const about = this.parameters.find(([name]) => name === word);
      const own = { alias: this.alias, cwd: this.folder }[word] ?? (this.hasCommand ? this.command : this.url);
      const input = about?.[1] ?? own;
      if (about !== undefined) this.more.open = true;
      if (error.message.includes("force=true")) this.offerForce(true);
      setError(input, error.message.replace(/; correct it, or send force=true.*/, ""));
      input.focus();
    });
  }
}

/** The settings of one instance; `onDeleted` is called when it is deleted. */
export class SettingsForm {
  constructor(api, model, { onDeleted }) {
    Object.assign(this, { api, model, onDeleted });
    this.alias = text();
    this.restart = el("input", { type: "checkbox", id: "set-restart", role: "switch" });
    this.peer = Object.fromEntries(["sid", "type", "alias"].map((name) => [name, text()]));
    this.tagRows = el("div", { class: "tag-rows", role: "group", "aria-label": "Tags" });
    this.tagError = el("span", { class: "error", role: "alert", id: "set-tags-error" });
    this.save = el("button", { class: "button primary", id: "set-save", text: "Save" });
    this.formError = el("p", { class: "error", role: "alert" });
    // A URL may hold secrets: it is masked until the field has the focus.
    this.url = text({ class: "mono", on: { focus: () => this.revealUrl() } });
    this.replace = el("button", { class: "button", id: "set-replace", text: "Replace and restart" });
    this.node = el("div", {}, this.detailsForm(), this.urlForm(), this.danger());
  }

  detailsForm() {
    const add = button("Add a tag", { icon: "plus", kind: "small ghost", id: "set-add-tag",
      on: () => this.addTag("", "").querySelector("input").focus() });
    const peer = Object.entries(this.peer).map(([name, input]) =>
      field(`set-peer-${name}`, `Peer ${name}`, input));
    const form = el("form", { class: "block", id: "set-form", novalidate: true },
      field("set-alias", "Alias", this.alias),
      el("label", { class: "switch", for: "set-restart" }, this.restart,
        el("span", {}, el("b", { text: "Restart by itself" }),
          el("small", { text: "after a failure, and when the master starts" }))),
      el("div", { class: "field" }, el("span", { class: "label", text: "Tags" }), this.tagRows,
        this.tagError, add),
      el("div", { class: "thirds" }, ...peer), this.formError,
      el("div", { class: "buttons" }, this.save));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.saveDetails();
    });
    return form;
  }

  urlForm() {
    const form = el("form", { class: "block", id: "set-url-form", novalidate: true },
      field("set-url", "URL", this.url,
        "The process is stopped, and started with the new URL even if it was stopped before."),
      el("div", { class: "buttons" }, this.replace));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.replaceUrl();
    });
    return form;
  }

  danger() {
    const remove = button("Delete this instance", { icon: "trash", kind: "danger-quiet",
      id: "set-delete", on: () => this.remove(remove) });
    return el("div", { class: "block" }, remove);
  }

  /** Fills the forms with what the instance is now. What is being edited is not overwritten later. */
  open(id) {
    const entry = this.model.entries.get(id);
    if (entry === undefined) return;
    this.id = id;
    this.was = entry.data;
    this.alias.value = this.was.alias;
    this.restart.checked = this.was.restart;
    for (const [name, input] of Object.entries(this.peer)) input.value = this.was.meta.peer[name];
    this.tagRows.replaceChildren();
    for (const [key, value] of Object.entries(this.was.meta.tags)) this.addTag(key, value);
    this.url.value = maskedUrl(this.was.url);
    this.url.readOnly = this.url.value !== this.was.url;
    this.clearErrors();
  }

  revealUrl() {
    if (!this.url.readOnly) return;
    this.url.readOnly = false;
    this.url.value = this.was.url;
  }

  addTag(key, value) {
    const row = pairRow(["Tag", "Value"], [key, value], () => find("#set-add-tag").focus());
    this.tagRows.append(row);
    return row;
  }

  /** The tags as they stand in the form; null, and the reason shown, if they are none. */
  tags() {
    const tags = {};
    for (const row of this.tagRows.children) {
      const [name, content] = row.querySelectorAll("input");
      const isEmpty = name.value === "" && content.value === "";
      if (isEmpty) continue;
      const isTwice = Object.hasOwn(tags, name.value);
      if (isTwice || name.value === "") {
        setText(this.tagError, isTwice ? `The tag "${name.value.slice(0, 40)}" is there twice.`
          : "A tag needs a name.");
        setAttr(name, "aria-invalid", "true");
        name.focus();
        return null;
      }
      // Not a plain assignment: "__proto__" is a name like any other.
      Object.defineProperty(tags, name.value,
        { value: content.value, enumerable: true, configurable: true, writable: true });
    }
    return tags;
  }

  clearErrors() {
    for (const input of [this.alias, this.url, ...Object.values(this.peer)]) setError(input, "");
    for (const input of this.tagRows.querySelectorAll("input")) setAttr(input, "aria-invalid", null);
    this.tagError.textContent = this.formError.textContent = "";
  }

  async saveDetails() {
    this.clearErrors();
    const tags = this.tags();
    if (tags === null) return;
    if (this.alias.value === "" && this.was.alias !== "") {
      setError(this.alias, "An alias can be changed, but not taken away again.");
      this.alias.focus();
      return;
    }
    const change = this.change(tags);
    if (Object.keys(change).length === 0) {
      notify("Nothing to save.");
      return;
    }
    await submit(this.save, async () => {
      this.was = await this.api.patch(this.id, change);
      notify("Saved.");
    }, (error) => this.showError(error.message));
  }

  /** What differs from what was there when the form was filled. */
  change(tags) {
    const { was } = this;
    const change = {};
    if (this.alias.value !== was.alias) change.alias = this.alias.value;
    if (this.restart.checked !== was.restart) change.restart = this.restart.checked;
    const peer = Object.fromEntries(
      Object.entries(this.peer).map(([name, input]) => [name, input.value]));
    const isSame = (a, b) => JSON.stringify(Object.entries(a).sort())
      === JSON.stringify(Object.entries(b).sort());
    const meta = {};
    if (!isSame(peer, was.meta.peer)) meta.peer = peer;
    if (!isSame(tags, was.meta.tags)) meta.tags = tags;
    if (Object.keys(meta).length > 0) change.meta = meta;
    return change;
  }

  showError(message) {
    const found = ABOUT.find(([form]) => form.test(message));
    const about = found?.[1];
    if (about === "alias") setError(this.alias, message);
    else if (about === "peer") setError(this.peer[/peer\.(\w+)/.exec(message)[1]], message);
    else if (about === "tags") setText(this.tagError, message);
    else setText(this.formError, message);
  }

  async replaceUrl() {
    this.revealUrl();
    setError(this.url, "");
    await submit(this.replace, async () => {
      this.was = await this.api.replace(this.id, this.url.value.trim());
      this.url.value = this.was.url;
      notify("The URL is replaced, and the instance started with it.");
    }, (error) => {
      setError(this.url, error.message);
      this.url.focus();
    });
  }

  async remove(control) {
    const name = this.model.entries.get(this.id)?.name ?? this.id;
    const isSure = await confirm(`Delete ${name}?`,
      "Its process is stopped, its totals are lost.", "Delete");
    if (!isSure) return;
    await submit(control, async () => {
      await this.api.remove(this.id);
      notify(`${name} is deleted.`);
      this.onDeleted();
    }, (error) => notify(`Delete: ${error.message}`, "bad"));
  }
}
