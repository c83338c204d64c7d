#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The static tracepoints of the built program are those that trace.h lists, with
# as many arguments, and plugin/README's example uses no others.
set -euo pipefail

TOP=$(cd "${srcdir:-$(dirname "$0")/..}/.." && pwd -P)
PROGRAM=$PWD/../plugin/ublk-qcow2
STATUS=0

complain()
{
	echo "FAILED: $*"
	STATUS=1
}

# NAME ARGUMENTS for each, by the comment in trace.h: the arguments stand
# behind the first tabs, and a remark behind the next.
listed()
{
	sed -nE 's/^ \*\t([a-z_]+)\t+([^\t]*).*/\1\t\2/p' "$TOP/qcow/trace.h" |
		awk -F'\t' '{ print $1, split($2, words, ",") }' | sort
}

# The same by the notes in the program; a place may be there more than once.
built()
{
	readelf -n "$PROGRAM" | awk '
		$1 == "Provider:" { ours = $2 == "ublk_qcow2" }
		$1 == "Name:" { name = $2 }
		$1 == "Arguments:" && ours { print name, NF - 1 }
	' | sort -u
}

command -v readelf >/dev/null || { echo "readelf is missing"; exit 77; }
found=$(built)
[[ -n $found ]] || { echo "this build has no tracepoints"; exit 77; }
[[ $found == "$(listed)" ]] || {
	complain "the program has other tracepoints than trace.h:"
	diff <(listed) <(echo "$found") || true
}

# usdt:PROGRAM:ublk_qcow2:NAME, and argN behind it.
names=$(grep -oE 'usdt:[^ :]+:ublk_qcow2:[a-z_]+' "$TOP/plugin/README" |
	sed 's/.*://' | sort -u) || true
[[ -n $names ]] || complain "plugin/README has no example"
for name in $names; do
	grep -q "^$name " <<<"$found" ||
		complain "plugin/README uses $name, which is no tracepoint"
done
exit $STATUS
