#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 600
#
# libvirt's hook under systemd.  Units serve the disks, in control groups of
# their own.  The hook's line has the reason why a unit fails.  A dead
# supervisor is replaced there, too.  Nothing is left.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"
# shellcheck source=../lib/systemd.sh
. "$(dirname "$0")/../lib/systemd.sh"
under_systemd "$@"

HOOK=${UBLK_QCOW2%/*}/ublk-qcow2-hook
DISK=hook-$$
UNIT=ublk-qcow2@$DISK.service
UUID=$(cat /proc/sys/kernel/random/uuid)
CONF=/run/ublk-qcow2/disks.d/$DISK.conf

# The unit as it was built, but of this program, and for this disk only.
sed "s|^ExecStart=[^ ]*|ExecStart=$UBLK_QCOW2|" \
	"${UBLK_QCOW2%/*}/systemd/ublk-qcow2@.service" >"$UNITS/$UNIT"
cleanup "rm -f '$UNITS/$UNIT' '$CONF'"
cleanup "systemctl kill --signal=KILL $UNIT 2>/dev/null"
systemctl daemon-reload

# domain IMAGE
domain()
{
	cat >"$WORK/domain.xml" <<-END
	<domain type='qemu'>
	  <name>web</name><uuid>$UUID</uuid>
	  <metadata><u:disks xmlns:u='https://ublk-qcow2/1.0'>
	    <u:disk dev='/dev/ublk-qcow2/$DISK' file='$1'/>
	  </u:disks></metadata>
	  <devices><disk type='block' device='disk'>
	    <driver name='qemu' type='raw' cache='none'/>
	    <source dev='/dev/ublk-qcow2/$DISK'/><target dev='vda'/>
	  </disk></devices>
	</domain>
	END
}

hook()
{
	"$HOOK" web "$1" "${2:-begin}" - <"$WORK/domain.xml"
}

# in_unit PID: it is in the unit's control group.
in_unit()
{
	grep -qF "/$UNIT" "/proc/$1/cgroup" ||
		fail "process $1 is in $(cat "/proc/$1/cgroup")"
}

active()
{
	systemctl show -P ActiveState "$UNIT"
}

image=$(image disk.qcow2 1G)
domain "$image"
note "prepare"
hook prepare || fail prepare
DEV=$(readlink -f "/dev/ublk-qcow2/$DISK")
[[ -b $DEV ]] || fail "there is no disk"
ADDED+=("$DEV")
[[ $(active) == active && -e $CONF ]] || fail "no unit"
[[ $(listed domain) == web ]] || fail "the domain is $(listed domain)"
in_unit "$(listed server_pid)"
in_unit "$(listed supervisor_pid)"
hook started || fail started
start_load --depth 8
sleep 0.5

note "the server dies"
kill_off "$(listed server_pid)"
hook reconnect || fail reconnect
[[ $(listed state) == live ]] || fail "$(listed state)"

note "both die"
kill_off "$(listed supervisor_pid)" "$(listed server_pid)"
hook reconnect || fail reconnect
[[ $(listed state) == live ]] || fail "$(listed state)"
in_unit "$(listed server_pid)"
in_unit "$(listed supervisor_pid)"

note "both die, and systemd has been told not to care"
mkdir "$UNITS/$UNIT.d"
cleanup "rm -rf '$UNITS/$UNIT.d'"
printf '[Service]\nRestart=no\n' >"$UNITS/$UNIT.d/no.conf"
systemctl daemon-reload
kill_off "$(listed supervisor_pid)" "$(listed server_pid)"
hook reconnect || fail reconnect
[[ $(listed state) == live ]] || fail "$(listed state)"
in_unit "$(listed supervisor_pid)"
stop_load

note "release"
hook release end || fail release
[[ $(active) == inactive && ! -e $CONF ]] || fail "a unit: $(active)"
[[ -z $(traces) ]] || fail "left behind: $(traces)"
check_image "$image"

# killed_in OPERATION SECONDS: the hook is, after so long.
killed_in()
{
	"$HOOK" web "$1" begin - <"$WORK/domain.xml" &
	sleep "$2"
	kill -9 "$!" 2>/dev/null || true
	wait "$!" 2>/dev/null || true
}

# systemd may be starting the unit, without systemctl.
note "the hook is killed at any moment of prepare"
for seconds in 0 0.01 0.02 0.03 0.05 0.07 0.1 0.15 0.2 0.3 0.5; do
	killed_in prepare "$seconds"
	[[ $seconds != 0.0[25] ]] || hook prepare || fail "prepare once more"
	hook release end || fail "release after $seconds s"
	[[ $(active) == inactive && ! -e $CONF ]] ||
		fail "after $seconds s: a unit: $(active)"
	[[ -z $(traces) ]] || fail "after $seconds s: left behind: $(traces)"
done
check_image "$image"

note "a unit that fails"
open_in_qemu "$image"
refused "^ublk-qcow2-hook: domain web: disk vda, /dev/ublk-qcow2/$DISK of $image: in use by another process" \
	hook prepare
hook release end || fail release
[[ $(active) == inactive && ! -e $CONF ]] || fail "a unit: $(active)"
close_in_qemu
echo rubbish >"$WORK/rubbish.qcow2"
domain "$WORK/rubbish.qcow2"
refused "disk vda, .* of $WORK/rubbish.qcow2: .*(qcow2|format|short)" hook prepare
hook release end || fail release
[[ -z $(traces) ]] || fail "left behind: $(traces)"

note "a disk added by hand, its supervisor dead"
add "$image" --name "$DISK"
domain "$image"
kill_off "$(listed supervisor_pid)"
hook prepare || fail prepare
[[ $(listed state) == live ]] || fail "$(listed state)"
grep -q '\.scope$' "/proc/$(listed supervisor_pid)/cgroup" ||
	fail "it is in $(cat "/proc/$(listed supervisor_pid)/cgroup")"
hook release end || fail release
[[ $(listed state) == live ]] || fail "$(listed state)"
del
[[ -z $(traces) ]] || fail "left behind: $(traces)"
check_image "$image"
