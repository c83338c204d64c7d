#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `make install` adds its lines to AppArmor's local rules once, beside the lines
# that were there before, and only for profiles that are there.  `make
# uninstall` leaves the lines that were there before.
set -euo pipefail

RULES=${srcdir:-$(dirname "$0")/..}/../plugin/libvirt/apparmor-rules
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
EXEC=/usr/local/sbin/ublk-qcow2-hook
DENY='deny /dev/ublkb[0-9]* r,'

fail()
{
	echo "FAILED: $*"
	exit 1
}

# rules add|remove DIRECTORY [SBINDIR]
rules()
{
	"$RULES" "$1" "$WORK/$2" "${3:-/usr/local/sbin}" >>"$WORK/said" ||
		fail "$*"
}

# holds FILE TEXT
holds()
{
	[[ $(cat "$WORK/$1"; echo .) == "$2". ]] ||
		fail "$1: $(cat "$WORK/$1")"
}

rules add nothing
rules remove nothing
[[ ! -e $WORK/nothing && ! -s $WORK/said ]] || fail "no AppArmor"

mkdir -p "$WORK/debian/local" "$WORK/new"
touch "$WORK"/debian/usr.{sbin.libvirtd,lib.libvirt.virt-aa-helper}
before=$'# mine\n/opt/hook PUx,\n\n'
printf '%s' "$before" >"$WORK/debian/local/usr.sbin.libvirtd"
rules add debian
[[ $(wc -l <"$WORK/said") == 2 ]] || fail "it says $(cat "$WORK/said")"
rules add debian
[[ $(wc -l <"$WORK/said") == 2 ]] || fail "it says $(cat "$WORK/said")"
holds debian/local/usr.sbin.libvirtd "$before$EXEC PUx,"$'\n'
holds debian/local/usr.lib.libvirt.virt-aa-helper "$DENY"$'\n'
[[ ! -e $WORK/debian/local/usr.sbin.virtqemud ]] || fail "there is no virtqemud"
rules remove debian
rules remove debian
holds debian/local/usr.sbin.libvirtd "$before"
holds debian/local/usr.lib.libvirt.virt-aa-helper ""

printf '/opt/hook PUx,' >"$WORK/debian/local/usr.sbin.libvirtd"
rules add debian
holds debian/local/usr.sbin.libvirtd $'/opt/hook PUx,\n'"$EXEC PUx,"$'\n'

touch "$WORK"/new/usr.{sbin.virtqemud,lib.libvirt.virt-aa-helper}
rules add new /usr/sbin
holds new/local/usr.lib.libvirt.virt-aa-helper "$DENY"$'\n'
[[ ! -e $WORK/new/local/usr.sbin.virtqemud ]] || fail "/usr/sbin has a rule"
rules add new
holds new/local/usr.sbin.virtqemud "$EXEC PUx,"$'\n'
