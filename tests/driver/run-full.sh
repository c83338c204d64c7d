#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 240
#
# When /run is full a disk recovers as ever, from the death of its server and
# from the death of its supervisor.  Nothing of the disk is tidied away.  A disk
# that cannot be added leaves nothing behind.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

mkdir -p /run/ublk-qcow2
mount -t tmpfs -o size=12M full /run/ublk-qcow2
cleanup 'umount /run/ublk-qcow2'

fill()
{
	dd if=/dev/zero of=/run/ublk-qcow2/fill bs=64k status=none \
		2>/dev/null || true
	dd if=/dev/zero of=/run/ublk-qcow2/fill2 bs=512 status=none \
		2>/dev/null || true
	[[ $(stat -f -c %a /run/ublk-qcow2) == 0 ]] || fail "there is room"
}

image=$(image disk.qcow2 64M) second=$(image second.qcow2 64M)

# Full from the beginning.
fill
refused 'No space left' "$UBLK_QCOW2" add "$image"
rm /run/ublk-qcow2/fill*
[[ -z $(traces) ]] || fail "left behind: $(traces)"

add "$image"
fill
before=$(traces | grep -v fill)
refused 'No space left' "$UBLK_QCOW2" add "$second"
[[ $(traces | grep -v fill) == "$before" ]] || fail "the failed add left $(traces)"
start_load --depth 4
kill_and_recover
kill_and_recover
kill_off "$(listed supervisor_pid)" "$(listed server_pid)"
"$UBLK_QCOW2" recover --all || fail "recover --all"
wait_live
[[ $(listed recoveries) == 3 ]] || fail "$(listed recoveries) recoveries"
# A supervisor alone, too.
kill_off "$(listed supervisor_pid)"
"$UBLK_QCOW2" recover --all || fail "recover --all without a supervisor"
kill_and_recover
stop_load
rm /run/ublk-qcow2/fill*
del
check_image "$image"
