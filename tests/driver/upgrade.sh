#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 240
#
# `upgrade`: a disk in use gets the installed program.  The supervisor stays the
# same process, and another server takes over.  No acknowledged write is lost,
# whichever process is killed meanwhile.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

# An installation of its own, which can be replaced.
mkdir "$WORK/bin"
install_program()
{
	cp "$1" "$WORK/bin/new"
	mv "$WORK/bin/new" "$WORK/bin/ublk-qcow2"
}
install_program "$UBLK_QCOW2"
UBLK_QCOW2=$WORK/bin/ublk-qcow2

program_of()
{
	readlink "/proc/$1/exe"
}

# Both run the program that is installed now.
is_upgraded()
{
	local role

	for role in supervisor server; do
		[[ /proc/$(listed "${role}_pid")/exe -ef $UBLK_QCOW2 ]] ||
			fail "the $role runs" \
				"$(program_of "$(listed "${role}_pid")")"
	done
}

image=$(image disk.qcow2 1G)
add "$image"
start_load --depth 8
sleep 0.5

note "another program"
supervisor=$(listed supervisor_pid)
server=$(listed server_pid)
install_program "$UBLK_QCOW2"
[[ $(program_of "$server") == *deleted* ]] || fail "it is the same program"
"$UBLK_QCOW2" upgrade "$DEV" >"$WORK/out" || fail upgrade
cat "$WORK/out"
[[ $(listed supervisor_pid) == "$supervisor" ]] || fail "another supervisor"
[[ $(listed server_pid) != "$server" ]] || fail "the same server"
[[ $(listed state) == live && $(listed recoveries) == 0 ]] ||
	fail "$(listed state), $(listed recoveries) recoveries"
is_upgraded
storm 2

note "and again, all of them"
install_program "$UBLK_QCOW2"
"$UBLK_QCOW2" upgrade --all || fail "upgrade --all"
is_upgraded

note "its supervisor is dead"
kill_off "$(listed supervisor_pid)"
install_program "$UBLK_QCOW2"
"$UBLK_QCOW2" upgrade "$DEV" || fail "upgrade without a supervisor"
is_upgraded

note "whatever dies meanwhile"
for round in 1 2 3 4 5 6; do
	install_program "$UBLK_QCOW2"
	change_and_kill "$round" "$UBLK_QCOW2" upgrade "$DEV"
done
"$UBLK_QCOW2" upgrade "$DEV" || fail "upgrade at last"
is_upgraded

note "a supervisor of another version"
if [[ -n ${UBLK_QCOW2_FAULTY:-} ]]; then
	stop_load
	del
	install_program "$UBLK_QCOW2_FAULTY"
	export UBLK_QCOW2_FAULT=old-protocol
	add "$image"
	unset UBLK_QCOW2_FAULT
	start_load --depth 8
	supervisor=$(listed supervisor_pid)
	install_program "${LOAD%/tests/load/load}/plugin/ublk-qcow2"
	refused 'of another version.*upgrade' "$UBLK_QCOW2" resize "$DEV" +1G
	"$UBLK_QCOW2" upgrade "$DEV" || fail "upgrade from another version"
	[[ $(listed supervisor_pid) != "$supervisor" ]] ||
		fail "the same supervisor"
	is_upgraded
fi
kill_and_recover
stop_load
del
check_image "$image"
