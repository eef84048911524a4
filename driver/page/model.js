// What the page knows of the master: its instances, how they came to be so, and what they printed.
// Owns taking events in, and the bounds on all that is kept, so that a page left open over night
// stays small. Does not own showing any of it.

import { KEY_ID } from "./api.js";
import { nameOf } from "./format.js";
import { Meter } from "./rates.js";
import { displayed } from "./terminal.js";

/** Changes of status kept for each instance. */
const STATUSES_MAX = 120;

/** Lines kept for each instance, and for the one that is being looked at. */
const LINES_MAX = 300;
const WATCHED_LINES_MAX = 5000;

/** Lines kept of an instance whose history is open. */
const HISTORY_LINES_MAX = 20_000;

/** Characters of lines kept in all; the instances that were silent longest give theirs up first. */
const LOG_MAX_CHARS = 24 * 1024 * 1024;

/** The shortest time between two notifications of the views. */
const TELL_MS = 200;

const NO_USAGE = Object.freeze({ cpu: null, memory: null });

/** One instance as the page knows it. */
class Entry {
  constructor(data) {
    this.meter = new Meter();
    this.statuses = [];
    this.log = new Log();
    this.data = null;
    this.search = "";
    /** What its process uses: `{cpu, memory}` in percent and bytes, each null if it is not known. */
    this.usage = NO_USAGE;
    /** Why it is in its status, or how its last process exited. */
    this.reason = "";
    this.take(data);
  }

  /** Takes in the object; returns whether something changed that lists depend on. */
  take(data) {
    const old = this.data;
    this.data = data;
    const isSame = old !== null && old.alias === data.alias && old.url === data.url
      && sameTags(old.meta.tags, data.meta.tags);
    if (!isSame) {
      const tags = Object.entries(data.meta.tags).map(([key, value]) => `${key}=${value}`);
      this.search = [data.alias, data.id, data.url, ...tags].join("\n").toLowerCase();
    }
    return !isSame || old.status !== data.status;
  }

  get rxTotal() {
    return this.data.tcprx + this.data.udprx;
  }

  get txTotal() {
    return this.data.tcptx + this.data.udptx;
  }

  get connections() {
    return this.data.tcps + this.data.udps;
  }

  get name() {
    return nameOf(this.data);
  }

  /** When its status began, as far as the page has seen it, and whether it saw the beginning. */
  get since() {
    const last = this.statuses[this.statuses.length - 1];
    return { atMs: last.atMs, isExact: last.isExact };
  }

  noteStatus(atMs, isExact) {
    const last = this.statuses[this.statuses.length - 1];
    if (last?.status === this.data.status) return;
    this.statuses.push({ atMs, status: this.data.status, isExact });
    if (this.statuses.length > STATUSES_MAX) this.statuses.shift();
  }
}

/** The last lines of one instance, in order, each once. A line is `{id, time, text, cut, stream}`.
    Events do not name the stream: it is undefined until the history has named it. */
export class Log {
  constructor() {
    this.lines = [];
    this.chars = 0;
    this.max = LINES_MAX;
    /** How many lines there were before the first one kept; views find their place by it. */
    this.dropped = 0;
    /** Grows when lines were put in anywhere but at the end. */
    this.merges = 0;
    this.hasOlder = false;
    this.lastId = null;
    /** The line of each stream that has not ended yet, or null. */
    this.unfinished = { stdout: null, stderr: null };
    /** The id of the last line whose stream was asked for, and how often streams became known. */
    this.markedTo = null;
    this.marks = 0;
  }

  append(line) {
    // The stream repeats lines that the history of the master contained.
    if (this.lastId !== null && isUpTo(line.id, this.lastId)) return;
    this.lastId = line.id;
    this.push(line);
  }

  /** Marks the place where lines may be missing. */
  markGap(time, lost) {
    const last = this.lines[this.lines.length - 1];
    if (last === undefined) return;
    if (last.gap !== undefined) this.lines.pop();
    this.push({ id: null, time, text: "", cut: 0, gap: lost });
  }

  /**
   * Puts lines of the master's history where they belong; ignores known lines.
   * `hasOlder` says whether the master has older ones.
   */
  merge(older, hasOlder) {
    this.hasOlder = hasOlder;
    this.merges += 1;
    this.mark(older.filter((line) => line.stream === "stderr").map((line) => line.id));
    const known = new Set(this.lines.map((line) => line.id));
    const fresh = older.filter((line) => !known.has(line.id));
    this.lines = [...fresh, ...this.lines].sort(inOrder);
    // The user asked for these; new lines must not push them out at once.
    this.max = Math.min(HISTORY_LINES_MAX, Math.max(this.max, this.lines.length));
    this.lastId = this.lines.findLast((line) => line.id !== null)?.id ?? null;
    this.chars = this.lines.reduce((sum, line) => sum + line.text.length, 0);
  }

  /** These lines are of standard error. */
  mark(ids) {
    const stderr = new Set(ids);
    for (const line of this.lines) {
      if (line.stream === "stderr" || !stderr.has(line.id)) continue;
      line.stream = "stderr";
      this.marks += 1;
    }
  }

  push(line) {
    this.lines.push(line);
    this.chars += line.text.length;
    if (this.lines.length > this.max + 100) this.dropTo(this.max);
  }

  dropTo(count) {
    const gone = this.lines.splice(0, Math.max(0, this.lines.length - count));
    this.dropped += gone.length;
    for (const line of gone) this.chars -= line.text.length;
  }
}

/** What the page knows. Events: `change` (some time after), `gap` (at once). */
export class Model extends EventTarget {
  constructor() {
    super();
    this.forget();
  }

  /** Knows nothing any more. */
  forget() {
    this.entries = new Map();
    this.picture = null;
    this.masterAlias = "";
    this.masterId = "";
    this.openedAtMs = Date.now();
    this.skewMs = null;
    this.logChars = 0;
    this.watched = null;
    this.isListChanged = true;
    /** Whether any instance has counted traffic, sessions or a ping. */
    this.hasTraffic = false;
    this.tell();
  }

  /** Takes in an event as the stream's parser gives it. */
  take({ event, data, id }) {
    if (event !== "instance" && event !== "gap" && event !== "unfinished") return;
    const message = JSON.parse(data);
    if (event === "gap") this.gap(message);
    else if (event === "unfinished") this.unfinished(message);
    else this.instanceEvent(message, id);
  }

  /** The stream starts again: its `initial` events replace what is known. */
  expectPicture() {
    this.picture = new Set();
  }

  gap({ time, lost }) {
    this.expectPicture();
    for (const entry of this.entries.values()) entry.log.markGap(time, lost);
    this.dispatchEvent(new CustomEvent("gap", { detail: { lost } }));
  }

  /** How a line looks that has not ended; an empty text says that there is none any more. */
  unfinished({ instance, time, text, stream = "stdout" }) {
    const log = this.entries.get(instance)?.log;
    if (log === undefined) return;
    log.unfinished[stream] = text === "" ? null : { id: null, time, text, cut: 0, stream };
    this.tell();
  }

  /** Another connection names again the lines that have not ended. */
  forgetUnfinished() {
    for (const { log } of this.entries.values()) log.unfinished = { stdout: null, stderr: null };
  }

  instanceEvent({ type, time, instance, logs }, id) {
    const timeMs = Date.parse(time);
    // The least difference ever seen is the one with the least delay in it.
    const skew = Date.now() - timeMs;
    if (this.skewMs === null || skew < this.skewMs) this.skewMs = skew;
    if (instance === null) return;
    if (instance.id === KEY_ID) {
      this.masterAlias = instance.alias;
      this.masterId = instance.config;
      this.picture?.add(KEY_ID);
    } else if (type === "delete") {
      this.drop(instance.id);
    } else {
      this.show(type, timeMs, instance);
      if (type === "log") this.log(instance.id, { id, time, text: displayed(logs), cut: 0 });
    }
    if (type === "initial" && id !== null) this.endPicture();
    this.tell();
  }

  show(type, timeMs, instance) {
    const nowMs = Date.now();
    let entry = this.entries.get(instance.id);
    const isPicture = type === "initial";
    if (isPicture) this.picture?.add(instance.id);
    if (entry === undefined) {
      entry = new Entry(instance);
      this.entries.set(instance.id, entry);
      this.isListChanged = true;
    } else {
      const isChanged = entry.take(instance);
      this.isListChanged ||= isChanged;
    }
    this.hasTraffic ||= entry.rxTotal + entry.txTotal + entry.connections + instance.ping > 0;
    entry.noteStatus(isPicture ? nowMs : timeMs + this.skewMs, !isPicture);
    if (isPicture) entry.meter.rebase();
    else entry.meter.update(timeMs, entry.rxTotal, entry.txTotal, nowMs);
  }

  /** All `initial` events have arrived: other instances were deleted. */
  endPicture() {
    if (this.picture === null) return;
    for (const id of this.entries.keys()) if (!this.picture.has(id)) this.drop(id);
    this.picture = null;
    this.dispatchEvent(new Event("picture"));
  }

  drop(id) {
    const entry = this.entries.get(id);
    if (entry === undefined) return;
    this.entries.delete(id);
    this.logChars -= entry.log.chars;
    this.isListChanged = true;
  }

  log(id, line) {
    const { log } = this.entries.get(id);
    const before = log.chars;
    log.append(line);
    this.logChars += log.chars - before;
    if (this.logChars > LOG_MAX_CHARS) this.shrinkLogs();
  }

  /** Adds what the master remembers of an instance's output. */
  addHistory(id, lines, hasOlder) {
    const entry = this.entries.get(id);
    if (entry === undefined) return;
    const before = entry.log.chars;
    const taken = lines.map(({ id: line, time, text, cut, stream }) => ({ id: line, time, text, cut, stream }));
    entry.log.merge(taken, hasOlder && entry.log.lines.length + taken.length < HISTORY_LINES_MAX);
    this.logChars += entry.log.chars - before;
    this.tell();
  }

  /** These lines of an instance are of standard error; those up to `to` were asked for. */
  markStderr(id, lines, to) {
    const log = this.entries.get(id)?.log;
    if (log === undefined) return;
    log.mark(lines.map((line) => line.id));
    log.markedTo = to;
    this.tell();
  }

  /** Takes in the answer of `GET /processes`. */
  addProcesses(reports) {
    for (const { id, started, cpuPercent, memoryBytes, reason, lastExit } of reports) {
      const entry = this.entries.get(id);
      if (entry === undefined) continue;
      entry.reason = reason || (lastExit?.reason ?? "");
      entry.usage = { cpu: cpuPercent ?? null, memory: memoryBytes ?? null };
      const last = entry.statuses[entry.statuses.length - 1];
      // It ran before the page saw it.
      if (started && !last.isExact && last.status === "running") {
        last.atMs = Math.min(last.atMs, Date.parse(started) + this.skewMs);
        last.isExact = true;
      }
    }
    this.tell();
  }

  /** Keeps more lines of the instance that is being looked at; `null` is none. */
  watch(id) {
    const before = this.entries.get(this.watched)?.log;
    if (before) {
      before.max = LINES_MAX;
      const chars = before.chars;
      before.hasOlder = false;
      before.dropTo(LINES_MAX);
      this.logChars += before.chars - chars;
    }
    this.watched = id;
    const now = this.entries.get(id)?.log;
    if (now) now.max = WATCHED_LINES_MAX;
  }

  shrinkLogs() {
    const logs = [...this.entries.values()].map((entry) => entry.log);
    for (const log of logs) {
      const chars = log.chars;
      log.dropTo(Math.floor(log.lines.length / 2));
      this.logChars += log.chars - chars;
    }
  }

  /** The total of all rates and connections. */
  totals(nowMs) {
    const sum = { rx: 0, tx: 0, connections: 0 };
    for (const entry of this.entries.values()) {
      const { rx, tx } = entry.meter.at(nowMs);
      sum.rx += rx;
      sum.tx += tx;
      sum.connections += entry.connections;
    }
    return sum;
  }

  /** Notifies the views soon, and only once for a flood of events. */
  tell() {
    if (this.telling) return;
    this.telling = setTimeout(() => {
      this.telling = null;
      this.dispatchEvent(new Event("change"));
    }, TELL_MS);
  }
}

function sameTags(a, b) {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}

/** Ids are `<boot>-<number>`. */
function isUpTo(id, last) {
  const [boot, number] = id.split("-");
  const [lastBoot, lastNumber] = last.split("-");
  return boot === lastBoot && Number(number) <= Number(lastNumber);
}

/** Times never go backwards and are all of one form; numbers distinguish lines of one time. */
function inOrder(a, b) {
  if (a.time !== b.time) return a.time < b.time ? -1 : 1;
  if (a.id === null || b.id === null) return 0;
  return Number(a.id.split("-")[1]) - Number(b.id.split("-")[1]);
}
