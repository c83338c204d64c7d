#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 600
# processors: 2
#
# As kill-writes, with reads, discards, write-zeroes and writes with FUA in the
# mix, requests that cross clusters, and rewrites of the same small area.  A
# write with FUA makes a checkpoint, so one load makes none: its journal is long.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

for depth in 4 32; do
	image=$(image "$depth.qcow2" 256M)
	add "$image"
	start_load --depth "$depth" --seed "$depth" --max-blocks 40 \
		--mix 50,20,15,15 --discard-align 64K \
		--dsync-every $((depth == 32 ? 7 : 0)) \
		--ledger "$WORK/ledger$depth"
	storm 20
	stop_load
	for kind in writes reads discards zeroes; do
		[[ $(loaded $kind) -gt 20 ]] || fail "next to no $kind"
	done
	del
	check_image "$image"
	check_with_qemu "$image" "$WORK/ledger$depth"
	rm "$image"
done
