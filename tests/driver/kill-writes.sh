#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 900
#
# Random 4 KiB writes into an empty image, never flushed, while the server is
# killed twenty times at each depth: every write that was acknowledged is
# there afterwards, no error was seen, and the image is flawless.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

for depth in 1 8 32; do
	image=$(image "$depth.qcow2" 4G)
	add "$image"
	start_load --depth "$depth" --seed "$depth"
	storm 20
	stop_load
	[[ $(loaded writes) -gt 100 ]] || fail "next to no writes"
	note "depth $depth: $(listed recoveries) recoveries"
	del
	check_image "$image"
	rm "$image"
done
