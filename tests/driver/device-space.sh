#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 120
#
# An image on a full block device.  The space of a discarded range can be used
# at once, and so can the space by which the device is extended while the disk
# is served.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

truncate -s 64M "$WORK/disk"
loop=$(losetup --show -f "$WORK/disk")
cleanup "losetup -d $loop"
volume=/dev/mapper/volume-$$
dmsetup create --noudevsync "volume-$$" \
	--table "0 $((24 * 2048)) linear $loop 0"
dmsetup mknodes
cleanup "dmsetup remove --retry --noudevsync volume-$$"
qemu-img create -q -f qcow2 "$volume" 64M

# put FIRST COUNT: random MiB
put()
{
	dd if=/dev/urandom of="$DEV" bs=1M seek="$1" count="$2" oflag=direct \
		status=none
}

add "$volume"
! put 0 40 2>"$WORK/dd.err" || fail "40 MiB fit into 24"
grep -q 'No space left' "$WORK/dd.err" ||
	fail "a full device is: $(cat "$WORK/dd.err")"
blkdiscard -o 0 -l 4M "$DEV"
put 0 4 || fail "the space of the discarded range is not there"
dmsetup suspend --noudevsync --nolockfs "volume-$$"
dmsetup load "volume-$$" --table "0 $((60 * 2048)) linear $loop 0"
dmsetup resume --noudevsync "volume-$$"
put 30 8 || fail "a larger device is not seen"
kill_and_recover
put 40 8 || fail "a larger device is not seen after a recovery"
del
check_image "$volume"
