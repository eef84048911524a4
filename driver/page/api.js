// The public API as this page uses it. Owns where it is, the key of this tab, and how a refusal
// becomes an error with a sentence in it. Does not own the event stream.

const KEY_NAME = "openctrl-key";

/** The id of the key instance, which has no row in the list. */
export const KEY_ID = "********";

/** How long an answer may take: PUT and DELETE wait for a process to end. */
const ANSWER_MS = 30_000;

/** A request that was refused or not answered. `status` is 0 without an answer. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** A client of the master that serves this page. */
export class Api extends EventTarget {
  constructor() {
    super();
    // Relative to the page, which may lie below any path of a proxy.
    const relative = document.querySelector("meta[name=openctrl-api]").content;
    this.base = new URL(`../${relative}/`, import.meta.url);
    this.keyText = sessionStorage.getItem(KEY_NAME);
    this.isRotating = false;
  }

  /** The key, or null. It is kept for this tab and nowhere else. */
  get key() {
    return this.keyText;
  }

  set key(key) {
    this.keyText = key;
    if (key === null) sessionStorage.removeItem(KEY_NAME);
    else sessionStorage.setItem(KEY_NAME, key);
  }

  /** The address of a resource. */
  address(path) {
    return new URL(path, this.base);
  }

  /**
   * Asks for JSON; resolves to the object, or null for an answer without a body. Rejects with an
   * `ApiError`. A 401 for the current key fires the event `locked`.
   */
  async ask(method, path, body, { key = this.key, signal } = {}) {
    const headers = { "X-API-Key": key ?? "" };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const limit = AbortSignal.timeout(ANSWER_MS);
    let response;
    let text;
    try {
      response = await fetch(this.address(path), {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: signal ? AbortSignal.any([signal, limit]) : limit,
        cache: "no-store",
        redirect: "error",
        credentials: "same-origin",
      });
      text = await response.text();
    } catch (error) {
      const late = error.name === "TimeoutError";
      throw new ApiError(0, late ? "No answer in time; it is not known whether it was done."
        : "The master cannot be reached. Is it running, and is the network up?");
    }
    const answer = parsed(text);
    if (response.ok) return answer;
    const isLocked = response.status === 401 && key === this.key && !this.isRotating;
    if (isLocked) this.dispatchEvent(new Event("locked"));
    throw new ApiError(response.status, answer?.error ?? `The answer was status ${response.status}.`);
  }

  info() {
    return this.ask("GET", "info");
  }

  setMasterAlias(alias) {
    return this.ask("POST", "info", { alias });
  }

  /** `isForced` takes a command that cannot be started. */
  create(url, alias, isForced = false) {
    const path = isForced ? "instances?force=true" : "instances";
    return this.ask("POST", path, alias === "" ? { url } : { url, alias });
  }

  patch(id, change) {
    return this.ask("PATCH", `instances/${encodeURIComponent(id)}`, change);
  }

  act(id, action) {
    return this.patch(id, { action });
  }

  /** One action on many instances, carried out by the master; resolves to a result for each. */
  actOn(ids, action) {
    return this.ask("POST", "actions", { action, ids });
  }

  replace(id, url) {
    return this.ask("PUT", `instances/${encodeURIComponent(id)}`, { url });
  }

  remove(id) {
    return this.ask("DELETE", `instances/${encodeURIComponent(id)}`);
  }

  ping(target) {
    return this.ask("GET", `tcping?target=${encodeURIComponent(target)}`);
  }

  /** The last lines an instance printed, or those of a `stream`, `before` or after (`cursor`) a line;
      null from a master that keeps nothing. */
  logs(id, { limit = 500, signal, ...places } = {}) {
    const query = new URLSearchParams({ limit: String(limit) });
    for (const [name, value] of Object.entries(places)) if (value !== null) query.set(name, value);
    return this.optional(`instances/${encodeURIComponent(id)}/logs?${query}`, signal);
  }

  /** Facts about the process of an instance; null from a master without this endpoint. */
  process(id, signal) {
    return this.optional(`instances/${encodeURIComponent(id)}/process`, signal);
  }

  /** Phase, conditions and stored events of an instance; null without a control API. */
  control(id, signal) {
    return this.optional(`instances/${encodeURIComponent(id)}/control`, signal);
  }

  /** Facts about the processes of all instances. */
  processes() {
    return this.optional("processes");
  }

  async optional(path, signal) {
    try {
      return await this.ask("GET", path, undefined, { signal });
    } catch (error) {
      if (error.status === 404) return null;
      throw error;
    }
  }

  /** Makes a new key, takes it for this tab, and resolves to it; to "" for the holder of a token. */
  async rotateKey() {
    // Others that still carry the old key meanwhile do not lock the page.
    this.isRotating = true;
    try {
      const answer = await this.patch(KEY_ID, { action: "restart" });
      // A token stays valid, and does not see the new key.
      if (answer.url !== "") this.key = answer.url;
      return answer.url;
    } finally {
      this.isRotating = false;
    }
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
