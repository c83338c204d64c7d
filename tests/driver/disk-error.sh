#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 300
#
# Errors of the host's disk reach the guest as EIO.  When they end, the guest's
# errors end, too, and all acknowledged writes are there.
#
# The image lies on the disk itself.  A file system that cannot write its tables
# would forget the places of bytes that it has acknowledged to us.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

truncate -s 1G "$WORK/backing"
loop=$(losetup --show -f "$WORK/backing")
cleanup "losetup -d $loop"
sectors=$(blockdev --getsz "$loop")
good="0 $sectors linear $loop 0"
dmsetup create --noudevsync "bad-$$" --table "$good"
dmsetup mknodes
cleanup "dmsetup remove --retry --noudevsync bad-$$"
image=/dev/mapper/bad-$$

table()
{
	dmsetup suspend --noudevsync --nolockfs "bad-$$"
	dmsetup load "bad-$$" --table "$1"
	dmsetup resume --noudevsync "bad-$$"
}

qemu-img create -q -f qcow2 "$image" 512M
add "$image"
start_load --depth 8 --size 64M --ops 3000 --ledger "$WORK/ledger"
wait "$LOAD_PID" || fail "load: $(cat "$WORK/load.err")"
LOAD_PID=
start_load --depth 8 --size 64M --tolerate-errors --ledger "$WORK/ledger" \
	--fsync-every 20
sleep 1
table "0 $sectors error"
sleep 1.5
load_meets EIO
listed_becomes kind io-error 60
table "$good"
listed_becomes trouble null 60
stop_load
[[ $(loaded error) == EIO ]] || fail "the client saw: $(loaded error)"

start_load --depth 8 --size 64M --ledger "$WORK/ledger"
sleep 1
kill_and_recover
stop_load
del
check_image "$image"
