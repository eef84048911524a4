#!/usr/bin/env bash
# pm2 5.4.2 (npm): `max_restarts` counts only runs shorter than a second, exit code 0 counts as a crash,
# and `stop` sends SIGINT.
#
# Guessed: `--max-restarts 2` gives up after two restarts; a program that exits with 0 is done;
# `pm2 stop` sends SIGTERM, as service managers do.
# Seen: a program that fails after 1.3 s is restarted without end under `--max-restarts 2`
# (`unstable_restarts` stays 0). A program that exits with 0 at once is restarted 15 times and ends as
# `errored`. `stop` sends SIGINT and, 1.6 s later, SIGKILL; SIGTERM is never sent.
# Matters to: whoever takes over an ecosystem file. `max_restarts` is no limit on restarts in a
# window, `autorestart` means "also after success", and the stop signal is INT.
# Needs: node, npm.
set -euo pipefail
work=$(mktemp -d)
export PM2_HOME="$work/home"
pm2="$work/node_modules/.bin/pm2"
trap '"$pm2" kill >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
(cd "$work" && npm init -y >/dev/null && npm install --silent pm2@5.4.2 >/dev/null) || exit 2

printf '#!/bin/sh\nsleep 1.3\nexit 1\n' >"$work/slow-crash.sh"
printf '#!/bin/sh\nexit 0\n' >"$work/success.sh"
cat >"$work/signals.sh" <<'APP'
#!/bin/bash
for name in HUP INT QUIT TERM USR1 USR2; do trap "echo got $name" $name; done
echo ready
while :; do sleep 0.1; done
APP
chmod +x "$work"/*.sh
field() { "$pm2" jlist 2>/dev/null | node -e '
  const list = JSON.parse(require("fs").readFileSync(0, "utf8").split("\n").pop());
  const env = list.find(app => app.name === process.argv[1]).pm2_env;
  console.log(env[process.argv[2]]);' "$1" "$2"; }
await() { for _ in $(seq 120); do if eval "$1"; then return 0; fi; sleep 0.25; done; echo "not seen: $1"; exit 1; }

"$pm2" start "$work/slow-crash.sh" --interpreter none --max-restarts 2 --name slow-crash >/dev/null
"$pm2" start "$work/success.sh" --interpreter none --name success >/dev/null
"$pm2" start "$work/signals.sh" --interpreter none --name signals >/dev/null
await 'grep -q ready "$PM2_HOME/logs/signals-out.log" 2>/dev/null'
"$pm2" stop signals >/dev/null
await '[ "$(field success status)" = errored ]'
await '[ "$(field slow-crash restart_time)" -ge 6 ]'
echo "slow-crash: $(field slow-crash restart_time) restarts, unstable $(field slow-crash unstable_restarts)"
echo "success: $(field success status) after $(field success restart_time) restarts"
echo "signals seen by 'stop': $(grep got "$PM2_HOME/logs/signals-out.log" | tr '\n' ' ')"
[ "$(field slow-crash unstable_restarts)" = 0 ] || { echo "changed: the runs count"; exit 1; }
[ "$(field success restart_time)" = 15 ] || { echo "changed: restarts after success"; exit 1; }
[ "$(grep got "$PM2_HOME/logs/signals-out.log")" = "got INT" ] || { echo "changed: the stop signal"; exit 1; }
echo "pm2 5.4.2: as described"
