#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 240
#
# fio, which is not ours, verifies the bytes that it wrote while the server
# died.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

image=$(image fio.qcow2 1G)
add "$image"
fio --name=verify --filename="$DEV" --direct=1 --ioengine=io_uring \
	--rw=randrw --bsrange=4k-64k --iodepth=16 --size=64m --io_size=96m \
	--verify=crc32c --verify_backlog=256 --verify_fatal=1 --do_verify=1 \
	--group_reporting --output="$WORK/fio.out" &
fio=$!
busy
for _ in {1..8}; do
	kill -0 "$fio" 2>/dev/null || break
	storm 1
done
wait "$fio" || { cat "$WORK/fio.out"; fail "fio"; }
[[ $(listed recoveries) -ge 2 ]] || fail "too few kills to prove anything"
grep -E 'err=|read:|write:' "$WORK/fio.out"
del
check_image "$image"
