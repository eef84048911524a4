// From counters to rates. Pure: owns the arithmetic over the differences of what one instance shows,
// and a short history of it. Counters beyond 2^53 lose their last digits here, which no rate shows.

/** How many samples are kept for the charts. */
export const SAMPLES_MAX = 90;

/** Differences over less than this are noise: a burst of updates counts as one. */
const SHORTEST_MS = 400;

/** A counter that stands still this many intervals is at rest. */
const QUIET_INTERVALS = 3;
const QUIET_MIN_MS = 4000;

/** The rates of one instance, in bytes a second. */
export class Meter {
  constructor() {
    this.base = null;
    this.rx = 0;
    this.tx = 0;
    this.intervalMs = 0;
    this.seenAtMs = 0;
    this.samples = null;
    this.length = 0;
    this.next = 0;
  }

  /**
   * Takes in the totals at `timeMs` (the master's clock). `nowMs` is the page's own clock, by which
   * silence is shown.
   */
  update(timeMs, rx, tx, nowMs) {
    const base = this.base;
    if (base !== null && rx === base.rx && tx === base.tx) return;
    const spent = base === null ? 0 : timeMs - base.timeMs;
    if (base !== null && spent >= 0 && spent < SHORTEST_MS && rx >= base.rx && tx >= base.tx) return;
    this.base = { timeMs, rx, tx };
    // A reset, or time that went backwards: a new beginning.
    if (base === null || spent <= 0 || rx < base.rx || tx < base.tx) return;
    this.rx = ((rx - base.rx) * 1000) / spent;
    this.tx = ((tx - base.tx) * 1000) / spent;
    this.intervalMs = this.intervalMs === 0 ? spent : this.intervalMs * 0.7 + spent * 0.3;
    this.seenAtMs = nowMs;
    this.record(nowMs);
  }

  /** Forgets where counting began, as the `initial` events may be older than the next event. */
  rebase() {
    this.base = null;
  }

  /** The rates now: nothing if nothing was heard for long. */
  at(nowMs) {
    const quiet = Math.max(QUIET_MIN_MS, this.intervalMs * QUIET_INTERVALS);
    if (this.seenAtMs === 0 || nowMs - this.seenAtMs > quiet) return REST;
    return { rx: this.rx, tx: this.tx };
  }

  /** `[{ageMs, rx, tx}]`, oldest first. */
  history(nowMs) {
    const list = [];
    for (let back = this.length; back > 0; back -= 1) {
      const at = ((this.next - back + SAMPLES_MAX) % SAMPLES_MAX) * 3;
      const [time, rx, tx] = this.samples.subarray(at, at + 3);
      list.push({ ageMs: nowMs - time, rx, tx });
    }
    return list;
  }

  record(nowMs) {
    // Made when first needed: most of ten thousand instances never move a byte.
    this.samples ??= new Float64Array(SAMPLES_MAX * 3);
    this.samples.set([nowMs, this.rx, this.tx], this.next * 3);
    this.next = (this.next + 1) % SAMPLES_MAX;
    this.length = Math.min(SAMPLES_MAX, this.length + 1);
  }
}

const REST = Object.freeze({ rx: 0, tx: 0 });
