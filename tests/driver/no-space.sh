#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 120
#
# A full host file system is the guest's ENOSPC, for as long as it lasts; it
# harms neither the image nor what was acknowledged.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

truncate -s 64M "$WORK/backing"
mkfs.ext4 -q -m 0 "$WORK/backing"
mkdir "$WORK/mnt"
mount -o loop "$WORK/backing" "$WORK/mnt"
cleanup "umount $WORK/mnt"
head -c 24M /dev/urandom >"$WORK/mnt/ballast"
qemu-img create -q -f qcow2 "$WORK/mnt/image.qcow2" 1G

add "$WORK/mnt/image.qcow2"
start_load --tolerate-errors --ledger "$WORK/ledger" --block 64K --ops 2000
load_meets ENOSPC
kill_and_recover
wait "$LOAD_PID" || fail "load: $(cat "$WORK/load.err")"
LOAD_PID=
note "$(cat "$WORK/load.out")"
[[ $(loaded error) == ENOSPC ]] || fail "the client saw: $(loaded error)"

# There is room again.
rm "$WORK/mnt/ballast"
sync -f "$WORK/mnt"
start_load --depth 4 --ledger "$WORK/ledger" --block 64K --ops 200
wait "$LOAD_PID" || fail "load, with room: $(cat "$WORK/load.err")"
LOAD_PID=
note "$(cat "$WORK/load.out")"
del
check_image "$WORK/mnt/image.qcow2"
