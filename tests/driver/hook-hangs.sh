#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 300
#
# A hook that hangs in the kernel, where no signal ends it, is left behind.  The
# next events are heard, and the disk can be merged once more.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

modules dm-mod
hang=hang-$$
dmsetup create --noudevsync "$hang" --table '0 2048 error'
cleanup "dmsetup remove --retry --noudevsync $hang"
dmsetup suspend "$hang"
cleanup "dmsetup resume --noudevsync $hang"
# shellcheck disable=SC2016  # the hook's
hear_hooks '[ "$1" != merged ] ||' \
	"	dd if=/dev/mapper/$hang of=/dev/null bs=512 count=1 iflag=direct"

image=$(image disk.qcow2 64M)
add "$image"
"$UBLK_QCOW2" snapshot "$DEV" "$WORK/one.qcow2" || fail snapshot
"$UBLK_QCOW2" commit "$DEV" || fail commit
heard "^merged $DEV"
"$UBLK_QCOW2" snapshot "$DEV" "$WORK/two.qcow2" || fail snapshot
end=$((SECONDS + 120))
until "$UBLK_QCOW2" commit "$DEV" 2>"$WORK/err"; do
	grep -q 'telling its hooks' "$WORK/err" ||
		fail "another reason: $(cat "$WORK/err")"
	((SECONDS <= end)) || fail "it waits for the hook"
	sleep 1
done
dmsetup resume --noudevsync "$hang"
del
check_image "$image"
