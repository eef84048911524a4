// Turns what a terminal would have understood into plain runs of text. Pure: owns the grammar of
// escape sequences. Colours and weights become class names, everything else of them is dropped, and
// characters that could make a line look like another one are shown by their number.

import { codePoint } from "./format.js";

const ESC = "\x1b";

// Introducers with a string behind them, which ends with BEL or ST: DCS, SOS, OSC, PM, APC.
const STRINGS = new Set(["P", "X", "]", "^", "_"]);

// The same and CSI as single characters (C1), to what they stand for.
const C1 = new Map([
  ["\x90", "P"], ["\x98", "X"], ["\x9b", "["], ["\x9d", "]"], ["\x9e", "^"], ["\x9f", "_"],
]);

/** Control characters, and those that turn the direction of writing around. */
// eslint-disable-next-line no-control-regex
const SPECIAL = /[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

/** Lines longer than this are not looked at for escapes in one go; the page cuts them before. */
const RUNS_MAX = 4000;

/** What is in force at the start of a line. */
const plain = () => ({ fg: -1, bg: -1, bold: false, dim: false, italic: false, under: false,
  strike: false, inverse: false });

/** `[{text, classes}]` of one line. Never more than `RUNS_MAX` runs: the rest is then plain. */
export function parseAnsi(line) {
  if (!SPECIAL.test(line)) return line === "" ? [] : [{ text: line, classes: "" }];
  const runs = [];
  let style = plain();
  let text = "";
  const flush = () => {
    if (text === "") return;
    runs.push({ text, classes: runs.length < RUNS_MAX ? classesOf(style) : "" });
    text = "";
  };
  for (let at = 0; at < line.length;) {
    const char = line[at];
    if (char === ESC || C1.has(char)) {
      const { next, sgr } = sequence(line, at);
      if (sgr !== null && runs.length < RUNS_MAX) {
        flush();
        style = applySgr(style, sgr);
      }
      at = next;
      continue;
    }
    text += SPECIAL.test(char) ? visible(char) : char;
    at += 1;
  }
  flush();
  return runs;
}

/** One line without its escapes, as it is searched. */
export const stripAnsi = (line) =>
  SPECIAL.test(line) ? parseAnsi(line).map((run) => run.text).join("") : line;

/** Where the sequence at `at` ends, and its parameters if it sets colours. */
function sequence(line, at) {
  const isC1 = line[at] !== ESC;
  const kind = isC1 ? C1.get(line[at]) : line[at + 1];
  const body = at + (isC1 ? 1 : 2);
  if (kind === undefined) return { next: line.length, sgr: null };
  if (kind === "[") return control(line, body);
  if (STRINGS.has(kind)) return { next: stringEnd(line, body), sgr: null };
  // ESC, intermediates, one final character.
  let end = isC1 ? body : at + 1;
  while (end < line.length && line[end] >= " " && line[end] <= "/") end += 1;
  return { next: Math.min(line.length, end + 1), sgr: null };
}

function control(line, start) {
  let end = start;
  while (end < line.length && line[end] >= "0" && line[end] <= "?") end += 1;
  const parameters = line.slice(start, end);
  const plainEnd = end;
  while (end < line.length && line[end] >= " " && line[end] <= "/") end += 1;
  const final = line[end];
  const isSgr = final === "m" && end === plainEnd && /^[0-9;:]*$/.test(parameters);
  // A sequence that is broken off by something else ends before it.
  const isWhole = final !== undefined && final >= "@" && final <= "~";
  return { next: isWhole ? end + 1 : end, sgr: isSgr ? parameters : null };
}

function stringEnd(line, start) {
  for (let at = start; at < line.length; at += 1) {
    if (line[at] === "\x07" || line[at] === "\x9c") return at + 1;
    if (line[at] === ESC) return line[at + 1] === "\\" ? at + 2 : at;
  }
  return line.length;
}

/** Carriage returns and the like have nothing to say in a list of lines. */
function visible(char) {
  const code = char.charCodeAt(0);
  if (code < 0x20 || (code >= 0x7f && code <= 0x9f)) return "";
  return codePoint(char);
}

function applySgr(before, parameters) {
  const style = { ...before };
  const codes = parameters.split(/[;:]/).slice(0, 64).map((code) => Number(code || 0));
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at];
    if (code === 38 || code === 48) {
      const [colour, used] = extended(codes.slice(at + 1));
      style[code === 38 ? "fg" : "bg"] = colour;
      at += used;
    } else {
      applyCode(style, code);
    }
  }
  return style;
}

function applyCode(style, code) {
  if (code === 0) Object.assign(style, plain());
  else if (code === 1) style.bold = true;
  else if (code === 2) style.dim = true;
  else if (code === 3) style.italic = true;
  else if (code === 4) style.under = true;
  else if (code === 7) style.inverse = true;
  else if (code === 9) style.strike = true;
  else if (code === 22) style.bold = style.dim = false;
  else if (code === 23) style.italic = false;
  else if (code === 24) style.under = false;
  else if (code === 27) style.inverse = false;
  else if (code === 29) style.strike = false;
  else if (code >= 30 && code <= 37) style.fg = code - 30;
  else if (code === 39) style.fg = -1;
  else if (code >= 40 && code <= 47) style.bg = code - 40;
  else if (code === 49) style.bg = -1;
  else if (code >= 90 && code <= 97) style.fg = code - 82;
  else if (code >= 100 && code <= 107) style.bg = code - 92;
  // Concealed text (8) and blinking (5) are shown as any other: nothing may hide in a log.
}

/** The nearest of the sixteen colours to one of 256 or of 16 million, and how many codes it took. */
function extended(codes) {
  if (codes[0] === 5) return [nearestOf256(codes[1] ?? 0), 2];
  if (codes[0] === 2) return [nearest(codes[1] ?? 0, codes[2] ?? 0, codes[3] ?? 0), 4];
  return [-1, codes.length];
}

function nearestOf256(index) {
  if (index < 16) return index;
  if (index >= 232) {
    const grey = 8 + (index - 232) * 10;
    return nearest(grey, grey, grey);
  }
  const cube = index - 16;
  const level = (step) => (step === 0 ? 0 : 55 + step * 40);
  return nearest(level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6));
}

function nearest(red, green, blue) {
  const most = Math.max(red, green, blue);
  const least = Math.min(red, green, blue);
  if (most - least < 40) return most < 60 ? 0 : most < 140 ? 8 : most < 210 ? 7 : 15;
  const middle = (most + least) / 2;
  const hue = (red > middle ? 1 : 0) + (green > middle ? 2 : 0) + (blue > middle ? 4 : 0);
  return hue + (most > 190 ? 8 : 0);
}

function classesOf(style) {
  const names = [];
  const [fg, bg] = style.inverse ? [style.bg, style.fg] : [style.fg, style.bg];
  if (style.inverse && style.bg < 0 && style.fg < 0) names.push("ai");
  if (fg >= 0) names.push(`af${fg}`);
  if (bg >= 0) names.push(`ab${bg}`);
  for (const [is, name] of [[style.bold, "a1"], [style.dim, "a2"], [style.italic, "a3"],
    [style.under, "a4"], [style.strike, "a9"]]) if (is) names.push(name);
  return names.join(" ");
}
