#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# systemd finds no fault with the units.
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
for unit in *.service; do
	systemd-analyze verify --man=no "./${unit/@./@disk-1.}" 2>&1 |
		tee messages
	[[ ! -s messages ]] || exit 1
done
