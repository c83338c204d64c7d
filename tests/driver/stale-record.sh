#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 300
#
# While `recover` waits for a supervisor, that supervisor works on, and dies
# then.  The next one goes on from the record as it is by then, and not as it
# was when `recover` began: it knows the server that lives, and the overlay that
# has been written to.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

UBLK_QCOW2=${UBLK_QCOW2_FAULTY:?}

# Waits for a server that rests before it serves; $1 is not the one.
find_resting()
{
	local end=$((SECONDS + 60))

	for ((RESTING = 0; RESTING == 0 || RESTING == $1;)); do
		((SECONDS <= end)) || fail "there is no other server"
		RESTING=$(listed server_pid) || fail list
		RESTING=${RESTING/null/0}
	done
}

# `recover` in the background, which has read the record.
begin_recover()
{
	"$UBLK_QCOW2" recover "$DEV" >"$WORK/recover" 2>&1 &
	RECOVER=$!
	sleep 0.5
	is_alive "$RECOVER" || fail "it does not wait: $(cat "$WORK/recover")"
}

end_recover()
{
	wait "$RECOVER" || fail "recover: $(cat "$WORK/recover")"
	wait_live
}

export UBLK_QCOW2_FAULT=rests-mapped,slow-close
image=$(image disk.qcow2 128M)
add "$image" --name disk
"$LOAD" --depth 8 --size 8M --ops 500 --ledger "$WORK/ledger" "$DEV" ||
	fail load

note "another server has begun"
before=$(listed server_pid)
kill_server
find_resting "$before"
begin_recover
first=$RESTING
kill -9 "$first"
find_resting "$first"
kill_off "$(listed supervisor_pid)"
end_recover
note "$(cat "$WORK/recover")"

note "the disk has got its overlay"
! UBLK_QCOW2_FAULT=die-asked "$UBLK_QCOW2" snapshot "$DEV" \
	"$WORK/overlay.qcow2" >"$WORK/out" 2>&1 || fail "nobody dies"
listed_becomes state recovering 20
[[ $(listed image) == "$image" ]] || fail "it is too late"
begin_recover
listed_becomes image "$WORK/overlay.qcow2" 20
find_resting 0
kill_off "$(listed supervisor_pid)" "$RESTING"
end_recover
[[ $(listed image) == "$WORK/overlay.qcow2" ]] ||
	fail "it is served from $(listed image)"
unset UBLK_QCOW2_FAULT
del
check_image "$WORK/overlay.qcow2"
check_with_qemu "$WORK/overlay.qcow2" "$WORK/ledger"
[[ -z $(traces) ]] || fail "left: $(traces)"
