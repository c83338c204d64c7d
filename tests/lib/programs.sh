# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# A disk with the host's programs that the machine runs.
#
# The machine sees the host's files through 9p, where each open is three
# messages, and each look at /lib, a symbolic link, is one: a process with its
# libraries takes twice as long to start as from a disk.  So the packages that
# the tests run and /etc are copied to an ext4 file system, once for as long as
# they are the same, and lie above 9p.  Any other file is found below.

PROGRAM_PACKAGES=(qemu-utils qemu-system-x86 libvirt-daemon-system
	libvirt-clients apparmor systemd udev fio jq socat e2fsprogs xfsprogs
	dmsetup psmisc procps fdisk kmod busybox-static util-linux coreutils
	bash sed grep findutils mawk tar make libc-bin)

# The packages with all that they depend on.
packages_below()
{
	local installed

	mapfile -t installed < <(dpkg-query -W -f '${binary:Package}\n' "$@" \
		2>/dev/null)
	apt-cache depends --recurse --installed --no-recommends --no-suggests \
		--no-conflicts --no-breaks --no-replaces --no-enhances \
		"${installed[@]}" | grep '^[a-z]' | sort -u
}

# Their files and directories below /usr, /etc, and the links at the top,
# relative to /.  A file that programs do not run or load stays where it is.
# The time of a directory in /etc tells that something in it was removed.  Only
# root can copy owners.
files_to_copy()
{
	local packages file

	[[ $(id -u) == 0 ]] || return 0
	cd / || return
	find bin sbin lib lib64 -maxdepth 0 -type l -print0
	find etc -print0
	mapfile -t packages < <(packages_below "$@")
	dpkg-query -L "${packages[@]}" 2>/dev/null |
		sed 's,^/\(bin\|sbin\|lib\|lib64\)/,/usr/\1/,' |
		grep -E '^/usr/(bin|sbin|lib|lib64|libexec|share/(qemu|seabios|libvirt))/' |
		grep -vE '\.(a|o|h|py|pyc)$|/(firmware|python3[^/]*)/' | sort -u |
		while IFS= read -r file; do
			[[ ! -e $file ]] || printf '%s\0' "${file#/}"
		done
}

# A file that has taken the place of a package's file counts as newer, too.
disk_is_current()
{
	local disk=$1 files=$2

	[[ -s $disk && -s $files ]] &&
		[[ -z $(cd / && xargs -0 -a "$files" sh -c \
			'find "$@" -maxdepth 0 -cnewer "$0" 2>&1' "$disk") ]]
}

make_programs_disk()
{
	local disk=$1 files=$2 root=$1.root size

	# The top of it is the machine's /.
	rm -rf "$root"
	mkdir -m 755 "$root"
	tar -C / --null --no-recursion -T "$files" -cf - |
		(umask 022 && tar -C "$root" -xf -)
	size=$(du -sm "$root" | cut -f 1)
	truncate -s "$((size + size / 8 + 32))M" "$disk.new"
	mke2fs -q -t ext4 -O ^has_journal -m 0 -d "$root" "$disk.new" &&
		mv "$disk.new" "$disk"
	rm -rf "$root"
}

# programs_disk CACHE: prints the file, made now if need be.
programs_disk()
{
	local cache=$1/programs key disk files

	umask 077			# some of /etc is nobody's business
	mkdir -p "$cache"
	# Made in another way is another disk, too.
	key=$({ dpkg-query -W && cat "$TESTS/lib/programs.sh"; } | sha256sum |
		cut -c -16)
	disk=$cache/$key.ext4 files=$cache/$key.files
	if ! disk_is_current "$disk" "$files"; then
		say "copying programs for the machine"
		rm -rf "${cache:?}"/*
		(files_to_copy "${PROGRAM_PACKAGES[@]}") >"$files.new"
		mv "$files.new" "$files"
		make_programs_disk "$disk" "$files" >&2 ||
			die "cannot copy programs to $disk"
	fi
	echo "$disk"
}
