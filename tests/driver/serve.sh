#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 240
#
# `serve` serves a configured disk in the foreground, tells a service manager
# so, and takes the disk over from the dead.  `serve` leaves a disk alone whose
# supervisor lives.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

export UBLK_QCOW2_DISKS=$WORK/disks.d UBLK_QCOW2_RUN_DISKS=$WORK/run.d
mkdir "$UBLK_QCOW2_DISKS" "$UBLK_QCOW2_RUN_DISKS"
disk=serve-$$
link=/dev/ublk-qcow2/$disk
conf=$UBLK_QCOW2_DISKS/$disk.conf

# listen KIND:ADDRESS: the messages to a manager's socket go to $WORK/told.
listen()
{
	: >"$WORK/told"
	socat -u "$1" - >>"$WORK/told" &
	LISTENER=$!
	cleanup "kill $LISTENER 2>/dev/null"
	# With its address in there the socket is bound.
	eventually 60 "[ @]${1#*:}\$" /proc/net/unix
}

# eventually SECONDS PATTERN FILE
eventually()
{
	local end=$((SECONDS + $1))

	until grep -qsE -- "$2" "$3"; do
		((SECONDS <= end)) || fail "no '$2' in: $(cat "$3")"
		sleep 0.05
	done
}

serve()
{
	# The messages of the last one must not be taken for this one's.
	rm -f "$WORK/serve.err"
	"$UBLK_QCOW2" serve "$disk" >"$WORK/serve.out" 2>"$WORK/serve.err" &
	SERVE=$!
	cleanup "kill -9 $SERVE 2>/dev/null"
}

refused 'is not configured' "$UBLK_QCOW2" serve "$disk"
echo "imaeg = /nowhere" >"$conf"
refused "$conf:1: 'imaeg' is no key; allowed are image, " \
	"$UBLK_QCOW2" serve "$disk"
echo "image = $WORK/nowhere" >"$conf"
refused "$WORK/nowhere: No such file" "$UBLK_QCOW2" serve "$disk"
listen "UNIX-RECV:$WORK/manager"
poke "$(image bad.qcow2 64M)" 0 00000000
echo "image = $WORK/bad.qcow2" >"$conf"
NOTIFY_SOCKET=$WORK/manager refused "$WORK/bad.qcow2" \
	"$UBLK_QCOW2" serve "$disk"
eventually 60 '^STATUS=' "$WORK/told"	# which is its last word
! grep -q READY "$WORK/told" || fail "said to be ready in vain"
[[ -z $(traces) ]] || fail "left behind: $(traces)"

image=$(image disk.qcow2 1G)
printf 'image = %s\nqueues = 1\ndepth = 64\n' "$image" >"$conf"
NOTIFY_SOCKET=$WORK/manager serve
eventually 60 '^READY=1$' "$WORK/told"
DEV=$(readlink -f "$link")
ADDED+=("$DEV")
[[ -b $DEV ]] || fail "ready without a disk"
[[ $(listed state) == live ]] || fail "ready but $(listed state)"
[[ $(listed supervisor_pid) == "$SERVE" ]] || fail "another supervisor"
refused "served already, by the supervisor process $SERVE" \
	"$UBLK_QCOW2" serve "$disk"

# Whichever process dies, and whatever the file says: the disk is taken over.
start_load --depth 8
note "both die"
sleep 0.5
kill_off "$SERVE" "$(listed server_pid)"
echo garbage >"$conf"
NOTIFY_SOCKET=$WORK/manager serve
listed_becomes supervisor_pid "$SERVE" 60
wait_live
eventually 60 "'garbage' is no 'key = value'; serving $disk as it was" \
	"$WORK/serve.err"
note "the supervisor dies"
sleep 0.5
server=$(listed server_pid)
kill_off "$SERVE"
printf 'image = %s\n' "$WORK/other.qcow2" >"$conf"
serve
listed_becomes supervisor_pid "$SERVE" 60
wait_live
[[ $(listed server_pid) == "$server" ]] || fail "another server"
eventually 60 "image: is $WORK/other.qcow2 now; serving $disk with $image" \
	"$WORK/serve.err"
eventually 60 'has a new supervisor' "$WORK/serve.err"
[[ $(wc -l <"$WORK/serve.err") == 2 ]] || fail "more than two lines"

note "recover is faster than the manager"
kill_off "$SERVE"
"$UBLK_QCOW2" recover "$disk" || fail "recover"
stand_in=$(listed supervisor_pid)
serve
listed_becomes supervisor_pid "$SERVE" 60
wait_live
[[ $(listed server_pid) == "$server" ]] || fail "another server"
! is_alive "$stand_in" || fail "the supervisor of recover lives on"

note "the image is away"
mv "$image" "$image.away"
kill_off "$SERVE" "$server"
serve
eventually 60 'its users wait; trying again in 2 s' "$WORK/serve.err"
kill -TERM "$SERVE"
status=0
wait "$SERVE" || status=$?
[[ $status == 1 ]] || fail "told to end, ended with $status"
eventually 1 "its users wait for 'ublk-qcow2 recover $disk'" "$WORK/serve.err"
serve
eventually 60 'its users wait; trying again in 1 s' "$WORK/serve.err"
mv "$image.away" "$image"
listed_becomes supervisor_pid "$SERVE" 60
wait_live
storm 2

# A device that cannot be looked at may have users.
note "no look at the device"
kill_off "$SERVE" "$(listed server_pid)"
cleanup "sysctl -q kernel.io_uring_disabled=0"
sysctl -q kernel.io_uring_disabled=2
serve
eventually 60 'its users wait; trying again in 2 s' "$WORK/serve.err"
sysctl -q kernel.io_uring_disabled=0
listed_becomes supervisor_pid "$SERVE" 60
wait_live
stop_load

# A server minds SIGTERM no more than a kernel thread does.
recoveries=$(listed recoveries)
kill -TERM "$(listed server_pid)"
sleep 1
[[ $(listed recoveries) == "$recoveries" ]] || fail "the server died"
"$UBLK_QCOW2" del "$disk" || fail "del"
wait "$SERVE" || fail "serve ended with $?"
[[ -z $(traces) ]] || fail "left behind: $(traces)"
check_image "$image"

# A socket in the abstract name space; a disk of programs, not admins.
rm "$conf"
printf 'image = %s\nread-only = yes\n' "$image" \
	>"$UBLK_QCOW2_RUN_DISKS/$disk.conf"
kill "$LISTENER"
listen "ABSTRACT-RECV:ublk-qcow2-$$"
NOTIFY_SOCKET=@ublk-qcow2-$$ serve
eventually 60 '^READY=1$' "$WORK/told"
[[ $(cat "/sys/block/$(basename "$(readlink -f "$link")")/ro") == 1 ]] ||
	fail "read-only is not"
kill -TERM "$SERVE"
wait "$SERVE" || fail "serve ended with $?"
eventually 60 '^STOPPING=1$' "$WORK/told"
[[ -z $(traces) ]] || fail "left behind: $(traces)"
