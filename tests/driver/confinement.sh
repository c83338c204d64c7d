#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 300
#
# The server of a disk, the first one and the one after a recovery, has nothing
# in its hands but what it serves with.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

qemu-img create -q -f qcow2 "$WORK/base.qcow2" 64M
image=$WORK/disk.qcow2
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 "$image" 64M

# descriptors PID: one line each, sorted.
descriptors()
{
	find "/proc/$1/fd" -type l -printf '%l\n' |
		sed 's/:\[[0-9]*\]$//; s/\[\([a-z_]*\)\]$/\1/' | sort
}

# The channel to the supervisor, the ring, the workers' eventfd and the files.
expected()
{
	sort <<-END
		/dev/null
		/dev/null
		/dev/null
		/dev/ublkc${DEV#/dev/ublkb}
		$WORK/base.qcow2
		$image
		anon_inode:eventfd
		anon_inode:eventfd
		anon_inode:io_uring
		socket
	END
}

# confined TITLE
confined()
{
	local server status thread

	server=$(listed server_pid)
	diff <(expected) <(descriptors "$server") >&2 ||
		fail "$1: its descriptors"
	[[ -z $(pgrep -P "$server") ]] || fail "$1: it has a child"
	# Nobody else holds what belongs to it alone.
	[[ $(find /proc/[0-9]*/fd -lname "/dev/ublkc${DEV#/dev/ublkb}" \
		2>/dev/null | wc -l) == 1 ]] || fail "$1: others hold the node"
	for thread in /proc/"$server"/task/*; do
		status=$(<"$thread/status")
		note "$1: $(<"$thread/comm"): $(grep -E \
			'^(Uid|CapEff|CapBnd|NoNewPrivs|Seccomp):' \
			<<<"$status" | tr -s '\t\n' ' ')"
	done
}

add "$image"
confined "the first server"
start_load --depth 8
kill_and_recover
confined "a later server"
stop_load
del
check_image "$image"
