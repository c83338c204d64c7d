#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 240
#
# While the host's file system is full, the guest gets ENOSPC.  Neither the
# image nor an acknowledged write is harmed.  `list`, the log and the hooks tell
# of it, and tell again when there is room.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

truncate -s 64M "$WORK/backing"
mkfs.ext4 -q -m 0 "$WORK/backing"
mkdir "$WORK/mnt"
mount -o loop "$WORK/backing" "$WORK/mnt"
cleanup "umount $WORK/mnt"
head -c 44M /dev/urandom >"$WORK/mnt/ballast"
qemu-img create -q -f qcow2 "$WORK/mnt/image.qcow2" 1G

hear_hooks
add "$WORK/mnt/image.qcow2"
[[ $("$UBLK_QCOW2" list --json "$DEV") == *'"trouble": null'* ]] ||
	fail "in trouble from the beginning"
start_load --tolerate-errors --ledger "$WORK/ledger" --block 64K --ops 2000
load_meets ENOSPC
listed_becomes kind no-space 60
heard "^no-space $DEV No space left on device$"
kill_and_recover
[[ $(listed kind) == no-space ]] || fail "the next server knows nothing of it"
kill_off "$(listed supervisor_pid)"
kill_off "$(listed server_pid)"
"$UBLK_QCOW2" recover "$DEV" || fail "recover"
[[ $(listed kind) == no-space ]] || fail "the next supervisor knows nothing"
wait "$LOAD_PID" || fail "load: $(cat "$WORK/load.err")"
LOAD_PID=
note "$(cat "$WORK/load.out")"
[[ $(loaded error) == ENOSPC ]] || fail "the client saw: $(loaded error)"
"$UBLK_QCOW2" list "$DEV" | grep -q "no-space: .*No space left" ||
	fail "list: $("$UBLK_QCOW2" list "$DEV")"

# There is room again.
rm "$WORK/mnt/ballast"
sync -f "$WORK/mnt"
start_load --depth 4 --ledger "$WORK/ledger" --block 64K --ops 200
listed_becomes trouble null 60
heard "^well-again $DEV $"
wait "$LOAD_PID" || fail "load, with room: $(cat "$WORK/load.err")"
LOAD_PID=
note "$(cat "$WORK/load.out")"
del
check_image "$WORK/mnt/image.qcow2"
