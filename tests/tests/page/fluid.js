// Runs in the page: gives it many instances at once, as a stream would, and measures what a person
// would notice. Calls back with milliseconds, the median where a thing is done often.
const [many, done] = arguments;

// In no order at all: 7919 is a prime.
const shuffled = (number) => (number * 7919) % many;

const instance = (number, rx) => ({
  id: number.toString(16).padStart(8, "0"), alias: `instance-${shuffled(number)}`, type: "x",
  status: ["running", "stopped", "error"][number % 3], url: `x://user:pw@host-${shuffled(number)}/path?a=b`,
  config: "", restart: true,
  meta: { peer: { sid: "", type: "", alias: "" }, tags: { zone: `z${number % 20}` } },
  mode: 1, ping: number % 90, pool: 4, tcps: number % 7, udps: 0,
  tcprx: rx, tcptx: rx * 2, udprx: 0, udptx: 0,
});

const event = (type, object, id) => ({
  event: "instance", id,
  data: JSON.stringify({ type, time: new Date().toISOString(), instance: object, logs: "" }),
});

const median = (numbers) => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

const timed = (work) => {
  const start = performance.now();
  work();
  return performance.now() - start;
};

async function measure() {
  const { model } = await import(new URL("page/app.js", location.href));
  const rows = document.querySelector("#rows");
  const shown = () =>
    Number(document.querySelector("#statuses [data-status=all] b").textContent.replace(/\D/g, ""));
  const picture = timed(() => {
    for (let number = 0; number < many; number += 1) model.take(event("create", instance(number, 0), null));
  });
  while (shown() !== many) await new Promise(requestAnimationFrame);
  const sort = timed(() => document.querySelector("[data-column=url] .sort").click());
  const searching = document.querySelector("#search");
  const search = timed(() => {
    searching.value = "host-77";
    searching.dispatchEvent(new Event("input"));
  });
  searching.value = "";
  searching.dispatchEvent(new Event("input"));
  const scrolls = [];
  for (let step = 1; step <= 60; step += 1) {
    await new Promise(requestAnimationFrame);
    // The handler draws; reading a height makes the browser lay it out.
    scrolls.push(timed(() => {
      rows.scrollTop = step * 5000;
      rows.dispatchEvent(new Event("scroll"));
      return rows.lastChild.getBoundingClientRect().height;
    }));
  }
  const updates = [];
  for (let round = 1; round <= 5; round += 1) {
    updates.push(timed(() => {
      for (let number = 0; number < many; number += 10) {
        model.take(event("update", instance(number, round * 100_000), null));
      }
      model.dispatchEvent(new Event("change"));
    }));
  }
  return { shown: shown(), picture, sort, search, scroll: median(scrolls), update: median(updates) };
}

measure().then(done, (error) => done({ error: String(error.stack) }));
