#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 180
#
# `add` prints a name that cannot be guessed.  ps tells server and supervisor
# apart.  `recover --all` tells of each disk.  The log has nothing of a disk
# that never was.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

[[ ! -S /dev/log ]] || fail "this test reads a file, and here is a /dev/log"

# The name.
add "$(image plain.qcow2 16M)" 2>"$WORK/err"
[[ ! -s $WORK/err ]] || fail "says $(cat "$WORK/err")"
plain=$DEV
add "$(image 'a b.qcow2' 16M)" 2>"$WORK/err"
[[ $(cat "$WORK/err") == "ublk-qcow2: $DEV is the disk $(listed name)" ]] ||
	fail "says $(cat "$WORK/err")"
del
add "$WORK/a b.qcow2" --name chosen 2>"$WORK/err"
[[ ! -s $WORK/err ]] || fail "says $(cat "$WORK/err")"

# The processes, before and after each was replaced.
titles()
{
	[[ $(ps -o args= -p "$(listed server_pid)") == \
		"ublk-qcow2: server chosen" ]] || fail "server: $(ps -ef)"
	[[ $(ps -o args= -p "$(listed supervisor_pid)") == \
		"ublk-qcow2: supervisor chosen" ]] ||
		fail "supervisor: $(ps -ef)"
}

titles
kill_and_recover
titles
kill_off "$(listed supervisor_pid)"
"$UBLK_QCOW2" recover --all >"$WORK/out" 2>"$WORK/err" || fail "recover"
titles
sort "$WORK/out" >"$WORK/sorted"
printf '%s\n' "$plain ($WORK/plain.qcow2): in good order" \
	"$DEV ($WORK/a b.qcow2): recovered" | sort |
	diff - "$WORK/sorted" || fail "recover --all says $(cat "$WORK/out")"
[[ ! -s $WORK/err ]] || fail "recover --all complains: $(cat "$WORK/err")"

# The log: of a failed user command nothing, of the disk itself something.
head -c 1M /dev/urandom >"$WORK/noise"
refused 'not a qcow2' "$UBLK_QCOW2" add "$WORK/noise"
refused 'already served' "$UBLK_QCOW2" add "$WORK/plain.qcow2"
log_lines "$WORK/plain.qcow2): is served by" || fail "no log: $(log_lines '')"
! log_lines -e "$WORK/noise" -e 'already served' ||
	fail "a disk that never was is in the log"

# A disk that is served may be looked at, and is not repaired.
"$UBLK_QCOW2" info chosen | grep -qx "in use: as $DEV, the disk chosen" ||
	fail "info: $("$UBLK_QCOW2" info chosen)"
refused "is served as $DEV" timeout 20 "$UBLK_QCOW2" check -r all \
	"$WORK/a b.qcow2"
del
"$UBLK_QCOW2" check -r all "$WORK/a b.qcow2" || fail "check"
