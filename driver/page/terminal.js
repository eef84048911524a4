// What a terminal shows of a line that overwrites itself with carriage returns and backspaces, as
// progress bars and spinners do. Pure. The master does the same to lines of the history
// (core/src/terminal.rs); lines of the stream come as they were printed.

const ESC = "\x1b";
const BEL = "\x07";

/** The longest style that is kept. */
const STYLE_MAX = 64;

// eslint-disable-next-line no-control-regex
const OVERWRITES = /[\r\x08]/;

/** The line as it is left; the very same text if nothing in it overwrites. */
export function displayed(line) {
  if (!OVERWRITES.test(line)) return line;
  const screen = { cells: [], cursor: 0, style: "", max: line.length };
  const chars = [...line];
  for (let at = 0; at < chars.length; at += 1) {
    const char = chars[at];
    if (char === "\r") screen.cursor = 0;
    else if (char === "\b") screen.cursor = Math.max(0, screen.cursor - 1);
    else if (char === ESC) at = escape(screen, chars, at);
    else put(screen, char);
  }
  return textOf(screen.cells);
}

function put(screen, char) {
  while (screen.cells.length < screen.cursor) screen.cells.push([" ", ""]);
  screen.cells[screen.cursor] = [char, screen.style];
  screen.cursor += 1;
}

/** Takes the sequence that begins at `at`; returns where it ends. */
function escape(screen, chars, at) {
  const kind = chars[at + 1];
  if (kind === "[") return control(screen, chars, at + 2);
  if (kind === undefined || !"]PX^_".includes(kind)) return at + 1;
  for (let end = at + 2; end < chars.length; end += 1) {
    if (chars[end] === BEL) return end;
    if (chars[end] === ESC && chars[end + 1] === "\\") return end + 1;
  }
  return chars.length;
}

function control(screen, chars, start) {
  let end = start;
  while (end < chars.length && chars[end] >= " " && chars[end] <= "?") end += 1;
  const last = chars[end];
  // A sequence that is broken off by something else ends before it.
  if (last === undefined || last < "@" || last > "~") return end - 1;
  const parameters = chars.slice(start, end).join("");
  const number = Math.max(1, /^\d+$/.test(parameters) ? Number(parameters) : 1);
  if (last === "m") setStyle(screen, parameters);
  else if (last === "K") erase(screen, parameters);
  else if (last === "C") screen.cursor = Math.min(screen.max, screen.cursor + number);
  else if (last === "D") screen.cursor = Math.max(0, screen.cursor - number);
  else if (last === "G") screen.cursor = Math.min(screen.max, number - 1);
  return end;
}

function erase(screen, parameters) {
  const { cells, cursor } = screen;
  if (parameters === "" || parameters === "0") cells.length = Math.min(cells.length, cursor);
  else if (parameters === "1") cells.fill([" ", ""], 0, Math.min(cells.length, cursor + 1));
  else if (parameters === "2") cells.length = 0;
}

function setStyle(screen, parameters) {
  const isReset = parameters === "" || parameters.split(/[;:]/).includes("0");
  if (isReset) screen.style = "";
  if (parameters !== "" && parameters !== "0" && screen.style.length + parameters.length < STYLE_MAX) {
    screen.style += `${ESC}[${parameters}m`;
  }
}

function textOf(cells) {
  let text = "";
  let style = "";
  for (const [char, wanted] of cells) {
    if (wanted !== style) {
      text += (style === "" ? "" : `${ESC}[0m`) + wanted;
      style = wanted;
    }
    text += char;
  }
  return style === "" ? text : `${text}${ESC}[0m`;
}
