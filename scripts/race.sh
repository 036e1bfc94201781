#!/usr/bin/env bash
# The race detector on the packages where things happen at once, with fewer random cases: what it
# looks for are interleavings, and it makes everything several times slower.
set -euo pipefail
cd "$(dirname "$0")/.."

mapfile -t packages < <(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./internal/... ./ocpp/ocppj ./ocpp/translate |
	grep -v /internal/tool/)
# Not those that run whole nodes as processes under attack, storms and kills, and bound their time and memory: what runs
# at once in a node is seen by the others.
export LUMELA_SIMULATION=10s
CGO_ENABLED=1 scripts/go-test.sh race -race -timeout=15m \
	-skip 'TestSiege|TestCluster|TestCrash|TestDurabilityFaults|TestFaultT26|TestFaults/C06' "${packages[@]}"
