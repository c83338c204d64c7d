#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 600
#
# Every cluster size, odd sizes of disks and a huge disk: random requests, with
# kills among them.  Our reads, QEMU's reads and qemu-img check judge the image.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

try()
{
	local size=$1 cluster=$2 align=$2 image
	shift 2

	[[ $align -ge 4096 ]] || align=4096
	image=$(image "$cluster.qcow2" "$size" -o "cluster_size=$cluster$V2")
	add "$image"
	[[ $(blockdev --getsize64 "$DEV") == "$size" ]] || fail "size"
	start_load --ledger "$WORK/ledger" --discard-align "$align" "$@"
	storm 2
	stop_load
	del
	check_image "$image"
}

compare()
{
	check_with_qemu "$WORK/$1.qcow2" "$WORK/ledger"
	rm -f "$WORK/ledger" "$WORK/$1.qcow2"
}

V2=
for bits in {9..21}; do
	cluster=$((1 << bits))
	[[ $((bits % 4)) != 0 ]] || V2=,compat=0.10
	size=$((20000000 / 512 * 512 + bits * 512))
	try "$size" "$cluster" --mix 60,20,10,10 --max-blocks 16
	compare "$cluster"
	note "clusters of $cluster${V2:+, version 2}"
	V2=
done

# Requests of single sectors.
try 5120512 4096 --block 512 --max-blocks 30 --mix 60,20,10,10
compare 4096

# 64 TiB: blocks all over the disk.
try $((64 << 40)) 65536 --stride $((3 * (1 << 30) + 65536 * 7 + 4096))
add "$WORK/65536.qcow2" --read-only
"$LOAD" --verify-only --ledger "$WORK/ledger" "$DEV" ||
	fail "64 TiB, read again"
del
