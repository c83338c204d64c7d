#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 600
#
# A full file system of the host pauses a guest.  The agent leaves the guest
# alone until there is space, and then the guest goes on.  Blocks that are kept
# for root are no space, nor are those that a quota of the image's owner denies.
# The disk that needs the space was plugged in while the guest and the agent were
# running.
# shellcheck source=../lib/libvirt.sh
. "$(dirname "$0")/../lib/libvirt.sh"

truncate -s 64M "$WORK/backing"
mkfs.ext4 -q -m 30 -O quota "$WORK/backing"
mkdir "$WORK/mnt"
mount -o loop,usrquota "$WORK/backing" "$WORK/mnt"
cleanup "umount $WORK/mnt"
data=$WORK/mnt/data.qcow2
qemu-img create -q -f qcow2 "$data" 64M
chown 4711 "$data"

# quota SIZE: of its owner
quota()
{
	xfs_quota -f -x -c "limit -u bhard=$1 4711" "$WORK/mnt" ||
		fail "no quota"
}

# stays_paused: longer than it takes the agent to look again
stays_paused()
{
	domain_is web paused
	sleep 7
	domain_is web paused
	[[ $(agent_said "domain web: resumed") == 0 ]] ||
		fail "resumed without space"
	no_guest_error web
}

image=$(image web.qcow2 64M)
guest "$image"
start_libvirt
start_agent
define web "$image"
start web

# Room for about a third of the guest's writes.  The quota is larger, but leaves
# less than the agent waits for.
fallocate -l $(($(stat -f -c '%a * %S' "$WORK/mnt") - 1536 * 1024)) \
	"$WORK/mnt/ballast"
quota 8m
add "$data"
disk_xml "$(disk_device "$data")" vdb >"$WORK/data.xml"
virsh attach-device web "$WORK/data.xml" || fail "attach-device"
agent_says "domain web: its disk vdb is $(disk_device "$data")"
agent_says "domain web: waits, since its disk vdb, .*, needs space"
stays_paused

rm "$WORK/mnt/ballast"
sync -f "$WORK/mnt"
note "the file system has space"
stays_paused
quota 60m
note "the quota has, too"
agent_says "domain web: resumed; .*vdb"
progress web 1
progress web 0
[[ $(agent_said "domain web: resumed") == 1 ]] || fail "resumed again"

virsh detach-device web "$WORK/data.xml" || fail "detach-device"
unplugged web 1
agent_says "disk data: stays"
del_unplugged "$DEV"
end_agent
shut_down web
nothing_left
check_guest web "$image"
check_guest web "$data" 1
end_libvirt
