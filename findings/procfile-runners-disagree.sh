#!/usr/bin/env bash
# honcho 2.0.0 (PyPI) and foreman 3.0.1 (npm): the same Procfile and .env, other results.
#
# Guessed: Procfile runners agree on exit status, on a name that stands twice, and on `export` in .env.
# Seen:
#   a process exits with 3        honcho exits with 3      foreman (npm) exits with 0
#   a process is killed by KILL   honcho exits with 247    foreman (npm) exits with 0
#   a name stands twice           honcho refuses           foreman (npm) runs the last one alone
#   how the others are stopped    SIGTERM                  SIGINT
#   `export E=5` in .env          both pass no variable E to the process, and say nothing
# Matters to: whoever imports a Procfile or starts one from a script.
# Needs: python3 with venv, pip, node, npm.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv" && "$work/venv/bin/pip" -q install honcho==2.0.0 || exit 2
(cd "$work" && npm init -y >/dev/null && npm install --silent foreman@3.0.1 >/dev/null) || exit 2
honcho="$work/venv/bin/honcho"
nf="$work/node_modules/.bin/nf"
cd "$work"
printf 'A=1\nexport E=5\n' >.env
printf 'web: exit 3\n' >three
printf 'web: kill -9 $$\n' >killed
printf 'web: echo first\nweb: echo second\n' >twice
printf 'web: echo "A=[$A] E=[$E]"\n' >variables

status() { local code=0; "$@" >out 2>&1 || code=$?; echo "$code"; }
expect() { echo "$1: $2"; [ "$2" = "$3" ] || { echo "changed: expected $3"; cat out; exit 1; }; }
expect "honcho, exit 3" "$(status timeout 20 "$honcho" -f three start)" 3
expect "foreman, exit 3" "$(status timeout 20 "$nf" -j three start)" 0
expect "honcho, KILL" "$(status timeout 20 "$honcho" -f killed start)" 247
expect "foreman, KILL" "$(status timeout 20 "$nf" -j killed start)" 0
expect "honcho, twice" "$(status timeout 20 "$honcho" -f twice start)" 1
grep -q 'must be unique' out || { echo "changed: the reason"; exit 1; }
expect "foreman, twice" "$(status timeout 20 "$nf" -j twice start)" 0
grep -q second out && ! grep -q first out || { echo "changed: which one runs"; exit 1; }
for runner in "$honcho -f variables start" "$nf -j variables start"; do
    env -u E timeout 20 $runner >out 2>&1 || true
    grep -q 'A=\[1\] E=\[\]' out || { echo "changed: export in .env with $runner"; cat out; exit 1; }
done
echo "honcho 2.0.0 and foreman 3.0.1: as described"
