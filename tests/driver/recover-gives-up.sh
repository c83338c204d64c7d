#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 300
#
# `recover` comes back, whatever becomes of the disk, and one disk does not
# wait for another.  A supervisor that waits for a dead server's last I/O still
# answers calls.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

truncate -s 256M "$WORK/backing"
loop=$(losetup --show -f "$WORK/backing")
cleanup "losetup -d $loop"
dmsetup create --noudevsync "hung-$$" \
	--table "0 $(blockdev --getsz "$loop") linear $loop 0"
dmsetup mknodes
cleanup "dmsetup remove --retry --noudevsync hung-$$"
cleanup "dmsetup resume --noudevsync hung-$$"
qemu-img create -q -f qcow2 "/dev/mapper/hung-$$" 128M

# kill_both DEV: server and supervisor at once.
kill_both()
{
	kill_off "$(listed supervisor_pid "$1")" "$(listed server_pid "$1")"
}

# The disk has requests under way that do not end.
hang()
{
	dmsetup suspend --noudevsync --nolockfs --noflush "hung-$$"
	sleep 0.5
	kill -9 "$(listed supervisor_pid "$hung")" \
		"$(listed server_pid "$hung")"
}

# went_on COMMAND...: sees within a minute that it is so.
went_on()
{
	local end=$((SECONDS + 60))

	until "$@"; do
		((SECONDS <= end)) || fail "never: $*"
		sleep 0.1
	done
}

broken=$(image broken.qcow2 32M)
sound=$(image sound.qcow2 32M)
add "/dev/mapper/hung-$$" --name hung
hung=$DEV
start_load --depth 4
add "$broken"
broken_dev=$DEV
add "$sound"

kill_both "$broken_dev"
kill_both "$DEV"
head -c 4 "$broken" >"$WORK/magic"
printf XXXX | dd of="$broken" bs=1 conv=notrunc status=none
hang
"$UBLK_QCOW2" recover --all 2>"$WORK/all.err" &
all=$!
wait_live "$DEV"
listed_becomes state failed 60 "$broken_dev"
went_on grep -q 'gave up' "$WORK/all.err"
listed_becomes state recovering 60 "$hung"
note "one is live and one has failed while one waits"

dmsetup resume --noudevsync "hung-$$"
status=0
wait "$all" || status=$?
note "recover --all: status $status: $(cat "$WORK/all.err")"
[[ $status == 1 ]] || fail "status $status and not 1"
[[ $(wc -l <"$WORK/all.err") == 1 ]] || fail "not one complaint"
wait_live "$hung"

# Its supervisor stays, and tries again when it is asked to.
refused 'gave up' timeout 60 "$UBLK_QCOW2" recover "$broken_dev"
dd if="$WORK/magic" of="$broken" bs=1 conv=notrunc status=none
"$UBLK_QCOW2" recover "$broken_dev" || fail "recover, mended"

# No command waits with it any more, and yet it goes on.
sleep 1
hang
"$UBLK_QCOW2" recover "$hung" 2>/dev/null &
command=$!
listed_becomes state recovering 60 "$hung"
kill -9 "$command"
wait "$command" || true
refused 'in use' timeout 20 "$UBLK_QCOW2" del "$hung"
dmsetup resume --noudevsync "hung-$$"
wait_live "$hung"

# A killed server whose thread waits for the storage does not die.  It is not
# dead yet, and no command waits for its end for ever.
dmsetup suspend --noudevsync --nolockfs --noflush "hung-$$"
sync -d "$hung" &
flush=$!
sleep 0.5
kill_off "$(listed supervisor_pid "$hung")"
kill -9 "$(listed server_pid "$hung")"
refused 'storage' timeout 40 "$UBLK_QCOW2" del --force "$hung"
dmsetup resume --noudevsync "hung-$$"
"$UBLK_QCOW2" recover "$hung" || fail "recover after the hang"
wait_live "$hung"
wait "$flush" || fail "the flush: $?"
stop_load

# A stopped supervisor takes no calls: the caller hears so.
supervisor=$(listed supervisor_pid)
kill -STOP "$supervisor"
cleanup "kill -CONT $supervisor 2>/dev/null"
for ((i = 0; i < 6; i++)); do
	timeout 1 "$UBLK_QCOW2" recover "$DEV" || true
done
refused 'takes no calls' timeout 40 "$UBLK_QCOW2" recover "$DEV"
kill -CONT "$supervisor"

del
del "$broken_dev"
del "$hung"
check_image "/dev/mapper/hung-$$"
check_image "$broken"
