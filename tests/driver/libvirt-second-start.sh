#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 600
#
# A domain that wants the disk of a running domain does not start, by whichever
# name it calls the disk or the image.  The running domain keeps its disk.
# shellcheck source=../lib/libvirt.sh
. "$(dirname "$0")/../lib/libvirt.sh"

image=$(image web.qcow2 64M)
guest "$image"
mkdir "$WORK/elsewhere"
ln "$image" "$WORK/elsewhere/link.qcow2"
start_libvirt
define web "$image"
start web
server=$(listed server_pid "$(disk_device "$image")")

# starts_not NAME IMAGE
starts_not()
{
	define "$1" "$2"
	! virsh start "$1" 2>"$WORK/error" || fail "$1 starts with $2"
	note "$(cat "$WORK/error")"
	grep -qE "ublk-qcow2-hook: domain $1: .*$(disk_device "$2") .*$3" \
		"$WORK/error" || fail "which does not say why"
	domain_is "$1" "shut off"
	progress web
}

starts_not same "$image" 'in use by domain web'
starts_not hard "$WORK/elsewhere/link.qcow2" 'in use by domain web'
[[ $(listed server_pid "$(disk_device "$image")") == "$server" ]] ||
	fail "web has another server than before"
[[ ! -L /dev/ublk-qcow2/link ]] || fail "a link was left"
shut_down web
nothing_left
check_guest web "$image"
end_libvirt
