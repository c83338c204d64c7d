#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 240
# processors: 2
#
# Every tag of the queue is with the server when it dies.  Kernel 6.12 then
# notices by a timeout only, which must be a short one.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

modules dm-delay
truncate -s 2G "$WORK/backing"
loop=$(losetup --show -f "$WORK/backing")
cleanup "losetup -d $loop"
sectors=$(blockdev --getsz "$loop")
dmsetup create --noudevsync slow-$$ --table "0 $sectors delay $loop 0 0"
dmsetup mknodes "slow-$$"
cleanup "dmsetup remove --retry --noudevsync slow-$$"
mkfs.ext4 -q "/dev/mapper/slow-$$"
mkdir "$WORK/mnt"
mount "/dev/mapper/slow-$$" "$WORK/mnt"
cleanup "umount $WORK/mnt"
qemu-img create -q -f qcow2 "$WORK/mnt/image.qcow2" 1G

add "$WORK/mnt/image.qcow2" -d 8
start_load --depth 32

# Requests under way must not count.  From the kill on the disk is fast again,
# and with that the dead server's requests end.
slowly()
{
	dmsetup suspend --noudevsync --nolockfs "slow-$$"
	dmsetup load "slow-$$" --table "0 $sectors delay $loop 0 $1"
	dmsetup resume --noudevsync "slow-$$"
}

for _ in 1 2 3; do
	slowly 5000
	until [[ $(under_way) -ge 8 ]]; do sleep 0.05; done
	sleep 2
	before=$(listed recoveries)
	start=${EPOCHREALTIME/./}
	kill_server
	slowly 0
	listed_becomes recoveries $((before + 1)) 60
	ms=$(((${EPOCHREALTIME/./} - start) / 1000))
	note "recovered after $ms ms"
	# 31 s with the kernel's default; and a slow machine needs time, too.
	((ms < 25000)) || fail "a full queue took $ms ms to recover"
done
stop_load
del
check_image "$WORK/mnt/image.qcow2"
