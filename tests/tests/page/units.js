// Runs in the page: checks the modules that touch no page. Calls back with what failed.
const [done] = arguments;
const failures = [];
let checks = 0;

function equal(actual, expected, what) {
  checks += 1;
  const [a, e] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== e) failures.push(`${what}: ${a} is not ${e}`);
}

const load = (name) => import(new URL(`page/${name}.js`, location.href));

function sse({ SseParser }) {
  const whole = "retry: 3000\n\nid: a-1\nevent: instance\ndata: {\"x\":1}\n\n: comment\ndata: one\r\ndata:two\r\n\r\n"
    + "data\n\nevent: gap\r\ndata:  spaced\r\rid: no\0\ndata: x\n\n";
  const expected = [
    { event: "instance", data: '{"x":1}', id: "a-1" }, { event: "message", data: "one\ntwo", id: null },
    { event: "message", data: "", id: null }, { event: "gap", data: " spaced", id: null },
    { event: "message", data: "x", id: null },
  ];
  for (let size = 1; size <= whole.length; size += 1) {
    const events = [];
    const parser = new SseParser((event) => events.push(event));
    for (let at = 0; at < whole.length; at += size) parser.feed(whole.slice(at, at + size));
    equal(events, expected, `events in pieces of ${size}`);
  }
  let isRefused = false;
  try {
    new SseParser(() => {}).feed("x".repeat(2_000_000));
  } catch {
    isRefused = true;
  }
  equal(isRefused, true, "a line without an end is refused");
}

function ansi({ parseAnsi, stripAnsi }) {
  const runs = (line) => parseAnsi(line).map(({ text, classes }) => (classes ? `${classes}:${text}` : text));
  const cases = [
    ["", []], ["plain", ["plain"]], ["a\tb", ["a\tb"]], ["\x1b[31mred\x1b[0m x", ["af1:red", " x"]],
    ["\x1b[1;4;92mok\x1b[mend", ["af10 a1 a4:ok", "end"]], ["\x1b[38;5;196mr", ["af9:r"]],
    ["\x1b[38;2;0;0;250mb", ["af12:b"]],
    ["\x1b[48;5;22;38;5;7mg", ["af7 ab2:g"]], ["\x1b[7mi\x1b[27mn", ["ai:i", "n"]],
    ["\x1b[31;7mi", ["ab1:i"]], ["\x1b[8mseen", ["seen"]], ["\x1b[2J\x1b[H\x1b[?25lx", ["x"]],
    ["\x1b]0;title\x07x", ["x"]], ["\x1b]8;;http://e\x1b\\l\x1b]8;;\x1b\\", ["l"]], ["\x1bP1q#0\x1b\\x", ["x"]],
    ["\x1b(Bx", ["x"]], ["\x1bcx", ["x"]], ["\x9b31mx", ["af1:x"]], ["\x1b[31", []], ["\x1b", []],
    ["\x1b]never ends", []], ["a\rb\x08c\x00d\x7f", ["abcd"]], ["\u202ex", ["⟨U+202E⟩x"]],
    ["\x1b[31\x1b[32mg", ["af2:g"]], ["\x1b[>4;2mx", ["x"]], ["\x1b[99999999999mx", ["x"]],
  ];
  for (const [line, expected] of cases) equal(runs(line), expected, JSON.stringify(line));
  equal(stripAnsi("\x1b[31mr\x1b[0med"), "red", "strip");
  const many = parseAnsi("\x1b[31mx\x1b[0my".repeat(20_000));
  equal(many.length < 4100, true, `runs are bounded: ${many.length}`);
  equal(many.map((run) => run.text).join("").length, 40_000, "and no text is lost");
}

function terminal({ displayed }) {
  const cases = [
    ["plain \x1b[1mbold", "plain \x1b[1mbold"], ["abc\rx", "xbc"], [" 5 %\r50 %\r100 %", "100 %"],
    ["long line\rshort\x1b[K", "short"], ["old\r\x1b[2Knew", "new"], ["abcd\r\x1b[1Kx", "xbcd"],
    ["|\b/\b-", "-"], ["abc\r", "abc"], ["abc\r\x1b[2Cx\x1b[1Dy\x1b[1Gz", "zby"], ["a\r\x1b[5Cb", "a    b"],
    ["\x1b]0;title\x07a\rb", "b"], ["\x1b]0;title\x1b\\a\rb", "b"], ["größe\rÄ", "Äröße"],
    ["\x1b[31mabc\r\x1b[1mx\x1b[m", "\x1b[31m\x1b[1mx\x1b[0m\x1b[31mbc\x1b[0m"],
  ];
  for (const [line, expected] of cases) equal(displayed(line), expected, JSON.stringify(line));
  equal(displayed("\r\x1b[999999999Cx\x1b[999999999Gy").length < 50, true, "nothing gets large");
}

function rates({ Meter, SAMPLES_MAX }) {
  const meter = new Meter();
  equal(meter.at(0), { rx: 0, tx: 0 }, "nothing at first");
  meter.update(1000, 500, 50, 10_000);
  equal(meter.at(10_000), { rx: 0, tx: 0 }, "a total alone is no rate");
  meter.update(2000, 1500, 150, 11_000);
  equal(meter.at(11_000), { rx: 1000, tx: 100 }, "a difference is");
  meter.update(2100, 9999, 999, 11_100);
  equal(meter.at(11_100), { rx: 1000, tx: 100 }, "bursts are one");
  meter.update(4000, 3500, 350, 13_000);
  equal(meter.at(13_000), { rx: 1000, tx: 100 }, "over the whole time");
  equal(meter.at(30_000), { rx: 0, tx: 0 }, "silence is rest");
  meter.update(5000, 0, 0, 31_000);
  meter.update(6000, 200, 20, 32_000);
  equal(meter.at(32_000), { rx: 200, tx: 20 }, "a reset is a new beginning");
  meter.update(3000, 400, 40, 33_000);
  meter.update(4000, 500, 50, 34_000);
  equal(meter.at(34_000), { rx: 100, tx: 10 }, "as is time that goes back");
  for (let step = 1; step < 500; step += 1) meter.update(4000 + step * 1000, 500 + step, 50, 34_000 + step * 1000);
  const history = meter.history(534_000);
  equal(history.length, SAMPLES_MAX, "history is bounded");
  equal(history.every((one, at) => at === 0 || one.ageMs < history[at - 1].ageMs), true, "and in order");
  equal(history.at(-1).rx, 1, "and ends with the last");
}

function format({ bytes, rate, duration, maskedUrl, plural, unturned }) {
  const cases = [
    [bytes(0), "0 B"], [bytes(999), "999 B"], [bytes(1000), "1.0 kB"], [bytes(999_950), "1.0 MB"],
    [bytes(2 ** 63), "9.2 EB"], [bytes(NaN), "0 B"], [rate(0.2), "–"], [rate(1500), "1.5 kB/s"],
    [duration(-1), "0s"], [duration(61), "1m 1s"], [duration(90_000), "1d 1h"], [plural(1, "line"), "1 line"],
    [maskedUrl("demo://h"), "demo://h"], [maskedUrl("demo://u:p/w@h"), "demo://u:p/w@h"],
    [maskedUrl("demo://u:p@h/p?token=t&a=b"), "demo://•••@h/p?token=•••&a=b"],
    [maskedUrl("a://x@y@h"), "a://•••@h"], [maskedUrl("mailto:joe@e.org"), "mailto:•••@e.org"],
    [maskedUrl("exec:x?arg=a@b&api_key=1&KEY="), "exec:x?arg=a@b&api_key=•••&KEY="], [maskedUrl(""), ""],
    [maskedUrl("exec:x?env=A=b=c&env=D%3De&env=F&x=1"), "exec:x?env=A=•••&env=D%3D•••&env=F&x=1"],
    [unturned("a\u202eb\u2067"), "a⟨U+202E⟩b⟨U+2067⟩"], [unturned("مرحبا é"), "مرحبا é"],
  ];
  for (const [actual, expected] of cases) equal(actual, expected, "format");
}

function model({ Model }) {
  const it = new Model();
  const object = (id, alias = id) => ({ id, alias, type: "x", status: "running", url: "x://h", config: "",
    restart: true, meta: { peer: { sid: "", type: "", alias: "" }, tags: {} }, mode: 0, ping: 0, pool: 0,
    tcps: 0, udps: 0, tcprx: 0, tcptx: 0, udprx: 0, udptx: 0 });
  let number = 0;
  const at = () => new Date(Date.UTC(2026, 0, 1) + number).toISOString().replace("Z", "000Z");
  const take = (type, instance, { id = null, logs = "" } = {}) => {
    number += 1;
    it.take({ event: "instance", id, data: JSON.stringify({ type, time: at(), instance, logs }) });
  };
  const ids = () => [...it.entries.keys()];
  it.expectPicture();
  take("initial", object("********", "master"));
  take("initial", object("aaaaaaaa"));
  take("initial", object("bbbbbbbb"), { id: "0-2" });
  equal([ids(), it.masterAlias], [["aaaaaaaa", "bbbbbbbb"], "master"], "a picture");
  const started = new Date(Date.UTC(2025, 0, 1)).toISOString();
  it.addProcesses([{ id: "aaaaaaaa", started, cpuPercent: 1.5, memoryBytes: null }, { id: "dddddddd" }]);
  const known = it.entries.get("aaaaaaaa");
  equal(known.usage, { cpu: 1.5, memory: null }, "usage");
  equal(known.since, { atMs: Date.parse(started) + it.skewMs, isExact: true }, "it ran before it was seen");
  equal(it.entries.get("bbbbbbbb").since.isExact, false, "of others that is not known");
  take("log", object("aaaaaaaa"), { id: "0-3", logs: "one" });
  take("log", object("aaaaaaaa"), { id: "0-3", logs: "one again" });
  take("log", object("aaaaaaaa"), { id: "0-4", logs: "two" });
  take("delete", object("bbbbbbbb"), { id: "0-5" });
  it.take({ event: "gap", id: null, data: JSON.stringify({ time: at(), lost: 7 }) });
  take("initial", object("cccccccc"));
  take("initial", object("aaaaaaaa"), { id: "0-20" });
  equal(ids(), ["aaaaaaaa", "cccccccc"], "a picture after a gap");
  take("log", object("aaaaaaaa"), { id: "0-21", logs: "three" });
  const log = it.entries.get("aaaaaaaa").log;
  const texts = () => log.lines.map((line) => line.text || `gap ${line.gap}`);
  equal(texts(), ["one", "two", "gap 7", "three"], "lines, each once, and where some are missing");
  const old = log.lines[0].time.replace("2026", "2025");
  it.addHistory("aaaaaaaa", [{ id: "f-9", time: old, text: "zero", cut: 0 },
    { id: "0-3", time: log.lines[0].time, text: "one", cut: 0 }], false);
  equal(texts(), ["zero", "one", "two", "gap 7", "three"], "history goes where it belongs");
  for (let line = 30; line < 2000; line += 1) take("log", object("aaaaaaaa"), { id: `0-${line}`, logs: "x" });
  equal(log.lines.length <= 400, true, "lines are bounded");
  for (let change = 0; change < 400; change += 1) {
    take("update", { ...object("aaaaaaaa"), status: change % 2 === 0 ? "error" : "running" });
  }
  equal(it.entries.get("aaaaaaaa").statuses.length <= 120, true, "so are statuses");
  for (let line = 2000; line < 2600; line += 1) {
    take("log", object("aaaaaaaa"), { id: `0-${line}`, logs: "y".repeat(60_000) });
    take("log", object("cccccccc"), { id: `0-${line + 1000}`, logs: "z".repeat(60_000) });
  }
  equal(it.logChars < 25 * 1024 * 1024, true, `and their length: ${it.logChars}`);
  const sum = [...it.entries.values()].reduce((total, entry) => total
    + entry.log.lines.reduce((chars, line) => chars + line.text.length, 0), 0);
  equal(it.logChars, sum, "which is counted right");
  clearTimeout(it.telling);
}

async function run() {
  sse(await load("stream"));
  ansi(await load("ansi"));
  terminal(await load("terminal"));
  rates(await load("rates"));
  format(await load("format"));
  model(await load("model"));
}

run().catch((error) => failures.push(String(error.stack))).then(() => done({ checks, failures }));
