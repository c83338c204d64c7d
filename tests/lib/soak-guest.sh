# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The domain of the soak, if there is libvirt.  Its disk dies as the others do,
# and libvirtd and the agent die, too.  Sourced by soak.sh.

GUEST_DISK=		# its number among the disks
GUEST_DIED=()		# of libvirtd, agent: those that were just killed

have_libvirt()
{
	command -v libvirtd qemu-system-x86_64 >/dev/null &&
		[[ -x ${UBLK_QCOW2%/*}/ublk-qcow2-agent &&
			-e ${LOAD%/load/load}/guest/guest.bin ]]
}

# The process of the agent changes, and the last one must not outlive the soak.
run_agent()
{
	"$AGENT_PROGRAM" 2>>"$AGENT_LOG" &
	AGENT=$!
	disown
}

begin_guest()
{
	local i=$1

	GUEST_DISK=$i
	GUEST_IMAGE=$(image soak.qcow2 64M -o cluster_size=4k)
	guest "$GUEST_IMAGE"
	start_libvirt
	run_agent
	cleanup "kill -9 \$AGENT 2>/dev/null"
	define soak "$GUEST_IMAGE"
	start soak
	slow_down
	DEVICES[i]=$(disk_device "$GUEST_IMAGE")
}

# The guest computes without end, and a machine that is emulated itself has
# other work: there the guest gets a tenth of a processor.
slow_down()
{
	local group=/sys/fs/cgroup/soak

	[[ -n ${IN_VM:-} ]] || return 0
	if mkdir "$group" 2>/dev/null; then
		echo +cpu >"${group%/*}/cgroup.subtree_control"
		echo "10000 100000" >"$group/cpu.max"
	fi
	qemu_of soak >"$group/cgroup.procs"
}

# draw_daemons: those that die with the disks; adds to PIDS.
draw_daemons()
{
	GUEST_DIED=()
	[[ -n $GUEST_DISK ]] && ((RANDOM % 6 == 0)) || return 0
	case $((RANDOM % 3)) in
	0) GUEST_DIED=(libvirtd) PIDS+=("$LIBVIRTD") ;;
	1) GUEST_DIED=(agent) PIDS+=("$AGENT") ;;
	2) GUEST_DIED=(libvirtd agent) PIDS+=("$LIBVIRTD" "$AGENT") ;;
	esac
}

# The machine's service manager would start them again.
revive_daemons()
{
	local daemon

	for daemon in "${GUEST_DIED[@]}"; do
		count_kill "$daemon"
		case $daemon in
		libvirtd)
			rm -f /run/libvirt/libvirt-sock
			run_libvirtd
			;;
		agent) run_agent ;;
		esac
	done
}

# Half of the times nobody but the agent and libvirt's hook recovers the disk.
left_to_agent()
{
	[[ $1 == "$GUEST_DISK" && ${VICTIM[$1]} == both ]] && ((RANDOM % 2))
}

# The guest met no error.  To wait for it each time would take too long.
guest_goes_on()
{
	[[ -n $GUEST_DISK ]] || return 0
	hear_guest soak
	if [[ ${#GUEST_DIED[@]} != 0 ]] || ((RANDOM % 8 == 0)); then
		progress soak
		domain_is soak running
	fi
}

# The guest ends by itself, and its writes are in the image.
stop_guest()
{
	local end=$((SECONDS + 60))

	shut_down soak
	while [[ -e ${DEVICES[$1]} ]]; do
		((SECONDS <= end)) || fail "the guest's disk is left"
		sleep 0.2
	done
	check_guest soak "$GUEST_IMAGE"
}

restart_guest()
{
	count_change restart
	stop_guest "$1"
	start soak
	slow_down
}

end_guest()
{
	stop_guest "$1"
	note "guest: $(position soak) blocks written"
	WRITES=$((WRITES + $(position soak)))
	CHECKED=$((CHECKED + $(position soak)))
	kill "$AGENT"
	end_libvirt
}
