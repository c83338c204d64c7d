#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The calls that a queue makes for each I/O cost no more instructions than
# agreed.  They do not cost many fewer, either, or the figures would be of no
# use.  A commit that changes a figure gives the reason.
set -euo pipefail

ALLOWED=5			# per cent more, or less
CALLS=512			# of each kind, in instructions.c
declare -A AGREED=([read]=746 [write]=1026 [fresh]=3046)

program=$PWD/engine/instructions
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Prints the instructions of all calls from a function.
counted()
{
	sed -n "s/^ *\([0-9,]*\) .*:measure_$1\b.*/\1/p" "$work/table" |
		head -n 1 | tr -d ,
}

valgrind --tool=callgrind --callgrind-out-file="$work/out" \
	--toggle-collect='measure_*' "$program" >"$work/log" 2>&1 ||
	{ cat "$work/log"; exit 1; }
callgrind_annotate --inclusive=yes --threshold=100 "$work/out" >"$work/table"

status=0
for call in read write fresh; do
	sum=$(counted "$call")
	[[ -n $sum ]] || { cat "$work/table"; exit 1; }
	each=$((sum / CALLS)) agreed=${AGREED[$call]}
	echo "$call: $each instructions, $agreed agreed"
	((each * 100 <= agreed * (100 + ALLOWED) &&
		each * 100 >= agreed * (100 - ALLOWED))) || status=1
done
exit "$status"
