#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 180
#
# A command may leave a child behind that hangs in the kernel.  Whoever reads the
# command's output waits for the command, and not for that child: a script that
# is to recover the disk next would wait for ever.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

image=$(image disk.qcow2 64M)
add "$image"
start_load --depth 4
kill_off "$(listed supervisor_pid)" "$(listed server_pid)"

note "a snapshot of a disk that nobody serves"
("$UBLK_QCOW2" snapshot "$DEV" "$WORK/over.qcow2" 2>&1 || true) |
	timeout 60 cat >"$WORK/out" || fail "somebody keeps its output open"
grep -q 'no supervisor' "$WORK/out" || fail "says: $(cat "$WORK/out")"
[[ -n $(pgrep -x -r D 'ublk-qcow2.*') ]] || fail "no child is left behind"

"$UBLK_QCOW2" recover "$DEV" || fail recover
wait_live
stop_load
del
check_image "$image"
