#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 200
#
# The host unmounts a file system on a disk while the disk's next server, or its
# clerk, has a copy of the host's mounts.  The last copy writes to the disk when
# it is given up.  The server must not wait for that, for it would wait for
# itself, and all users of the disk with it; nor may a clerk, which keeps the
# ring until its end.
#
# Unmounts reach the copies of mounts that are shared, as on most hosts.  So the
# mounts are private here, as in many containers.
# shellcheck source=../lib/driver.sh
[[ -n ${PRIVATE_MOUNTS:-} ]] || PRIVATE_MOUNTS=1 \
	exec unshare --mount --propagation private "$0"
. "$(dirname "$0")/../lib/driver.sh"

UBLK_QCOW2=${UBLK_QCOW2_FAULTY:?}
export UBLK_QCOW2_FAULT=slow-leave,late-order

# await_server COMMAND...: a server for which the command holds, with its pid
await_server()
{
	local end=$((SECONDS + 60)) pid

	while ((SECONDS <= end)); do
		for pid in $(pgrep -P "$SUPERVISOR"); do
			! "$@" "$pid" || return 0
		done
		sleep 0.02
	done
	fail "no server: $*"
}

# It rests now, with its copy.
has_mounts()
{
	local space

	space=$(readlink "/proc/$1/ns/mnt") && [[ $space != "$HOST" ]]
}

# Its clerk rests now, with a copy; the server dies.
dies_with_clerk()
{
	pgrep -x -P "$1" late-order >/dev/null && kill -9 "$1"
}

# unmount_when COMMAND...: as await_server
unmount_when()
{
	mount "$DEV" "$WORK/mnt" || fail "mount"
	head -c 1M /dev/urandom >"$WORK/data"
	cp "$WORK/data" "$WORK/mnt/data"
	kill -9 "$(listed server_pid)"
	await_server has_mounts
	[[ $1 == has_mounts ]] || await_server pgrep -x late-order -P
	umount "$WORK/mnt" || fail "umount"
	await_server "$@"
	wait_live
	note "$1: live, and unmounted"
}

image=$(image disk.qcow2 256M)
add "$image"
SUPERVISOR=$(listed supervisor_pid)
HOST=$(readlink "/proc/$SUPERVISOR/ns/mnt")
mkfs.ext4 -q "$DEV"
mkdir "$WORK/mnt"
unmount_when has_mounts
unmount_when dies_with_clerk
mount "$DEV" "$WORK/mnt" || fail "mount"
cmp "$WORK/data" "$WORK/mnt/data" || fail "other bytes"
umount "$WORK/mnt"
del
check_image "$image"
