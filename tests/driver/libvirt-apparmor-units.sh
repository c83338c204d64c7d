#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 600
#
# With AppArmor and systemd: the hook of a confined libvirtd starts the disks'
# units, and brings them back when libvirtd returns.  The programs that the
# units run are not confined.
# shellcheck source=../lib/libvirt.sh
. "$(dirname "$0")/../lib/libvirt.sh"
# shellcheck source=../lib/systemd.sh
. "$(dirname "$0")/../lib/systemd.sh"
# shellcheck source=../lib/apparmor.sh
. "$(dirname "$0")/../lib/apparmor.sh"
under_systemd "$@"

image=$(image "apparmor-$$.qcow2" 64M)
guest "$image"
DISK=$(disk_name "$image")
UNIT=ublk-qcow2@$DISK.service
# shellcheck disable=SC2034  # the libraries use it
DEV=$(disk_device "$image")

# systemd does not see this test's /usr/sbin.
sed "s|^ExecStart=[^ ]*|ExecStart=$UBLK_QCOW2|" \
	"$BUILT/systemd/ublk-qcow2@.service" >"$UNITS/$UNIT"
cleanup "rm -f '$UNITS/$UNIT' /run/ublk-qcow2/disks.d/$DISK.conf"
cleanup "systemctl kill --signal=KILL $UNIT 2>/dev/null"
systemctl daemon-reload

all_in_unit()
{
	local pid

	for pid in "$(listed supervisor_pid)" "$(listed server_pid)"; do
		grep -qF "/$UNIT" "/proc/$pid/cgroup" ||
			fail "process $pid is in $(cat "/proc/$pid/cgroup")"
	done
}

start_apparmor
install_in /usr/sbin
make -s --no-print-directory -C "$BUILT" install-apparmor sbindir=/usr/sbin
load_profiles
start_libvirt
define web "$image"
start web
all_in_unit
all_confined
kill_and_recover

# Else systemd does before libvirtd is back.
mkdir "$UNITS/$UNIT.d"
cleanup "rm -rf '$UNITS/$UNIT.d'"
printf '[Service]\nRestart=no\n' >"$UNITS/$UNIT.d/no.conf"
systemctl daemon-reload
end_libvirtd
kill -9 "$(listed supervisor_pid)" "$(listed server_pid)"
run_libvirtd
progress web
all_in_unit
all_confined
shut_down web
nothing_left
[[ $(systemctl show -P ActiveState "$UNIT") == inactive ]] ||
	fail "$UNIT is not inactive"
check_guest web "$image"
nothing_denied
end_libvirt
