#!/usr/bin/env bash
# Everything that judges the code without running it.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/phases.sh

for script in scripts/*.sh .ci/run; do
	bash -n "$script"
done
if command -v shellcheck >/dev/null; then
	phase shellcheck shellcheck --external-sources scripts/*.sh .ci/run
else
	echo "no shellcheck: the scripts are only parsed"
fi
phase 'references to the specifications' go run ./internal/tool/specrefs -check
phase 'generated messages' go run ./internal/tool/ocppgen -schemas "${LUMELA_SHARED:-../shared}/ocpp-schemas" -check
phase 'web: lint' scripts/web.sh lint
phase 'build golangci-lint' scripts/tool.sh golangci-lint
if [ -x .tools/golangci-lint ]; then
	phase golangci-lint .tools/golangci-lint run ./...
	for module in test/*/go.mod; do
		[ -f "$module" ] || continue
		phase "go vet in $(dirname "$module")" go -C "$(dirname "$module")" vet ./...
	done
fi
phases_end
