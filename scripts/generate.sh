#!/usr/bin/env bash
# Writes everything that is generated: the messages, the tables, the reference pages, the API's
# description and the front end's types of it.
#
#   generate.sh           write
#   generate.sh --check   write nothing, list the files that would change, and fail if there is one
#
# The official schemas and appendices are read from ../shared, or from the folder that LUMELA_SHARED
# names. Without them, what is made from them stays as it is.
set -euo pipefail
cd "$(dirname "$0")/.."

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

# The check works on a copy of the files as they stand, committed or not, and leaves them alone.
copy=$scratch/copy
mkdir "$copy"
LUMELA_SHARED=$(realpath -m "${LUMELA_SHARED:-../shared}")
export LUMELA_SHARED GIT_INDEX_FILE=$scratch/index
cp "$(git rev-parse --absolute-git-dir)/index" "$GIT_INDEX_FILE"
git add -A
before=$(git write-tree)
git archive "$before" | tar -x -C "$copy"
scripts/web.sh install || [ $? = 75 ]
[ ! -d web/node_modules ] || ln -s "$PWD/web/node_modules" "$copy/web/node_modules"
rc=0
"$copy/scripts/generate.sh" || rc=$?
rm -f "$copy/web/node_modules"
git --work-tree="$copy" add -A
after=$(git write-tree)
if ! git diff --exit-code --stat "$before" "$after"; then
	git diff --unified=1 "$before" "$after" | head -n 100
	echo "generated files are not what the generators write: run make generate and commit the result" >&2
	exit 1
fi
[ $rc = 0 ] || exit $rc
echo "generated files are what the generators write"
