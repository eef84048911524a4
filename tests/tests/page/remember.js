// Runs in the page: lets its client of the API answer as a master that keeps logs and samples processes.
const [done] = arguments;

const line = (id, text) => ({ id, time: "2020-01-01T00:00:00.000000Z", text, cut: 0 });
const yesterday = () => new Date(Date.now() - 86_430_000).toISOString();
const report = (id) => ({ id, pid: 4711, started: yesterday(), restarts: 3, nextRestart: null,
  lastExit: { signal: 9, time: "2020-01-01T00:00:00.000000Z", reason: "killed by SIGKILL" },
  cpuPercent: 12.34, memoryBytes: 4_200_000, processes: 2 });

import(new URL("page/app.js", location.href)).then(({ api, model }) => {
  api.logs = async (id, { before }) => (before === null
    ? { lines: [line("00000000-5", "printed before anybody watched")], more: true }
    : { lines: [line("00000000-4", "the very first")], more: false });
  api.process = async (id) => report(id);
  api.processes = async () => [...model.entries.keys()].map(report);
  // It had said before that it knows nothing of this.
  model.dispatchEvent(new Event("picture"));
  done(true);
});
