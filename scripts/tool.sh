#!/usr/bin/env bash
# Builds a tool of tools/go.mod into .tools unless it is there, and prints its path.
#
#   scripts/tool.sh golangci-lint
set -euo pipefail
cd "$(dirname "$0")/.."

name=$1
mkdir -p .tools
out=$PWD/.tools/$name
key=$(cat tools/go.mod tools/go.sum <(go env GOVERSION GOOS GOARCH) | sha256sum)
if [ ! -x "$out" ] || [ "$(cat "$out.key" 2>/dev/null)" != "$key" ]; then
	package=$(go -C tools list tool | grep "/$name\$")
	echo "building $name (once)" >&2
	go -C tools build -buildvcs=false -ldflags '-s -w' -o "$out" "$package" >&2
	echo "$key" >"$out.key"
fi
echo "$out"
