#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 600
#
# `commit` comes to its end although the server is killed each second, and no
# server lives long enough for a tenth of the merge.  No merged byte is
# merged again, unless the disk's users have written to it.  No acknowledged
# write is lost.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

image=$(image disk.qcow2 128M)
overlay=$WORK/top.qcow2
add "$image" --name disk
"$UBLK_QCOW2" snapshot "$DEV" "$overlay" || fail snapshot
dd if=/dev/urandom of="$DEV" bs=1M seek=64 count=60 oflag=direct status=none
dd if="$DEV" of="$WORK/bytes" bs=1M skip=64 count=60 iflag=direct status=none
start_load --depth 4 --size 4M --mix '60,20,10,10' --discard-align 64K \
	--ledger "$WORK/ledger"

# merged: how much of it, in thousandths
merged()
{
	sed -n 's/^merge_done //p' "/run/ublk-qcow2/${DEV#/dev/ublkb}.disk"
}

# A second at this rate is less than a tenth of it.
"$UBLK_QCOW2" commit "$DEV" --bandwidth 5M >"$WORK/out" 2>&1 &
command=$!
kills=0
while kill -0 "$command" 2>/dev/null; do
	sleep 1
	((++kills <= 200)) || fail "not merged after $kills kills"
	kill_server 2>/dev/null || true
	wait_live
	note "kill $kills: $(merged) thousandths"
done
wait "$command" || fail "commit: $(cat "$WORK/out")"
((kills > 8)) || fail "only $kills kills: that proves nothing"
[[ $(listed image) == "$image" ]] || fail "list: $(listed image)"
rm "$overlay"
kill_and_recover
stop_load
dd if="$DEV" bs=1M skip=64 count=60 iflag=direct status=none |
	cmp - "$WORK/bytes" || fail "other bytes"
del
check_image "$image"
check_with_qemu "$image" "$WORK/ledger"

note "a merge that is given up is not gone on with"
add "$image" --name disk
"$UBLK_QCOW2" snapshot "$DEV" "$overlay" || fail snapshot
dd if=/dev/zero of="$DEV" bs=1M seek=64 count=60 oflag=direct status=none
"$UBLK_QCOW2" commit "$DEV" --bandwidth 20M >"$WORK/out" 2>&1 &
command=$!
sleep 2
"$UBLK_QCOW2" commit --cancel "$DEV" || fail cancel
! wait "$command" || fail "the command does not notice"
dd if="$WORK/bytes" of="$DEV" bs=1M seek=64 count=60 oflag=direct status=none
"$UBLK_QCOW2" commit "$DEV" || fail commit
del
qemu-img convert -O raw "$image" "$WORK/raw"
dd if="$WORK/raw" bs=1M skip=64 count=60 status=none |
	cmp - "$WORK/bytes" || fail "other bytes"
check_image "$image"
