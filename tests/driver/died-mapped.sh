#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 300
#
# A server that takes over dies between mapping the device and its first FETCH.
# A driver of 6.12 then lets no other process map, and must not be left so: the
# next server fetches the tags and dies, and the one after that serves.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

UBLK_QCOW2=${UBLK_QCOW2_FAULTY:?}
export UBLK_QCOW2_FAULT=rests-mapped

# One that has mapped /dev/ublkcN and rests before it fetches.
find_resting()
{
	local pid end=$((SECONDS + 60))

	RESTING=
	while [[ -z $RESTING ]]; do
		((SECONDS <= end)) || fail "no server maps the device"
		for pid in $(pgrep -P "$SUPERVISOR"); do
			[[ $pid != "$1" ]] || continue
			! grep -q ublkc "/proc/$pid/maps" 2>/dev/null ||
				RESTING=$pid
		done
		sleep 0.05
	done
}

image=$(image disk.qcow2 256M)
add "$image"
SUPERVISOR=$(listed supervisor_pid)
start_load --depth 8
sleep 1
before=$(listed server_pid)
kill_server
find_resting "$before"
[[ $(listed state) == recovering ]] || fail "it does not rest"
# The driver knows the process by the address of its memory map, which another
# process might get; this keeps the map.
exec {held}<"/proc/$RESTING/maps"
kill -9 "$RESTING"
listed_becomes recoveries 1 120
wait_live
exec {held}<&-
sleep 1
stop_load
note "the server $(listed server_pid) serves after $before and $RESTING"
del
check_image "$image"
