#!/bin/sh
# A private PostgreSQL server for tests, on a unix socket only.
#
#   test-postgres.sh [start] [--no-fsync] [DIR]   start it unless it runs; print its URL
#   test-postgres.sh stop [DIR]                   stop it and remove its files
#
# DIR defaults to one per user under ${TMPDIR:-/tmp}. Run as root the server belongs to
# the user postgres, because PostgreSQL refuses root. Exit 3: no PostgreSQL installed.
set -eu

command=start fsync=on dir=
for arg; do
	case $arg in
	start | stop) command=$arg ;;
	--no-fsync) fsync=off ;;
	-*) echo "usage: $0 [start|stop] [--no-fsync] [DIR]" >&2; exit 2 ;;
	*) dir=$arg ;;
	esac
done
dir=${dir:-${TMPDIR:-/tmp}/lumela-test-postgres-$(id -u)}

bin=
for b in /usr/lib/postgresql/*/bin; do
	[ -x "$b/initdb" ] && bin=$b
done
[ -n "$bin" ] || { echo "no PostgreSQL server under /usr/lib/postgresql" >&2; exit 3; }

as_server() {
	if [ "$(id -u)" = 0 ]; then
		setpriv --reuid=postgres --regid=postgres --init-groups env HOME=/ "$@"
	else
		"$@"
	fi
}

if [ "$command" = stop ]; then
	[ -d "$dir" ] || exit 0
	(cd / && as_server "$bin/pg_ctl" -D "$dir/data" -m immediate -w stop >/dev/null 2>&1) || true
	rm -rf "$dir" "$dir.lock" "$dir.log"
	exit 0
fi

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
exec 9>"$dir.lock"
flock 9 # two starts at once: the second finds the first one's server
[ "$(id -u)" != 0 ] || chown postgres "$dir"
chmod 700 "$dir"
cd /
if [ ! -f "$dir/data/PG_VERSION" ]; then
	as_server "$bin/initdb" -D "$dir/data" -U postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 >"$dir.log" 2>&1 9>&- ||
		{ cat "$dir.log" >&2; exit 1; }
fi
if ! as_server "$bin/pg_ctl" -D "$dir/data" status >/dev/null 2>&1 9>&-; then
	as_server "$bin/pg_ctl" -D "$dir/data" -w -l "$dir/log" -o "-c listen_addresses= -c unix_socket_directories=$dir \
		-c fsync=$fsync -c max_connections=500 -c max_wal_size=4GB -c autovacuum_naptime=10min -c deadlock_timeout=50ms" start >"$dir.log" 2>&1 9>&- ||
		{ cat "$dir.log" "$dir/log" >&2; exit 1; }
fi
rm -f "$dir.log"
echo "postgres:///postgres?host=$dir&user=postgres"
