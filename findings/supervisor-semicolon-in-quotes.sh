#!/usr/bin/env bash
# supervisord 4.2.5 (PyPI): ` ;` starts a comment even inside the quotes of a command.
#
# Guessed: quotes protect a semicolon, as in a shell, so that
#     command=/bin/sh -c "echo one ; echo two"
# runs both commands.
# Seen: everything from the space and the semicolon on is cut before the quotes are looked at. The
# program goes to BACKOFF and then FATAL with "No closing quotation". Without the space the
# semicolon is kept: "echo one; echo two" runs both.
# Matters to: whoever reads supervisord.conf. A parser that respects quotes accepts commands that
# supervisord refuses, and the other way round.
# Needs: python3 with venv, pip.
set -euo pipefail
work=$(mktemp -d)
trap 'kill "$(cat "$work/sd.pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$work"' EXIT
python3 -m venv "$work/venv" && "$work/venv/bin/pip" -q install 'supervisor==4.2.5' 'setuptools<81' || exit 2

cat >"$work/s.conf" <<CONF
[supervisord]
logfile=$work/sd.log
pidfile=$work/sd.pid
[unix_http_server]
file=$work/s.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://$work/s.sock
[program:spaced]
command=/bin/sh -c "echo one ; echo two"
autorestart=false
startsecs=0
startretries=0
stdout_logfile=$work/spaced.log
[program:tight]
command=/bin/sh -c "echo one; echo two"
autorestart=false
startsecs=0
stdout_logfile=$work/tight.log
CONF
"$work/venv/bin/supervisord" -c "$work/s.conf" 2>/dev/null
for _ in $(seq 100); do
    status=$("$work/venv/bin/supervisorctl" -c "$work/s.conf" status 2>/dev/null || true)
    if grep -q FATAL <<<"$status" && grep -q two "$work/tight.log" 2>/dev/null; then break; fi
    sleep 0.1
done
echo "$status"
grep -q "can't parse command.*No closing quotation" <<<"$status" || { echo "changed: the command was parsed"; exit 1; }
[ "$(tr '\n' ' ' <"$work/tight.log")" = "one two " ] || { echo "changed: the tight form"; exit 1; }
echo "supervisor 4.2.5: ' ;' inside quotes starts a comment; ';' without a space does not"
