#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 120
#
# `list` tells of every disk, to people and to programs.  Links are stable
# names.  DEV may be an id, a name, a device or a link.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

keys='["confinement","device","domain","id","image","link","name","read_only","reason",
	"recoveries","server_pid","since","size","state","supervisor_pid",
	"used_by"]'
one=$(image one.qcow2 64M)
two=$(image two.qcow2 100M)
add "$one"
dev1=$DEV
add "$two" --name second
dev2=$DEV

"$UBLK_QCOW2" list --json | jq -e 'length == 2' || fail "not two disks"
"$UBLK_QCOW2" list --json |
	jq -e "all(.[]; ($keys - keys) == [])" || fail "keys are missing"
[[ $("$UBLK_QCOW2" list | grep -c qcow2) == 2 ]] || fail "list"
[[ $(listed size "$dev2") == 104857600 ]] || fail "size"
[[ $(listed image "$dev1") == "$one" ]] || fail "image"
[[ $(listed state "$dev1") == live ]] || fail "state"
[[ $(listed recoveries "$dev1") == 0 ]] || fail "recoveries"
[[ $(listed name "$dev1") == one ]] || fail "name"
[[ $(listed link "$dev2") == /dev/ublk-qcow2/second ]] || fail "link"
[[ $(listed device "$dev2") == "$dev2" ]] || fail "device"

# It is for everybody to read, and says the same.
"$UBLK_QCOW2" list --json >"$WORK/root"
setpriv --reuid 65534 --regid 65534 --clear-groups "$UBLK_QCOW2" list --json \
	>"$WORK/nobody" || fail "list needs root"
cmp "$WORK/root" "$WORK/nobody" || fail "$(diff "$WORK/root" "$WORK/nobody")"
! setpriv --reuid 65534 --regid 65534 --clear-groups \
	cat /run/ublk-qcow2/*.journal >/dev/null 2>&1 ||
	fail "the journals are for everybody to read"

# It names the disk's users, as far as everybody can see them.
mkfs.ext4 -q "$dev1"
mkdir "$WORK/mnt"
mount "$dev1" "$WORK/mnt"
cleanup "umount '$WORK/mnt' 2>/dev/null"
[[ $("$UBLK_QCOW2" list --json "$dev1" | jq -r '.[0].used_by') == \
	"the mount at $WORK/mnt" ]] || fail "no user"
umount "$WORK/mnt"
[[ $("$UBLK_QCOW2" list --json "$dev1" | jq '.[0].used_by') == null ]] ||
	fail "a user"

for name in second /dev/ublk-qcow2/second "$(listed id "$dev2")" "$dev2"; do
	[[ $(listed image "$name") == "$two" ]] || fail "DEV as $name"
done
[[ $(readlink -f /dev/ublk-qcow2/second) == "$dev2" ]] || fail "link"
kill_and_recover "$dev2"
[[ $(readlink -f /dev/ublk-qcow2/second) == "$dev2" ]] || fail "link moved"
"$UBLK_QCOW2" list --json | jq -e '.[0].last_pause == null and
	(.[1].last_pause | .ms > 0 and (.cause | test("signal 9"))) and
	all(.[]; .queues == 1 and .depth == 128 and .cache == "none")' ||
	fail "pause or options: $("$UBLK_QCOW2" list --json)"
"$UBLK_QCOW2" list second | grep -q ' 1 *[0-9]*\.[0-9][0-9] s ' ||
	fail "no pause: $("$UBLK_QCOW2" list)"
refused 'name|second|exist' "$UBLK_QCOW2" add "$(image three.qcow2 1M)" \
	--name second
refused 'no such|not found|no disk|unknown' "$UBLK_QCOW2" list nobody
refused 'no such|not found|no disk|unknown' "$UBLK_QCOW2" del nobody

id=$(($(listed id "$dev2") + 5))
add "$(image four.qcow2 1M)" -n "$id"
[[ $DEV == /dev/ublkb$id ]] || fail "-n $id made $DEV"
del
del second
[[ ! -L /dev/ublk-qcow2/second ]] || fail "the link stays"
del "$dev1"
[[ $("$UBLK_QCOW2" list --json | jq length) == 0 ]] || fail "not empty"
