#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 120
#
# A supervisor dies after the new server has begun to serve, and before the
# supervisor has heard of that.  The next supervisor counts that recovery: the
# list has no old reason, the pause has an end, and the admin's hooks hear it.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

UBLK_QCOW2=${UBLK_QCOW2_FAULTY:?}
export UBLK_QCOW2_FAULT=rests-mapped

hear_hooks
image=$(image disk.qcow2 128M)
add "$image" --name disk
kill_server
# The server that comes now rests for two seconds before it serves.
listed_becomes state recovering 20
heard "^crashed $DEV "
supervisor=$(listed supervisor_pid)
kill -STOP "$supervisor"
[[ $(listed state) == recovering ]] || fail "the supervisor was too fast"
dd if="$DEV" of=/dev/null bs=4k count=1 iflag=direct status=none ||
	fail "the server does not serve"
server=$(listed server_pid)
kill_off "$supervisor"
"$UBLK_QCOW2" recover "$DEV" || fail recover
wait_live
[[ $(listed server_pid) == "$server" ]] || fail "the server is another one"
heard "^recovered $DEV "
log_lines "recovered by process $server (recovery 1)" ||
	fail "no line in the log"
[[ $(listed recoveries) == 1 ]] || fail "$(listed recoveries) recoveries"
[[ $(listed reason) == null ]] || fail "a reason: $("$UBLK_QCOW2" list "$DEV")"
pauses=$("$UBLK_QCOW2" stat --json "$DEV" | jq -c '[.[].stalls[].ms]')
note "pauses: $pauses ms"
[[ $pauses =~ ^\[[0-9]+\]$ ]] || fail "its pause goes on: $pauses"
unset UBLK_QCOW2_FAULT
del
check_image "$image"
