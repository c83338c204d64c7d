#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 600
#
# The script in hooks.d, without the agent.  The script logs which domain waits
# for its disk.  When the disk is recovered, the script resumes a domain that an
# I/O error has paused.
# shellcheck source=../lib/libvirt.sh
. "$(dirname "$0")/../lib/libvirt.sh"

LOG=/run/ublk-qcow2.log
[[ ! -S /dev/log ]] || fail "this test reads $LOG, and here is a /dev/log"
mkdir -p /etc/ublk-qcow2/hooks.d
cleanup "rm -f /etc/ublk-qcow2/hooks.d/libvirt-$$"
sed "s:^program=.*:program=$UBLK_QCOW2:" \
	"${UBLK_QCOW2%/*}/libvirt/hooks.d/libvirt" >"$WORK/hook"
install -m 755 "$WORK/hook" "/etc/ublk-qcow2/hooks.d/libvirt-$$"
: >"$LOG"

logged()
{
	local end=$((SECONDS + 120)) text

	until IFS= read -rd '' text <"$LOG" ||
		[[ $text == *"domain web: $1"* ]]; do
		((SECONDS <= end)) || fail "not logged: $1, but $(cat "$LOG")"
		sleep 0.1
	done
	note "$(grep -m 1 "domain web: $1" "$LOG")"
}

make_host_disk
image=$(host_image web.qcow2)
guest "$image"
sync -f "$WORK/host"
start_libvirt
define web "$image"
start web
DEV=$(disk_device "$image")
kill_and_recover
logged "its disk vda, $DEV, lost its server"
logged "its disk vda, $DEV, has a server again"
progress web

break_host_disk
domain_becomes web paused
sleep 2
domain_is web paused		# nothing resumes it
echo 3 >/proc/sys/vm/drop_caches
kill_server
logged "its disk vda, $DEV, has no server"
mend_host_disk
: >"$LOG"
"$UBLK_QCOW2" recover "$DEV" || fail "recover"
logged "resumed"
domain_becomes web running
progress web

shut_down web
nothing_left
check_guest web "$image"
end_libvirt
