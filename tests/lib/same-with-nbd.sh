# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# How the demonstrations end: qemu-nbd serves an image, and is killed in the
# same way.  The caller has row() and $WORK.

# A network block device that is not in use.
free_nbd()
{
	local dir

	modprobe nbd 2>/dev/null || true
	for dir in /sys/block/nbd*; do
		[[ -e $dir/size && ! -e $dir/pid && $(<"$dir/size") == 0 ]] ||
			continue
		echo "/dev/${dir##*/}"
		return
	done
	return 1
}

# write_block FD: the next 4 KiB; prints why not.
write_block()
{
	dd if=/dev/urandom bs=4k count=1 oflag=direct status=none \
		2>&1 >&"$1" | sed -n 's/.*: //p' | head -n 1 || true
}

# The driver learns the size some time after qemu-nbd says that it serves.
nbd_is_served()
{
	local size=/sys/block/${1##*/}/size end=$((SECONDS + 60))

	until [[ $(<"$size") != 0 ]]; do
		((SECONDS <= end)) || return 1
		sleep 0.1
	done
}

same_with_nbd()
{
	local nbd image=$WORK/nbd.qcow2 i error fd

	if ! nbd=$(free_nbd) || ! type -P qemu-nbd >/dev/null; then
		row qemu-nbd "not compared: no nbd driver, or no qemu-nbd, here"
		return
	fi
	qemu-img create -q -f qcow2 "$image" 64M
	qemu-nbd --fork --pid-file="$WORK/nbd.pid" -f qcow2 -c "$nbd" \
		"$image" 2>/dev/null && nbd_is_served "$nbd" || {
		row qemu-nbd "not compared: it cannot serve $nbd"
		return
	}
	# Open all the time, as by a guest.
	exec {fd}>"$nbd"
	for ((i = 1; i <= 50; i++)); do
		[[ $i != 15 ]] || kill -9 "$(<"$WORK/nbd.pid")"
		error=$(write_block "$fd")
		[[ -z $error ]] || break
	done
	exec {fd}>&-
	row qemu-nbd "serves $nbd and is killed before write 15, in the same way:"
	row '' "write $i: ${error:-no error}"
	qemu-nbd -d "$nbd" >/dev/null 2>&1 || true
}
