#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 900
#
# Images of several files or layers are written to while the server dies: an
# overlay on a compressed image, on a plain one and on a raw file, an image with
# a snapshot, with subclusters, with an external data file.  fio verifies the
# bytes that it wrote; all other bytes are as they were.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

SIZE=$((96 << 20))
WRITTEN=$((16 << 20))

# Text, so that it compresses; every block different.
(set +o pipefail
 yes "a line of the base image" | cat -n | head -c "$SIZE" >"$WORK/raw")
qemu-img convert -f raw -O qcow2 -c "$WORK/raw" "$WORK/base.qcow2"

write_and_kill()
{
	local fio

	fio --name=verify --filename="$DEV" --direct=1 --ioengine=io_uring \
		--rw=randwrite --bsrange=4k-64k --iodepth=16 --size=$WRITTEN \
		--verify=crc32c --verify_fatal=1 --do_verify=1 \
		--output="$WORK/fio.out" &
	fio=$!
	busy
	for _ in {1..3}; do
		kill -0 "$fio" 2>/dev/null || break
		storm 1
	done
	wait "$fio" || { cat "$WORK/fio.out"; fail "fio on $1"; }
	[[ $(listed recoveries) -ge 1 ]] || fail "no kill to prove anything"
}

# write_between FILE [OPTION...]: 4 KiB in each 64 KiB behind the range of the
# other fio.  All bytes around them come from below, and are not written later.
write_between()
{
	fio --name=between --filename="$1" --rw=write:60k --bs=4k \
		--offset=$((WRITTEN + 20480)) --size=$((SIZE - WRITTEN - 65536)) \
		--io_size=$((1024 * 4096)) --buffer_pattern=0x5a \
		--output="$WORK/fio.out" "${@:2}"
}

# works NAME [OPTION...]: the image of that name holds the same bytes as raw.
works()
{
	local between

	add "$WORK/$1" "${@:2}"
	write_and_kill "$1"
	write_between "$DEV" --direct=1 --ioengine=io_uring --iodepth=16 &
	between=$!
	storm 1
	wait "$between" || { cat "$WORK/fio.out"; fail "fio on $1"; }
	cmp -i $WRITTEN "$DEV" "$WORK/between" ||
		fail "$1: the rest has changed"
	del
	check_image "$WORK/$1"
	note "$1"
}

cp "$WORK/raw" "$WORK/between"
write_between "$WORK/between"

cd "$WORK"
before=$(sha256sum <base.qcow2)
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 overlay.qcow2
works overlay.qcow2
qemu-img create -q -f qcow2 -o extended_l2=on -b base.qcow2 -F qcow2 \
	subclusters.qcow2
works subclusters.qcow2
[[ $(sha256sum <base.qcow2) == "$before" ]] || fail "the base has changed"

# The I/O thread itself copies bytes that are not compressed.
qemu-img convert -f raw -O qcow2 raw plain.qcow2
before=$(sha256sum plain.qcow2 raw)
for base in "plain.qcow2 qcow2" "raw raw"; do
	read -r name format <<<"$base"
	qemu-img create -q -f qcow2 -b "$name" -F "$format" over-"$format"
	works over-"$format"
done
[[ $(sha256sum plain.qcow2 raw) == "$before" ]] || fail "a base has changed"

cp base.qcow2 snapshot.qcow2
qemu-img snapshot -c before snapshot.qcow2
works snapshot.qcow2
qemu-img convert -l before -O raw snapshot.qcow2 restored
cmp raw restored || fail "the snapshot has changed"
rm restored

qemu-img convert -f raw -O qcow2 -o data_file=data.raw,data_file_raw=on \
	raw external.qcow2
works external.qcow2 --data-file data.raw
qemu-img compare -q -f qcow2 -F raw external.qcow2 data.raw ||
	fail "the data file is not the disk"
