#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 480
# processors: 2
#
# --cache writeback, --read-only, several queues, small depth: all survive.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

survive()
{
	local image

	image=$(image "mode$RANDOM.qcow2" 512M)
	add "$image" "$@"
	start_load --depth 16 --mix 60,30,5,5 --max-blocks 8 \
		--discard-align 64K --ledger "$WORK/ledger"
	storm 4
	stop_load
	del
	check_image "$image"
	rm "$WORK/ledger"
	note "$*: good"
}

survive --cache writeback
survive -q 2
survive -q 2 --cache writeback
survive -d 2
survive -d 1

image=$(image ro.qcow2 64M)
qemu-io -c 'write -P 5 1M 64k' "$image" >/dev/null
before=$(sha256sum <"$image")
add "$image" --read-only
[[ $(blockdev --getro "$DEV") == 1 ]] || fail "not read-only"
! dd if=/dev/zero of="$DEV" bs=4096 count=1 oflag=direct 2>/dev/null ||
	fail "could write"
kill_and_recover
cmp -n 65536 -i 1048576:0 "$DEV" \
	<(head -c 65536 /dev/zero | tr '\0' '\5') || fail "wrong data"
del
[[ $(sha256sum <"$image") == "$before" ]] || fail "changed"
