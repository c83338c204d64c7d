#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 300
#
# An ext4 on the device lives through the server's deaths: files written
# meanwhile have the right content, e2fsck and qemu-img check find nothing.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

fill()
{
	local i

	for i in {1..12}; do
		cp -r /usr/share/common-licenses "$WORK/mnt/$i"
		head -c 1500000 "$WORK/random" >"$WORK/mnt/$i/data"
		[[ $((i % 3)) != 0 ]] || rm -r "${WORK:?}/mnt/$((i - 1))"
	done
	sync -f "$WORK/mnt"
}

image=$(image fs.qcow2 1G)
head -c 1500000 /dev/urandom >"$WORK/random"
mkdir "$WORK/mnt"
add "$image"
mkfs.ext4 -q "$DEV"
mount "$DEV" "$WORK/mnt"
cleanup "umount $WORK/mnt 2>/dev/null"
fill &
filler=$!
storm 6
wait "$filler" || fail "cannot write files"
umount "$WORK/mnt"
kill_and_recover
mount "$DEV" "$WORK/mnt"
for i in 1 3 4 6 7 9 10 12; do
	diff -r --exclude=data /usr/share/common-licenses "$WORK/mnt/$i"
	cmp "$WORK/random" "$WORK/mnt/$i/data"
done
umount "$WORK/mnt"
e2fsck -fn "$DEV" || fail "e2fsck"
dd if="$DEV" of="$WORK/raw" bs=1M iflag=direct conv=sparse status=none
truncate -s 1G "$WORK/raw"
del
check_image "$image"
qemu-img compare "$image" "$WORK/raw" || fail "qemu-img compare"
