# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# For tests of the driver that need a systemd, after driver.sh.  A machine
# without one gets one for the test alone, in a name space of processes and
# with no other unit than ours.

# The targets and services that ours refers to, with nothing in them.
write_system()
{
	local unit

	for unit in sysinit basic shutdown local-fs remote-fs multi-user; do
		echo '[Unit]' >"$1/$unit.target"
	done
	printf '%s\n' '[Unit]' DefaultDependencies=no '[Service]' \
		Type=oneshot 'ExecStart=-/sbin/modprobe -abq %i' \
		>"$1/modprobe@.service"
	printf '%s\n' '[Service]' Type=oneshot TimeoutStartSec=infinity \
		"ExecStart=/bin/bash -c '/bin/bash $(realpath "$0") inside $1; echo \$\$? >$WORK/status'" \
		>"$1/test.service"
	printf '%s\n' "UBLK_QCOW2=$UBLK_QCOW2" "LOAD=$LOAD" \
		"SCRATCH=$SCRATCH" "PATH=$PATH" >"$WORK/environment"
	printf '%s\n' "EnvironmentFile=$WORK/environment" \
		"StandardOutput=append:$WORK/log" StandardError=inherit \
		>>"$1/test.service"
}

# A little less time than the test itself has, so that it can still report.
own_system()
{
	local limit end

	limit=$(sed -n 's/^# limit: //p' "$0")
	end=$((SECONDS + ${limit:-120} - 20))
	mkdir "$WORK/units"
	write_system "$WORK/units"
	cleanup "rmdir /run/systemd 2>/dev/null"
	# shellcheck disable=SC2016  # for the shell in there
	SYSTEMD_UNIT_PATH=$WORK/units container=test unshare --pid --fork \
		--kill-child --mount-proc bash -c 'mkdir -p /run/systemd
			mount -t tmpfs none /run/systemd
			exec /lib/systemd/systemd --system --unit=test.service \
				--log-target=console' >"$WORK/manager" 2>&1 &
	cleanup "kill -9 $! 2>/dev/null; wait $! 2>/dev/null"
	until [[ -s $WORK/status ]]; do
		if ((SECONDS > end)) || ! kill -0 $! 2>/dev/null; then
			fail "no result: $(cat "$WORK/log" "$WORK/manager")"
		fi
		sleep 0.2
	done
	cat "$WORK/log"
	[[ $(cat "$WORK/status") == 0 ]] ||
		fail "see above; systemd says: $(tail -n 40 "$WORK/manager")"
}

# under_systemd "$@": goes on only under a systemd; units go to $UNITS.
under_systemd()
{
	if [[ ${1:-} == inside ]]; then
		UNITS=$2
	elif [[ -d /run/systemd/system ]]; then
		# shellcheck disable=SC2034  # for the tests
		UNITS=/run/systemd/system
		cleanup "systemctl daemon-reload"
	else
		own_system
		exit
	fi
}
