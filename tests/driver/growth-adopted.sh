#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 120
#
# The supervisor of a disk that grows dies while the server that has grown the
# image is about to serve.  The next supervisor adopts that server, and the
# device grows all the same.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

UBLK_QCOW2=${UBLK_QCOW2_FAULTY:?}
export UBLK_QCOW2_FAULT=rests-mapped

if [[ $(uname -r) == 6.[0-9].* || $(uname -r) == 6.1[0-5].* ]]; then
	note "this kernel's devices cannot grow"
	exit
fi
image=$(image disk.qcow2 128M)
add "$image" --name disk
"$UBLK_QCOW2" resize "$DEV" 160M >"$WORK/out" 2>&1 &
resize=$!
# The record of the new size is written before the server dies, and the state
# after that.
listed_becomes state recovering 20
sleep 1
[[ $(listed state) == recovering ]] || fail "it does not rest"
server=$(listed server_pid)
kill_off "$(listed supervisor_pid)"
! wait "$resize" || fail "resize says that it is done"
"$UBLK_QCOW2" recover "$DEV" || fail recover
listed_becomes size $((160 << 20)) 30
wait_live
[[ $(blockdev --getsize64 "$DEV") == $((160 << 20)) ]] ||
	fail "the device has $(blockdev --getsize64 "$DEV") bytes"
[[ $(listed server_pid) != "$server" ]] || fail "the server is the old one"
unset UBLK_QCOW2_FAULT
del
check_image "$image"
[[ -z $(traces) ]] || fail "left: $(traces)"
