#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 120
#
# Executables in hooks.d hear of a crash, of a recovery, and of giving up.
# Their output is in the log.  They run as any program of root's does.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

# shellcheck disable=SC2016  # the hook expands it
hear_hooks "cat /proc/self/oom_score_adj >>$WORK/scores" \
	'echo "says $1 of $2"' 'echo "and complains" >&2'
idle=/etc/ublk-qcow2/hooks.d/idle-$$
cleanup "rm -f $idle"
echo "#!/bin/sh" >"$idle"
chmod 644 "$idle"

dying=/etc/ublk-qcow2/hooks.d/dying-$$
cleanup "rm -f $dying"
# shellcheck disable=SC2016  # the hook expands it
printf '#!/bin/sh\nkill -SEGV $$\n' >"$dying"
chmod 755 "$dying"

image=$(image disk.qcow2 64M)
add "$image"
kill_and_recover
heard "^crashed $DEV "
heard "^recovered $DEV "

# Without a log daemon a file is the log.
if [[ ! -e /dev/log ]]; then
	for line in "hook test-$$: says crashed of $DEV" \
		"hook test-$$: and complains" \
		"the hook $dying crashed was killed by signal 11 (Segm" \
		"$idle is not run as a hook: it is no executable file"; do
		log_lines "($image): $line" ||
			fail "the log lacks '$line': $(log_lines '')"
	done
	[[ $(log_lines -c "$idle is not run") == 1 ]] ||
		fail "told more than once"
fi
[[ $(sort -u "$WORK/scores") == 0 ]] ||
	fail "hooks run with the oom_score_adj $(sort -u "$WORK/scores")"

# An image that cannot be opened any more: no server can help.
poke "$image" 0 00000000
kill_server
heard "^gave-up $DEV "
[[ $(listed state) == failed ]] || fail "gave up, but is $(listed state)"
poke "$image" 0 514649fb
"$UBLK_QCOW2" recover "$DEV" || fail "recover"
wait_live
del
check_image "$image"
