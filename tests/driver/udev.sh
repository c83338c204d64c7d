#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 300
#
# With our rules udev knows a disk by its name, and leaves the bytes on it
# alone.  udev treats a ublk device of another program as ever.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

OURS=$(cd "$(dirname "$0")/../../plugin/udev" && pwd -P)
RULES=/run/udev/rules.d
STOCK=/lib/udev/rules.d

mkdir -p "$RULES"
for file in "$OURS"/*.rules; do
	cleanup "rm -f $RULES/$(basename "$file")"
	cp "$file" "$RULES"
done
# The next udev's rules: those of Debian 12 do not look at ublk devices yet.
for file in 60-block.rules 60-persistent-storage.rules; do
	grep -q 'nbd\*|zd\*' "$STOCK/$file" || fail "$file has changed"
	cleanup "rm -f $RULES/$file"
	sed 's/|nbd\*|zd\*/&|ublkb*/' "$STOCK/$file" >"$RULES/$file"
done
# A rule that heeds the flag, as those of LVM and bcache do.
cleanup "rm -f $RULES/70-ublk-qcow2-test.rules"
cat >"$RULES/70-ublk-qcow2-test.rules" <<'END'
KERNEL=="ublkb*", ENV{DM_UDEV_DISABLE_OTHER_RULES_FLAG}!="1", ENV{TOUCHED}="1"
END
if ! udevadm control --ping --timeout=30 2>/dev/null; then
	/lib/systemd/systemd-udevd --daemon || fail "no udevd"
	cleanup "udevadm control --exit"
fi
udevadm control --reload
cleanup "udevadm control --reload"

settle()
{
	udevadm settle --timeout=120 || fail "udev does not settle"
}

event()
{
	udevadm trigger --action="$1" "$2"
	settle
}

# property NAME DEVICE
property()
{
	udevadm info --query=property "$2" | sed -n "s/^$1=//p"
}

reads()
{
	awk '{ print $1 }' "/sys/block/$(basename "$DEV")/stat"
}

# untouched DEVICE: nothing was read from it, and no other rule acted on it
untouched()
{
	local known

	known=$(udevadm info --query=property "$1")
	! grep -E '^(ID_FS_|ID_PART_|TOUCHED)|by-uuid' <<<"$known" ||
		fail "$1 was looked at"
	grep -qx UDISKS_IGNORE=1 <<<"$known" || fail "$1 is udisks' as well"
	grep -qx SYSTEMD_READY=1 <<<"$known" || fail "$1 is not ready"
	[[ $(property UBLK_QCOW2_NAME "$1") == "$name" ]] ||
		fail "$1 is not known by its name"
}

name=udev-$$
link=/dev/ublk-qcow2/$name
image=$(image disk.qcow2 256M)
add "$image" --name "$name"
mkfs.ext4 -q "$DEV"
uuid=$(blkid -p -o value -s UUID "$DEV")
settle
untouched "$DEV"
[[ $(property SYSTEMD_ALIAS "$DEV") == "$link" ]] || fail "no alias"
[[ $(stat -c '%a %U %G' "$DEV") == "660 root disk" ]] ||
	fail "belongs to $(stat -c '%a %U %G' "$DEV")"

note "events, and the end of a write"
before=$(reads)
event change "$DEV"
dd if=/dev/zero of="$DEV" bs=4096 seek=1000 count=1 oflag=direct status=none
sleep 1
settle
[[ $(reads) == "$before" ]] || fail "$(($(reads) - before)) reads"
untouched "$DEV"
[[ $(readlink -f "$link") == "$DEV" ]] || fail "the link suffered"
queue=/sys/block/$(basename "$DEV")/queue
echo 30000 >"$queue/io_timeout"
echo mq-deadline >"$queue/scheduler"
event add "$DEV"
[[ $(cat "$queue/io_timeout") == 2000 ]] || fail "io_timeout"
[[ $(cat "$queue/scheduler") == *"[none]"* ]] || fail "scheduler"
untouched "$DEV"
kill_and_recover
settle
untouched "$DEV"
[[ $(readlink -f "$link") == "$DEV" ]] || fail "the link suffered"

note "a device of somebody else"
record=/run/ublk-qcow2/$(listed id).disk
mv "$record" "$WORK/record"
event add "$DEV"
known=$(udevadm info --query=property "$DEV")
mv "$WORK/record" "$record"
for expected in ID_FS_TYPE=ext4 ID_FS_UUID="$uuid" TOUCHED=1; do
	grep -qx "$expected" <<<"$known" || fail "no $expected: $known"
done
! grep -q 'UBLK_QCOW2\|UDISKS_IGNORE' <<<"$known" || fail "is ours: $known"
[[ $(reads) != "$before" ]] || fail "was not read"
[[ -L /dev/disk/by-uuid/$uuid ]] || fail "no link by its uuid"
event change "$DEV"
untouched "$DEV"
[[ ! -L /dev/disk/by-uuid/$uuid ]] || fail "a link by its uuid"

note "a partition"
echo ',,L' | sfdisk -q --no-reread --no-tell-kernel "$DEV"
partx -a "$DEV" || fail "no partition"
cleanup "partx -d $DEV 2>/dev/null"
settle
untouched "${DEV}p1"
partx -d "$DEV"
settle

numbers=$(stat -c '%Hr:%Lr' "$DEV")
[[ -e /run/udev/data/b$numbers ]] || fail "udev does not know $numbers"
del
settle
[[ ! -e /run/udev/data/b$numbers ]] || fail "udev has not forgotten $numbers"
[[ -z $(traces) ]] || fail "left behind: $(traces)"
check_image "$image"
