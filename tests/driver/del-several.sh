#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 180
#
# `del` takes several disks, or --all.  A disk that is in use, or not there,
# does not hold up the others, and makes the status 1.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

# A machine that has disks of its own keeps them.
[[ -z $("$UBLK_QCOW2" list) ]] || { echo "this machine has disks"; exit 77; }

for name in a b c d e; do
	add "$(image $name.qcow2 16M)"
done
dev_b=$(readlink -f /dev/ublk-qcow2/b)

"$UBLK_QCOW2" del a e || fail "del of two"
[[ $("$UBLK_QCOW2" list --json | jq -r '[.[].name] | join(" ")') == "b c d" ]] ||
	fail "two are not gone: $("$UBLK_QCOW2" list)"

exec 7<"$dev_b"
refused "$dev_b.*in use" "$UBLK_QCOW2" del b c
[[ -b $dev_b && ! -e /dev/ublk-qcow2/c ]] || fail "c is kept by b"
refused 'nobody: no such disk' "$UBLK_QCOW2" del nobody d
[[ ! -e /dev/ublk-qcow2/d ]] || fail "d is kept by one that is not there"

add "$WORK/c.qcow2"
add "$WORK/d.qcow2"
refused "$dev_b.*in use" "$UBLK_QCOW2" del --all
[[ $("$UBLK_QCOW2" list --json | jq -r '[.[].name] | join(" ")') == b ]] ||
	fail "--all leaves $("$UBLK_QCOW2" list)"
dd if="$dev_b" of=/dev/null bs=4096 count=1 iflag=direct status=none ||
	fail "the refused del did harm"
exec 7<&-
"$UBLK_QCOW2" del --all || fail "del --all"
[[ -z $(traces) ]] || fail "left behind: $(traces)"
"$UBLK_QCOW2" del --all || fail "del --all of nothing"
