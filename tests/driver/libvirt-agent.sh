#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 600
#
# An error of the host's disk pauses a guest.  The agent resumes the guest when
# the disk is well again, also if libvirtd was restarted meanwhile.  A guest
# that its admin has paused stays paused.
# shellcheck source=../lib/libvirt.sh
. "$(dirname "$0")/../lib/libvirt.sh"

make_host_disk
image=$(host_image web.qcow2)
guest "$image"
sync -f "$WORK/host"
start_libvirt
start_agent
define web "$image"
start web
agent_says "domain web: its disk vda is $(disk_device "$image")"

break_host_disk
agent_says "domain web: paused by an I/O error of virtio-disk0"
sleep 4				# it tries, in vain
mend_host_disk
progress web
domain_is web running
agent_says "domain web: resumed"
tries=$(agent_said "domain web: resumed")
note "resumed $tries times"
((tries >= 1 && tries <= 5)) || fail "it was resumed $tries times"

virsh suspend web || fail "suspend"
sleep 7				# longer than it takes the agent to look again
[[ $(virsh domstate --reason web) == "paused (user)" ]] ||
	fail "the agent has resumed a guest that it should not"
virsh resume web || fail "resume"
progress web

break_host_disk
domain_becomes web paused
end_libvirtd
agent_says "lost the connection"
mend_host_disk
run_libvirtd
progress web

# Only the agent recovers it.
DEV=$(disk_device "$image")
kill -9 "$(listed supervisor_pid)" "$(listed server_pid)"
agent_says "disk web: recovered"
progress web
listed_becomes state live 60

refused 'another agent is running' "$AGENT_PROGRAM"
end_agent
kill_and_recover "$DEV"		# a disk that it has recovered outlives it
shut_down web
nothing_left
check_guest web "$image"
end_libvirt
