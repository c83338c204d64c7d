#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 240
#
# `resize`: a disk in use grows, image and device, and keeps all acknowledged
# writes.  If a process is killed at any moment, the disk has the old size or
# the new one.  A message tells of a driver that cannot do it.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

bytes_of()
{
	blockdev --getsize64 "$DEV"
}

virtual_size()
{
	qemu-img info -U --output=json "$1" | jq '."virtual-size"'
}

image=$(image disk.qcow2 1G)
add "$image"
start_load --depth 8
size=$((1 << 30))

note "refusals"
refused 'cannot shrink' "$UBLK_QCOW2" resize "$DEV" 512M
refused 'is no size' "$UBLK_QCOW2" resize "$DEV" many
refused 'no whole sectors' "$UBLK_QCOW2" resize "$DEV" 1073741825
if [[ $(uname -r) == 6.[0-9].* || $(uname -r) == 6.1[0-5].* ]]; then
	server=$(listed server_pid)
	refused '6.16 and later' "$UBLK_QCOW2" resize "$DEV" 2G
	[[ $(listed server_pid) == "$server" ]] || fail "its server was killed"
	stop_load
	del
	check_image "$image"
	exit
fi

note "in use"
"$UBLK_QCOW2" resize "$DEV" +1G || fail resize
[[ $(bytes_of) == $((2 * size)) ]] || fail "the device has $(bytes_of) bytes"
[[ $(listed size) == $((2 * size)) ]] || fail "list: $(listed size)"
[[ $(virtual_size "$image") == $((2 * size)) ]] || fail "the image has not"
[[ $(listed recoveries) == 0 ]] || fail "it counts as a recovery"
kill_and_recover
[[ $(bytes_of) == $((2 * size)) ]] || fail "forgotten in a recovery"
stop_load

note "the new part"
"$LOAD" --verify --touched-only --offset $((3 * size / 2)) --size 64M \
	--seconds 2 "$DEV" || fail "load beyond the old end"

note "killed meanwhile"
start_load --depth 8
for round in 1 2 3 4 5 6; do
	before=$(bytes_of)
	change_and_kill "$round" "$UBLK_QCOW2" resize "$DEV" +1G
	after=$(bytes_of)
	[[ $after == "$before" || $after == $((before + size)) ]] ||
		fail "$after bytes, after $before"
	[[ $(virtual_size "$image") -ge $after ]] ||
		fail "the image is smaller than the device"
done
"$UBLK_QCOW2" resize "$DEV" 16G || fail "resize at last"
[[ $(bytes_of) == $((16 * size)) ]] || fail "the device has $(bytes_of) bytes"
stop_load
del
check_image "$image"
[[ $(virtual_size "$image") == $((16 * size)) ]] || fail "the image has not"
