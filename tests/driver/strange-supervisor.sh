#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 180
#
# A supervisor that lives is not replaced and not killed: not if its socket is
# gone, not if it is of another version, not if it is in another pid namespace.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

SOCKET=
supervisors()
{
	pgrep -c -x -P 1 'ublk-qcow2.*' || true
}

same_supervisor()
{
	[[ $(listed supervisor_pid) == "$SUPERVISOR" ]] ||
		fail "$1: another supervisor, $(listed supervisor_pid)"
	kill -0 "$SUPERVISOR" || fail "$1: the supervisor is dead"
	[[ $(supervisors) == 1 ]] || fail "$1: $(supervisors) supervisors"
}

add "$(image disk.qcow2 64M)"
SUPERVISOR=$(listed supervisor_pid)
SOCKET=/run/ublk-qcow2/$(listed id).sock
exec 7<"$DEV"

# The socket is gone: the supervisor makes another.
rm "$SOCKET"
"$UBLK_QCOW2" recover "$DEV" || fail "recover without a socket"
same_supervisor "recover without a socket"
rm "$SOCKET"
refused 'in use' "$UBLK_QCOW2" del "$DEV"
same_supervisor "del without a socket"

# A supervisor of another version closes the call, or answers in its way.
for answer in 'true' 'printf %1032s x'; do
	rm -f "$SOCKET"
	socat "UNIX-LISTEN:$SOCKET,type=5,fork" "SYSTEM:sleep 0.2; $answer" &
	OTHER=$!
	cleanup "kill $OTHER 2>/dev/null"
	until [[ -S $SOCKET ]]; do
		sleep 0.1
	done
	refused 'another version' "$UBLK_QCOW2" del "$DEV"
	same_supervisor "del, another version ($answer)"
	refused 'another version' "$UBLK_QCOW2" recover "$DEV"
	same_supervisor "recover, another version ($answer)"
	kill "$OTHER"
	wait "$OTHER" || true
done
rm -f "$SOCKET"
kill_and_recover
same_supervisor "a recovery"

# No command of this version judges a record of a later version.
record=/run/ublk-qcow2/$(listed id).disk
cp "$record" "$WORK/record"
sed 's/^ublk-qcow2 2 /ublk-qcow2 3 /' "$WORK/record" >"$record"
refused 'another version' "$UBLK_QCOW2" recover --all
refused 'another version' "$UBLK_QCOW2" del "$DEV"
cp "$WORK/record" "$record"
same_supervisor "a record of a later version"
exec 7<&-
del

# Its ids mean nothing here.
unshare --pid --fork --mount-proc --kill-child \
	"$UBLK_QCOW2" add --foreground "$(image elsewhere.qcow2 64M)" \
	>"$WORK/out" 2>&1 &
CONTAINER=$!
cleanup "kill -9 $CONTAINER 2>/dev/null"
until grep -q /dev/ublkb "$WORK/out"; do
	kill -0 "$CONTAINER" || fail "$(cat "$WORK/out")"
	sleep 0.1
done
DEV=$(grep -o '/dev/ublkb[0-9]*' "$WORK/out" | head -n 1)
ADDED+=("$DEV")
"$UBLK_QCOW2" list "$DEV" | grep 'another pid namespace' || fail "list"
[[ $(listed supervisor_pid) == null ]] || fail "a pid of elsewhere"
refused 'another pid namespace' "$UBLK_QCOW2" recover --all
refused 'another pid namespace' "$UBLK_QCOW2" del "$DEV"
refused 'another pid namespace' "$UBLK_QCOW2" del --force "$DEV"
timeout 30 dd if="$DEV" of=/dev/null bs=64k count=4 iflag=direct status=none ||
	fail "it is not served any more"
# With its processes gone it is anybody's to recover.
kill -9 "$CONTAINER"
wait "$CONTAINER" || true
"$UBLK_QCOW2" recover --all || fail "recover after the container's end"
wait_live
del
