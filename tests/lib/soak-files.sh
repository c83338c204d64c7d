# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# File systems on disks of the soak.  A writer makes files, remembers the
# checksum of each, and lets the file system's own program look at it now and
# then.  Sourced by soak.sh.

FILES=40		# names, which are used again

# check_files TYPE DISK
check_files()
{
	case $1 in
	ext4) e2fsck -fn "$2" ;;
	xfs) xfs_repair -n "$2" ;;
	esac >"$WORK/fsck.${2##*/}" 2>&1 || {
		cat "$WORK/fsck.${2##*/}"
		return 1
	}
}

mount_files()
{
	modules "$2"
	mkdir "$WORK/$1.files"
	case $2 in
	ext4) mkfs.ext4 -q "${DEVICES[$1]}" ;;
	xfs) mkfs.xfs -q "${DEVICES[$1]}" ;;
	esac
	mount "${DEVICES[$1]}" "$WORK/$1.files"
	cleanup "umount $WORK/$1.files 2>/dev/null"
}

# In a process of its own, until there is a file I.stop: then it ends with all
# of its checksums in I.sums.
write_files()
{
	local i=$1 type=$2 dir=$WORK/$1.files name n=0
	declare -A sums=()

	until [[ -e $WORK/$i.stop ]]; do
		name=$((RANDOM % FILES))
		head -c $((RANDOM * 8)) /dev/urandom >"$dir/new"
		sums[$name]=$(sha256sum <"$dir/new")
		((RANDOM % 4)) || sync "$dir/new"
		mv "$dir/new" "$dir/$name"
		n=$((n + 1))
		echo "writes=$n" >"$WORK/$i.out"
		((n % 100)) || again_files "$i" "$type"
		sleep 0.5
	done
	for name in "${!sums[@]}"; do
		echo "${sums[$name]/-/$name}"
	done >"$WORK/$i.sums"
	again_files "$i" "$type"
}

# The program of the file system finds nothing.
again_files()
{
	umount "$WORK/$1.files"
	check_files "$2" "${DEVICES[$1]}"
	mount "${DEVICES[$1]}" "$WORK/$1.files"
}

# compare_files I: the files on the disk, from which nothing is cached.
compare_files()
{
	local count

	(cd "$WORK/$1.files" && sha256sum --quiet -c "$WORK/$1.sums") ||
		return
	count=$(wc -l <"$WORK/$1.sums")
	[[ $(find "$WORK/$1.files" -type f | wc -l) == "$count" ]] || return
	CHECKED=$((CHECKED + count))
}

begin_files()
{
	local i=$1

	mount_files "$i" "${IMAGES[i]}"
	write_files "$i" "${IMAGES[i]}" 2>"$WORK/$i.err" &
	LOADS[i]=$!
	cleanup "kill -9 ${LOADS[i]} 2>/dev/null"
}

# First through the disk, and then as QEMU reads the image.
end_files()
{
	local i=$1 image type=${IMAGES[$1]} status=0

	wait "${LOADS[i]}" || status=$?
	[[ $status == 0 ]] || fail "$type: $(tail -n 5 "$WORK/$i.err")"
	compare_files "$i" || WRONG=$((WRONG + 1))
	umount "$WORK/$i.files"
	look "$i"
	image=${SEEN[image]}
	del "${DEVICES[i]}"
	qemu-img check -q "$image" || FLAWED=$((FLAWED + 1))
	qemu-img convert -O raw "$image" "$WORK/converted"
	check_files "$type" "$WORK/converted" || WRONG=$((WRONG + 1))
	mount -o loop,ro "$WORK/converted" "$WORK/$i.files"
	compare_files "$i" || WRONG=$((WRONG + 1))
	umount "$WORK/$i.files"
	rm "$WORK/converted"
	WRITES=$((WRITES + $(told "$i" writes)))
	note "$type: $(wc -l <"$WORK/$i.sums") files," \
		"of $(told "$i" writes) that were written"
}
