# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The functions that all tests of the real driver share.  Each test is a program
# of its own.  A test sources this file, runs as root on a kernel with ublk, and
# ends with status 0 if it has seen the behaviour that gives the test its name.
# Images are in images.sh, the load program is in traffic.sh.
#
# tests/check sets the environment: the programs UBLK_QCOW2, UBLK_QCOW2_FAULTY
# and LOAD, and SCRATCH, a directory on a disk with room.
#
# A test removes only the devices that it added: the machine may have others.
set -euo pipefail

: "${UBLK_QCOW2:?}" "${LOAD:?}" "${SCRATCH:?}"

NAME=$(basename "$0" .sh)
# shellcheck disable=SC2034  # libvirt.sh and tests use it
PROGRAMS=${LOAD%/load/load}	# of the tests, built
WORK=$(mktemp -d "$SCRATCH/$NAME.XXXXXX")
ADDED=()		# device paths
CLEANUPS=()		# commands
RANDOM=${SEED:-$$}	# the moments of kills

fail()
{
	WHY="FAILED: $*"
	echo "$WHY"
	exit 1
}

note()
{
	local ms=$(((${EPOCHREALTIME/./} - STARTED) / 1000))

	printf '%4d.%03d  %s\n' $((ms / 1000)) $((ms % 1000)) "$*"
}
STARTED=${EPOCHREALTIME/./}

# Without a process: an emulated machine has better things to do.
sleep()
{
	read -rt "$1" -u "$SILENCE" || true
}
exec {SILENCE}<> <(:)

# Runs a command when the test ends, however it ends; the last one first.
cleanup()
{
	CLEANUPS=("$*" "${CLEANUPS[@]}")
}

clean_up()
{
	local status=$? dev command

	trap - EXIT
	set +e
	[[ $status == 0 ]] || explain
	[[ -z ${LOAD_PID:-} ]] || kill -9 "$LOAD_PID" 2>/dev/null
	for dev in "${ADDED[@]}"; do
		remove_anyhow "$dev"
	done
	for command in "${CLEANUPS[@]}"; do
		eval "$command"
	done
	rm -rf "$WORK"
	# Once more: those who look at a failure see the last lines first.
	[[ $status == 0 ]] || echo "${WHY:-}"
	exit "$status"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

# Names the command that ends the test without a word.
STOPPED_AT=
set -E
trap 'STOPPED_AT="line ${BASH_LINENO[0]}: $BASH_COMMAND"' ERR

# Prints facts that help to understand a failure.
explain()
{
	[[ -z $STOPPED_AT ]] || echo "--- stopped at $STOPPED_AT"
	echo "--- list"
	timeout 10 "$UBLK_QCOW2" list
	echo "--- tasks that wait"
	tell_stuck
	echo "--- kernel"
	dmesg | tail -n 20
	[[ ! -s /run/ublk-qcow2.log ]] || {
		echo "--- log"
		tail -n 30 /run/ublk-qcow2.log
	}
}

# A failed test may leave users of a device behind, and the next test must not
# suffer for it.
remove_anyhow()
{
	local dev=$1

	[[ -b $dev ]] || return
	timeout 60 "$UBLK_QCOW2" del --force "$dev" ||
		echo "cannot remove $dev"
}

# shellcheck source=stuck.sh
. "$(dirname "${BASH_SOURCE[0]}")/stuck.sh"
# shellcheck source=images.sh
. "$(dirname "${BASH_SOURCE[0]}")/images.sh"
# shellcheck source=traffic.sh
. "$(dirname "${BASH_SOURCE[0]}")/traffic.sh"

# --- devices ----------------------------------------------------------------

# Serves an image; the device is $DEV then.
add()
{
	DEV=$("$UBLK_QCOW2" add "$@") || fail "add $*"
	ADDED+=("$DEV")
	[[ -b $DEV ]] || fail "add printed '$DEV', which is no device"
}

del()
{
	local dev=${1:-$DEV}

	"$UBLK_QCOW2" del "$dev" || fail "del $dev"
	[[ ! -e $dev ]] || fail "$dev is still there"
}

# One value of `list --json`.  Asked so often that a JSON parser would take
# more time than the disk; the test "list" does use one.
listed()
{
	local key=$1 dev=${2:-$DEV} json

	json=$("$UBLK_QCOW2" list --json "$dev") || return
	[[ $json =~ \"$key\":\ *\"?([^\",}]*) ]] || return
	printf '%s\n' "${BASH_REMATCH[1]%%[[:space:]]*}"
}

# Does the disk's record have this line?  A look costs no process.  The record
# has an old text, too, so a yes is a reason to ask, and no answer.
record_hints()
{
	local text='' number

	number=${2##*/ublkb}
	[[ $number != */* ]] || number=$(readlink -f "$2")
	IFS= read -rd '' text 2>/dev/null \
		<"/run/ublk-qcow2/${number##*/ublkb}.disk" || true
	[[ $text == *$'\n'"$1"$'\n'* ]]
}

# listed_becomes KEY VALUE SECONDS [DEV]: the list says so, which sees more than
# the record when a process has died.
listed_becomes()
{
	local key=$1 value=$2 end=$((SECONDS + $3)) dev=${4:-$DEV} next=0

	for (( ; ; )); do
		if record_hints "$key $value" "$dev" || ((SECONDS >= next)); then
			[[ $(listed "$key" "$dev") != "$value" ]] || return 0
			next=$((SECONDS + 2))
		fi
		((SECONDS <= end)) || fail "$dev: $key is" \
			"$(listed "$key" "$dev") and not $value after $3 s"
		sleep 0.03
	done
}

wait_live()
{
	listed_becomes state live "${2:-60}" "${1:-$DEV}"
}

# A process that is dead and not reaped yet is not alive.
is_alive()
{
	local stat

	read -r stat 2>/dev/null <"/proc/$1/stat" && [[ $stat != *') Z '* ]]
}

# kill_off PID...: kills them and waits until they are dead.  Until then they
# look alive to others, and keep their files and locks.
kill_off()
{
	local pid end=$((SECONDS + 60))

	kill -9 "$@"
	for pid; do
		while is_alive "$pid"; do
			((SECONDS <= end)) || fail "process $pid does not die"
			sleep 0.05
		done
	done
}

kill_server()
{
	kill -9 "$(listed server_pid "${1:-$DEV}")"
}

# Kills the server and waits until another one serves.
kill_and_recover()
{
	local dev=${1:-$DEV} limit=${2:-60} before

	before=$(listed recoveries "$dev")
	kill_server "$dev"
	listed_becomes recoveries $((before + 1)) "$limit" "$dev"
	wait_live "$dev" "$limit"
}

# change_and_kill ROUND COMMAND...: kills the server while the command is at
# work, in every other round the supervisor, too.  The command may fail; the
# disk must be live in the end.
change_and_kill()
{
	local round=$1 command victims
	shift

	"$@" >"$WORK/out" 2>&1 &
	command=$!
	sleep "0.$((RANDOM % 4))$((RANDOM % 10))"
	victims=$(listed server_pid)
	((round % 2)) || victims+=" $(listed supervisor_pid)"
	# shellcheck disable=SC2086  # several
	kill -9 ${victims//null/} 2>/dev/null || true
	wait "$command" || note "round $round: $(cat "$WORK/out")"
	"$UBLK_QCOW2" recover "$DEV" || fail "recover, round $round"
	wait_live
}

# How many requests its users have under way, of a device that is there.
under_way()
{
	local reads writes dev=${1:-$DEV}

	[[ $dev == /dev/ublkb* ]] || dev=$(readlink -f "$dev")
	read -r reads writes <"/sys/block/${dev##*/}/inflight"
	echo $((reads + writes))
}

# storm N [DEV]: kills the server N times at moments of chance.
storm()
{
	local i

	for ((i = 0; i < $1; i++)); do
		sleep "0.$((RANDOM % 5))$((RANDOM % 10))"
		kill_and_recover "${2:-$DEV}"
	done
}

# --- events -----------------------------------------------------------------

# hear_hooks [LINE...]: a hook writes each event down, as `heard` reads it, and
# runs these lines of the shell.
hear_hooks()
{
	local hook=/etc/ublk-qcow2/hooks.d/test-$$

	mkdir -p "${hook%/*}"
	cleanup "rm -f $hook"
	printf '%s\n' '#!/bin/sh' \
		"echo \"\$1 \$2 \$UBLK_QCOW2_REASON\" >>$WORK/events" \
		"$@" >"$hook"
	chmod 755 "$hook"
}

# heard PATTERN: a hook was told of it, as "EVENT DEVICE REASON".
heard()
{
	local end=$((SECONDS + 60))

	until grep -qs -- "$1" "$WORK/events"; do
		((SECONDS <= end)) || fail "no '$1': $(cat "$WORK/events")"
		sleep 0.1
	done
}

# log_lines ARGUMENT...: grep, in the log's lines about files of this test.
# Tests before it have written to the same file, and a full one is put aside.
log_lines()
{
	{ cat /run/ublk-qcow2.log.old /run/ublk-qcow2.log || true; } \
		2>/dev/null | grep -F "$WORK/" | grep "$@"
}

# --- expectations -----------------------------------------------------------

# refused PATTERN COMMAND...: fails with status 1, or 3 where `add` or `serve`
# finds a file in use, and exactly one line on stderr, which matches.
refused()
{
	local pattern=$1 status=0 expected=1 lines
	shift

	"$@" >"$WORK/out" 2>"$WORK/err" || status=$?
	lines=$(wc -l <"$WORK/err")
	note "$* -> $status: $(cat "$WORK/err")"
	[[ " $* " != *" add "* && " $* " != *" serve "* ]] ||
		! grep -qE ': in use(:| by another process)' "$WORK/err" ||
		expected=3
	[[ $status == "$expected" ]] ||
		fail "status $status and not $expected"
	[[ $lines == 1 ]] || fail "$lines lines on stderr and not one"
	[[ ! -s $WORK/out ]] || fail "says $(cat "$WORK/out") on stdout"
	grep -qiE -- "$pattern" "$WORK/err" || fail "does not say '$pattern'"
}

# Our processes, but for the dead that are not reaped yet.
processes()
{
	pgrep -x -r D,I,R,S,T,t 'ublk-qcow2.*' | sort || true
}

# The things that add leaves behind, as a list of names.  A process that only
# has to end gets the time for that.
traces()
{
	local end=$((SECONDS + 10))

	until [[ -z $(processes) ]] || ((SECONDS > end)); do
		sleep 0.1
	done
	find /dev/ublk* /run/ublk-qcow2 ! -type d ! -name '*lock*' \
		! -name ublk-control 2>/dev/null | sort
	processes
}

modules()
{
	local module

	for module; do
		modprobe "$module" || fail "no kernel module $module"
	done
}
