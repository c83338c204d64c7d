#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 180
#
# A device of another program that has got our number is left alone.  A recovery
# above all must leave it alone.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

# Another program: it knows nothing of our records, nor we of its.
OTHER=(env "UBLK_QCOW2_RUN=$WORK/run" "$UBLK_QCOW2")
mkdir "$WORK/run"
mount -t tmpfs other "$WORK/run"
cleanup "umount '$WORK/run'"

image=$(image ours.qcow2 64M) other=$(image other.qcow2 64M)
add "$image"
id=$(listed id)
SUPERVISOR=$(listed supervisor_pid)

# The image is away and the server dead: the supervisor gives up.
mv "$image" "$image.away"
kill_server
listed_becomes state failed 60

# Another program deletes the device and gets its number.
"$PROGRAMS/driver/delete-device" "$id"
theirs=$("${OTHER[@]}" add -n "$id" "$other")
[[ $theirs == "$DEV" ]] || fail "got $theirs"
printf theirs | dd of="$DEV" bs=64k count=1 conv=sync oflag=direct status=none
pids=$(sed -n 's/^\(supervisor\|server\)_pid //p' "$WORK/run/$id.disk")
# shellcheck disable=SC2086 # two words
kill_off $pids

# It waits for its own program.
mv "$image.away" "$image"
timeout 100 "$UBLK_QCOW2" recover "$id" >"$WORK/says" 2>&1 || true
note "recover: $(cat "$WORK/says")"
sleep 1
[[ $(cat "/sys/block/ublkb$id/size") == 131072 ]] || fail "it is gone"
"$UBLK_QCOW2" list "$id" >"$WORK/says" 2>&1 && fail "still ours: $(cat \
	"$WORK/says")"
! kill -0 "$SUPERVISOR" 2>/dev/null || fail "our supervisor lives on"
"${OTHER[@]}" recover "$id" || fail "its program cannot recover it"
[[ $(head -c 6 "$DEV") == theirs ]] || fail "not the bytes of its users"
"${OTHER[@]}" del "$id"
check_image "$image"
check_image "$other"
