#!/usr/bin/env bash
# The front end's steps: web.sh install|build|test|lint|e2e|generate
#
# Installs web/node_modules first, unless it is what web/package-lock.json says. Exit 75: there is
# no Node, or one that is too old, and nothing was done.
set -euo pipefail
cd "$(dirname "$0")/../web"

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
	echo "no Node: the front end's $1 is skipped (Node 20.19 or newer is needed)" >&2
	exit 75
fi
if ! node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)'; then
	echo "Node $(node --version) is too old: the front end's $1 is skipped (20.19 or newer is needed)" >&2
	exit 75
fi

install() {
	local stamp=node_modules/.lumela-lock lock
	lock=$(sha256sum package-lock.json)
	[ "$(cat "$stamp" 2>/dev/null)" != "$lock" ] || return 0
	PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --no-audit --no-fund --prefer-offline
	echo "$lock" >"$stamp"
}

# stale: something that the built pages are made of is newer than they are.
stale() {
	[ -f dist/index.html ] || return 0
	[ -n "$(find src public index.html ./*.ts ./*.json node_modules/.lumela-lock -newer dist/index.html -print -quit)" ]
}

install
case $1 in
install) ;;
build)
	if stale; then
		npm run build
		touch dist/.gitkeep # the build empties the folder, and Go embeds it even unbuilt
	fi
	;;
test | lint | generate)
	npm run "$1"
	;;
e2e)
	if ! [ -x /usr/bin/chromium ]; then
		echo "no /usr/bin/chromium: the tests in a browser are skipped" >&2
		exit 75
	fi
	npm run e2e
	;;
*)
	echo "usage: $0 install|build|test|lint|e2e|generate" >&2
	exit 2
	;;
esac
