#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 300
# processors: 2
#
# The host stands still, or its time jumps, under load and beside deaths of
# servers: the image's file system is frozen, the host is suspended, its clock
# is set.  The disk goes on afterwards, and all acknowledged writes are there.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

truncate -s 1G "$WORK/backing"
mkfs.ext4 -q "$WORK/backing"
mkdir "$WORK/fs"
mount -o loop "$WORK/backing" "$WORK/fs"
cleanup "umount $WORK/fs"
image=$WORK/fs/disk.qcow2
qemu-img create -q -f qcow2 "$image" 256M
add "$image"
start_load --depth 8 --size 128M --mix 60,30,5,5 --discard-align 64K \
	--fsync-every 50 --ledger "$WORK/ledger"

# served: $(loaded writes) may be buffered, so the kernel counts.
served()
{
	awk '{ print $1 + $5 }' "/sys/block/${DEV#/dev/}/stat"
}

# goes_on: within half a minute
goes_on()
{
	local end=$((SECONDS + 30)) before

	before=$(served)
	until (($(served) > before + 100)); do
		((SECONDS <= end)) || fail "nothing is served after: $1"
		sleep 0.1
	done
	kill -0 "$LOAD_PID" 2>/dev/null || fail "the load ended after: $1"
}

note "the file system is frozen"
goes_on "the start"
cleanup "fsfreeze -u $WORK/fs 2>/dev/null"
fsfreeze -f "$WORK/fs"
sleep 2
server=$(listed server_pid)
kill -9 "$server"
sleep 2
fsfreeze -u "$WORK/fs"
wait_live
goes_on "a frozen file system"

note "the clock is set"
now=$(date +%s)
cleanup "date -s @$now >/dev/null"
for step in +7200 -14400 +86400 -90000; do
	date -s "@$((now + step))" >/dev/null
	goes_on "the clock was set by $step"
	kill_and_recover
	goes_on "a death after the clock was set by $step"
done
date -s "@$now" >/dev/null
[[ $(listed last_pause) != null ]] || fail "no pause was counted"
"$UBLK_QCOW2" list "$DEV" || fail list

# All processes are frozen for five seconds.  Or the kernel gives up after twenty,
# for a user of the disk cannot be frozen while its server is.
if [[ -w /sys/power/pm_test && $(</sys/power/state) == *mem* ]]; then
	note "the host is suspended"
	cleanup "echo none >/sys/power/pm_test"
	echo freezer >/sys/power/pm_test
	for round in 1 2; do
		[[ $round == 1 ]] || kill -9 "$(listed server_pid)"
		echo mem >/sys/power/state || note "the kernel gave up"
		wait_live
		goes_on "suspend $round"
	done
	echo none >/sys/power/pm_test
fi
stop_load
[[ $(loaded errors) == 0 ]] || fail "$(loaded errors) errors"
del
check_image "$image"
check_with_qemu "$image" "$WORK/ledger"
