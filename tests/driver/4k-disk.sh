#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 480
#
# The host's disk has sectors of 4096 bytes.  A guest can read and write each
# sector of 512 bytes, in an image, its data file or its backing file, beside
# data and beside holes.  For a file that cannot be written to, the message says
# the remedy.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

modules loop
truncate -s 400M "$WORK/4k.disk"
loop=$(losetup -b 4096 --direct-io=on -f --show "$WORK/4k.disk")
cleanup "losetup -d $loop"
[[ $(cat "/sys/block/$(basename "$loop")/queue/logical_block_size") == 4096 ]] ||
	fail "not a disk of 4096-byte sectors"
mkdir "$WORK/m"

# sector N: is written and read back, in one sector and in the page around.
sector()
{
	head -c 512 /dev/urandom >"$WORK/sector"
	dd if="$WORK/sector" of="$DEV" bs=512 seek="$1" oflag=direct \
		status=none || fail "$2: sector $1 cannot be written"
	dd if="$DEV" of="$WORK/read" bs=512 skip="$1" count=1 iflag=direct \
		status=none || fail "$2: sector $1 cannot be read"
	cmp "$WORK/sector" "$WORK/read" || fail "$2: sector $1"
	dd if="$DEV" of=/dev/null bs=4096 skip=$(($1 / 8)) count=1 \
		iflag=direct status=none || fail "$2: the page of $1"
}

works()
{
	add "$@"
	sector 3 "$1"
	sector 2050 "$1"
	kill_and_recover
	sector 25 "$1"
	sector 1 "$1"
	del
	check_image "$1"
	note "$1"
}

for fs in ext4 xfs; do
	if [[ $fs == xfs ]] && ! command -v mkfs.xfs >/dev/null; then
		continue
	fi
	[[ $fs == ext4 ]] && mkfs.ext4 -q -F "$loop"
	[[ $fs == xfs ]] && mkfs.xfs -q -f "$loop"
	mount "$loop" "$WORK/m"
	cleanup "umount '$WORK/m' 2>/dev/null"
	cd "$WORK/m"
	qemu-img create -q -f qcow2 a.qcow2 64M
	works "$PWD/a.qcow2"
	qemu-img create -q -f qcow2 \
		-o data_file="$PWD/data,data_file_raw=on" b.qcow2 64M
	works "$PWD/b.qcow2" --data-file "$PWD/data"
	truncate -s 64M base
	echo here | dd of=base bs=4k seek=256 conv=notrunc,sync status=none
	qemu-img create -q -f qcow2 -b base -F raw c.qcow2 64M
	works "$PWD/c.qcow2"
	qemu-img create -q -f qcow2 -o cluster_size=512 d.qcow2 16M
	works "$PWD/d.qcow2"
	cd /
	umount "$WORK/m"
done

# The device itself.
qemu-img create -q -f qcow2 "$loop" 64M
works "$loop"
blockdev --setro "$loop"
refused '--read-only' "$UBLK_QCOW2" add "$loop"
blockdev --setrw "$loop"

image=$(image fixed.qcow2 8M)
chattr +i "$image"
cleanup "chattr -i -a '$image'"
refused 'chattr -i' "$UBLK_QCOW2" add "$image"
add --read-only "$image"
del
chattr -i +a "$image"
refused 'chattr -i' "$UBLK_QCOW2" add "$image"
chattr -a "$image"
