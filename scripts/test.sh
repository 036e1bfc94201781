#!/usr/bin/env bash
# Every test: Go, the modules under test/ that use Lumela from outside, the front end, and the
# program in a browser. bin/lumela must have been built.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/phases.sh

export NO_COLOR=1
rm -rf .tools/log
read -ra flags <<<"${LUMELA_TEST_FLAGS:-}" # more flags for go test, such as -count=1
scripts/packages.sh postgresql chromium

phase 'go vet' go vet ./...
phase 'web: unit tests' scripts/web.sh test
phase 'go test' scripts/go-test.sh test -timeout=9m "${flags[@]}" ./...
for module in test/*/go.mod; do
	[ -f "$module" ] || continue
	module=$(dirname "$module")
	# They run the program, which the cache of test results does not know.
	phase "go test in $module" scripts/go-test.sh "$(basename "$module")" -C "$module" -timeout=9m -count=1 "${flags[@]}" ./...
done
phase 'web: tests in a browser' scripts/web.sh e2e

go_test_summary
phases_end
