#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 200
#
# When `del` has ended, nothing of the disk is in use any more: the file system
# of its image is unmounted at once, and the device below it removed.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

truncate -s 256M "$WORK/backing"
LOOP=$(losetup --show --direct-io=on -f "$WORK/backing")
cleanup "losetup -d $LOOP"
cleanup "umount $WORK/mnt 2>/dev/null
	dmsetup remove --retry --noudevsync below-$$ 2>/dev/null"
mkfs.ext4 -q "$LOOP"
mkdir "$WORK/mnt"

# round OPTION...: of a disk with a backing image.
round()
{
	dmsetup create --noudevsync "below-$$" \
		--table "0 $(blockdev --getsz "$LOOP") linear $LOOP 0"
	dmsetup mknodes
	mount "/dev/mapper/below-$$" "$WORK/mnt"
	rm -f "$WORK"/mnt/*.qcow2
	qemu-img create -q -f qcow2 "$WORK/mnt/base.qcow2" 64M
	qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 \
		"$WORK/mnt/image.qcow2"
	add "$WORK/mnt/image.qcow2" "$@"
	dd if="$DEV" of=/dev/null bs=64K count=32 iflag=direct status=none
	[[ $* == *-read-only* ]] ||
		dd if=/dev/zero of="$DEV" bs=64K count=32 oflag=direct \
			conv=notrunc status=none
	! umount "$WORK/mnt" 2>/dev/null ||
		fail "the file system of a served image was unmounted"
	del
	umount "$WORK/mnt" || fail "still mounted: $*"
	dmsetup remove --noudevsync "below-$$" || fail "still in use: $*"
}

for n in 1 2 3 4; do
	round
	round --read-only
	note "round $n"
done
