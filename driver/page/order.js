// Which instances the list shows and in which order. Pure: owns filters and comparisons over the
// entries of the model, touches no page.

/** The statuses; those that need attention first. */
export const STATUSES = ["error", "running", "stopped"];

/** Tags offered in the filter; more than this is no choice. */
const TAGS_MAX = 300;

const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

const byName = (a, b) => collator.compare(a.name, b.name) || (a.data.id < b.data.id ? -1 : 1);
const byNumber = (value) => (a, b) => value(b) - value(a) || byName(a, b);

/** How each column sorts when it is first clicked; `isLive` ones change all the time. */
export const ORDERS = {
  status: {
    compare: (a, b) =>
      STATUSES.indexOf(a.data.status) - STATUSES.indexOf(b.data.status) || byName(a, b),
  },
  name: { compare: byName },
  url: { compare: (a, b) => collator.compare(a.data.url, b.data.url) || byName(a, b) },
  since: { compare: byNumber((entry) => entry.since.atMs) },
  rx: { compare: byNumber((entry) => entry.shown.rx), isLive: true },
  tx: { compare: byNumber((entry) => entry.shown.tx), isLive: true },
  cpu: { compare: byNumber((entry) => entry.usage.cpu ?? -1), isLive: true },
  memory: { compare: byNumber((entry) => entry.usage.memory ?? -1), isLive: true },
  connections: { compare: byNumber((entry) => entry.connections), isLive: true },
  ping: { compare: byNumber((entry) => entry.data.ping), isLive: true },
};

/**
 * The entries to show, and how many there are of each status among those that the search and the
 * tag let through. `filter` is `{search, tag, status}`, each empty for all; `sort` is
 * `{column, isReversed}`.
 */
export function arrange(entries, filter, sort, nowMs) {
  const words = filter.search.toLowerCase().split(/\s+/).filter((word) => word !== "");
  const counts = { all: 0, error: 0, running: 0, stopped: 0 };
  const rows = [];
  for (const entry of entries) {
    if (!words.every((word) => entry.search.includes(word))) continue;
    if (filter.tag !== "" && !hasTag(entry.data, filter.tag)) continue;
    counts.all += 1;
    counts[entry.data.status] += 1;
    if (filter.status !== "" && entry.data.status !== filter.status) continue;
    rows.push(entry);
  }
  const { compare, isLive } = ORDERS[sort.column];
  if (isLive) for (const entry of rows) entry.shown = entry.meter.at(nowMs);
  rows.sort(sort.isReversed ? (a, b) => compare(b, a) : compare);
  return { rows, counts };
}

const hasTag = ({ meta }, tag) => {
  const equals = tag.indexOf("=");
  return meta.tags[tag.slice(0, equals)] === tag.slice(equals + 1);
};

/** All tags in use, `key=value`, with how many instances have each; the most frequent ones. */
export function tagsOf(entries) {
  const uses = new Map();
  for (const { data } of entries) {
    for (const [key, value] of Object.entries(data.meta.tags)) {
      // A filter cannot separate a key with an equals sign from its value.
      if (key.includes("=")) continue;
      const tag = `${key}=${value}`;
      uses.set(tag, (uses.get(tag) ?? 0) + 1);
    }
  }
  const frequent = [...uses].sort((a, b) => b[1] - a[1]).slice(0, TAGS_MAX);
  return frequent.sort((a, b) => collator.compare(a[0], b[0]));
}
