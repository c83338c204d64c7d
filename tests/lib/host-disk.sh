# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# A disk of the host's that can be broken; sourced by libvirt.sh, for the tests
# with libvirt, and by other tests.

# map_host_disk SIZE: it is /dev/mapper/host-$$, on $HOST_LOOP.
map_host_disk()
{
	local backing=$WORK/host-disk

	truncate -s "$1" "$backing"
	HOST_LOOP=$(losetup --show -f "$backing")
	cleanup "losetup -d $HOST_LOOP"
	HOST_DISK="linear $HOST_LOOP 0"
	HOST_SECTORS=$(blockdev --getsz "$HOST_LOOP")
	dmsetup create --noudevsync "host-$$" \
		--table "0 $HOST_SECTORS $HOST_DISK"
	dmsetup mknodes
	cleanup "dmsetup remove --retry --noudevsync host-$$"
}

# Mounts it at $WORK/host.  No journal: the file system must survive errors.
make_host_disk()
{
	map_host_disk 256M
	mkfs.ext4 -q -O ^has_journal "/dev/mapper/host-$$"
	mkdir "$WORK/host"
	mount -o errors=continue "/dev/mapper/host-$$" "$WORK/host"
	cleanup "umount $WORK/host"
}

# host_image NAME: an image on that disk whose file has all its room.  While the
# disk is broken the kernel gives up the file system's own writes, and does not
# tell of that later.  So no new place in the file may depend on them.
host_image()
{
	local file=$WORK/host/$1 node=driver=qcow2,discard=unmap

	qemu-img create -q -f qcow2 "$file" 64M
	node+=,file.driver=file,file.discard=ignore,file.filename=$file
	qemu-io --image-opts -c 'write 0 64M' -c 'discard 0 64M' "$node" \
		>/dev/null || fail "cannot prepare $file"
	echo "$file"
}

# host_disk_is TARGET ARGUMENT...: as dmsetup has it
host_disk_is()
{
	dmsetup suspend --noudevsync --nolockfs "host-$$"
	dmsetup load "host-$$" --table "0 $HOST_SECTORS $*" ||
		fail "the host's disk cannot be: $*"
	dmsetup resume --noudevsync "host-$$"
}

break_host_disk()
{
	host_disk_is error
	note "the host's disk is broken"
}

mend_host_disk()
{
	host_disk_is "$HOST_DISK"
	note "the host's disk is well again"
}
