#!/usr/bin/env bash
# Writes everything that is generated: the messages, the tables, the reference pages, the API's
# description and the front end's types of it.
#
#   generate.sh           write
#   generate.sh --check   write, list the files that changed, and fail if there is one
#
# The official schemas and appendices are read from ../shared, or from the folder that LUMELA_SHARED
# names. Without them, what is made from them stays as it is.
set -euo pipefail
cd "$(dirname "$0")/.."

# snapshot: the working tree as a git tree, whether committed or not.
snapshot() {
	cp "$(git rev-parse --git-path index)" "$scratch/index"
	GIT_INDEX_FILE=$scratch/index git add -A
	GIT_INDEX_FILE=$scratch/index git write-tree
}

generate() {
	local shared=${LUMELA_SHARED:-../shared}
	if [ -d "$shared/ocpp-schemas" ]; then
		go run ./internal/tool/ocppgen -schemas "$shared/ocpp-schemas"
	else
		echo "no $shared/ocpp-schemas: the messages stay as they are"
	fi
	if [ -d "$shared/ocpp-appendices" ]; then
		go run ./internal/tool/devicemodelgen
	else
		echo "no $shared/ocpp-appendices: the device model stays as it is"
	fi
	go run ./internal/tool/translategen
	go run ./internal/tool/devicemodelgen -docs
	go run ./internal/tool/translategen -docs
	go run ./cmd/lumela openapi >"$scratch/openapi.json" # whole or not at all
	cp "$scratch/openapi.json" web/openapi.json
	local rc=0
	scripts/web.sh generate || rc=$?
	[ $rc = 0 ] || [ $rc = 75 ] || return 1
	go run ./internal/tool/specrefs
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if [ "${1:-}" != --check ]; then
	generate
	exit
fi

before=$(snapshot)
generate
after=$(snapshot)
if ! git diff --exit-code --stat "$before" "$after"; then
	git diff --unified=1 "$before" "$after" | head -n 100
	echo "generated files are not what the generators write: run make generate and commit the result" >&2
	exit 1
fi
echo "generated files are what the generators write"
