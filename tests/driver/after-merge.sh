#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 600
#
# While hooks.d hears of a merge, which a script may take for the moment to
# remove the overlay, the next overlay may want the same name.  And an outcome
# goes to the command that asked, not to one that calls in that moment.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

: "${UBLK_QCOW2_FAULTY:?}"

# shellcheck disable=SC2016  # the hook expands it
hear_hooks '[ "$1" = merged ] || exit 0' 'sleep 3' \
	'rm -f "$UBLK_QCOW2_OVERLAY"' \
	"echo \"told \$UBLK_QCOW2_OVERLAY\" >>$WORK/events"
image=$(image disk.qcow2 128M)
overlay=$WORK/overlay.qcow2
add "$image" --name disk
"$LOAD" --depth 8 --size 8M --ops 500 --ledger "$WORK/ledger" "$DEV" ||
	fail load

# How often the hook has come to its end.
told()
{
	grep -cs '^told ' "$WORK/events" || true
}

note "an overlay of the same name"
for ((i = 1; i <= 3; i++)); do
	"$UBLK_QCOW2" snapshot "$DEV" "$overlay" || fail "snapshot $i"
	[[ -e $overlay ]] || fail "the hook has removed the overlay"
	((i == 1)) || [[ $(told) == $((i - 1)) ]] ||
		fail "snapshot $i, and the hook has ended $(told) times"
	"$UBLK_QCOW2" commit "$DEV" || fail "commit $i"
done

note "a backup"
"$UBLK_QCOW2" backup "$DEV" "$WORK/one.qcow2" || fail "a backup"
"$UBLK_QCOW2" backup "$DEV" "$WORK/two.qcow2" || fail "a backup at once"
for file in one two; do
	check_with_qemu "$WORK/$file.qcow2" "$WORK/ledger"
done

note "a command that calls, and speaks when another's outcome is there"
! UBLK_QCOW2_FAULT=die-asked "$UBLK_QCOW2_FAULTY" snapshot "$DEV" \
	"$overlay" >"$WORK/out" 2>&1 || fail "nobody dies"
[[ $(told) == 5 ]] || fail "of five merges the hook has heard $(told)"
UBLK_QCOW2_FAULT=slow-call "$UBLK_QCOW2_FAULTY" snapshot "$DEV" "$overlay" \
	>"$WORK/out" 2>&1 || fail "slow: $(cat "$WORK/out")"
grep -q 'is served from its overlay already' "$WORK/out" ||
	fail "the answer is another one's: $(cat "$WORK/out")"
"$UBLK_QCOW2" commit "$DEV" || fail "the last commit"
del
check_with_qemu "$image" "$WORK/ledger"
[[ -z $(traces) ]] || fail "left: $(traces)"
