#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 120
#
# A journal is replayed on its own image and on no other.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

image=$(image disk.qcow2 64M)
add "$image"
start_load --depth 4
sleep 0.5
kill -9 "$(listed supervisor_pid)" "$(listed server_pid)"
# Another image of the same name comes in its place.
mv "$image" "$WORK/kept"
image disk.qcow2 64M >/dev/null
before=$(sha256sum <"$image")
status=0
timeout 90 "$UBLK_QCOW2" recover "$DEV" 2>"$WORK/err" || status=$?
note "recover: status $status: $(cat "$WORK/err")"
[[ $status == 1 ]] || fail "status $status and not 1"
[[ $(sha256sum <"$image") == "$before" ]] || fail "changed the wrong image"
# The right one is back.
mv "$WORK/kept" "$image"
"$UBLK_QCOW2" recover "$DEV" || fail "recover"
wait_live
stop_load
del
check_image "$image"
