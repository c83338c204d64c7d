#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 240
#
# The partition table in a disk is the guest's, and the host does not read it.
# A server that dies while its device starts leaves no device that cannot be
# removed.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

partitions()
{
	compgen -G "/sys/block/$(basename "$DEV")/$(basename "$DEV")p*" || true
}

truncate -s 64M "$WORK/disk.raw"
printf 'label: gpt\nsize=10MiB\nsize=20MiB\n' | sfdisk -q "$WORK/disk.raw"
image=$WORK/disk.qcow2
qemu-img convert -O qcow2 "$WORK/disk.raw" "$image"
add "$image"
[[ -z $(partitions) ]] || fail "the host has parsed the guest's partitions"
# It is a table all right, and can be looked at on purpose.
partx --add "$DEV" 2>/dev/null || true
[[ $(partx --show --noheadings "$DEV" | wc -l) == 2 ]] ||
	fail "there is no table of two partitions"
partx --delete "$DEV" 2>/dev/null || true
kill_and_recover
[[ -z $(partitions) ]] || fail "parsed in recovery"
del
note "no partitions"

# Kills all over the time that `add` takes: processes that still have its
# command line, and those that have a title.
name=$(basename "$image" .qcow2)
for delay in 0 0.01 0.02 0.03 0.05 0.08 0.12 0.16 0.2 0.3 0.4 0.6; do
	"$UBLK_QCOW2" add "$image" >"$WORK/out" 2>&1 &
	command=$!
	sleep "$delay"
	for pid in $(pgrep -f \
		"add $image|^ublk-qcow2: (server|supervisor) $name *\$"); do
		[[ $pid == "$command" ]] || kill -9 "$pid" 2>/dev/null || true
	done
	for _ in {1..600}; do
		kill -0 "$command" 2>/dev/null || break
		sleep 0.1
	done
	! kill -0 "$command" 2>/dev/null || fail "add hangs after a kill at $delay"
	wait "$command" || true
	timeout 60 "$UBLK_QCOW2" list >/dev/null || fail "list hangs"
	for dev in $("$UBLK_QCOW2" list --json |
		jq -r --arg image "$image" '.[] | select(.image == $image).device'); do
		timeout 60 "$UBLK_QCOW2" recover "$dev" >/dev/null 2>&1 || true
		timeout 60 "$UBLK_QCOW2" del --force "$dev" ||
			fail "del after a kill at $delay"
	done
done
note "killed while starting"
add "$image"
del
check_image "$image"
