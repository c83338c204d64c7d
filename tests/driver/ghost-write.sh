#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 500
#
# A write that the dead server had under way must not land over a newer one.
#
# The image lies on a disk with two paths (dm-multipath).  The first path holds
# writes back until it is told to let them go.  The server dies with a write
# under way on that path.  Then the path is taken out: so its successor's writes
# could overtake the old one.
#
# Each of the two fences must do alone: with one fence, the successor waits for
# the old write, and the disk has the last acknowledged write in the end.
# Without a fence the successor does not wait, and stale data must show:
# otherwise this test would prove nothing.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

: "${UBLK_QCOW2_FAULTY:?}"
HELD=600		# seconds: for ever

byte_on_disk()
{
	dd if="$1" bs=4096 count=1 iflag=direct status=none |
		od -An -tx1 -N1 | tr -d ' \n'
}

write_byte()
{
	head -c 4096 /dev/zero | tr '\0' "\\$1" >"$WORK/block$1"
	dd if="$WORK/block$1" of="$DEV" bs=4096 count=1 oflag=direct \
		conv=notrunc status=none
}

make_disk()
{
	local sectors mp

	sectors=$(blockdev --getsz "$LOOP")
	dmsetup create --noudevsync "slow-$$" \
		--table "0 $sectors delay $LOOP 0 0 $LOOP 0 ${HELD}000"
	dmsetup create --noudevsync "fast-$$" \
		--table "0 $sectors linear $LOOP 0"
	dmsetup mknodes
	mp="0 $sectors multipath 2 queue_mode bio 0 2 1"
	mp+=" round-robin 0 1 0 /dev/mapper/slow-$$"
	mp+=" round-robin 0 1 0 /dev/mapper/fast-$$"
	dmsetup create --noudevsync "ghost-$$" --table "$mp"
	dmsetup mknodes
}

# The kernel lets go of a file system that was mounted in a dead server's name
# space, too, a moment after the last file is closed: hence --retry.
remove_disk()
{
	umount "$WORK/mnt"
	dmsetup remove --retry --noudevsync "ghost-$$"
	dmsetup remove --retry --noudevsync "slow-$$"
	dmsetup remove --retry --noudevsync "fast-$$"
}

path_number()
{
	dmsetup info -c --noheadings -o major,minor --separator : \
		"/dev/mapper/$1-$$"
}

use_path()
{
	local other=slow

	[[ $1 == fast ]] || other=fast
	dmsetup message "ghost-$$" 0 "reinstate_path $(path_number "$1")"
	dmsetup message "ghost-$$" 0 "fail_path $(path_number "$other")"
}

# How many writes the slow path holds back.
held()
{
	local writes

	read -r _ _ _ _ writes _ < <(dmsetup status "slow-$$")
	echo "$writes"
}

# A dm-delay that is suspended lets everything go.
let_go()
{
	dmsetup suspend --noudevsync "slow-$$"
	dmsetup resume --noudevsync "slow-$$"
	[[ $(held) == 0 ]] || fail "still held back: $(held) writes"
}

# Writes that are held back would hold up the cleanup.
fail()
{
	echo "FAILED: $*"
	dmsetup suspend --noudevsync "slow-$$" 2>/dev/null || true
	dmsetup resume --noudevsync "slow-$$" 2>/dev/null || true
	exit 1
}

# Waits until the I/O on the disk of two paths has ended.  A checkpoint on the
# slow path would keep the process from being reaped, and that is a fence which
# this test does not mean.
wait_idle()
{
	local end=$((SECONDS + 120)) before='' now stat

	stat=/sys/dev/block/$(path_number ghost)/stat
	until now=$(<"$stat"); [[ $now == "$before" ]]; do
		((SECONDS <= end)) || fail "the disk is never idle"
		before=$now
		sleep 2
	done
}

# Dies with a write of aa under way.
die_writing()
{
	use_path slow
	write_byte 252 &
	writer=$!
	until [[ $(held) -gt 0 ]]; do sleep 0.1; done
	use_path fast
	kill_server
}

# With fences no server takes over, for much longer than it takes without them.
expect_waiting()
{
	sleep $((5 + 3 * TAKES))
	[[ $(listed recoveries) == "$1" ]] ||
		fail "the successor did not wait for the old write"
}

# FOUND is the byte on the disk in the end: aa is the ghost, bb is right.
haunt()
{
	local fault=$1 before start

	make_disk
	use_path fast
	# The file system's journal notes the time of the server's write.  It
	# must not do so at a moment of its own choice: the successor would
	# wait for that, too.
	mount -o commit=3600 "/dev/mapper/ghost-$$" "$WORK/mnt"
	rm -f "$WORK/mnt/image.qcow2"
	qemu-img create -q -f qcow2 "$WORK/mnt/image.qcow2" 64M
	UBLK_QCOW2_FAULT=$fault add "$WORK/mnt/image.qcow2"
	write_byte 021			# now the cluster is there
	sync "$DEV"			# and its table
	sync -f "$WORK/mnt"
	dd if="$DEV" of=/dev/null bs=4096 count=1 iflag=direct status=none
	wait_idle
	before=$(listed recoveries)
	die_writing
	start=$SECONDS
	if [[ $fault == *,* ]]; then
		listed_becomes recoveries $((before + 1)) 60
		TAKES=$((SECONDS - start))
		wait "$writer" || fail "the client saw an error"
		write_byte 273
		let_go
	else
		expect_waiting "$before"
		let_go
		listed_becomes recoveries $((before + 1)) 60
		wait "$writer" || fail "the client saw an error"
		write_byte 273
	fi
	FOUND=$(byte_on_disk "$DEV")
	del
	remove_disk
	note "without ${fault:-nothing}: $FOUND"
}

modules dm-delay dm-multipath dm-round-robin
truncate -s 1G "$WORK/backing"
LOOP=$(losetup --show --direct-io=on -f "$WORK/backing")
cleanup "losetup -d $LOOP"
cleanup "remove_disk 2>/dev/null"
# Only the server's writes may be held back.  So the file system leaves none
# for the kernel to do later.
mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "$LOOP"
mkdir "$WORK/mnt"

# First, to learn how long a recovery takes here.
healthy=$UBLK_QCOW2
UBLK_QCOW2=$UBLK_QCOW2_FAULTY
haunt no-fence-lock,no-fence-ring
[[ $FOUND == aa ]] || fail "found $FOUND without fences: nothing is proven"
haunt no-fence-lock
[[ $FOUND == bb ]] || fail "found $FOUND with the ring's fence alone"
haunt no-fence-ring
[[ $FOUND == bb ]] || fail "found $FOUND with the lock's fence alone"
UBLK_QCOW2=$healthy
haunt ""
[[ $FOUND == bb ]] || fail "found $FOUND"
