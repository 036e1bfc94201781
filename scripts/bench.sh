#!/usr/bin/env bash
# Prints figures: every Go benchmark, and the measured runs of internal/tool/bench.
# LUMELA_BENCHTIME is how long each benchmark runs (go test -benchtime), 0.3s by default.
set -euo pipefail
cd "$(dirname "$0")/.."

mapfile -t packages < <(git grep -lE '^func Benchmark' -- '*_test.go' ':!test' | xargs -r -n1 dirname | sort -u | sed 's|^|./|')
if [ ${#packages[@]} -gt 0 ]; then
	go test -run '^$' -bench . -benchmem -benchtime "${LUMELA_BENCHTIME:-0.3s}" -timeout 30m "${packages[@]}"
fi
if [ -d internal/tool/bench ]; then
	go run ./internal/tool/bench
fi
