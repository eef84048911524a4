// Numbers, times, URLs and names as people read them. Pure: owns no state and touches no page.

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

/** Parameters of a URL whose values are not shown, beside the user-info. */
const SECRET_NAME = /^(.*[-_.])?(key|token|secret|password|passwd|pwd|auth|credentials?)$/i;

/** What stands in the place of a secret. */
export const MASK = "•••";

/** Characters that change the direction in which the text around them is shown. */
const DIRECTIONAL = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** A character by its number: `⟨U+202E⟩`. */
export const codePoint = (char) =>
  `⟨U+${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`;

/** The text with its directional characters made visible, so that it cannot look like another. */
export const unturned = (text) => String(text).replace(DIRECTIONAL, codePoint);

/** `1.2 MB`. Decimal units, three digits at most before the unit. */
export function bytes(count) {
  let value = Math.max(0, Number(count) || 0);
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : 1;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** `1.2 MB/s`, and a dash for nothing at all. */
export const rate = (perSecond) => (perSecond >= 0.5 ? `${bytes(perSecond)}/s` : "–");

/** `12,345` in the reader's own way. */
export const count = (number) => Number(number).toLocaleString();

/** `one instance`, `2 instances`. */
export const plural = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;

/** `3d 4h`, `5m 2s`, `12s`: the two largest units. */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [d, h, m, s] = [
    Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60, whole % 60,
  ];
  if (d > 0) return `${d}d ${h}h`;
  if (h > 0) return `${h}h ${m}m`;
  return m > 0 ? `${m}m ${s}s` : `${s}s`;
}

/** `12:03:59.123` of an RFC 3339 time, in the reader's zone; empty if it is none. */
export function clock(time) {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return "";
  const two = (number) => String(number).padStart(2, "0");
  const ms = String(date.getMilliseconds()).padStart(3, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`;
}

/** Day and time of an RFC 3339 time or of a number of ms. */
export function moment(time) {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? String(time) : date.toLocaleString();
}

/** The name an operator knows it by. */
export const nameOf = (instance) => instance.alias || instance.id;

/** The end of a parameter's value that is not shown: of `env=NAME=VALUE` only the second value. */
function hiddenPart(name, value) {
  if (name !== "env") return SECRET_NAME.test(name) ? value : "";
  const equals = /=|%3D/i.exec(value);
  return equals === null ? "" : value.slice(equals.index + equals[0].length);
}

/**
 * A URL in pieces, `{text, secret}`: the user-info and the values of parameters with the name of a
 * secret are secrets. An `@` in an opaque URL counts too, as in `mailto:joe@example.org`.
 */
export function urlPieces(url) {
  const scheme = url.indexOf(":") + 1;
  const slashes = url.startsWith("//", scheme) ? 2 : 0;
  const start = scheme + slashes;
  const ends = [/[/?#]/, /[?#]/][slashes ? 0 : 1].exec(url.slice(start));
  const authorityEnd = ends ? start + ends.index : url.length;
  const at = url.lastIndexOf("@", authorityEnd - 1);
  const pieces = [];
  let rest = url;
  if (at > start) {
    pieces.push({ text: url.slice(0, start), secret: false });
    pieces.push({ text: url.slice(start, at), secret: true });
    rest = url.slice(at);
  }
  const query = /([?&])([^=&#]*)=([^&#]*)/g;
  let done = 0;
  for (const match of rest.matchAll(query)) {
    const hidden = hiddenPart(match[2], match[3]);
    if (hidden === "") continue;
    const end = match.index + match[0].length;
    pieces.push({ text: rest.slice(done, end - hidden.length), secret: false });
    pieces.push({ text: hidden, secret: true });
    done = end;
  }
  pieces.push({ text: rest.slice(done), secret: false });
  return pieces.filter((piece) => piece.text !== "");
}

/** A URL with its secrets masked. */
export const maskedUrl = (url) =>
  urlPieces(url).map((piece) => (piece.secret ? MASK : piece.text)).join("");

/** How many bytes a text is in UTF-8, as the limits of the API count. */
export const utf8Length = (text) => new TextEncoder().encode(text).length;
