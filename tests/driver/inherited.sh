#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 300
#
# The disk's processes inherit no limits, signals, priority and so on from the
# process that runs `add`.  With any of these the disk works and recovers.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

image=$(image disk.qcow2 64M)

# The admin's executables get none of it either.
mkdir "$WORK/hooks"
cat >"$WORK/hooks/tell" <<-END
	#!/bin/sh
	{ env; umask; cat /proc/self/status; } >"$WORK/told.new"
	mv "$WORK/told.new" "$WORK/told"
END
chmod +x "$WORK/hooks/tell"
export UBLK_QCOW2_HOOKS=$WORK/hooks

# with TITLE SHELL-COMMAND: adds it in such a shell.
with()
{
	local before

	DEV=$(OF_THE_SHELL=1 timeout 60 bash -c "$2; exec '$UBLK_QCOW2' add '$image'" 2>&1) ||
		fail "$1: $DEV"
	ADDED+=("$DEV")
	[[ -b $DEV ]] || fail "$1: add says $DEV"
	timeout 30 dd if=/dev/urandom of="$DEV" bs=1M count=4 oflag=direct \
		status=none || fail "$1: cannot be written"
	before=$(listed server_pid)
	kill_and_recover
	[[ $(listed server_pid) != "$before" ]] || fail "$1: the same server"
	hook_is_well "$1"
	timeout 30 dd if="$DEV" of=/dev/null bs=1M count=4 iflag=direct \
		status=none || fail "$1: cannot be read"
	looks_well "$1"
	del
	check_image "$image"
	note "$1"
}

expect()
{
	[[ $2 == "$3" ]] || fail "$1: $2 and not $3"
}

hook_is_well()
{
	local end=$((SECONDS + 60))

	until [[ -e $WORK/told ]]; do
		((SECONDS <= end)) || fail "$1: the hook was not run"
		sleep 0.1
	done
	! grep -q '^OF_THE_SHELL=' "$WORK/told" || fail "$1: its environment"
	grep -q '^UBLK_QCOW2_NAME=disk$' "$WORK/told" || fail "$1: no name"
	grep -qx 0022 "$WORK/told" || fail "$1: the hook's umask"
	rm "$WORK/told"
}

looks_well()
{
	local pid status

	for pid in "$(listed supervisor_pid)" "$(listed server_pid)"; do
		status=$(cat "/proc/$pid/status")
		expect "$1: umask" "$(sed -n 's/^Umask:\t//p' <<<"$status")" \
			0022
		expect "$1: oom_score_adj" "$(cat "/proc/$pid/oom_score_adj")" \
			-900
		expect "$1: nice" "$(ps -o ni= -p "$pid" | tr -d ' ')" 0
		expect "$1: directory" "$(readlink "/proc/$pid/cwd")" /
		# The rescuer of a disk must not be paged out to it.
		(($(sed -n 's/^VmLck:[^0-9]*\([0-9]*\).*/\1/p' \
			<<<"$status") > 500)) || fail "$1: not locked in memory"
		! grep -q '^SigIgn:.*[13579bdf]....$' <<<"$status" ||
			fail "$1: SIGCHLD is ignored"
	done
	grep -q 'Max file size *unlimited' "/proc/$pid/limits" ||
		fail "$1: a file's size is limited"
}

with "signals, umask, priority" \
	"trap '' HUP INT QUIT USR1 USR2 PIPE ALRM TERM CHLD; umask 0777;
	renice -n 10 \$\$ >/dev/null; echo 500 >/proc/self/oom_score_adj"
mkdir "$WORK/cwd"
with "limits, a directory that is removed, nothing open" \
	"cd '$WORK/cwd'; rmdir '$WORK/cwd'; exec <&- 2>&-;
	ulimit -n 24; ulimit -s 64; ulimit -l 64; ulimit -i 0; ulimit -f 100
	ulimit -t 20; ulimit -v 300000"

# A shell's control group may be frozen.
[[ -e /sys/fs/cgroup/cgroup.procs ]] ||
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir /sys/fs/cgroup/shell-$$
cleanup "rmdir /sys/fs/cgroup/shell-$$"
DEV=$(bash -c "echo \$\$ >/sys/fs/cgroup/shell-$$/cgroup.procs; exec '$UBLK_QCOW2' add '$image'")
ADDED+=("$DEV")
[[ -z $(<"/sys/fs/cgroup/shell-$$/cgroup.procs") ]] ||
	fail "it is in the shell's control group"
del
