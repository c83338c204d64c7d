#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 600
#
# Every file of a disk is locked for as long as the disk is there: while there
# is no server, after another supervisor has taken over, and while the disk has
# failed.  And no later server takes another file in place of one of them.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

cd "$WORK"
mkdir images elsewhere
UBLK_QCOW2_DIRECTORIES=$WORK/directories
export UBLK_QCOW2_DIRECTORIES
printf '%s\n' "$WORK/elsewhere" "data-files $WORK/images" >directories
head -c 4M /dev/urandom >elsewhere/base.raw
# QEMU looks for a data file where it runs.
cd images
qemu-img create -q -f qcow2 -b "$WORK/elsewhere/base.raw" -F raw middle.qcow2
qemu-img create -q -f qcow2 -o data_file=data -b middle.qcow2 -F qcow2 \
	top.qcow2 64M
FILES=(top.qcow2 data middle.qcow2 ../elsewhere/base.raw)

format_of()
{
	case $1 in
	*.qcow2) echo qcow2 ;;
	*) echo raw ;;
	esac
}

# QEMU writes to the file, the same that is there.
qemu_writes()
{
	qemu-img resize -q -f "$(format_of "$1")" "$1" +0 >"$WORK/out" 2>&1
}

all_locked()
{
	local file

	for file in "${FILES[@]}"; do
		! qemu_writes "$file" || fail "$1: QEMU can write to $file"
		grep -q '"write" lock' "$WORK/out" ||
			fail "$1: $file: $(cat "$WORK/out")"
	done
	! qemu-img commit -q middle.qcow2 2>/dev/null ||
		fail "$1: QEMU commits into the base"
	note "$1: all are locked"
}

all_free()
{
	local file

	for file in "${FILES[@]}"; do
		qemu_writes "$file" ||
			fail "$1: $file: $(cat "$WORK/out")"
	done
	note "$1: all are free"
}

all_free before
add "$PWD/top.qcow2"
start_load --depth 4
all_locked 'served'

# There is no server: the supervisor cannot start one.
without_server()
{
	local supervisor server recoveries

	supervisor=$(listed supervisor_pid)
	server=$(listed server_pid)
	recoveries=$(listed recoveries)
	kill -STOP "$supervisor"
	kill -9 "$server"
	# Whether or not a parent reaps it.
	while [[ $(ps -o stat= "$server") == [^Z]* ]]; do
		sleep 0.1
	done
	all_locked "$1"
	[[ $(listed server_pid) == null ]] || fail "there is a server"
	kill -CONT "$supervisor"
	listed_becomes recoveries $((recoveries + 1)) 60
	wait_live
}

without_server 'no server'

# Another supervisor, beside a living server.
kill -9 "$(listed supervisor_pid)"
all_locked 'no supervisor'
"$UBLK_QCOW2" recover "$DEV" || fail "recover"
without_server 'no server, another supervisor'

# A supervisor after both are dead.
kill -STOP "$(listed supervisor_pid)"
kill_server
kill -9 "$(listed supervisor_pid)"
"$UBLK_QCOW2" recover "$DEV" || fail "recover"
wait_live
without_server 'no server, a third supervisor'
stop_load

# Another program has got a file meanwhile.
both_die()
{
	kill -STOP "$(listed supervisor_pid)"
	kill_off "$(listed supervisor_pid)" "$(listed server_pid)"
}

for file in data ../elsewhere/base.raw; do
	both_die
	open_in_qemu -f raw "$file"
	refused "${file#../}.*in use" "$UBLK_QCOW2" recover "$DEV"
	close_in_qemu
	"$UBLK_QCOW2" recover "$DEV" || fail "recover"
	wait_live
done

# A mistake in the list of allowed directories does not touch a disk that is
# there.
echo 'no directory' >>directories
kill_and_recover
sed -i '$d' directories

# Another file under the name of one of them: no server takes it.
fails()
{
	mv ../elsewhere/base.raw ../elsewhere/away
	cp ../elsewhere/away ../elsewhere/base.raw
	kill_server
	listed_becomes state failed 60
	grep -q 'base.raw: another file has' \
		<<<"$("$UBLK_QCOW2" list "$DEV")" || fail "list does not say why"
	mv ../elsewhere/away ../elsewhere/base.raw
	all_locked 'failed'
}

fails
"$UBLK_QCOW2" recover "$DEV" || fail "recover"
wait_live

# In place of a dead server the image is closed by its supervisor, or by us.
write_something()
{
	start_load --depth 4 --size 16M --ledger "$WORK/ledger"
	sleep 1
	stop_load
}

write_something
fails
del
all_free 'removed'
check_image top.qcow2

add "$PWD/top.qcow2"
write_something
both_die
del
all_free 'removed without a supervisor'
check_image top.qcow2
add --read-only "$PWD/top.qcow2"
"$LOAD" --verify-only --touched-only --ledger "$WORK/ledger" "$DEV" ||
	fail "lost writes"
del
