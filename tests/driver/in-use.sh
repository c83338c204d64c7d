#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 120
#
# There is one writer at most: not QEMU beside us, not two of our servers.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

image=$(image disk.qcow2 64M)

# QEMU has it.
open_in_qemu "$image"
refused 'in use|lock' "$UBLK_QCOW2" add "$image"
[[ -z $(traces) ]] || fail "left behind: $(traces)"
close_in_qemu

# We have it: neither QEMU nor a second server of ours gets it, not even
# while the server is being replaced.
add "$image"
first=$DEV
for _ in 1 2; do
	refused 'in use|already|served|lock' "$UBLK_QCOW2" add "$image"
	! qemu-io -c 'read 0 512' "$image" >"$WORK/out" 2>&1 ||
		fail "QEMU can open it: $(cat "$WORK/out")"
	grep -q 'Failed to get "write" lock' "$WORK/out" ||
		fail "QEMU says: $(cat "$WORK/out")"
	kill_and_recover
done
ln -s "$image" "$WORK/alias"
refused 'in use|already|served|lock' "$UBLK_QCOW2" add "$WORK/alias"
[[ $(listed state "$first") == live ]] || fail "the first one suffered"
del "$first"
check_image "$image"

# The last server's locks are gone.
qemu-io -c 'write 0 512' "$image" >/dev/null || fail "still locked"

# The data file of another disk: told at once, and not after the minute that a
# dead server's last writes are given.
cd "$WORK"
qemu-img create -q -f qcow2 -o data_file=data.raw one.qcow2 64M
cp one.qcow2 two.qcow2
add one.qcow2 --data-file data.raw
began=$SECONDS
refused "data file $WORK/data.raw: in use: $DEV " \
	"$UBLK_QCOW2" add two.qcow2 --data-file data.raw
((SECONDS - began < 50)) || fail "told after $((SECONDS - began)) s"
del
add two.qcow2 --data-file data.raw
del
