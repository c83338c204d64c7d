#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 400
# processors: 2
#
# A server dies when it has fetched all tags and has asked its clerk to make the
# device live.  The clerk gives the driver that order when the server is dead,
# for nobody has killed it, or is stopped and never does.  The disk recovers all
# the same, and a new disk is refused.  A driver of 6.12 held all requests back
# for ever, and let no server take the device over.  Meanwhile `del` waits for
# the recovery, and not for ever.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

UBLK_QCOW2=${UBLK_QCOW2_FAULTY:?}
export UBLK_QCOW2_FAULT=late-order,apart

# The clerk's thread that waits for the death of its server.
late_clerk()
{
	grep -lsx late-order /proc/[0-9]*/task/*/comm | cut -d / -f 3 | head -n 1
}

# Waits for it, and prints it.
await_late_clerk()
{
	local end=$((SECONDS + 60))

	until late_clerk | grep .; do
		((SECONDS <= end)) || fail "no clerk is late"
		sleep 0.02
	done
}

# kill_server_of_late_clerk [SIGNAL]: the clerk gets the signal
kill_server_of_late_clerk()
{
	local clerk end=$((SECONDS + 60))

	clerk=$(await_late_clerk) || exit
	[[ -z ${1:-} ]] || kill "$1" "$clerk"
	kill -9 "$(ps -o ppid= -p "$clerk" | tr -d ' ')"
	while [[ -e /proc/$clerk ]]; do
		((SECONDS <= end)) || fail "the clerk does not end"
		sleep 0.02
	done
}

# refuse_new QUEUES [SIGNAL]
refuse_new()
{
	local adds

	note "a new disk, queues and signal: $*"
	"$UBLK_QCOW2" add -q "$1" "$image" >"$WORK/out" 2>&1 &
	adds=$!
	kill_server_of_late_clerk "${@:2}"
	! wait "$adds" || fail "added, although its server died"
	grep -q "killed by signal 9" "$WORK/out" || fail "$(cat "$WORK/out")"
	[[ $("$UBLK_QCOW2" list) == "" ]] || fail "a record is left"
}

# recover_late [SIGNAL]
recover_late()
{
	sleep 0.5
	kill -9 "$(listed server_pid)"
	kill_server_of_late_clerk "$@"
	wait_live
	note "$(listed recoveries) recoveries; signal: ${*:-none}"
}

# serve_late [SIGNAL]...: a disk, whose server dies for each of these signals
serve_late()
{
	local signal

	note "a disk"
	add "$image"
	start_load --depth 8
	for signal; do
		# shellcheck disable=SC2086 # or no word
		recover_late $signal
	done
	stop_load
}

image=$(image disk.qcow2 64M)
refuse_new 1
refuse_new 2
serve_late '' ''
del

note "and the clerk is where the supervisor kills it"
UBLK_QCOW2_FAULT=late-order
refuse_new 1 -STOP
serve_late '' -STOP

# The clerk takes longer than `del` waits.
note "a disk that is being recovered is removed"
kill -9 "$(listed server_pid)"
await_late_clerk >/dev/null
refused 'is being recovered' "$UBLK_QCOW2" del "$DEV"
del
check_image "$image"
