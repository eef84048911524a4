#!/usr/bin/env bash
# sseclient-py 1.8.0, aiohttp-sse-client 0.2.1, httpx-sse 0.4.0, aiosseclient 0.1.3 (PyPI): what readers of
# Server-Sent Events make of a frame that the end of the stream cuts, and of frames without data.
#
# Guessed: they follow the standard: a frame without its empty line is discarded, and a frame without
# data (`retry: 3000`, or a comment) is no event.
# Seen: sseclient-py and aiohttp-sse-client hand the cut frame up as an event, its JSON being half an
# object. httpx-sse and aiosseclient discard it, but hand up a `retry:` frame as an event of type `message` with
# empty data.
# Matters to: whoever serves a stream. A frame has to go out in one write, and clients have to look at the
# type of an event before they parse its data.
# Needs: python3 with venv, pip.
set -euo pipefail
work=$(mktemp -d)
trap 'kill "${server:-0}" 2>/dev/null || true; rm -rf "$work"' EXIT
python3 -m venv "$work/venv" && "$work/venv/bin/pip" -q install sseclient-py==1.8.0 requests==2.32.3 \
    httpx-sse==0.4.0 httpx==0.27.2 aiohttp==3.10.11 aiohttp-sse-client==0.2.1 aiosseclient==0.1.3 || exit 2

cat >"$work/server.py" <<'PY'
import socket, sys
FRAMES = b'retry: 3000\n\nid: 1\nevent: instance\ndata: {"a":1}\n\nid: 2\nevent: instance\ndata: {"half":'
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
open(sys.argv[1], "w").write(str(listener.getsockname()[1]))
while True:
    client, _ = listener.accept()
    request = b""
    while b"\r\n\r\n" not in request:
        request += client.recv(65536)
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" + FRAMES)
    client.close()
PY
cat >"$work/clients.py" <<'PY'
import asyncio, sys
URL = "http://127.0.0.1:%s/" % open(sys.argv[1]).read()

def sseclient_py():
    import requests
    from sseclient import SSEClient
    return [(e.event, e.data) for e in SSEClient(requests.get(URL, stream=True)).events()]

def httpx_sse():
    import httpx
    from httpx_sse import connect_sse
    with httpx.Client() as client, connect_sse(client, "GET", URL) as source:
        return [(e.event, e.data) for e in source.iter_sse()]

async def aiohttp_sse_client():
    from aiohttp_sse_client.client import EventSource
    seen = []
    async with EventSource(URL) as source:
        async for e in source:
            seen.append((e.type, e.data))
            if len(seen) == 2:
                return seen

async def aiosseclient():
    from aiosseclient import aiosseclient
    seen = []
    async for e in aiosseclient(URL):
        seen.append((e.event, e.data))
        if len(seen) == 2:
            return seen

GOOD, HALF, EMPTY = ("instance", '{"a":1}'), ("instance", '{"half":'), ("message", "")
failed = False
for name, seen, expected in [
    ("sseclient-py", sseclient_py(), [GOOD, HALF]),
    ("aiohttp-sse-client", asyncio.run(aiohttp_sse_client()), [GOOD, HALF]),
    ("httpx-sse", httpx_sse(), [EMPTY, GOOD]),
    ("aiosseclient", asyncio.run(aiosseclient()), [EMPTY, GOOD]),
]:
    print(name, seen)
    if seen != expected:
        print("changed: expected", expected)
        failed = True
sys.exit(failed)
PY
python3 "$work/server.py" "$work/port" &
server=$!
until [ -s "$work/port" ]; do sleep 0.05; done
timeout 60 "$work/venv/bin/python" "$work/clients.py" "$work/port"
