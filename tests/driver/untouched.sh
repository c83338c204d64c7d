#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 240
#
# An image that is added, read and deleted stays as it was, byte for byte.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

compare()
{
	local image=$1 before
	shift

	before=$(sha256sum <"$image")
	add "$image" "$@"
	dd if="$DEV" of=/dev/null bs=1M count=4 iflag=direct status=none
	[[ -z ${KILL:-} ]] || kill_and_recover
	del
	[[ $(sha256sum <"$image") == "$before" ]] ||
		fail "$(basename "$image") changed"
}

# An image with data in it; QEMU has closed it.
filled()
{
	image "$@" >/dev/null
	qemu-io -c 'write -P 7 0 1M' -c 'write -P 8 3M 64k' \
		-c 'discard 128k 128k' "$WORK/$1" >/dev/null
	echo "$WORK/$1"
}

for cluster in 512 4k 64k 2M; do
	for compat in 0.10 1.1; do
		name=$cluster-$compat.qcow2
		image=$(filled "$name" 16M -o \
			"cluster_size=$cluster,compat=$compat")
		compare "$image"
		note "$name"
	done
done
KILL=1
compare "$image"
compare "$image" --read-only
