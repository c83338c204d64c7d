#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 240
#
# An image on a block device.  A device may have several nodes, each with an
# inode of its own, and a lock belongs to an inode.  So the device is known by
# its number, and claimed.  The device lies in /dev, and the devices beside it
# may belong to anybody.  A device has no times: so the mark alone tells an
# older copy, and an image without a mark has nothing that tells.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

modules loop
UBLK_QCOW2_DIRECTORIES=$WORK/directories
export UBLK_QCOW2_DIRECTORIES

# make_device NAME SIZE: $WORK/vg/NAME is a link to it, as /dev/VG has them.
make_device()
{
	local loop

	truncate -s "$2" "$WORK/$1.raw"
	loop=$(losetup -f --show "$WORK/$1.raw")
	cleanup "losetup -d $loop"
	mkdir -p "$WORK/vg"
	ln -s "$loop" "$WORK/vg/$1"
}

make_device top 128M
make_device base 128M
top=$WORK/vg/top loop=$(readlink -f "$WORK/vg/top")
base=$(readlink -f "$WORK/vg/base")
mkdir "$WORK/dev"
mount -t tmpfs nodes "$WORK/dev"
cleanup "umount '$WORK/dev'"
node=$WORK/dev/node
mknod "$node" b "$((0x$(stat -c %t "$loop")))" "$((0x$(stat -c %T "$loop")))"

# --- never two writers (P4) -----------------------------------------------

qemu-img create -q -f qcow2 "$loop" 64M
add "$loop" --name one
refused 'already served' "$UBLK_QCOW2" add "$node" --name two
# Not even if neither knows of the other's records.
mkdir "$WORK/run"
mount -t tmpfs other "$WORK/run"
cleanup "umount '$WORK/run'"
refused 'claimed|open for writing' env "UBLK_QCOW2_RUN=$WORK/run" \
	"$UBLK_QCOW2" add "$node" --name two
! mount "$loop" /mnt 2>/dev/null || fail "it can be mounted"
kill_and_recover
refused 'claimed|open for writing' env "UBLK_QCOW2_RUN=$WORK/run" \
	"$UBLK_QCOW2" add "$node" --name two
kill_off "$(listed supervisor_pid)"
"$UBLK_QCOW2" recover "$DEV" || fail "recover"
kill_and_recover
del

open_in_qemu -f qcow2 "$node"
refused 'in use: process .* open for writing' "$UBLK_QCOW2" add "$loop"
close_in_qemu

# A loop device and the file behind it are the same image.
file=$WORK/top.raw
add "$loop" --name one
refused 'in use by another' "$UBLK_QCOW2" add --force "$file" --name two
! qemu-io -f qcow2 -c 'read 0 512' "$file" >/dev/null 2>&1 ||
	fail "QEMU opens the file"
kill_off "$(listed supervisor_pid)"
"$UBLK_QCOW2" recover "$DEV" || fail "recover"
refused 'in use by another' "$UBLK_QCOW2" add --force "$file" --name two
del
add "$file" --name one
refused "the file $file behind it: in use" "$UBLK_QCOW2" add "$loop"
refused "the file $file behind it: in use" "$UBLK_QCOW2" check -r all "$loop"
del
check_image "$loop"
open_in_qemu -f qcow2 "$file"
refused "the file $file behind it: in use" "$UBLK_QCOW2" add "$loop"
close_in_qemu
# A part of a file says nothing of the rest.
part=$(losetup -f --show --offset 96M "$file")
cleanup "losetup -d $part"
qemu-img create -q -f qcow2 "$part" 16M
add "$loop" --name one
"$UBLK_QCOW2" add "$part" --name two >/dev/null || fail "a part of the file"
"$UBLK_QCOW2" del two || fail "del two"
del
note "never two writers"

# --- the files that it names (P6) -----------------------------------------

printf 'another tenant' | dd of="$base" bs=512 conv=sync status=none
qemu-img create -q -f qcow2 -u -b "$base" -F raw "$loop" 64M
refused 'directories' "$UBLK_QCOW2" add "$top"
qemu-img create -q -f qcow2 -u -b "$(basename "$base")" -F raw "$loop" 64M
refused 'directories' "$UBLK_QCOW2" add "$loop"

# Nobody writes to a backing device (P4), and a mount is no process.
mkfs.ext4 -q "$base"
qemu-img create -q -f qcow2 -b "$base" -F raw "$WORK/over.qcow2"
echo /dev >"$WORK/directories"
mount "$base" /mnt
cleanup "! mountpoint -q /mnt || umount /mnt"
refused 'in use: the mount at /mnt' "$UBLK_QCOW2" add "$WORK/over.qcow2"
umount /mnt
mount -o ro "$base" /mnt
add "$WORK/over.qcow2"
del
umount /mnt
rm "$WORK/over.qcow2" "$WORK/directories"

# A relative name leads where the device was named; the admin allows that.
qemu-img create -q -f qcow2 "$base" 32M
qemu-io -f qcow2 -c 'write -q -P 0x41 0 1M' "$base"
(cd "$WORK/vg" && qemu-img create -q -f qcow2 -b base -F qcow2 top 32M)
refused 'directories' "$UBLK_QCOW2" add "$top"
echo "$WORK/vg" >"$WORK/directories"
add "$top"
[[ $(listed name) == top ]] || fail "called $(listed name)"
for path in "$top" "$loop" "$node"; do
	[[ $(listed name "$path") == top ]] || fail "$path does not find it"
done
cmp -n 1M "$DEV" <(head -c 1M /dev/zero | tr '\0' '\101') ||
	fail "not the bytes of the base"
kill_and_recover
cmp -n 1M "$DEV" <(head -c 1M /dev/zero | tr '\0' '\101') ||
	fail "not the bytes of the base, after a recovery"
"$UBLK_QCOW2" commit "$DEV" --to "$WORK/vg/base" || fail "commit to a device"
[[ $(listed image) == "$WORK/vg/base" ]] || fail "serves $(listed image)"
del
refused "was merged into $WORK/vg/base" "$UBLK_QCOW2" add "$top"
note "names"

# --- a journal on another point of the image's life (R12) -----------------

both_die()
{
	kill_off "$(listed supervisor_pid)" "$(listed server_pid)"
}

written()
{
	head -c 64k /dev/zero | tr '\0' "$1" |
		dd of="$DEV" bs=64k seek="$2" oflag=direct status=none
}

forced()
{
	timeout 60 "$UBLK_QCOW2" del --force "$DEV" >/dev/null 2>&1 || true
	[[ ! -e $DEV ]] || fail "$DEV is still there"
	refused '--force' "$UBLK_QCOW2" add "$loop"
	add --force "$loop"
	del
	check_image "$loop"
}

# Both dead, nothing happened: the mark tells.
qemu-img create -q -f qcow2 "$loop" 64M
add "$loop"
written a 0
both_die
"$UBLK_QCOW2" recover "$DEV" || fail "recover"
[[ $(head -c 1 "$DEV") == a ]] || fail "lost"

# An older copy is put back.
sync "$DEV"
dd if="$loop" of="$WORK/copy" bs=1M status=none
blkdiscard -o 0 -l 64k "$DEV"
sync "$DEV"
written b 3
both_die
dd if="$WORK/copy" of="$loop" bs=1M oflag=direct status=none
refused 'older copy' timeout 100 "$UBLK_QCOW2" recover "$DEV"
forced

# With --force the disk goes on, and its users with it.
add "$loop"
written a 0
sync "$DEV"
dd if="$loop" of="$WORK/copy" bs=1M status=none
blkdiscard -o 0 -l 64k "$DEV"
sync "$DEV"
both_die
dd if="$WORK/copy" of="$loop" bs=1M oflag=direct status=none
refused 'older copy' timeout 100 "$UBLK_QCOW2" recover "$DEV"
"$UBLK_QCOW2" recover --force "$DEV" || fail "recover --force"
[[ $(head -c 1 "$DEV") == a ]] || fail "not the bytes of the copy"
kill_and_recover
del
check_image "$loop"

# Version 2 has no mark: only while a supervisor lives is it known.
qemu-img create -q -f qcow2 -o compat=0.10 "$loop" 64M
add "$loop"
written a 0
kill_and_recover
[[ $(head -c 1 "$DEV") == a ]] || fail "version 2: lost"
both_die
refused 'nothing tells' timeout 100 "$UBLK_QCOW2" recover "$DEV"
forced
