#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `info` describes an image, also an image that is refused.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

image=$(image disk.qcow2 100M -o cluster_size=4k)
output=$("$UBLK_QCOW2" info "$image") || fail "info"
grep -q 104857600 <<<"$output" || fail "no size: $output"
grep -q 4096 <<<"$output" || fail "no cluster size: $output"
image overlay.qcow2 100M -b "$image" -F qcow2 >/dev/null
grep -qF "$image" <<<"$("$UBLK_QCOW2" info "$WORK/overlay.qcow2")" ||
	fail "no backing file"
"$UBLK_QCOW2" info --json "$image" | jq -e . >/dev/null || fail "no JSON"
