// Puts the page together. Owns logging in and out, the connection's state, which instance is open
// (the part of the address after #), and the theme. Everything else is in the modules it joins.

import { Api } from "./api.js";
import { Bulk } from "./bulk.js";
import { Detail } from "./detail.js";
import { announce, find, notify, setAttr, setText } from "./dom.js";
import { CreateDialog } from "./forms.js";
import { count, rate } from "./format.js";
import { bindKeys, helpDialog } from "./keyboard.js";
import { List } from "./list.js";
import { MasterDialog } from "./master.js";
import { Model } from "./model.js";
import { Stream } from "./stream.js";

const THEME_NAME = "openctrl-theme";

/** What processes use is asked for this often, and less often where there are many. */
const USAGE_MS = 4000;
const USAGE_MANY = 1000;
const USAGE_MANY_MS = 30_000;

export const api = new Api();
export const model = new Model();
export const stream = new Stream(api);

const list = new List(model, { onOpen: (id) => go(id), onSelection: (ids) => bulk.show(ids) });
const bulk = new Bulk(api, model, list);
const detail = new Detail(api, model, { onClose: () => go(null), onTag: (tag) => list.filterBy({ tag }) });
const create = new CreateDialog(api, (id) => go(id));
const master = new MasterDialog(api, model, { onKey: (promise) => stream.holdFor(promise) });
const help = helpDialog();

/** Shows the list, or asks for the key and says why. */
function showLogin(why, isError = false) {
  stream.stop();
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  api.key = null;
  model.forget();
  detail.shut();
  list.selectAll(false);
  find("#app").hidden = true;
  find("#login").hidden = false;
  setText(find("#login-error"), isError ? why : "");
  find("#login-key").value = "";
  find("#login-key").focus();
}

function showApp() {
  find("#login").hidden = true;
  find("#app").hidden = false;
  stream.start();
  follow();
  find("#rows").focus();
}

/** Tries a key before it is kept. */
async function logIn(event) {
  event.preventDefault();
  const input = find("#login-key");
  const error = find("#login-error");
  const key = input.value.trim();
  setText(error, "");
  // A header takes no other characters.
  if (!/^[!-~]+$/.test(key)) {
    setText(error, key === "" ? "Enter the key." : "This is no key: it has characters that no key has.");
    input.focus();
    return;
  }
  find("#login-submit").disabled = true;
  try {
    await api.ask("GET", "info", undefined, { key });
    api.key = key;
    input.value = "";
    showApp();
  } catch (problem) {
    const isWrong = problem.status === 401;
    setText(error, isWrong ? "This is neither the key of this master nor a token that it accepts." : problem.message);
    input.select();
  } finally {
    find("#login-submit").disabled = false;
  }
}

/** Goes to an instance, or back to the list. */
function go(id) {
  location.hash = id === null ? "#/" : `#/i/${encodeURIComponent(id)}`;
}

function follow() {
  if (find("#app").hidden) return;
  const match = /^#\/i\/([^/]+)$/.exec(location.hash);
  const id = match === null ? null : decodeURIComponent(match[1]);
  const before = list.openId;
  list.openId = id;
  find("#content").classList.toggle("has-detail", id !== null);
  if (id === null) {
    detail.shut();
    if (before !== null) find("#rows").focus();
  } else {
    list.activeId = id;
    detail.open(id);
    if (before !== id) find("#detail-title").focus({ preventScroll: true });
  }
  list.draw();
}

const CONNECTION = { connecting: "Connecting", live: "Live", waiting: "Not connected" };

let usage = { askedMs: 0, isTold: true };

let connection = { state: "connecting", untilMs: 0 };

function showConnection() {
  const { state, untilMs } = connection;
  const left = Math.max(1, Math.ceil((untilMs - Date.now()) / 1000));
  setAttr(find("#connection"), "data-state", state);
  setText(find("#connection-text"), state === "waiting" ? `Offline, again in ${left} s` : CONNECTION[state]);
  find("#connect-now").hidden = state !== "waiting";
}

function showTotals() {
  if (document.hidden || find("#app").hidden) return;
  const totals = model.totals(Date.now());
  setText(find("#total-rx"), rate(totals.rx));
  setText(find("#total-tx"), rate(totals.tx));
  setText(find("#total-connections"), count(totals.connections));
  const name = model.masterAlias || location.host;
  setText(find("#master-name"), name);
  setText(find("title"), `${name} · OpenCtrl`);
}

/** Asks what all processes use, until a master says that it does not know such a thing. */
async function askProcesses() {
  const isDue = Date.now() - usage.askedMs >= (model.entries.size > USAGE_MANY ? USAGE_MANY_MS : USAGE_MS);
  if (document.hidden || connection.state !== "live" || !usage.isTold || !isDue) return;
  usage.askedMs = Date.now();
  // What another master answered says nothing of this one.
  const asked = usage;
  try {
    const reports = await api.processes();
    if (usage !== asked) return;
    usage.isTold = reports !== null;
    list.showUsage(usage.isTold);
    if (usage.isTold) model.addProcesses(reports);
  } catch {
    // The connection says what is wrong with it.
  }
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  localStorage.setItem(THEME_NAME, theme);
}

function switchTheme() {
  const isDark = document.documentElement.dataset.theme === "dark"
    || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  setTheme(isDark ? "light" : "dark");
}

function escape(target, isTyping) {
  if (isTyping) target.blur();
  else if (list.openId !== null) go(null);
  else if (list.selection.size > 0) bulk.dismiss();
  if (isTyping && target.closest("#detail") === null) find("#rows").focus();
}

function listen() {
  find("#login-form").addEventListener("submit", logIn);
  find("#logout").addEventListener("click", () => showLogin(""));
  find("#create").addEventListener("click", () => create.open());
  find("#open-master").addEventListener("click", () => master.open());
  find("#help").addEventListener("click", () => help.open());
  find("#theme").addEventListener("click", switchTheme);
  find("#connect-now").addEventListener("click", () => stream.hurry());
  find("#skip").addEventListener("click", () => find("#rows").focus());
  addEventListener("hashchange", follow);
  api.addEventListener("locked", () => showLogin("The key is not valid any more. Enter the new one.", true));
  stream.addEventListener("refused", () =>
    showLogin("The key is not valid any more. Enter the new one.", true));
  stream.addEventListener("message", ({ detail: message }) => model.take(message));
  stream.addEventListener("state", ({ detail: state }) => {
    const was = connection.state;
    connection = state;
    if (state.state === "connecting") {
      model.forgetUnfinished();
      if (stream.lastId === null) model.expectPicture();
    }
    if (was === "live" && state.state === "waiting") announce("The connection is lost");
    if (was !== "live" && state.state === "live") announce("Connected");
    showConnection();
  });
  model.addEventListener("gap", ({ detail: { lost } }) => notify(lost === null
    ? "The master was started anew. What happened meanwhile is not known; the list is up to date again."
    : `${count(lost)} events were missed. The list is up to date again; lines of logs may be missing.`, "warn"));
  model.addEventListener("change", showTotals);
  model.addEventListener("picture", () => {
    usage = { askedMs: 0, isTold: true };
    askProcesses();
  });
  setInterval(showTotals, 1000);
  setInterval(askProcesses, 1000);
  setInterval(() => connection.state === "waiting" && showConnection(), 500);
}

const theme = localStorage.getItem(THEME_NAME);
if (theme === "dark" || theme === "light") setTheme(theme);
listen();
bindKeys({
  isReady: () => !find("#app").hidden,
  search: () => find("#search").select(),
  searchLog: () => list.openId !== null && find("#log-search").select(),
  pauseLog: () => list.openId !== null && detail.logView.pause(),
  create: () => create.open(),
  master: () => master.open(),
  theme: switchTheme,
  help: () => help.open(),
  select: () => list.activeId !== null && list.toggle(list.activeId),
  move: (step) => list.move(step),
  page: () => Math.max(1, Math.floor(find("#rows").clientHeight / (list.rowHeight ?? 38)) - 2),
  open: () => list.activeId !== null && go(list.activeId),
  escape,
});
if (api.key === null) showLogin("");
else showApp();
