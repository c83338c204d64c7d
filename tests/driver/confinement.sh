#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 300
#
# The server of a disk has the rights and descriptors that it needs to serve,
# and no others.  So has the next server, after a recovery.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

HOST=$(readlink /proc/1/ns/{mnt,net,ipc,uts})
cd "$WORK"
qemu-img create -q -f qcow2 "$WORK/base.qcow2" 64M
image=$WORK/disk.qcow2
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 "$image" 64M

# The server has left the name space in which its files have paths, and its node
# of the device is in no directory that has one.
file_of()
{
	local file
	file=$(stat -Lc '%F %t:%T %d:%i' "$1")
	[[ $file != character* ]] || file=${file% *}
	echo "$file"
}

# descriptors PID: one line each, sorted.
descriptors()
{
	local fd link

	for fd in /proc/"$1"/fd/*; do
		link=$(readlink "$fd")
		case $link in
		anon_inode:*) tr -d '[]' <<<"$link" ;;
		socket:*) echo socket ;;
		pipe:*) echo pipe ;;
		*) file_of "$fd" ;;
		esac
	done | sort
}

# Standard streams, the node, the files of the image, two eventfds (the
# workers' and that of failures), the ring, the end of a pipe that tells when the
# ring is gone, and the channel to the supervisor.
expected()
{
	local file

	for file in /dev/null /dev/null /dev/null \
		"/dev/ublkc${DEV#/dev/ublkb}" "$WORK/base.qcow2" "$image"; do
		file_of "$file"
	done >expected
	cat - >>expected <<-END
		anon_inode:eventfd
		anon_inode:eventfd
		anon_inode:io_uring
		pipe
		socket
	END
	sort expected
}

# is TITLE KEY VALUE: in $status.
is()
{
	local found=none

	[[ ! $status =~ (^|$'\n')"$2:"([^$'\n']*) ]] ||
		found=${BASH_REMATCH[2]//$'\t'/ }
	found=${found#"${found%%[! ]*}"}
	[[ ${found% } == "$3" ]] || fail "$1: $2 is $found, not $3"
}

# name_spaces PID: a line for each that a server has to itself.
name_spaces()
{
	readlink "$1"/ns/{mnt,net,ipc,uts}
}

# thread_confined TITLE DIRECTORY
thread_confined()
{
	local key user seen mounts
	user=$((0x75000000 + (1 << 20) + SERVER))

	for key in Uid Gid; do
		is "$1" "$key" "$user $user $user $user"
	done
	is "$1" Groups ''
	for key in CapInh CapPrm CapEff CapBnd CapAmb; do
		is "$1" "$key" 0000000000000000
	done
	is "$1" NoNewPrivs 1
	is "$1" Seccomp 2
	! grep -qxF "$HOST" <<<"$(name_spaces "$2")" ||
		fail "$1: a name space of the host's"
	seen=$(echo "$2"/root/* "$2"/root/.[!.]*)
	[[ $seen == "$2/root/* $2/root/.[!.]*" ]] || fail "$1: sees files"
	mapfile -t mounts <"$2/mountinfo"
	[[ ${#mounts[@]} == 1 ]] || fail "$1: has mounts: ${mounts[*]}"
}

# Workers of the kernel's for the ring are no threads of ours, and end while we
# look.
thread_is_confined()
{
	local status='' name=''

	{ read -r name <"$2/comm"; } 2>/dev/null || return 0
	if [[ $name == iou-wrk* ]]; then
		return 0
	fi
	{ IFS= read -rd '' status <"$2/status"; } 2>/dev/null || true
	thread_confined "$1, $name" "$2"
	note "$1: $name"
}

# confined TITLE
confined()
{
	local server thread node

	server=$(listed server_pid)
	SERVER=$server
	diff <(expected) <(descriptors "$server") >&2 ||
		fail "$1: its descriptors"
	[[ -z $(pgrep -P "$server") ]] || fail "$1: it has a child"
	# No other process holds the device's node.
	node=$(stat -c %t:%T "/dev/ublkc${DEV#/dev/ublkb}")
	[[ $(find -L /proc/[0-9]*/fd -type c -exec stat -Lc %t:%T {} + \
		2>/dev/null | grep -cx "$node") == 1 ]] ||
		fail "$1: others hold the node"
	for thread in /proc/"$server"/task/*; do
		thread_is_confined "$1" "$thread"
	done
	[[ ! -r /proc/$server/maps ]] ||
		! grep -q '^[0-9a-f-]* [^ ]*wx' "/proc/$server/maps" ||
		fail "$1: memory to write and execute"
}

add "$image"
confined "the first server"
held=$("$UBLK_QCOW2" list --json "$DEV" | jq -c '.[0].confinement')
[[ $held == '["user","namespaces","ring","landlock","seccomp"]' ]] ||
	fail "list tells of the confinement: $held"
start_load --depth 8
kill_and_recover
stop_load
sleep 6				# the kernel's workers for the ring end
confined "a later server"
discard=$(blkdiscard -o 0 -l 1M "$DEV" 2>&1) || fail "discard: $discard"
[[ $(listed recoveries) == 1 ]] || fail "a server has died"
del
check_image "$image"
[[ -z $(find /run/ublk-qcow2 -name '*.journal' -o -name '*.life') ]] ||
	fail "a journal is left"

# A kernel that lacks a step.
UBLK_QCOW2=${UBLK_QCOW2_FAULTY:?}
export UBLK_QCOW2_FAULT=no-landlock
refused 'cannot confine the server by landlock' "$UBLK_QCOW2" add --confined \
	"$image"
add "$image"
held=$("$UBLK_QCOW2" list --json "$DEV" | jq -c '.[0].confinement')
[[ $held == '["user","namespaces","ring","seccomp"]' ]] ||
	fail "without Landlock it is told: $held"
log_lines 'confined without landlock, which this host' ||
	fail "nobody is told"
del

# A host where no node of a device can be made: it is opened in /dev.
export UBLK_QCOW2_FAULT=no-nodes
refused 'cannot confine the server by namespaces' "$UBLK_QCOW2" add --confined \
	"$image"
add "$image"
held=$("$UBLK_QCOW2" list --json "$DEV" | jq -c '.[0].confinement')
[[ $held == '["user","ring","landlock","seccomp"]' ]] ||
	fail "without nodes it is told: $held"
kill_server
listed_becomes recoveries 1 60
wait_live
del
