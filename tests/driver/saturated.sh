#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 120
#
# Every tag of the queue is with the server when it dies.  Kernel 6.12 then
# notices by a timeout only, which must be a short one.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

modules dm-delay
truncate -s 2G "$WORK/backing"
loop=$(losetup --show -f "$WORK/backing")
cleanup "losetup -d $loop"
sectors=$(blockdev --getsz "$loop")
dmsetup create --noudevsync slow-$$ --table "0 $sectors delay $loop 0 0"
dmsetup mknodes "slow-$$"
cleanup "dmsetup remove --noudevsync slow-$$"
mkfs.ext4 -q "/dev/mapper/slow-$$"
mkdir "$WORK/mnt"
mount "/dev/mapper/slow-$$" "$WORK/mnt"
cleanup "umount $WORK/mnt"
qemu-img create -q -f qcow2 "$WORK/mnt/image.qcow2" 1G

add "$WORK/mnt/image.qcow2" -d 8
start_load --depth 32
sleep 1
dmsetup suspend --noudevsync "slow-$$"
dmsetup load "slow-$$" --table "0 $sectors delay $loop 0 1000"
dmsetup resume --noudevsync "slow-$$"
sleep 2
for _ in 1 2 3; do
	kill -USR1 "$LOAD_PID"
	start=${EPOCHREALTIME/./}
	kill_and_recover
	ms=$(((${EPOCHREALTIME/./} - start) / 1000))
	note "recovered after $ms ms"
	((ms < 6000)) || fail "a full queue took $ms ms to recover"
	sleep 2
done
stop_load
del
check_image "$WORK/mnt/image.qcow2"
