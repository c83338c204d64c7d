#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 500
#
# A server that lives and makes no progress is replaced, and its users notice a
# pause: a stopped server, one that runs in circles, one that waits for itself.
# A server whose storage does not answer is left alone, and goes on; a message
# tells of it.  A stopped server that no request waits for is left alone, too.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

: "${UBLK_QCOW2_FAULTY:?}"
PATIENCE=3
FIRST=1000		# server/owned.c: the sector of its first step
STEPS=(17 18)		# run in circles, wait for itself

hear_hooks

# The last pause has this cause.
paused_by()
{
	local found

	found=$("$UBLK_QCOW2" stat --json "$DEV" | jq -r '.[0].stalls[0].cause')
	note "a pause: $found"
	[[ $found =~ $1 ]] || fail "the pause is not for $1"
}

# told_times EVENT COUNT
told_times()
{
	local end=$((SECONDS + 60))

	until [[ $(grep -c "^$1 " "$WORK/events") == "$2" ]]; do
		((SECONDS <= end)) || fail "$1 is not told $2 times: $(cat \
			"$WORK/events")"
		sleep 0.1
	done
}

add "$(image idle.qcow2 64M)" --watchdog "$PATIENCE"
idle=$DEV
kill -STOP "$(listed server_pid)"

note "stopped under load"
add "$(image stopped.qcow2 256M)" --watchdog "$PATIENCE"
[[ $(listed watchdog) == "$PATIENCE" ]] || fail "not in the list"
start_load --depth 8
kill -STOP "$(listed server_pid)"
listed_becomes recoveries 1 60
wait_live
heard "^stuck $DEV .*stopped by a signal"
paused_by "stopped by a signal"
stop_load
heard "^crashed $DEV .*stopped by a signal"
del
check_image "$WORK/stopped.qcow2"

# Longer than the other one had.
[[ $(listed recoveries "$idle") == 0 ]] ||
	fail "replaced though nobody waited for it"
kill -CONT "$(listed server_pid "$idle")"
del "$idle"

healthy=$UBLK_QCOW2
UBLK_QCOW2=$UBLK_QCOW2_FAULTY
export UBLK_QCOW2_FAULT=owned
for step in "${STEPS[@]}"; do
	note "step $step"
	add "$(image "$step.qcow2" 64M)" --watchdog "$PATIENCE"
	dd if=/dev/zero of="$DEV" bs=512 count=1 seek=$((FIRST + step)) \
		oflag=direct conv=notrunc status=none || fail "an error"
	listed_becomes recoveries 1 60
	paused_by "no progress"
	del
done
unset UBLK_QCOW2_FAULT
UBLK_QCOW2=$healthy

note "its storage does not answer"
truncate -s 1G "$WORK/backing"
LOOP=$(losetup --show --direct-io=on -f "$WORK/backing")
cleanup "losetup -d $LOOP"
dmsetup create --noudevsync "slow-$$" \
	--table "0 $(blockdev --getsz "$LOOP") linear $LOOP 0"
cleanup "dmsetup remove --retry --noudevsync slow-$$"
dmsetup mknodes
qemu-img create -q -f qcow2 "/dev/mapper/slow-$$" 256M
add "/dev/mapper/slow-$$" --watchdog "$PATIENCE" --name slow
server=$(listed server_pid)
cleanup "dmsetup resume --noudevsync slow-$$ 2>/dev/null"
start_load --depth 8
dmsetup suspend --noudevsync --nolockfs "slow-$$"
heard "^no-progress $DEV .*storage"
"$UBLK_QCOW2" list "$DEV" | grep "makes no progress: it waits for the storage" ||
	fail "list: $("$UBLK_QCOW2" list "$DEV")"
# As long again: time enough for a verdict.
sleep $((2 * PATIENCE))
[[ $(listed server_pid) == "$server" && $(listed recoveries) == 0 ]] ||
	fail "it was replaced, for its storage"
dmsetup resume --noudevsync "slow-$$"
heard "^goes-on $DEV"
paused_by "waits for the storage"
[[ $(listed reason) == null ]] || fail "the reason stays"
stop_load
[[ $(listed recoveries) == 0 ]] || fail "it was replaced"
# On a busy host the servers before gave their own reasons.
[[ $(grep -c "^no-progress .*storage" "$WORK/events") == 1 ]] ||
	fail "told twice"

note "its supervisor dies meanwhile"
start_load --depth 8
dmsetup suspend --noudevsync --nolockfs "slow-$$"
told_times no-progress 2
kill_off "$(listed supervisor_pid)"
dmsetup resume --noudevsync "slow-$$"
"$UBLK_QCOW2" recover "$DEV" || fail recover
listed_becomes reason null 60
[[ $(listed server_pid) == "$server" ]] || fail "it was replaced"
told_times goes-on 2
stop_load
pauses=$("$UBLK_QCOW2" stat --json "$DEV" | jq -c '[.[].stalls[].ms]')
[[ $pauses != *null* ]] || fail "a pause goes on: $pauses"
del
