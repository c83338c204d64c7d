#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 300
#
# An image whose owner, or whose project, may have no more blocks is like one on
# a full file system: its guest gets ENOSPC, under whichever name the file system
# says so, for on that a hypervisor pauses the guest.  Neither the image nor an
# acknowledged write is harmed.  `list` and the hooks tell of it, also after a
# death, and tell again when the quota is larger.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

LIMIT=24	# MiB

# file_system TYPE: at $WORK/TYPE, with quotas of users and projects
file_system()
{
	local type=$1 options=()

	[[ $type != ext4 ]] ||
		options=(-O "quota,project" -E quotatype=usrquota:prjquota)
	truncate -s 400M "$WORK/$type.disk"
	"mkfs.$type" -q "${options[@]}" "$WORK/$type.disk"
	mkdir "$WORK/$type"
	mount -o loop,usrquota,prjquota "$WORK/$type.disk" "$WORK/$type"
	cleanup "umount $WORK/$type"
}

# limit TYPE KIND MIB: of user 4711, or of project 4712
limit()
{
	local flag=-u id=4711

	[[ $2 == user ]] || flag=-p id=4712
	xfs_quota -f -x -c "limit $flag bhard=$3m $id" "$WORK/$1" ||
		fail "no quota of a $2 on $1"
}

# owned TYPE KIND: an empty image that the quota counts; prints its path
owned()
{
	local file

	file=$(image "$1/$2.qcow2" 1G)
	case $2 in
	user) chown 4711 "$file" ;;
	project) chattr -p 4712 "$file" ;;
	esac
	echo "$file"
}

# in_trouble WHEN: of each disk the list says so, and why.
in_trouble()
{
	for DEV in "${DISKS[@]}"; do
		[[ $(listed kind) == no-space ]] ||
			fail "$DEV: $(listed kind) and not no-space $1"
	done
}

# use DEV OPTION...: loads it
use()
{
	DEV=$1
	shift
	start_load --ledger "$WORK/ledger.${DEV##*/}" --block 64K "$@"
}

ended()
{
	wait "$LOAD_PID" || fail "$DEV: load: $(cat "$WORK/load.err")"
	LOAD_PID=
	note "$DEV: $(tail -n 1 "$WORK/load.out")"
}

modules quota_v2 xfs
hear_hooks
DISKS=() IMAGES=()
for type in ext4 xfs; do
	file_system $type
	for kind in user project; do
		limit $type $kind $LIMIT
		IMAGES+=("$(owned $type $kind)")
		add "${IMAGES[-1]}" --name "$type-$kind"
		DISKS+=("$DEV")
	done
done

for disk in "${DISKS[@]}"; do
	use "$disk" --tolerate-errors --ops 600
	load_meets ENOSPC
	listed_becomes kind no-space 60
	heard "^no-space $disk \(Disk quota exceeded\|No space left on device\)$"
	kill_and_recover
	ended
	[[ $(loaded error) == ENOSPC ]] || fail "the client saw: $(loaded error)"
done
grep -q 'Disk quota exceeded' "$WORK/events" || fail "no quota was exceeded"
in_trouble "after a death"

# They may have more.
for type in ext4 xfs; do
	limit $type user 200
	limit $type project 200
done
for disk in "${DISKS[@]}"; do
	use "$disk" --depth 4 --ops 100
	ended
done
for disk in "${DISKS[@]}"; do
	listed_becomes trouble null 60 "$disk"
	heard "^well-again $disk $"
	del "$disk"
done
for file in "${IMAGES[@]}"; do
	check_image "$file"
done
