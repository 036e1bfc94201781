#!/usr/bin/env bash
# Runs Go tests and ends with their summary: go-test.sh NAME [-C DIR] [go test flags and packages…]
#
# The whole output is kept in .tools/log/NAME.log. Unless LUMELA_TEST_POSTGRES names a server, one
# of this checkout's own is started for the tests and stopped by the last run that uses it. Its
# address stays the same from run to run, so that Go can reuse the results of what has not changed.
set -euo pipefail
cd "$(dirname "$0")/.."

root=$PWD name=$1 dir=.
shift
if [ "${1:-}" = -C ]; then
	dir=$2
	shift 2
fi
mkdir -p .tools/log
log=$root/.tools/log/$name.log
gotestsum=$(scripts/tool.sh gotestsum)

if [ -z "${LUMELA_TEST_POSTGRES:-}" ]; then
	server=${TMPDIR:-/tmp}/lumela-pg-$(id -u)-$(pwd | cksum | cut -d' ' -f1)
	exec 8>.tools/postgres.users
	flock -s 8
	# shellcheck disable=SC2317,SC2329 # called by the trap
	stop() {
		flock -n -x 8 || return 0 # another run still uses it
		"$root"/scripts/test-postgres.sh stop "$server" 8>&-
	}
	rc=0
	LUMELA_TEST_POSTGRES=$(scripts/test-postgres.sh start --no-fsync "$server" 8>&-) || rc=$?
	case $rc in
	0)
		export LUMELA_TEST_POSTGRES
		trap stop EXIT
		trap 'exit 130' INT TERM
		;;
	3) # not installed, as the script said
		unset LUMELA_TEST_POSTGRES
		[ -z "${CI:-}" ] || exit 1
		echo "the tests on PostgreSQL are skipped" >&2
		;;
	*) exit 1 ;;
	esac
fi

# On a shared machine that is slow at times a few tests of whole nodes may run out of time: there, up to three that fail are run
# once more. Both runs are in the log, and what fails twice has failed.
again=()
if [ -n "${CI:-}" ]; then
	packages=() flags=()
	for arg; do
		case $arg in
		./* | lumela/*) packages+=("$arg") ;;
		*) flags+=("$arg") ;;
		esac
	done
	again=(--rerun-fails=1 --rerun-fails-max-failures=3 "--packages=${packages[*]}")
	set -- "${flags[@]}"
fi

cd "$dir"
"$gotestsum" --format "${GOTESTSUM_FORMAT:-pkgname-and-test-fails}" --format-hide-empty-pkg "${again[@]}" -- "$@" 8>&- 2>&1 | tee "$log"
