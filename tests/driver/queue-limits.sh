#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 180
#
# The kernel has the right limits of the disk: a volatile cache, nothing that
# turns, discards of whole clusters.  Another server once set the bit beside that
# of the cache.  Then the kernel kept every flush to itself, and only lost data
# told.  So each fsync of a client must reach the server as a flush, with both
# kinds of cache, and must reach the next server, too.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

FSYNCS=20

# queue NAME VALUE: a limit of the disk.
queue()
{
	local value name=${DEV##*/}

	read -r value <"/sys/block/$name/queue/$1"
	[[ $value == "$2" ]] || fail "$1 is $value and not $2"
}

check_limits()
{
	queue write_cache "write back"
	queue fua 1
	queue rotational 0
	queue logical_block_size 512
	queue physical_block_size 4096
	queue minimum_io_size 4096
	queue optimal_io_size 65536
	queue discard_granularity 65536
}

flushes()
{
	"$UBLK_QCOW2" stat --json "$DEV" | jq '.[0].io.flush.count'
}

# Each write is followed by an fsync, and no two may be one flush.
check_flushes()
{
	local before i

	before=$(flushes)
	for ((i = 0; i < FSYNCS; i++)); do
		dd if=/dev/zero of="$DEV" bs=4k count=1 seek="$i" oflag=direct \
			conv=fsync,notrunc status=none
	done
	[[ $(flushes) -ge $((before + FSYNCS)) ]] ||
		fail "$FSYNCS fsyncs are $(($(flushes) - before)) flushes"
}

for cache in none writeback; do
	add --cache $cache "$(image $cache.qcow2 64M)"
	check_limits
	check_flushes
	kill_and_recover
	check_limits
	check_flushes
	del
done
