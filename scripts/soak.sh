#!/usr/bin/env bash
# Longer tests, for LUMELA_SOAK (a duration of whole seconds, minutes or hours; 10m by default):
# half of it fuzzing, each target for its share; the other half the property tests again and again,
# each time with new random cases and more of them. Tests named TestSoak… run once and read
# LUMELA_SOAK themselves. What fuzzing finds is kept in testdata/fuzz, to be committed with the fix.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/phases.sh

export LUMELA_SOAK=${LUMELA_SOAK:-10m}
if ! [[ $LUMELA_SOAK =~ ^([0-9]+)([smh])$ ]]; then
	echo "LUMELA_SOAK=$LUMELA_SOAK: want for instance 90s, 10m or 1h" >&2
	exit 2
fi
case ${BASH_REMATCH[2]} in
s) seconds=${BASH_REMATCH[1]} ;;
m) seconds=$((BASH_REMATCH[1] * 60)) ;;
h) seconds=$((BASH_REMATCH[1] * 3600)) ;;
esac

# Lines of "folder target".
fuzz=$(git grep -oE '^func Fuzz[A-Za-z0-9_]+\(' -- '*_test.go' ':!test' |
	sed -E 's|^(.*)/[^/]+:func (Fuzz[A-Za-z0-9_]+)\($|./\1 \2|')
count=$(wc -l <<<"$fuzz")
share=$((seconds / 2 / (count > 0 ? count : 1)))
[ "$share" -ge 5 ] || share=5
while read -r folder target; do
	phase "fuzz $folder $target ${share}s" go test -run '^$' -fuzz "^$target\$" -fuzztime "${share}s" "$folder"
done <<<"$fuzz"

mapfile -t properties < <(git grep -l 'pgregory.net/rapid' -- '*_test.go' ':!test' | xargs -r -n1 dirname | sort -u | sed 's|^|./|')
end=$((SECONDS + seconds / 2)) round=0
while [ $SECONDS -lt $end ] && [ $phases_failed = 0 ]; do
	round=$((round + 1))
	phase "properties, round $round" scripts/go-test.sh soak -count=1 -timeout=60m "${properties[@]}" -rapid.checks=1000
done

mapfile -t soaks < <(git grep -lE '^func TestSoak' -- '*_test.go' ':!test' | xargs -r -n1 dirname | sort -u | sed 's|^|./|')
if [ ${#soaks[@]} -gt 0 ]; then
	# Their accounts are printed also when all is well: messages sent, answered, stored, lost, doubled.
	phase 'TestSoak…' env GOTESTSUM_FORMAT=standard-verbose scripts/go-test.sh soak-tests -count=1 -timeout=0 -run '^TestSoak' -v "${soaks[@]}"
fi
phases_end
