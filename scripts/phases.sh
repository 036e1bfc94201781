# shellcheck shell=bash
# Sourced by scripts that run several steps: each step is timed, all of them run, and the end says
# what became of each.
#
#   phase NAME COMMAND…   run a step; exit 75 of the command means "skipped", and it said why
#   go_test_summary       print the last line of every log that scripts/go-test.sh left
#   phases_end            print the table; fail if a step failed, and under CI also if one was skipped
#
# A step is a command of its own, not a function: errexit does not hold inside a function whose
# status is looked at.

phases_lines=()
phases_failed=0

phase() {
	local name=$1 start=$SECONDS rc=0 outcome
	shift
	printf '\n==> %s %s\n' "$(date -u +%H:%M:%SZ)" "$name"
	"$@" </dev/null || rc=$?
	case $rc in
	0) outcome=ok ;;
	75)
		outcome=skipped
		[ -z "${CI:-}" ] || phases_failed=1
		;;
	*)
		outcome="FAILED ($rc)"
		phases_failed=1
		;;
	esac
	phases_lines+=("$(printf '%-12s %5ds  %s' "$outcome" "$((SECONDS - start))" "$name")")
	return 0
}

go_test_summary() {
	local log
	printf '\n==> Go test summary\n'
	for log in .tools/log/*.log; do
		[ -f "$log" ] || continue
		printf '%-12s %s\n' "$(basename "$log" .log)" "$(grep '^DONE ' "$log" | tail -n 1 | grep . || echo 'did not run to its end')"
	done
}

phases_end() {
	printf '\n==> %s steps\n' "$(date -u +%H:%M:%SZ)"
	printf '%s\n' "${phases_lines[@]}"
	printf '%-12s %5ds  %s\n' "$([ $phases_failed = 0 ] && echo ok || echo FAILED)" "$SECONDS" all
	return $phases_failed
}
