// The event stream, kept open. Owns the parser of Server-Sent Events, resuming with the last id,
// back-off, and telling a dead connection from a quiet one. An EventSource cannot send the key,
// hence fetch. Does not own what the events mean.

/** The master sends something at least every 30 s; this long without a byte is a dead connection. */
const SILENCE_MS = 40_000;
const WATCH_MS = 5_000;

const BACK_OFF_MS = [500, 1000, 2000, 4000, 8000, 15_000];

/** Frames stay below 64 KiB; a peer that sends more without an end is not our master. */
const BUFFER_MAX_CHARS = 1024 * 1024;

/** Parses Server-Sent Events from text in any number of pieces. */
export class SseParser {
  constructor(onEvent) {
    this.onEvent = onEvent;
    this.rest = "";
    this.clear();
  }

  clear() {
    this.event = "";
    this.data = [];
    this.id = null;
  }

  /** Takes in a piece; calls back `{event, data, id}` for each whole event. `id` may be null. */
  feed(piece) {
    const text = this.rest + piece;
    // A CR at the end may be half of a CR LF.
    const lines = text.split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop();
    if (this.rest.length > BUFFER_MAX_CHARS) throw new Error("a line of the stream has no end");
    for (const line of lines) this.line(line);
  }

  line(line) {
    if (line === "") {
      if (this.data.length > 0) {
        const event = this.event || "message";
        this.onEvent({ event, data: this.data.join("\n"), id: this.id });
      }
      this.clear();
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") this.data.push(value);
    else if (field === "event") this.event = value;
    else if (field === "id" && !value.includes("\0")) this.id = value;
  }
}

/**
 * Keeps a stream open until it is stopped. Events: `state` (its `detail` says `connecting`, `live`
 * or `waiting`, with the time of the next attempt), `message` (its `detail` is what the parser
 * gives) and `refused` (the key is not good).
 */
export class Stream extends EventTarget {
  constructor(api) {
    super();
    this.api = api;
    this.lastId = null;
    this.failures = 0;
    this.abort = null;
    this.timer = null;
    this.isWanted = false;
    this.hold = null;
    // A laptop that wakes up or a network that comes back should not wait for the next attempt.
    addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.hurry());
    setInterval(() => this.watch(), WATCH_MS);
  }

  /** Opens it, and from now on opens it again. */
  start() {
    this.isWanted = true;
    this.failures = 0;
    this.connect();
  }

  /** Ends it permanently and forgets its position. */
  stop() {
    this.isWanted = false;
    this.lastId = null;
    clearTimeout(this.timer);
    this.timer = null;
    this.abort?.abort();
  }

  /** Does not reconnect before `promise` is settled: while the key is being changed, say. */
  holdFor(promise) {
    const settled = promise.catch(() => {}).then(() => {
      if (this.hold === settled) this.hold = null;
    });
    this.hold = settled;
  }

  /** Tries at once if it waits for its next attempt. */
  hurry() {
    if (this.timer === null) return this.watch();
    clearTimeout(this.timer);
    this.connect();
  }

  watch() {
    // After a sleep this timer is late, and the silence long.
    if (this.abort !== null && Date.now() - this.heardAt > SILENCE_MS) this.abort.abort();
  }

  async connect() {
    this.timer = null;
    this.abort?.abort();
    if (this.hold !== null) await this.hold;
    if (!this.isWanted) return;
    const abort = new AbortController();
    this.abort = abort;
    this.heardAt = Date.now();
    this.say("connecting");
    let isRefused = false;
    try {
      isRefused = await this.read(abort.signal);
    } catch {
      // Whatever the reason: the connection is closed.
    }
    if (this.abort !== abort) return;
    this.abort = null;
    if (!this.isWanted) return;
    if (isRefused && this.hold === null) {
      this.isWanted = false;
      this.dispatchEvent(new Event("refused"));
      return;
    }
    if (this.hold === null) this.wait();
    else this.connect();
  }

  /** Reads to the end; resolves to whether the key was refused. */
  async read(signal) {
    const headers = { "X-API-Key": this.api.key ?? "", Accept: "text/event-stream" };
    if (this.lastId !== null) headers["Last-Event-ID"] = this.lastId;
    const response = await fetch(this.api.address("events"), {
      headers, signal, cache: "no-store", redirect: "error",
    });
    if (response.status === 401) return true;
    if (!response.ok) throw new Error(`status ${response.status}`);
    this.failures = 0;
    this.say("live");
    const parser = new SseParser((event) => {
      this.dispatchEvent(new CustomEvent("message", { detail: event }));
      // After it was taken in: what throws is asked for again.
      if (event.id !== null) this.lastId = event.id;
    });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || signal.aborted) return false;
      this.heardAt = Date.now();
      parser.feed(value);
    }
  }

  wait() {
    const longest = BACK_OFF_MS[Math.min(this.failures, BACK_OFF_MS.length - 1)];
    this.failures += 1;
    const delay = longest * (0.75 + Math.random() * 0.5);
    this.say("waiting", Date.now() + delay);
    this.timer = setTimeout(() => this.connect(), delay);
  }

  say(state, untilMs = 0) {
    this.dispatchEvent(new CustomEvent("state", { detail: { state, untilMs } }));
  }
}
