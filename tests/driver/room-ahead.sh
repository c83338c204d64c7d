#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 360
#
# While a disk takes clusters, its file ends behind them.  `del` gives that room
# back, also after deaths, and when server and supervisor are dead.  A full file
# system keeps no room back from a guest.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

CLUSTER=65536

# The end of the image's last cluster.
end_of()
{
	qemu-img check -U "$1" | sed -n 's/^Image end offset: //p'
}

length_of()
{
	stat -c %s "$1"
}

# All writes are in the tables then.
has_room()
{
	blockdev --flushbufs "$DEV"
	(($(length_of "$1") > $(end_of "$1")))
}

ends_with_its_clusters()
{
	local end length

	check_image "$1"
	end=$(end_of "$1") length=$(length_of "$1")
	(((length + CLUSTER - 1) / CLUSTER * CLUSTER == end)) ||
		fail "the file has $length bytes, its clusters end at $end"
}

# put FIRST COUNT: a piece of each of so many clusters.
put()
{
	local i

	for ((i = $1; i < $1 + $2; i++)); do
		printf 'piece %d' "$i" | dd of="$DEV" bs=4096 conv=sync \
			oflag=direct seek=$((i * 16)) status=none
	done
}

verify()
{
	local i

	for ((i = 0; i < $1; i++)); do
		[[ $(dd if="$DEV" bs=4096 skip=$((i * 16)) count=1 iflag=direct \
			status=none | tr -d '\0') == "piece $i" ]] ||
			fail "cluster $i"
	done
}

image=$(image disk.qcow2 1G)
add "$image"
put 0 40
has_room "$image" || fail "there is no room after 40 clusters"
del
ends_with_its_clusters "$image"

note "deaths of the server"
add "$image"
put 40 40
kill_and_recover
put 80 40
has_room "$image" || fail "there is no room after a death"
kill_and_recover
verify 120
del
ends_with_its_clusters "$image"

note "del, with server and supervisor dead"
add "$image"
put 120 40
has_room "$image" || fail "there is no room before the death of both"
kill_off "$(listed supervisor_pid)" "$(listed server_pid)"
del
ends_with_its_clusters "$image"
add "$image"
verify 160
del

note "a full file system"
truncate -s 64M "$WORK/backing"
mkfs.ext4 -q -m 0 "$WORK/backing"
mkdir "$WORK/mnt"
mount -o loop "$WORK/backing" "$WORK/mnt"
cleanup "umount $WORK/mnt"
image=$WORK/mnt/image.qcow2
qemu-img create -q -f qcow2 "$image" 1G
add "$image"
put 0 40
has_room "$image" || fail "there is no room in the small file system"
# Less is left than the rest of the first sixteen clusters takes.
head -c $(($(df --output=avail -B1 "$WORK/mnt" | tail -n 1) - 262144)) \
	/dev/zero >"$WORK/mnt/ballast"
sync -f "$WORK/mnt"
# The rest of each cluster lies in none of the room.
for ((i = 0; i < 40; i++)); do
	head -c 61440 /dev/zero | tr '\0' r | dd of="$DEV" bs=4096 \
		oflag=direct seek=$((i * 16 + 1)) status=none ||
		fail "there was space for the rest of cluster $i"
done
verify 40
rm "$WORK/mnt/ballast"
del
ends_with_its_clusters "$image"
