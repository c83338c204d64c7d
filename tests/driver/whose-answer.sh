#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 300
#
# Each command hears of its own wish: neither of a change that another
# one wanted, nor of a recovery that came about meanwhile.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

: "${UBLK_QCOW2_FAULTY:?}"

# The hook of a death ends when this file is there.
# shellcheck disable=SC2016  # the hook expands it
hear_hooks '[ "$1" = crashed ] || exit 0' \
	"until [ -e $WORK/end ]; do sleep 0.2; done" \
	"echo ended >>$WORK/events"
image=$(image disk.qcow2 128M)
DEV=$(UBLK_QCOW2_FAULT=slow-close "$UBLK_QCOW2_FAULTY" add "$image" \
	--name disk) || fail add
ADDED+=("$DEV")
"$LOAD" --depth 8 --size 8M --ops 500 --ledger "$WORK/ledger" "$DEV" ||
	fail load

note "a change has begun, and its server is not dead yet"
supervisor=$(listed supervisor_pid)
kill -STOP "$supervisor"
cleanup "kill -CONT $supervisor 2>/dev/null"
! UBLK_QCOW2_FAULT=die-asked "$UBLK_QCOW2_FAULTY" snapshot "$DEV" \
	"$WORK/one.qcow2" >"$WORK/out" 2>&1 || fail "nobody dies"
"$UBLK_QCOW2" recover "$DEV" >"$WORK/recover" 2>&1 &
recover=$!
sleep 0.5
kill -CONT "$supervisor"
wait "$recover" || fail "recover: $(cat "$WORK/recover")"
[[ $(listed image) == "$WORK/one.qcow2" ]] ||
	fail "'recover' has not waited for the change"

note "a change fails, and the disk is live"
! UBLK_QCOW2_FAULT=die-asked "$UBLK_QCOW2_FAULTY" snapshot "$DEV" \
	"$WORK/two.qcow2" >"$WORK/out" 2>&1 || fail "nobody dies"
rm "$WORK/two.qcow2"
"$UBLK_QCOW2" recover "$DEV" || fail "'recover' of a live disk fails"
[[ $(listed state) == live ]] || fail "it is $(listed state)"

note "a recovery, while 'upgrade' waits for the hooks of another"
kill_and_recover
heard '^crashed '
"$UBLK_QCOW2_FAULTY" upgrade "$DEV" >"$WORK/upgrade" 2>&1 &
upgrade=$!
sleep 0.5
kill_and_recover
sleep 1
is_alive "$upgrade" || fail "upgrade has not waited: $(cat "$WORK/upgrade")"
: >"$WORK/end"
wait "$upgrade" || fail "upgrade: $(cat "$WORK/upgrade")"
grep -q '^ended' "$WORK/events" || fail "upgrade has not waited"

note "an 'upgrade' that was killed leaves no wish"
rm "$WORK/end"
: >"$WORK/events"
kill_and_recover
heard '^crashed '
"$UBLK_QCOW2_FAULTY" upgrade "$DEV" >"$WORK/upgrade" 2>&1 &
upgrade=$!
sleep 0.5
kill -9 "$upgrade"
"$UBLK_QCOW2" snapshot "$DEV" "$WORK/three.qcow2" >"$WORK/three" 2>&1 &
three=$!
listed_becomes state recovering 20
: >"$WORK/end"
wait "$three" || fail "snapshot: $(cat "$WORK/three")"
grep -q 'overlay now' "$WORK/three" ||
	fail "the answer is another one's: $(cat "$WORK/three")"
[[ $(listed image) == "$WORK/three.qcow2" ]] || fail "$(listed image)"

note "it becomes another program, and has not heard of a call"
supervisor=$(listed supervisor_pid)
kill -STOP "$supervisor"
! UBLK_QCOW2_FAULT=die-asked "$UBLK_QCOW2_FAULTY" upgrade "$DEV" \
	>"$WORK/out" 2>&1 || fail "nobody dies"
"$UBLK_QCOW2" recover "$DEV" >"$WORK/recover" 2>&1 &
recover=$!
sleep 0.5
kill -CONT "$supervisor"
wait "$recover" || fail "recover: $(cat "$WORK/recover")"
[[ $(listed supervisor_pid) == "$supervisor" ]] || fail "it is another process"
del
check_with_qemu "$WORK/three.qcow2" "$WORK/ledger"
[[ -z $(traces) ]] || fail "left: $(traces)"
