#!/usr/bin/env bash
# compose-go 2.4.4 (Go modules): values of `environment` that look like numbers change on their way.
#
# Guessed: the environment of a service is text, as written; and numbers are read as YAML 1.2 reads them,
# since `yes` stays `yes`.
# Seen: `010` reaches the process as 8 and `1e3` as 1000, while `yes` and `12:30` stay as they are. A
# bare number in `stop_grace_period` is refused ("must be a string").
# Matters to: whoever imports a compose file: modes, zip codes and version numbers with a leading zero are not
# what the file shows, and an importer that keeps the text differs from docker compose.
# Needs: go.
set -euo pipefail
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work"
cat >go.mod <<'MOD'
module reader

go 1.23

require github.com/compose-spec/compose-go/v2 v2.4.4
MOD
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	options, err := cli.NewProjectOptions([]string{os.Args[1]}, cli.WithName("p"))
	if err == nil {
		project, loadErr := options.LoadProject(context.Background())
		if err = loadErr; err == nil {
			values := project.Services["a"].Environment
			for _, name := range []string{"ZERO", "EXPONENT", "WORD", "CLOCK"} {
				fmt.Printf("%s=%s\n", name, *values[name])
			}
		}
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
GO
cat >numbers.yml <<'YML'
services:
  a:
    image: x
    environment: {ZERO: 010, EXPONENT: 1e3, WORD: yes, CLOCK: 12:30}
YML
printf 'services:\n  a:\n    image: x\n    stop_grace_period: 90\n' >grace.yml
export GOFLAGS=-mod=mod GOMODCACHE="$work/mod"
go build -o reader . 2>"$work/build" || { cat "$work/build"; exit 2; }
seen=$(./reader numbers.yml | tr '\n' ' ')
echo "$seen"
[ "$seen" = "ZERO=8 EXPONENT=1000 WORD=yes CLOCK=12:30 " ] || { echo "changed: the values"; exit 1; }
if ./reader grace.yml >out; then echo "changed: a bare number of seconds is accepted"; exit 1; fi
cat out
grep -q 'stop_grace_period must be a string' out || { echo "changed: the reason"; exit 1; }
