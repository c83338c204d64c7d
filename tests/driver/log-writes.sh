#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 300
#
# Loss of power below ext4 and xfs.  dm-log-writes keeps a log of all writes of
# the image's file system, so the test makes the disk again as it was after one of
# its flushes, or when a flush of the client had just ended.  There the file
# system mounts.  The image has no corruption, and it has each write that the
# client had flushed by then.  The disk is served again, and `check` repairs the
# leaks that the loss has left.  TEST_EFFORT=50 judges every flush.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

ROUNDS=8	# of a load and a flush
# Of the flushes, and of the marks, on each file system.
SAMPLES=$((4 * ${TEST_EFFORT:-1}))

REPLAY=$PROGRAMS/load/replay
JUDGED=0 CHECKED=0 CHOSEN=0

# An empty file system on a disk that is watched.
watch_disk()
{
	local type=$1 disk log

	truncate -s 400M "$WORK/disk" "$WORK/log"
	"mkfs.$type" -q "$WORK/disk"
	cp --sparse=always "$WORK/disk" "$WORK/again"
	disk=$(losetup --show -f "$WORK/disk")
	log=$(losetup --show -f "$WORK/log")
	cleanup "losetup -d $disk $log 2>/dev/null"
	dmsetup create --noudevsync "watched-$$" --table \
		"0 $(blockdev --getsz "$disk") log-writes $disk $log"
	dmsetup mknodes
	cleanup "dmsetup remove --retry --noudevsync watched-$$ 2>/dev/null"
	mount "/dev/mapper/watched-$$" "$WORK/host"
	cleanup "umount $WORK/host 2>/dev/null"
	LOOPS="$disk $log"
}

watch_ends()
{
	umount "$WORK/host"
	dmsetup remove --retry --noudevsync "watched-$$"
	# shellcheck disable=SC2086  # several
	losetup -d $LOOPS
}

# A round's writes are flushed, and then the log gets a mark.
write_round()
{
	"$LOAD" --ledger "$WORK/ledger" --seed 7 --size 16M --depth 8 \
		--ops 60 --fsync-every 15 --mix 80,0,10,10 \
		--discard-align 64K "$DEV" >>"$WORK/load.out"
	sync "$DEV"
	dmsetup message "watched-$$" 0 mark "$1"
	cp "$WORK/ledger" "$WORK/ledger.$1"
}

write_and_die()
{
	local round

	rm -f "$WORK"/ledger*
	add "$(image "host/disk.qcow2" 32M)"
	for ((round = 0; round < ROUNDS; round++)); do
		write_round $round
		[[ $round != 3 ]] || kill_and_recover
	done
	del
}

# Flushes after the first mark, and marks, each evenly spread: "ENTRY ROUND", with
# the round whose mark came last.  At a mark, the disk has just been flushed.  No
# entry is given twice, so there may be fewer than SAMPLES of a kind.
samples()
{
	"$REPLAY" "$WORK/log" | awk -v samples=$SAMPLES '
		$1 == "mark" && $3 ~ /^[0-9]+$/ {
			round = $3
			begun = 1
			marks[m++] = $2 " " round
		}
		$1 == "flush" && begun { seen[n++] = $2 " " round }
		END {
			for (i = 1; i <= samples; i++) {
				print seen[int((n - 1) * i / samples)]
				print marks[int((m - 1) * i / samples)]
			}
		}' | sort -nu
}

# The image as it was then is in $WORK/then.
judge()
{
	local image=$WORK/then/disk.qcow2 ledger=$WORK/ledger.$1 status=0 later

	later=$WORK/ledger.$(($1 + 1))
	[[ -e $later ]] || later=$WORK/ledger
	qemu-img check -q "$image" >"$WORK/out" 2>&1 || status=$?
	[[ $status == 0 || $status == 3 ]] ||
		fail "qemu-img check: $(cat "$WORK/out")"
	# It is the same boot, so the journal is missed.
	add --force "$image"
	"$LOAD" --verify-only --touched-only --ledger "$ledger" \
		--later "$later" "$DEV" >"$WORK/verified" ||
		fail "not all that was flushed in round $1 is there"
	CHECKED=$((CHECKED + $(sed -n 's/.*checked=\([0-9]*\).*/\1/p' \
		"$WORK/verified")))
	del
	"$UBLK_QCOW2" check -r leaks "$image" >"$WORK/out" 2>&1 ||
		fail "check: $(cat "$WORK/out")"
	check_image "$image"
}

# judge_entry ENTRY ROUND: the disk as it was after that entry of the log.
judge_entry()
{
	"$REPLAY" "$WORK/log" "$WORK/again" "$DONE" $(($1 + 1))
	DONE=$(($1 + 1))
	cp --sparse=always "$WORK/again" "$WORK/copy"
	mount -o loop,nouuid "$WORK/copy" "$WORK/then" 2>/dev/null ||
		mount -o loop "$WORK/copy" "$WORK/then" ||
		fail "the file system does not mount"
	cleanup "umount $WORK/then 2>/dev/null"
	judge "$2"
	umount "$WORK/then"
	JUDGED=$((JUDGED + 1))
}

modules dm-log-writes xfs
mkdir "$WORK/host" "$WORK/then"
for type in ext4 xfs; do
	watch_disk $type
	note "$type is watched"
	write_and_die
	watch_ends
	samples >"$WORK/samples"
	note "$("$REPLAY" "$WORK/log" | grep -c flush) flushes"
	[[ $(wc -l <"$WORK/samples") -ge 8 ]] || fail "too few flushes"
	CHOSEN=$((CHOSEN + $(wc -l <"$WORK/samples")))
	DONE=0
	while read -r entry round; do
		judge_entry "$entry" "$round"
	done <"$WORK/samples"
	rm "$WORK"/{disk,log,again,copy}
done
note "$JUDGED losses of power judged, $CHECKED flushed blocks compared"
[[ $JUDGED == "$CHOSEN" ]] || fail "only $JUDGED losses were judged"
