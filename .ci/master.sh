# shellcheck shell=bash
# Sourced by checks that need a running master. Sets `work`, a folder for their files, and, after
# `start_master`, `master` (its process id), `base` (the base URL of the API) and `key` (the API key).
# The end of the script stops the master and deletes the folder. OPENCTRL_BIN names another program.

work=$(mktemp -d)
master=
finish() {
    if [ -n "$master" ]; then
        kill "$master" 2>/dev/null || true
        wait "$master" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap finish EXIT

# The state is in a folder of its own. /bin/true as the runtime: whatever is created exits at once.
# shellcheck disable=SC2034  # base and key are for the script that sources this file.
start_master() {
    if [ -z "${OPENCTRL_BIN:-}" ]; then
        cargo build --locked -p openctrl
        OPENCTRL_BIN=$(cargo metadata --locked --format-version 1 --no-deps \
            | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/debug/openctrl
    fi
    "$OPENCTRL_BIN" "master://127.0.0.1:0?state=$work/state&bin=/bin/true" \
        >"$work/stdout" 2>"$work/stderr" &
    master=$!
    for _ in $(seq 300); do
        grep -q 'Master.run: started: ' "$work/stderr" && break
        kill -0 "$master" 2>/dev/null || { cat "$work/stderr" >&2; exit 1; }
        sleep 0.1
    done
    base=$(sed -n 's/.*Master.run: started: //p' "$work/stderr")
    key=$(sed -n 's/.*Master.run: API key [a-z]*: //p' "$work/stderr")
}

# Fails if the master ended or printed an error.
check_master() {
    kill -0 "$master" || { echo "the master has ended" >&2; tail "$work/stderr" >&2; exit 1; }
    if grep -iE 'panic|error:' "$work/stderr"; then
        echo "the master printed an error" >&2
        exit 1
    fi
}
