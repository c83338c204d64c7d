#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 240
#
# A disk does as many requests and bytes in a second as its limits allow, not
# more and not much less; flushes do not wait.  Deaths of a server with requests
# that wait for the limits lose nothing.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

# measure OPTION...: IOPS and BYTES of one second, from ten seconds of fio.
measure()
{
	fio --name=limit --filename="$DEV" --direct=1 --ioengine=io_uring \
		--size=64m --time_based --runtime=10 --output-format=json \
		--output="$WORK/fio.json" "$@" || fail "fio"
	IOPS=$(jq '[.jobs[0] | .read, .write | .iops] | add | round' \
		"$WORK/fio.json")
	BYTES=$(jq '[.jobs[0] | .read, .write | .bw_bytes] | add | round' \
		"$WORK/fio.json")
	note "$*: $IOPS requests, $BYTES bytes in a second"
}

# measured IOPS|BYTES WANTED OPTION...: not more than a tenth above.  The
# machine may stand still for longer than a burst; so somewhat less is not our
# fault, and if it is more than that, the next ten seconds may show it.
measured()
{
	local which=$1 wanted=$2 found try
	shift 2

	for try in 1 2 3; do
		measure "$@"
		found=${!which}
		((found * 100 <= wanted * 112)) ||
			fail "$which: $found and not $wanted"
		((found * 100 < wanted * 85)) || return 0
	done
	fail "$which: $found and not $wanted, $try times"
}

add "$(image requests.qcow2 256M)" --iops 100 --name requests
[[ $(listed iops) == 100 ]] || fail "not in the list"
measured IOPS 100 --rw=randwrite --bs=4k --iodepth=16
measured IOPS 100 --rw=randread --bs=4k --iodepth=1

note "kills with requests that wait"
start_load --depth 16
storm 3
stop_load
[[ $(listed recoveries) == 3 ]] || fail "not three recoveries"
del
check_image "$WORK/requests.qcow2"

add "$(image bytes.qcow2 256M)" --bandwidth 2M --cache-size 1M --workers 1
[[ $(listed bandwidth) == 2097152 ]] || fail "not in the list"
measured BYTES 2097152 --rw=randrw --bs=64k --iodepth=8
start_load --depth 16
storm 2
stop_load
del
check_image "$WORK/bytes.qcow2"
