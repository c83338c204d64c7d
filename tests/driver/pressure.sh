#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 400
# processors: 2
#
# Memory is short, and the disk is what the kernel needs to get some: dirty
# pages above the disk in a small control group, and then swap on the disk, each
# while servers are killed.  Nothing waits for itself, and no byte is lost.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

[[ -e /sys/fs/cgroup/cgroup.procs ]] || mount -t cgroup2 cgroup2 /sys/fs/cgroup
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
small=/sys/fs/cgroup/small-$$
mkdir "$small"
cleanup "rmdir $small"
echo 48M >"$small/memory.max"

# squeezed COMMAND...: in the small control group, in the background: $PID
squeezed()
{
	bash -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$small" "$@" \
		>"$WORK/squeezed" 2>&1 &
	PID=$!
}

# kills_until_it_ends SECONDS: servers, until $PID ends; it must, and well
kills_until_it_ends()
{
	local end=$((SECONDS + $1)) kills=0

	while is_alive "$PID"; do
		((SECONDS <= end)) || fail "it does not end: $(
			cat "/proc/$PID/stack" "$WORK/squeezed")"
		kill_and_recover
		kills=$((kills + 1))
		sleep 1
	done
	wait "$PID" || fail "it failed: $(cat "$WORK/squeezed")"
	note "$kills kills"
	((kills >= 3)) || fail "$kills kills only"
}

image=$(image disk.qcow2 512M)
add "$image"

note "dirty pages above the disk"
# 96 MiB by the page cache of 48, not faster than the kills come; fio reads them
# back.
squeezed fio --name=squeezed --filename="$DEV" --rw=randwrite --bs=4k \
	--size=96M --direct=0 --ioengine=psync --verify=crc32c --do_verify=1 \
	--fsync=2000 --invalidate=1 --thread --rate=8m
kills_until_it_ends 240

note "swap on the disk"
mkswap -q "$DEV" || fail mkswap
cleanup "swapoff $DEV 2>/dev/null"
swapon "$DEV" || fail swapon
# shellcheck disable=SC2016
squeezed /usr/bin/python3 -c '
import sys, time
page, count = 4096, (96 << 20) // 4096
def value(n, turn):
    return (n * 2654435761 + turn).to_bytes(8, "little")
memory = bytearray(page * count)
end = time.monotonic() + 10
turn = 0
while turn < 3 or time.monotonic() < end:
    for n in range(count):
        if turn and memory[n * page:n * page + 8] != value(n, turn - 1):
            sys.exit("page %d lost its bytes" % n)
        memory[n * page:n * page + 8] = value(n, turn)
    turn += 1
'
kills_until_it_ends 120
[[ $(awk '$1 == "pswpin" { print $2 }' /proc/vmstat) -gt 1000 ]] ||
	fail "next to nothing was swapped"
swapoff "$DEV" || fail swapoff
del
check_image "$image"
[[ -z $(traces) ]] || fail "left: $(traces)"
