# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The names of tests: all that there are, and those that tests/check was given.

# Does one of these patterns fit the name?
fits()
{
	local name=$1 pattern
	shift

	for pattern; do
		# shellcheck disable=SC2053  # a pattern
		[[ $name != $pattern ]] || return 0
	done
	return 1
}

wanted()
{
	local name

	[[ ${#NAMES[@]} -gt 0 ]] || return 0
	for name in "${NAMES[@]}"; do
		[[ $1 != ?(*/)"$name" ]] || return 0
	done
	return 1
}

# All tests, as the Makefile and the directory of the driver's have them.
all_names()
{
	local file

	sed -n 's,^\t\([a-z]*/[a-z0-9-]*\)\(\.sh\)\? \\$,\1,p' \
		"$TESTS/Makefile.am" | grep -E '^(engine|commands|hook|source)/'
	for file in "$TESTS"/driver/*.sh; do
		file=${file#"$TESTS/"}
		echo "${file%.sh}"
	done
	echo fuzz
	echo iotests
	echo mutations
}

# The files of the driver's tests to run.
driver_files()
{
	local name

	for name in "${DRIVER[@]}"; do
		echo "$TESTS/driver/$name.sh"
	done
}

# Those that share a word with the name.
near_names()
{
	local words

	words=$(tr -cs 'a-z0-9\n' '|' <<<"${1##*/}")
	grep -E "${words%|}" <<<"$2" | head -n 5 | paste -sd ' ' || true
}

check_names()
{
	local all bare name near

	all=$(all_names)
	bare=$(all_names | sed 's,.*/,,')
	for name in "${NAMES[@]}"; do
		! grep -qxF -e "$name" <<<"$all"$'\n'"$bare" || continue
		near=$(near_names "$name" "$all")
		echo "check: there is no test $name${near:+; there are: $near}" >&2
		exit 2
	done
}
