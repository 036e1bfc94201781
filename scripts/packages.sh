#!/usr/bin/env bash
# Installs Debian packages that tests need and that are missing: packages.sh NAME…
# Known names: postgresql, chromium, gcc, shellcheck. Without root or apt-get it says what is
# missing and succeeds: whatever needs the package skips, and says so.
set -euo pipefail

present() {
	case $1 in
	postgresql) compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null ;;
	*) command -v "$1" >/dev/null ;;
	esac
}

missing=()
for name; do
	present "$name" || missing+=("$name")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "missing: ${missing[*]}. To run everything: sudo apt-get install ${missing[*]}" >&2
	exit 0
fi

wanted=()
for name in "${missing[@]}"; do
	case $name in
	chromium) wanted+=(chromium fonts-liberation) ;; # text without a font has no size
	gcc) wanted+=(gcc libc6-dev) ;;
	*) wanted+=("$name") ;;
	esac
done
export DEBIAN_FRONTEND=noninteractive
echo "installing ${wanted[*]}"
if ! { apt-get -q update && apt-get -q install -y --no-install-recommends "${wanted[@]}"; } >&2 </dev/null; then
	echo "could not install ${wanted[*]}: whatever needs them is skipped" >&2
fi
