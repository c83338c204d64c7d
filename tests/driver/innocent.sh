#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 240
#
# Kills of servers, one after the other, by any signal and as soon as each
# serves, make no request fail.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

# massacre SIGNAL N: each next server is killed as soon as it serves.
massacre()
{
	local i before

	note "$2 times SIG$1, under load"
	for ((i = 0; i < $2; i++)); do
		busy
		before=$(listed recoveries)
		kill "-$1" "$(listed server_pid)"
		listed_becomes recoveries $((before + 1)) 60
	done
}

add "$(image innocent.qcow2 256M)"
start_load --depth 16 --mix 50,30,10,10 --discard-align 64K
for signal in KILL ABRT SEGV ILL; do
	massacre "$signal" 5
done
stop_load			# none has failed, and all are there
[[ $("$UBLK_QCOW2" stat --json "$DEV" | jq '.[0].poisoned') == 0 ]] ||
	fail "one has failed: $("$UBLK_QCOW2" stat "$DEV")"
del
check_image "$WORK/innocent.qcow2"
