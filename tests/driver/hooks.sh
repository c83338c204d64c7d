#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 120
#
# Executables in hooks.d hear of a crash, a recovery, and of giving up.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

mkdir -p /etc/ublk-qcow2/hooks.d
hook=/etc/ublk-qcow2/hooks.d/test-$$
cleanup "rm -f $hook"
cat >"$hook" <<-END
	#!/bin/sh
	echo "\$1 \$2" >>$WORK/events
END
chmod 755 "$hook"

heard()
{
	local i

	for ((i = 0; i < 600; i++)); do
		if grep -qx "$1 $DEV" "$WORK/events" 2>/dev/null; then
			return
		fi
		sleep 0.1
	done
	fail "no event $1, only: $(cat "$WORK/events")"
}

image=$(image disk.qcow2 64M)
add "$image"
kill_and_recover
heard crashed
heard recovered

# An image that cannot be opened any more: no server can help.
poke "$image" 0 00000000
kill_server
heard gave-up
[[ $(listed state) == failed ]] || fail "gave up, but is $(listed state)"
poke "$image" 0 514649fb
"$UBLK_QCOW2" recover "$DEV" || fail "recover"
wait_live
del
check_image "$image"
