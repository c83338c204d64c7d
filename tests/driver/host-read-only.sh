#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 300
#
# The host's disk fails (dm-flakey) for a moment, and its file system becomes
# read-only for good.  The disk's users get errors, and `list` tells of it for as
# long as they do, also where reads go on well beside it.  When the file system
# has been mounted again, the disk has all that was flushed.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"
# shellcheck source=../lib/host-disk.sh
. "$(dirname "$0")/../lib/host-disk.sh"

# Has the file system given up?  To notice, it must have something to write.
gave_up()
{
	touch "$WORK/host/other" 2>/dev/null || return 0
	sync -f "$WORK/host" 2>/dev/null || true
	return 1
}

modules dm-flakey
map_host_disk 512M
mkfs.ext4 -q "/dev/mapper/host-$$"
mkdir "$WORK/host"
mount "/dev/mapper/host-$$" "$WORK/host"
cleanup "umount $WORK/host 2>/dev/null"
image=$(image host/disk.qcow2 256M)

hear_hooks
add "$image"
start_load --depth 8 --size 32M --ops 400 --fsync-every 20 \
	--ledger "$WORK/ledger"
wait "$LOAD_PID" || fail "load: $(cat "$WORK/load.err")"
LOAD_PID=
sync "$DEV"
cp "$WORK/ledger" "$WORK/flushed"
# Of the writes that are acknowledged from now on, the host's disk has none.
"$LOAD" --depth 4 --size 32M --mix 50,50,0,0 --tolerate-errors --rate 100 \
	--fsync-every 20 --ledger "$WORK/ledger" --tell "$DEV" \
	>"$WORK/load.out" 2>"$WORK/load.err" &
LOAD_PID=$!
host_disk_is flakey "$HOST_LOOP" 0 0 1000 1 error_writes
load_meets EIO
end=$((SECONDS + 60))
until gave_up; do
	((SECONDS <= end)) || fail "the file system does not give up"
	sleep 0.5
done
mend_host_disk
listed_becomes kind io-error 60

# Longer than it takes without a failure to be well again.
end=$((SECONDS + 16))
until ((SECONDS > end)); do
	! dd if=/dev/zero of="$DEV" bs=64K seek=2000 count=1 oflag=direct \
		status=none 2>/dev/null || fail "a new cluster is written"
	[[ $(listed kind) == io-error ]] ||
		fail "$(listed kind) in the list, and a write fails"
	sleep 0.5
done
! grep "^well-again" "$WORK/events" || fail "it was told to be well"
kill "$LOAD_PID"
wait "$LOAD_PID" || fail "load: $(cat "$WORK/load.err")"
LOAD_PID=
note "$(tail -n 1 "$WORK/load.out")"
"$UBLK_QCOW2" del "$DEV" 2>"$WORK/err" || true
grep -q 'could not be closed cleanly' "$WORK/err" ||
	fail "the close says: $(cat "$WORK/err")"

umount "$WORK/host"
mount "/dev/mapper/host-$$" "$WORK/host"
# The file system has given up writes of ours, and is told apart by that.
add --force "$image"
"$LOAD" --verify-only --touched-only --ledger "$WORK/flushed" \
	--later "$WORK/ledger" "$DEV" >"$WORK/verified" ||
	fail "not all that was flushed is there"
note "$(cat "$WORK/verified")"
del
"$UBLK_QCOW2" check -r leaks "$image" >"$WORK/out" 2>&1 ||
	fail "check: $(cat "$WORK/out")"
check_image "$image"
