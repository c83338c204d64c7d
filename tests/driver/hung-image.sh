#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 240
#
# Storage that does not answer holds up its own disk, and no command for another
# disk.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

modprobe fuse 2>/dev/null || true
[[ -c /dev/fuse ]] || fail "this kernel has no FUSE"

# A file system whose server can be stopped.  It tells of its file only the user
# of the mount, and no server of ours has that user.
export UBLK_QCOW2_DISKS=$WORK/disks.d
mkdir "$UBLK_QCOW2_DISKS" "$WORK/mnt"
touch "$WORK/mnt/hung.qcow2"
qemu-storage-daemon --blockdev "driver=file,node-name=file,locking=off,\
filename=$(image back.qcow2 64M)" --export "type=fuse,id=fuse,\
node-name=file,mountpoint=$WORK/mnt/hung.qcow2,writable=on,growable=on,\
allow-other=off" &
STORAGE=$!
cleanup "umount -l '$WORK/mnt/hung.qcow2' 2>/dev/null"
cleanup "kill -9 $STORAGE 2>/dev/null"
cleanup "kill -CONT $STORAGE; timeout 60 '$UBLK_QCOW2' del --force hung"
end=$((SECONDS + 60))
until mountpoint -q "$WORK/mnt/hung.qcow2"; do
	((SECONDS <= end)) || fail "no file system"
	sleep 0.1
done
"$UBLK_QCOW2" add "$WORK/mnt/hung.qcow2" --name hung || fail "add"

# in_time COMMAND...: comes back, and succeeds.
in_time()
{
	timeout -k 1 60 "$UBLK_QCOW2" "$@" >"$WORK/out" 2>"$WORK/err" ||
		fail "$*: status $?: $(cat "$WORK/err")"
}

other=$(image other.qcow2 64M)
third=$(image third.qcow2 64M)
fourth=$(image fourth.qcow2 64M)
kill -STOP "$STORAGE"
# The kernel keeps the last attributes of a file for a second.
sleep 2

note "its storage hangs: others are added, recovered, listed, removed"
in_time add "$other"
DEV=$(cat "$WORK/out")
ADDED+=("$DEV")
# The same image by another name.
ln "$other" "$WORK/link.qcow2"
refused "is already served by $DEV" "$UBLK_QCOW2" add "$WORK/link.qcow2"
kill_and_recover
kill -9 "$(listed supervisor_pid)"
in_time recover "$DEV"
in_time list
in_time del "$DEV"

note "all that are configured: each but the one that hangs"
echo "image = $third" >"$UBLK_QCOW2_DISKS/a-third.conf"
ln -s "$WORK/mnt/hung.qcow2" "$WORK/again.qcow2"
echo "image = $WORK/again.qcow2" >"$UBLK_QCOW2_DISKS/b-hung.conf"
echo "image = $fourth" >"$UBLK_QCOW2_DISKS/c-fourth.conf"
"$UBLK_QCOW2" add --all >"$WORK/out" 2>"$WORK/err" &
all=$!
end=$((SECONDS + 90))
until [[ -b /dev/ublk-qcow2/a-third && -b /dev/ublk-qcow2/c-fourth ]]; do
	((SECONDS <= end)) || fail "waits: $(cat "$WORK/out" "$WORK/err")"
	sleep 0.2
done
ADDED+=(/dev/ublk-qcow2/a-third /dev/ublk-qcow2/c-fourth)
kill -0 "$all" || fail "ended before it knew of all"

note "its storage answers again"
kill -CONT "$STORAGE"
! wait "$all" || fail "added an image twice"
grep -q 'is already served' "$WORK/err" || fail "says $(cat "$WORK/err")"
in_time del a-third
in_time del c-fourth
in_time del hung
