#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 240
#
# Writes that must be durable at once (FUA), as file systems and databases make
# them.  Each is flushed before it is answered.  And the server may die at any
# moment of such a write: where the kernel itself sends a FLUSH after each of
# them, a driver of 6.12 then waits for a write that has ended, and neither the
# next server nor any command gets to the device.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

WRITES=20

checkpoints()
{
	"$UBLK_QCOW2" stat --json "$DEV" | jq '.[0].checkpoints'
}

# A write in place to a file is nothing but a write with FUA, where the disk knows
# that.  Below the file is a new overlay, so each such write makes a cluster, and
# its flush writes tables.
check_durable()
{
	local before i

	mkfs.ext4 -q -O ^has_journal "$DEV"
	mkdir "$WORK/mount"
	mount "$DEV" "$WORK/mount"
	cleanup "! mountpoint -q $WORK/mount || umount $WORK/mount"
	dd if=/dev/zero of="$WORK/mount/file" bs=64k count=$WRITES \
		conv=fsync status=none
	"$UBLK_QCOW2" snapshot "$DEV" "$WORK/over.qcow2" >"$WORK/snapshot"
	before=$(checkpoints)
	for ((i = 0; i < WRITES; i++)); do
		dd if=/dev/zero of="$WORK/mount/file" bs=4k count=1 \
			seek=$((i * 16)) oflag=direct,dsync conv=notrunc \
			status=none
	done
	[[ $(checkpoints) -ge $((before + WRITES)) ]] ||
		fail "$WRITES writes are $(($(checkpoints) - before)) checkpoints"
	umount "$WORK/mount"
}

load_and_kill()
{
	local fio

	fio --name=fua --filename="$DEV" --direct=1 --sync=dsync \
		--ioengine=libaio --iodepth=16 --rw=randwrite --bs=4k \
		--size=48m --io_size=1g --time_based --runtime="$1" \
		--verify=crc32c --do_verify=1 --output="$WORK/fio.out" &
	fio=$!
	busy
	storm 12
	wait "$fio" || { cat "$WORK/fio.out"; fail "fio"; }
}

add "$(image fua.qcow2 64M)"
[[ $(<"/sys/block/${DEV##*/}/queue/fua") == 1 ]] || fail "no FUA"
check_durable
load_and_kill 40
note "$(listed recoveries) kills"
del
check_image "$WORK/over.qcow2"
