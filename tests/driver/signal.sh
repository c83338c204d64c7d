#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 180
#
# SIGTERM removes a disk that is not in use.  A disk in use is still served, and
# recovered, until its last user is gone; the supervisor names the users that it
# waits for.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

image=$(image disk.qcow2 1G)
errors=$WORK/errors

# Adds the disk with a supervisor that we can wait for.
add_foreground()
{
	# The messages of the last one must not be taken for this one's.
	rm -f "$WORK/device" "$errors"
	"$UBLK_QCOW2" add "$image" --foreground >"$WORK/device" 2>"$errors" &
	SUPERVISOR=$!
	cleanup "kill -9 $SUPERVISOR 2>/dev/null"
	for _ in {1..600}; do [[ ! -s $WORK/device ]] || break; sleep 0.1; done
	DEV=$(cat "$WORK/device")
	[[ -b $DEV ]] || fail "no device: $(cat "$errors")"
	ADDED+=("$DEV")
}

# said PATTERN: within a minute or so
said()
{
	for _ in {1..1200}; do
		! grep -qE "$1" "$errors" || return 0
		sleep 0.05
	done
	fail "does not say '$1' but: $(cat "$errors")"
}

# ends SECONDS: orderly, and nothing is left.
ends()
{
	timeout "$1" tail -f --pid="$SUPERVISOR" /dev/null ||
		fail "does not end: $(cat "$errors")"
	wait "$SUPERVISOR" || fail "ended with $?: $(cat "$errors")"
	[[ -z $(traces) ]] || fail "left behind: $(traces)"
	check_image "$image"
}

note "idle"
add_foreground
dd if=/dev/urandom of="$DEV" bs=64k count=16 oflag=direct status=none
kill -TERM "$SUPERVISOR"
ends 60

note "under load"
add_foreground
start_load --depth 8
sleep 0.5
kill -TERM "$SUPERVISOR"
said "is in use by process $LOAD_PID \(load\)"
kill_and_recover
sleep 2
wait_live
stop_load
ends 60

note "mounted"
add_foreground
mkfs.ext4 -q "$DEV"
mkdir "$WORK/mnt"
mount "$DEV" "$WORK/mnt"
cleanup "umount $WORK/mnt 2>/dev/null"
kill -TERM "$SUPERVISOR"
said "is in use by the mount at $WORK/mnt"
echo still >"$WORK/mnt/there"
umount "$WORK/mnt"
ends 60

note "taken back"
add_foreground
exec 7<"$DEV"
kill -TERM "$SUPERVISOR"
said "is in use by process"
"$UBLK_QCOW2" recover "$DEV" || fail "recover"
exec 7<&-
sleep 4
[[ $(listed state) == live ]] || fail "recover did not take it back"
kill -TERM "$SUPERVISOR"
ends 60

note "in the background"
add "$image"
kill -TERM "$(listed supervisor_pid)"
end=$((SECONDS + 60))
until [[ -z $(traces) ]] || ((SECONDS > end)); do sleep 0.1; done
[[ -z $(traces) ]] || fail "left behind: $(traces)"
check_image "$image"
