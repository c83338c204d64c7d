#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 180
#
# `del` refuses a disk in use and names the user, also a user that no process
# of this machine shows.  `del --force` does not refuse.  `del` leaves nothing
# of a disk whose server and supervisor are dead, either.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

image=$(image disk.qcow2 256M)
add "$image"
mkfs.ext4 -q "$DEV"
mkdir "$WORK/mnt"
mount "$DEV" "$WORK/mnt"
cleanup "umount $WORK/mnt 2>/dev/null"
refused 'in use|mounted|busy' "$UBLK_QCOW2" del "$DEV"
echo still >"$WORK/mnt/there"
umount "$WORK/mnt"

# Users that have no process here.
modules loop
loop=$(losetup -f --show "$DEV")
refused "in use by the loop device $loop" "$UBLK_QCOW2" del "$DEV"
losetup -d "$loop"
mkdir "$WORK/dev"
mount -t tmpfs nodes "$WORK/dev"
cleanup "umount '$WORK/dev'"
mknod "$WORK/dev/node" b "$((0x$(stat -c %t "$DEV")))" \
	"$((0x$(stat -c %T "$DEV")))"
loop=$(losetup -f --show "$WORK/dev/node")
refused "in use by the loop device $loop" "$UBLK_QCOW2" del "$DEV"
losetup -d "$loop"
exec 7<"$WORK/dev/node"
refused 'in use by process' "$UBLK_QCOW2" del "$DEV"
exec 7<&-
unshare --mount --propagation private bash -c \
	"mount '$DEV' '$WORK/mnt' && exec sleep 600" &
elsewhere=$!
cleanup "kill $elsewhere 2>/dev/null"
until grep -qs "$WORK/mnt" "/proc/$elsewhere/mounts"; do
	sleep 0.1
done
refused 'in use by the kernel' "$UBLK_QCOW2" del "$DEV"
kill "$elsewhere"
wait "$elsewhere" || true
dmsetup create --noudevsync "in-use-$$" --table "0 2048 linear $DEV 0"
cleanup "dmsetup remove --retry --noudevsync in-use-$$ 2>/dev/null"
refused 'in use by the device dm-' "$UBLK_QCOW2" del "$DEV"
dmsetup remove --retry --noudevsync "in-use-$$"
mkswap -q "$DEV" >/dev/null
swapon "$DEV"
refused 'in use by swap' "$UBLK_QCOW2" del "$DEV"
swapoff "$DEV"
note "unseen users"

exec 7<"$DEV"
refused 'in use|open|busy' "$UBLK_QCOW2" del "$DEV"
dd if="$DEV" of=/dev/null bs=4096 count=1 iflag=direct status=none ||
	fail "the refused del did harm"
timeout 90 "$UBLK_QCOW2" del --force "$DEV" || fail "del --force"
exec 7<&-
check_image "$image"
end=$((SECONDS + 30))
until [[ -z $(traces) ]] || ((SECONDS > end)); do sleep 0.1; done
[[ -z $(traces) ]] || fail "left behind: $(traces)"

# Of the dead nothing stays.
add "$image"
dd if=/dev/urandom of="$DEV" bs=64k count=100 oflag=direct status=none
sum=$(dd if="$DEV" bs=64k count=100 iflag=direct status=none | sha256sum)
kill -9 "$(listed supervisor_pid)" "$(listed server_pid)"
del
[[ -z $(traces) ]] || fail "left behind: $(traces)"
check_image "$image"
[[ $(qemu-img dd -O raw bs=64k count=100 if="$image" of="$WORK/raw" &&
	sha256sum <"$WORK/raw") == "$sum" ]] || fail "lost data"
