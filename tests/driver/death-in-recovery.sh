#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 600
# processors: 2
#
# The server dies again and again while it is recovering.  The device can still
# be recovered afterwards, on every kernel.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

any_server()
{
	pgrep -P "$SUPERVISOR" || true
}

# Kills the server of the moment, at moments of chance, for a while.
kill_quickly()
{
	local i pid

	for ((i = 0; i < 6; i++)); do
		for pid in $(any_server); do
			kill -9 "$pid" 2>/dev/null || true
		done
		sleep "0.$(printf %03d $((RANDOM % 120)))"
	done
}

for queues in 1 2; do
	image=$(image "$queues.qcow2" 1G)
	add "$image" -q "$queues"
	SUPERVISOR=$(listed supervisor_pid)
	start_load --depth 16
	for _ in 1 2 3 4 5; do
		sleep 0.3
		kill_quickly
		# `recover` is for a supervisor that gave up.
		sleep 1
		[[ $(listed state) != failed ]] ||
			"$UBLK_QCOW2" recover "$DEV" || fail "recover"
		wait_live
		SUPERVISOR=$(listed supervisor_pid)
	done
	stop_load
	note "$queues queues: $(listed recoveries) recoveries"
	del
	check_image "$image"
done
