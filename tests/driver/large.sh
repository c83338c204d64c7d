#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 300
# processors: 2
#
# As kill-writes, with requests of up to 512 KiB beside small ones, so that tags
# get huge pages and give them back; where the driver copies, they do so.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

# huge: the server's, in KiB
huge()
{
	awk '$1 == "AnonHugePages:" { print $2 }' \
		"/proc/$(listed server_pid)/smaps_rollup"
}

image=$(image disk.qcow2 512M)
add "$image"
start_load --depth 8 --size 256M --max-blocks 128 --mix 50,40,5,5 \
	--discard-align 64K --ledger "$WORK/large"
for ((round = 1; round <= 3; round++)); do
	"$LOAD" --depth 8 --offset 256M --mix 50,50,0,0 --verify \
		--touched-only --seconds 8 --seed $round \
		--ledger "$WORK/small$round" "$DEV" >"$WORK/small.out" 2>&1 &
	small=$!
	storm 6
	wait "$small" || fail "small ones: $(cat "$WORK/small.out")"
	note "$(tail -n 1 "$WORK/small.out")"
	"$LOAD" --verify-only --ledger "$WORK/small$round" "$DEV" ||
		fail "small ones are not there"
	# The next round writes others there.
	blkdiscard --zeroout --offset 256M "$DEV"
done
stop_load
[[ $(loaded writes) -gt 50 ]] || fail "next to no writes"

note "huge pages for those that need them, and for no others"
kill_and_recover
"$LOAD" --depth 8 --size 64M --mix 50,50,0,0 --ops 2000 --seed 9 \
	--offset 256M --unknown "$DEV" || fail load
[[ $(huge) == 0 ]] || fail "$(huge) KiB in huge pages for small requests"
"$LOAD" --depth 8 --size 64M --block 512K --mix 50,50,0,0 --ops 500 \
	--offset 256M --unknown "$DEV" || fail load
if [[ ! $(uname -r) =~ ^6\.([0-9]|1[0-5])\. ]] || grep -q '\[never\]' \
	/sys/kernel/mm/transparent_hugepage/enabled; then
	[[ $(huge) == 0 ]] || fail "$(huge) KiB in huge pages for nothing"
else
	[[ $(huge) -ge 2048 && $(huge) -le 16384 ]] ||
		fail "$(huge) KiB in huge pages"
fi
del
check_image "$image"
check_with_qemu "$image" "$WORK/large"
