# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The verdicts of tests/check: each is told at once, and counted; the last lines
# name the slowest tests and those that failed.

PASSED=0 FAILED=0 SKIPPED=0
FAILURES=()			# names
TIMES=()			# "SECONDS NAME" of each


# count VERDICT NAME
count()
{
	case $1 in
	ok*) PASSED=$((PASSED + 1)) ;;
	skipped*) SKIPPED=$((SKIPPED + 1)) ;;
	*)
		FAILED=$((FAILED + 1))
		FAILURES+=("$2")
		;;
	esac
}

# tell NAME VERDICT SECONDS [LOG]: in one piece, for several may do so at once.
tell()
{
	local color=$GREEN text

	[[ $2 != FAILED* ]] || color=$RED
	[[ $2 != skipped* ]] || color=$BOLD
	printf -v text '%-40s %s  %d s' "$1" "$color$2$PLAIN" "$3"
	[[ $2 != FAILED* || -z ${4:-} ]] ||
		text+=$'\n'$(tail -n 30 "$4" | sed 's/^/    /')
	echo "$text"
}

# result NAME VERDICT SECONDS [LOG]
result()
{
	tell "$@"
	count "$2" "$1"
	TIMES+=("$3 $1")
}

tell_slowest()
{
	[[ ${#TIMES[@]} -gt 20 ]] || return 0
	echo "the ten slowest:"
	printf '%s\n' "${TIMES[@]}" | sort -rn | head -n 10 |
		awk '{ printf "  %5d s  %s\n", $1, $2 }'
}

# Once more at the end, for they may be far above.
tell_failures()
{
	[[ $FAILED == 0 ]] || printf 'failed: %s\n' "${FAILURES[@]}"
}
