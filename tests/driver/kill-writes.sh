#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 900
#
# Random 4 KiB writes into empty images, never flushed, at three depths, while
# the servers are killed twenty times: every write that was acknowledged is
# there afterwards, no error was seen, and the images are flawless.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

declare -A DEVS PIDS
KILLS=${KILLS:-20}

# Each disk has a load of its own, and what that says a file of its own.
begin()
{
	local depth=$1

	add "$(image "$depth.qcow2" 4G)"
	DEVS[$depth]=$DEV
	start_load --depth "$depth" --seed "$depth"
	PIDS[$depth]=$LOAD_PID
	mv "$WORK/load.out" "$WORK/load.out.$depth"
	mv "$WORK/load.err" "$WORK/load.err.$depth"
}

end()
{
	local depth=$1

	DEV=${DEVS[$depth]} LOAD_PID=${PIDS[$depth]}
	mv "$WORK/load.out.$depth" "$WORK/load.out"
	mv "$WORK/load.err.$depth" "$WORK/load.err"
	stop_load
	[[ $(loaded writes) -gt 100 ]] || fail "next to no writes"
	[[ $(listed recoveries) == "$KILLS" ]] ||
		fail "depth $depth: $(listed recoveries) recoveries"
	del
	check_image "$WORK/$depth.qcow2"
}

for depth in 1 8 32; do
	begin "$depth"
done
for ((kill = 1; kill <= KILLS; kill++)); do
	sleep "0.$((RANDOM % 5))$((RANDOM % 10))"
	for depth in 1 8 32; do
		kill_server "${DEVS[$depth]}"
	done
	for depth in 1 8 32; do
		listed_becomes recoveries "$kill" 120 "${DEVS[$depth]}"
		wait_live "${DEVS[$depth]}" 120
	done
done
for depth in 1 8 32; do
	end "$depth"
done
