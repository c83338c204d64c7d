#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 400
#
# A guest has taken the server over, or an image has taken over the server that
# opens it.  The server takes step after step against the host (server/owned.c
# has the steps).  The filter of system calls, or the supervisor, ends this
# server, and the disk goes on.  Where there is no filter, every step fails.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

FIRST=1000		# the sector of the first step
NAME=15			# the last step that the filter does not end
KILLED=(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 16)

UBLK_QCOW2=${UBLK_QCOW2_FAULTY:?}
image=$(image disk.qcow2 64M)
UBLK_QCOW2_OTHER=$(image other.qcow2 64M)
export UBLK_QCOW2_OTHER UBLK_QCOW2_FAULT

step()
{
	dd if=/dev/urandom of="$DEV" bs=512 count=1 seek=$((FIRST + $1)) \
		oflag=direct conv=notrunc status=none ||
		fail "step $1: the guest sees an error"
}

# add_telling: the server's messages go to a file.
add_telling()
{
	rm -f "$WORK/dev"
	"$UBLK_QCOW2" add --foreground "$image" >"$WORK/dev" 2>"$WORK/said" &
	until [[ -s $WORK/dev ]]; do sleep 0.1; done
	DEV=$(<"$WORK/dev")
	ADDED+=("$DEV")
}

# none_done ALLOWED: of the steps that are told.
none_done()
{
	! grep ': DONE$' "$WORK/told" | grep -vxF "owned: $1: DONE" ||
		fail "that must not be possible"
}

# Without the filter: the server lives, and tells.
UBLK_QCOW2_FAULT=owned,no-seccomp
add_telling
for ((i = 0; i < NAME; i++)); do
	step "$i"
done
[[ $(listed recoveries) == 0 ]] || fail "the server has died"
# The supervisor believes nothing of it, and gives the next server its files.
step "$NAME"
listed_becomes recoveries 1 60
[[ $(listed image) == "$image" ]] || fail "the image is $(listed image)"
grep '^owned: ' "$WORK/said" | tee "$WORK/told"
# The last one may be killed before it tells.
[[ $(wc -l <"$WORK/told") -ge $NAME ]] || fail "a step was not taken"
# A child has no more rights than its parent.
none_done fork
del

# The image has taken it over, the first server and the one that recovers.
UBLK_QCOW2_FAULT=owned-opening,no-seccomp
add_telling
kill_server
listed_becomes recoveries 1 60
wait_live
grep '^owned: ' "$WORK/said" | tee "$WORK/told"
[[ $(grep -c '^owned: fork:' "$WORK/told") == 2 ]] ||
	fail "a server has not taken the steps"
none_done fork
del
# With the filter, the last step ends it.
UBLK_QCOW2_FAULT=owned-opening
! timeout 60 "$UBLK_QCOW2" add --foreground "$image" 2>"$WORK/told" ||
	fail "it may fork"
grep '^owned: ' "$WORK/told" || fail "a server has not taken the steps"
grep -q 'Bad system call' "$WORK/told" || fail "nobody is told: $(<"$WORK/told")"
none_done nothing
[[ -z $(find /run/ublk-qcow2 -name '*.disk') ]] || fail "a record is left"

# With it.
UBLK_QCOW2_FAULT=owned
for i in "${KILLED[@]}"; do
	add "$image"
	step "$i"
	wait_live
	[[ $(listed recoveries) == 1 ]] || fail "step $i does not end the server"
	del
done
log_lines 'Bad system call\|signal 31' >"$WORK/lines" ||
	fail "the log does not tell: $(log_lines '' | tail)"
lines=$(log_lines -c '')
note "$lines lines in the log"
[[ $lines -lt 1000 ]] || fail "the log is flooded"
check_image "$image"
check_image "$UBLK_QCOW2_OTHER"
