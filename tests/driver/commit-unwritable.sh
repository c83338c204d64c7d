#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 180
#
# `commit` into an image below that cannot be written to: the message has the
# reason.  The disk goes on with its overlay.  With the reason gone, the same
# command merges.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

# not_merged PATTERN: for this reason.
not_merged()
{
	! "$UBLK_QCOW2" commit "$DEV" >"$WORK/out" 2>"$WORK/err" ||
		fail "it is merged"
	note "$(cat "$WORK/err")"
	[[ $(wc -l <"$WORK/err") == 1 ]] || fail "not one line on stderr"
	grep -q "$1" "$WORK/err" || fail "does not say '$1'"
	wait_live
	[[ $(listed image) == "$over" ]] || fail "serves $(listed image)"
}

under=$(image under.qcow2 64M)
over=$WORK/over.qcow2
qemu-img create -q -f qcow2 -b under.qcow2 -F qcow2 "$over"
add "$over"
start_load --depth 4 --size 16M --ledger "$WORK/ledger"

chattr +i "$under"
cleanup "chattr -i $under"
not_merged 'immutable'
chattr -i "$under"
stop_load
del

note "marked as corrupt"
poke "$under" 79 02
add "$over"
not_merged 'marked as corrupt'
del
poke "$under" 79 00

add "$over"
"$UBLK_QCOW2" commit "$DEV" || fail commit
del
check_image "$under"
check_with_qemu "$under" "$WORK/ledger"
