#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 120
#
# Server and supervisor die together: `recover --all` brings the disk back,
# with everything that was acknowledged.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

image=$(image disk.qcow2 1G)
add "$image"
start_load --depth 8
for round in 1 2 3; do
	sleep 0.7
	server=$(listed server_pid)
	kill -9 "$(listed supervisor_pid)" "$server"
	sleep "0.$((RANDOM % 10))"
	"$UBLK_QCOW2" recover --all || fail "recover --all, round $round"
	wait_live
	[[ $(listed server_pid) != "$server" ]] || fail "no new server"
done
"$UBLK_QCOW2" recover --all || fail "recover --all of a live disk"
"$UBLK_QCOW2" recover "$DEV" || fail "recover of a live disk"
stop_load
del
check_image "$image"
