#!/usr/bin/env bash
# etcd 3.4.23 (Debian 12): a lease is never shorter than 2 s, and a plain put takes a key off its lease.
#
# Guessed: `lease grant 1` gives a lease of one second; a key stays on its lease when its value
# is written again; a transaction whose comparison fails exits with an error.
# Seen: `lease grant 1`, and 0 too, give 2 s: the server takes the larger of the wish and one and a half
# election timeouts, rounded up. A later `put k v2` without the lease leaves the lease without keys: the
# key no longer expires. A failed comparison, a missing key and a deletion of nothing exit with 0.
# Matters to: whoever fences with leases. A lease of a second cannot be had by default, every write
# must name the lease again (or --ignore-lease), and exit statuses do not tell success.
# Needs: apt-get download, dpkg-deb (a Debian 12 machine of architecture amd64).
set -euo pipefail
work=$(mktemp -d)
trap 'kill "${server:-0}" 2>/dev/null || true; rm -rf "$work"' EXIT
(cd "$work" && apt-get download -qq etcd-server=3.4.23-4+b4 etcd-client=3.4.23-4+b4 &&
    for package in *.deb; do dpkg-deb -x "$package" root; done) || exit 2
port=$((20000 + RANDOM % 20000))
export ETCDCTL_API=3 ETCDCTL_ENDPOINTS=127.0.0.1:$port
ctl() { "$work/root/usr/bin/etcdctl" "$@"; }
"$work/root/usr/bin/etcd" --data-dir "$work/data" --listen-client-urls "http://127.0.0.1:$port" \
    --advertise-client-urls "http://127.0.0.1:$port" --listen-peer-urls "http://127.0.0.1:$((port + 1))" \
    --initial-advertise-peer-urls "http://127.0.0.1:$((port + 1))" \
    --initial-cluster "default=http://127.0.0.1:$((port + 1))" >"$work/log" 2>&1 &
server=$!
for _ in $(seq 100); do ctl endpoint health >/dev/null 2>&1 && break; sleep 0.1; done
ctl version | head -n 1
for wish in 1 0; do
    granted=$(ctl lease grant "$wish")
    echo "lease grant $wish: $granted"
    grep -q 'TTL(2s)' <<<"$granted" || { echo "changed: the least lease"; exit 1; }
done
lease=$(ctl lease grant 60 | awk '{print $2}')
ctl put --lease="$lease" k v1 >/dev/null
ctl lease timetolive "$lease" --keys | grep -q 'attached keys(\[k\])' || { echo "changed: attach"; exit 1; }
ctl put k v2 >/dev/null
left=$(ctl lease timetolive "$lease" --keys)
echo "after put without the lease: $left"
grep -q 'attached keys(\[\])' <<<"$left" || { echo "changed: the key stays on its lease"; exit 1; }
printf 'value("k") = "other"\n\nput k v3\n\nput k v4\n\n' | ctl txn >"$work/txn" || { echo "changed: exit status of txn"; exit 1; }
grep -q FAILURE "$work/txn" || { echo "changed: the answer of txn"; exit 1; }
ctl get missing && ctl del missing >/dev/null || { echo "changed: exit status for a missing key"; exit 1; }
echo "etcd 3.4.23: as described"
