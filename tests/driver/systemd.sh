#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 900
#
# Under systemd, with our unit: ready means usable.  Whichever process is
# killed, the disk's users notice nothing.  A stop waits for the users; del ends
# the unit; a bad file fails it at once.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"
# shellcheck source=../lib/systemd.sh
. "$(dirname "$0")/../lib/systemd.sh"
under_systemd "$@"
cleanup "rm -f '$UNITS/ublk-qcow2-test@.service'"

# The unit as it was built, but of this program, and with disks of our own.
# write_unit DIRECTORY DISKS
write_unit()
{
	local built=${UBLK_QCOW2%/*}/systemd/ublk-qcow2@.service

	sed -e "s|^ExecStart=[^ ]*|ExecStart=$UBLK_QCOW2|" \
		-e "/^\[Service\]/a Environment=UBLK_QCOW2_DISKS=$2" \
		-e "/^\[Service\]/a StandardError=append:$2/messages" \
		"$built" >"$1/ublk-qcow2-test@.service"
}

# --- the test ---------------------------------------------------------------

disks=$WORK/disks.d
mkdir "$disks"
write_unit "$UNITS" "$disks"
systemctl daemon-reload
disk=unit-$$
unit=ublk-qcow2-test@$disk.service
cleanup "systemctl kill --signal=KILL $unit 2>/dev/null"

property()
{
	systemctl show -P "$1" "$unit"
}

# becomes PROPERTY PATTERN SECONDS
becomes()
{
	local end=$((SECONDS + $3))

	# shellcheck disable=SC2053  # a pattern
	until [[ $(property "$1") == $2 ]]; do
		((SECONDS <= end)) || fail "$1 is $(property "$1"): $(cat \
			"$disks/messages")"
		sleep 0.1
	done
}

start()
{
	systemctl start "$unit" || fail "start: $(cat "$disks/messages")"
	DEV=$(readlink -f "/dev/ublk-qcow2/$disk")
	[[ -b $DEV ]] || fail "started, but there is no disk"
	ADDED+=("$DEV")
	becomes ActiveState active 60
	[[ $(property MainPID) == "$(listed supervisor_pid)" ]] ||
		fail "its main process is not the supervisor"
}

note "a bad file"
echo 'image = nowhere' >"$disks/$disk.conf"
! systemctl start "$unit" 2>/dev/null || fail "started"
sleep 1
[[ $(property ActiveState) == failed && $(property NRestarts) == 0 ]] ||
	fail "a bad file: $(property ActiveState), $(property NRestarts)"
grep -q "image: 'nowhere' is no value" "$disks/messages" ||
	fail "says $(cat "$disks/messages")"

note "deaths"
image=$(image disk.qcow2 1G)
echo "image = $image" >"$disks/$disk.conf"
start
becomes StatusText "$DEV is live" 60
start_load --depth 8
sleep 0.5
kill_and_recover
[[ $(property NRestarts) == 0 ]] || fail "restarted for a dead server"
kill -9 "$(listed supervisor_pid)" "$(listed server_pid)"
becomes NRestarts 1 60
wait_live
becomes ActiveState active 60
server=$(listed server_pid)
kill -9 "$(listed supervisor_pid)"
becomes NRestarts 2 60
becomes ActiveState active 60
[[ $(listed server_pid) == "$server" ]] || fail "the server died, too"
becomes MainPID "$(listed supervisor_pid)" 60

# An emulated machine may need longer than the unit's two minutes.
mkdir "$UNITS/ublk-qcow2-test@.service.d"
cleanup "rm -rf '$UNITS/ublk-qcow2-test@.service.d'"
printf '%s\n' '[Service]' TimeoutStopSec=10min \
	>"$UNITS/ublk-qcow2-test@.service.d/patience.conf"
systemctl daemon-reload

note "a stop while it is in use"
systemctl stop --no-block "$unit"
becomes StatusText "$DEV is in use by process $LOAD_PID (load)*" 60
[[ $(property ActiveState) == deactivating ]] || fail "does not wait"
kill_and_recover
server=$(listed server_pid)
"$UBLK_QCOW2" recover "$DEV" || fail "recover, while it is to end"
becomes ActiveState inactive 60
[[ $(property Result) == success ]] || fail "recover: $(property Result)"
wait_live
[[ $(listed server_pid) == "$server" ]] || fail "the server was replaced"

note "and the next start, which does not wait for the stop"
timeout 90 systemctl start "$unit" || fail "start: $(cat "$disks/messages")"
becomes MainPID "$(listed supervisor_pid)" 60
[[ $(listed server_pid) == "$server" ]] || fail "the server was replaced"
systemctl stop --no-block "$unit"
stop_load
becomes ActiveState inactive 60
[[ -z $(traces) ]] || fail "left behind: $(traces)"
check_image "$image"

# The manager's patience ends before the users: it starts another supervisor.
note "a restart while it is in use"
printf '%s\n' '[Service]' TimeoutStopSec=2 \
	>"$UNITS/ublk-qcow2-test@.service.d/patience.conf"
systemctl daemon-reload
start
start_load --depth 8
server=$(listed server_pid)
supervisor=$(listed supervisor_pid)
timeout 90 systemctl restart "$unit" ||
	fail "restart: $(cat "$disks/messages")"
[[ $(property ActiveState) == active ]] || fail "$(property ActiveState)"
! kill -0 "$supervisor" 2>/dev/null || fail "the old supervisor goes on"
becomes MainPID "$(listed supervisor_pid)" 60
becomes StatusText "$DEV is live" 60
[[ $(listed server_pid) == "$server" ]] || fail "the server was replaced"
restarts=$(property NRestarts)
kill_and_recover
kill -9 "$(listed supervisor_pid)"
becomes NRestarts $((restarts + 1)) 60
becomes ActiveState active 60
becomes MainPID "$(listed supervisor_pid)" 60
stop_load
# The signal to end was the old one's.
sleep 2
[[ $(property ActiveState) == active ]] || fail "ended unasked"

rm "$UNITS/ublk-qcow2-test@.service.d/patience.conf"
systemctl daemon-reload

note "a stop while it is not"
start
timeout 90 systemctl stop "$unit" || fail "stop"
[[ $(property ActiveState) == inactive ]] || fail "$(property ActiveState)"
[[ -z $(traces) ]] || fail "left behind: $(traces)"

note "del, and at once another start"
start
restarts=$(property NRestarts)
for _ in 1 2 3; do
	del
	start
done
del
becomes ActiveState inactive 60
[[ $(property Result) == success ]] || fail "del: $(property Result)"
[[ $(property NRestarts) == "$restarts" ]] || fail "restarted after del"
[[ -z $(traces) ]] || fail "left behind: $(traces)"
check_image "$image"
