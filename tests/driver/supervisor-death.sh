#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 120
#
# Without its supervisor a disk goes on; `recover` gives it a new one.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

image=$(image disk.qcow2 1G)
add "$image"
start_load --depth 8
sleep 0.5
server=$(listed server_pid)
kill -9 "$(listed supervisor_pid)"
sleep 1
kill -0 "$server" || fail "the server died with its supervisor"
kill -USR1 "$LOAD_PID"
"$UBLK_QCOW2" recover "$DEV" || fail "recover"
wait_live
kill -0 "$(listed supervisor_pid)" || fail "no supervisor"
storm 3
stop_load
del
check_image "$image"

# A server that is not its supervisor's child ends in good order, too.
add "$image"
kill_off "$(listed supervisor_pid)"
"$UBLK_QCOW2" recover "$DEV" || fail "recover"
del
[[ -z $(traces) ]] || fail "left behind: $(traces)"
check_image "$image"
