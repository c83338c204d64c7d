#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 180
#
# A cause that lasts keeps the servers from starting: the disk has failed at
# once.  After a cause that may pass, the supervisor tries again until it has
# passed.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

# The image is on a disk that can be made to fail.
truncate -s 64M "$WORK/backing"
loop=$(losetup --show -f "$WORK/backing")
cleanup "losetup -d $loop"
sectors=$(blockdev --getsz "$loop")
good="0 $sectors linear $loop 0"
dmsetup create --noudevsync "bad-$$" --table "$good"
dmsetup mknodes
cleanup "dmsetup remove --retry --noudevsync bad-$$"
image=/dev/mapper/bad-$$
qemu-img create -q -f qcow2 "$image" 16M

table()
{
	dmsetup suspend --noudevsync --nolockfs "bad-$$"
	dmsetup load "bad-$$" --table "$1"
	dmsetup resume --noudevsync "bad-$$"
}

# serve IMAGE: $WORK/log has the messages of the supervisor.
serve()
{
	rm -f "$WORK/dev"		# the device of the one before
	"$UBLK_QCOW2" add --foreground "$1" >"$WORK/dev" 2>"$WORK/log" &
	for _ in {1..600}; do [[ ! -s $WORK/dev ]] || break; sleep 0.1; done
	DEV=$(cat "$WORK/dev")
	[[ -b $DEV ]] || fail "add: $(cat "$WORK/log")"
	ADDED+=("$DEV")
}

# says PATTERN: it writes the record before it says why.
says()
{
	local end=$((SECONDS + 60))

	until grep "$1" "$WORK/log"; do
		((SECONDS <= end)) || fail "it says: $(cat "$WORK/log")"
		sleep 0.05
	done
}

# It passes by itself.
serve "$image"
table "0 $sectors error"
kill_server
for _ in {1..300}; do
	(($(grep -c 'a recovery failed' "$WORK/log") < 4)) || break
	sleep 0.1
done
[[ $(listed state) == recovering ]] || fail "state is $(listed state)"
table "$good"
wait_live
says 'recovery failed.*Input/output error'
[[ $(listed recoveries) == 1 ]] || fail "no recovery"
del
wait

# It does not.
plain=$(image plain.qcow2 16M)
serve "$plain"
mv "$plain" "$WORK/away"
kill_server
listed_becomes state failed 60
says "gave up after 2 attempts.*No such file.*image is at $WORK/away now"
"$UBLK_QCOW2" list "$DEV" | grep -q "image is at $WORK/away now" ||
	fail "list does not say where the image is"
mv "$WORK/away" "$plain"
"$UBLK_QCOW2" recover "$DEV" || fail "recover"
wait_live
# One try alone does not count.
kill_and_recover
[[ $(listed recoveries) == 2 ]] || fail "$(listed recoveries) recoveries"
del
wait
