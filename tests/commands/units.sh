#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# systemd finds no fault with the units, and no cycle in the order of a boot
# with a disk, with a file system on it, and with guests.
set -euo pipefail

UNITS=$PWD/../plugin/systemd
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

command -v systemd-analyze >/dev/null ||
	{ echo "systemd-analyze is missing"; exit 77; }
# The programs are not where they will be installed.
for unit in "$UNITS"/*.service; do
	sed -E "s|^(Exec[A-Za-z]+=[-+!@:]*)/[^ ]*/|\1$PWD/../plugin/|" \
		"$unit" >"$WORK/$(basename "$unit")"
	! grep '@[a-z]*dir@' "$unit" || exit 1
	grep -q "^ExecStart=$PWD" "$WORK/$(basename "$unit")" || exit 1
done
cd "$WORK"

# A disk's name may look like an option.
command=$(sed -n 's/^ExecStart=//p' 'ublk-qcow2@.service')
# shellcheck disable=SC2086  # into words
UBLK_QCOW2_RUN=$WORK/run UBLK_QCOW2_DISKS=$WORK/none ${command//%i/--help} \
	>messages 2>&1 && exit 1
grep '^ublk-qcow2: --help' messages || exit 1

mkdir multi-user.target.wants
printf '%s\n' '[Service]' ExecStart=/bin/true Slice=machine.slice \
	'[Unit]' Before=libvirtd.service >guest.service
printf '%s\n' '[Unit]' Requires=ublk-qcow2@disk-1.service \
	After=ublk-qcow2@disk-1.service '[Mount]' \
	What=/dev/ublk-qcow2/disk-1 Where=/data Options=nofail >data.mount
for unit in guest.service data.mount; do
	ln -s "../$unit" "multi-user.target.wants/$unit"
done
ln -s ../ublk-qcow2@.service multi-user.target.wants/ublk-qcow2@disk-1.service
SYSTEMD_UNIT_PATH=$WORK: systemd-analyze verify --man=no multi-user.target \
	>messages 2>&1 || true
if grep -E 'cycle|ublk-qcow2' messages; then
	exit 1
fi
rm -r multi-user.target.wants guest.service

# exposure UNIT: from 0, the best, to 100; older ones cannot tell.
exposure()
{
	systemd-analyze security --offline=true --no-pager "./$1" 2>/dev/null |
		sed -n 's/.*exposure level.*: \([0-9]*\)\.\([0-9]\) .*/\1\2/p'
}

for bound in 'ublk-qcow2@.service 67' 'ublk-qcow2-agent.service 67' \
	'ublk-qcow2-stat.service 20'; do
	found=$(exposure "${bound% *}")
	[[ -z $found || $found -le ${bound#* } ]] ||
		{ echo "the exposure of ${bound% *} is $found"; exit 1; }
done

for unit in *.service; do
	systemd-analyze verify --man=no "./${unit/@./@disk-1.}" 2>&1 |
		tee messages
	[[ ! -s messages ]] || exit 1
done
