#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Plain mapped reads and writes in place of one thread write to no cache line
# that those of another thread write to.  So queues do not slow each other down.
set -euo pipefail

program=$PWD/engine/shared-writes
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Reads a trace of all stores.  Counts the lines of 64 bytes that both threads
# have written to in the calls of a round.  Prints the fewest of any round, for
# each kind of call.  Every other turn is the second thread's.
common_lines()
{
	awk '
	function line_of(address, n) {
		n = length(address)
		return substr(address, 1, n - 2) int((index( \
			"0123456789abcdef", substr(address, n - 1, 1)) - 1) / 4)
	}
	function end_of_calls(line, common) {
		common = 0
		for (line in mine) {
			if (second)
				common += (kind, line) in other
			else
				other[kind, line]
			delete mine[line]
		}
		if (second && (!(kind in least) || common < least[kind]))
			least[kind] = common
		kind = ""
	}
	$1 == "marks" { reads = $2; writes = $3; end = $4; next }
	{ address = $2; sub(/,.*/, "", address) }
	address == reads { kind = "read"; next }
	address == writes { end_of_calls(); kind = "write"; next }
	address == end {
		end_of_calls()
		if (second)
			for (line in other)
				delete other[line]
		second = !second
		next
	}
	kind != "" { mine[line_of(address)] }
	END { for (kind in least) print kind, least[kind] }'
}

valgrind --tool=lackey --trace-mem=yes "$program" 2>&1 |
	grep -aE '^( S| M|marks) ' | common_lines >"$work/counts"

cat "$work/counts"
[[ $(sort "$work/counts") == $'read 0\nwrite 0' ]]
