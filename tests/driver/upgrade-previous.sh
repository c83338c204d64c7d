#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 420
#
# A disk in use that the program of the release before this one serves gets this
# program: by `upgrade`, or because the other's processes are dead.  This program
# understands the records, figures and journals that it finds, and nothing that
# was acknowledged is lost.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

this=$UBLK_QCOW2
previous=${UBLK_QCOW2_PREVIOUS:-}
if [[ ! -x $previous ]]; then
	note "no history, so this program stands for the one before"
	previous=$this
fi

# An installation of its own, which can be replaced.
mkdir "$WORK/bin"
UBLK_QCOW2=$WORK/bin/ublk-qcow2
install_program()
{
	cp "$1" "$WORK/bin/new"
	mv "$WORK/bin/new" "$UBLK_QCOW2"
}

# Both processes run the program that is installed now.
is_upgraded()
{
	local role

	for role in supervisor server; do
		[[ /proc/$(listed "${role}_pid")/exe -ef $UBLK_QCOW2 ]] ||
			fail "the $role is another program"
	done
}

# begin NAME: a disk of the program before, under load.
begin()
{
	install_program "$previous"
	image=$(image "$1.qcow2" 256M)
	add "$image" --name "$1"
	rm -f "$WORK/ledger"	# of another disk
	start_load --depth 8 --size 32M --ledger "$WORK/ledger"
	storm 1
}

end()
{
	wait_live
	is_upgraded
	storm 2
	stop_load
	del
	check_image "$image"
	check_with_qemu "$image" "$WORK/ledger"
}

note "upgraded"
begin upgraded
supervisor=$(listed supervisor_pid)
figures=$("$UBLK_QCOW2" stat --json "$DEV" | jq '.. | .recoveries? // empty')
install_program "$this"
"$UBLK_QCOW2" list "$DEV" | grep -q "$image" || fail "list does not know it"
"$UBLK_QCOW2" stat "$DEV" >"$WORK/out" || fail "stat does not know it"
note "it has recovered before: $figures"
"$UBLK_QCOW2" upgrade "$DEV" || fail upgrade
[[ $(listed supervisor_pid) == "$supervisor" ]] ||
	note "by another supervisor"
end

note "its server dies meanwhile"
begin killed
install_program "$this"
change_and_kill 1 "$UBLK_QCOW2" upgrade "$DEV"
"$UBLK_QCOW2" upgrade "$DEV" || fail upgrade
end

note "its processes are dead, and the journal is theirs"
begin dead
kill_off "$(listed supervisor_pid)" "$(listed server_pid)"
install_program "$this"
"$UBLK_QCOW2" recover "$DEV" || fail recover
end

note "dead in the middle of a merge"
begin merged
"$UBLK_QCOW2" snapshot "$DEV" "$WORK/top.qcow2" || fail snapshot
dd if=/dev/urandom of="$DEV" bs=1M seek=64 count=40 oflag=direct status=none
"$UBLK_QCOW2" commit "$DEV" --bandwidth 1M >"$WORK/out" 2>&1 &
command=$!
until grep -q '^merging 1$' "/run/ublk-qcow2/${DEV#/dev/ublkb}.disk"; do
	kill -0 "$command" || fail "commit: $(cat "$WORK/out")"
	sleep 0.1
done
wait_live
sleep 1
kill_off "$(listed supervisor_pid)" "$(listed server_pid)"
! wait "$command" || fail "the command does not notice"
install_program "$this"
"$UBLK_QCOW2" recover "$DEV" || fail recover
wait_live
"$UBLK_QCOW2" list --json "$DEV" | grep -q '"merging": {' ||
	fail "the merge is forgotten"
"$UBLK_QCOW2" commit "$DEV" --cancel || fail cancel
"$UBLK_QCOW2" commit "$DEV" || fail commit
[[ $(listed image) == "$image" ]] || fail "list: $(listed image)"
refused 'was merged into' "$UBLK_QCOW2" add "$WORK/top.qcow2"
rm "$WORK/top.qcow2"
end

note "removed by this program"
begin removed
stop_load
install_program "$this"
status=0
"$UBLK_QCOW2" del "$DEV" || status=$?
if [[ $status != 0 ]]; then
	"$UBLK_QCOW2" upgrade "$DEV" || fail upgrade
	del
fi
check_image "$image"
check_with_qemu "$image" "$WORK/ledger"
