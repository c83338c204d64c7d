#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The progress bar of `check`.  The bar comes on a terminal only, and not at
# once.  It is no wider than the terminal, and gone when the result is printed.
set -euo pipefail

PROGRAM=$PWD/../plugin/ublk-qcow2
TERMINAL=$PWD/commands/terminal
# Sparse to an extent that few file systems have.
WORK=$(mktemp -d /dev/shm/ublk-qcow2-test-XXXXXX)
trap 'rm -rf "$WORK"' EXIT
cd "$WORK"

fail()
{
	echo "FAILED: $*"
	for file in screen out err; do
		[[ ! -s $file ]] || od -c "$file" | tail -n 20
	done
	exit 1
}

# So much to do that no machine is done at once.
qemu-img create -q -f qcow2 -o cluster_size=2M,preallocation=metadata slow 8T
qemu-img create -q -f qcow2 quick 1M

# The one letter for the state of a process; nothing if it is gone.
state_of()
{
	local state

	# The name before it has no blank.
	read -r _ _ state _ 2>/dev/null <"/proc/$1/stat" || true
	echo "${state:-}"
}

has_slow_open()
{
	[[ -n $(find -L "/proc/$1/fd" -samefile slow 2>/dev/null) ]]
}

# stopped PID: waits until it is; false if it ends.
stopped()
{
	until [[ $(state_of "$1") == T ]]; do
		[[ $(state_of "$1") == [^ZX] ]] || return 1
		sleep 0.01
	done
}

# Lets time pass, but not for the process, once it has the image open: so all
# its work seems to take longer.  False if the process was done before.
interrupt()
{
	local pid status=0

	while [[ ! -s pid ]]; do
		kill -0 $! 2>/dev/null || [[ -s pid ]] || fail "nothing runs"
		sleep 0.01
	done
	pid=$(cat pid)
	until has_slow_open "$pid"; do
		[[ $(state_of "$pid") == [^ZX] ]] || return 1
		sleep 0.01
	done
	kill -STOP "$pid" 2>/dev/null || return 1
	stopped "$pid" || return 1
	has_slow_open "$pid" || status=1
	sleep 0.6
	kill -CONT "$pid"
	return $status
}

# on_terminal COLUMNS COMMAND: the file screen has the terminal's output.
on_terminal()
{
	rm -f pid
	"$TERMINAL" screen "$1" "echo \$\$ >pid; $2" &
}

ended()
{
	wait $! || fail "status $?"
}

# Everything drawn, a line each.
drawn()
{
	tr '\r' '\n' <screen | grep -E '^(\[[# ]*\] +[0-9.]+%|[0-9]+%) *$' ||
		true
}

# Tries until the check was interrupted in time: while this test waits for a
# processor the check may end.
slow_on_terminal()
{
	for _ in {1..20}; do
		on_terminal "$@"
		! interrupt || return 0
		ended
	done
	fail "it always ends before it is interrupted"
}

# Leaves the bars of a check in a file; there must be some.
with_bars()
{
	for _ in {1..5}; do
		slow_on_terminal "$@"
		ended
		drawn >bars
		[[ ! -s bars ]] || return 0
	done
	fail "no bar on a terminal of $1 columns"
}

# In the order of time, and no further than to the end.
check_bars()
{
	local columns=$1 last=0 bar number

	while IFS= read -r bar; do
		((${#bar} < columns)) || fail "'$bar' in $columns columns"
		number=${bar##*] }
		number=${number//[ .%]/}
		((10#$number >= last)) || fail "from $last to $number"
		last=$((10#$number))
	done <bars
	((last <= 1000)) || fail "$last of 1000"
}

# The result begins at the begin of a line that is empty: the longest bar was
# overwritten with spaces.
check_clean()
{
	local result longest spaces

	result=$(tr '\r' '\n' <screen | grep -n '^No errors were found' |
		cut -d: -f1) || fail "no result"
	spaces=$(tr '\r' '\n' <screen | sed -n "$((result - 1))p")
	longest=$(tail -n 1 bars)
	[[ $spaces =~ ^\ +$ && ${#spaces} == "${#longest}" ]] ||
		fail "'$spaces' before the result"
}

for columns in 80 30 12 6; do
	with_bars "$columns" "exec $PROGRAM check slow"
	check_bars "$columns"
	check_clean
done
# How wide it is, where there is room.
with_bars 200 "exec $PROGRAM check slow"
check_bars 200
[[ $(head -n 1 bars) =~ ^\[[#\ ]{40}\] ]] || fail "another width"

# None where there is nothing to wait for, but for a processor.
for _ in {1..20}; do
	on_terminal 80 "exec $PROGRAM check quick"
	ended
	[[ -n $(drawn) ]] || break
done
[[ -z $(drawn) ]] || fail "a bar for a check of no time"
grep -q 'No errors' screen || fail "no result"

# With --json there is no bar, either, though there is a terminal.
slow_on_terminal 80 "exec $PROGRAM check --json slow"
ended
[[ -z $(drawn) ]] || fail "a bar with --json"
jq -e '.corruptions == 0' screen >/dev/null || fail "no JSON"

# A pipe or file gets no bar, either: only the result.
for _ in {1..20}; do
	rm -f pid
	sh -c "echo \$\$ >pid; exec $PROGRAM check slow" 2>err | cat >out &
	interrupt && in_time=yes || in_time=
	wait
	[[ -z $in_time ]] || break
done
[[ ! -s err ]] || fail "something on stderr"
[[ $(head -c 9 out) == 'No errors' && $(wc -l <out) == 3 ]] ||
	fail "something else on stdout"

# The bar is where the terminal is.
with_bars 80 "exec $PROGRAM check slow >out"
check_bars 80
[[ $(head -c 9 out) == 'No errors' ]] || fail "no result"

# Interrupted by its user, `check` ends with a line of its own.
for _ in {1..20}; do
	slow_on_terminal 80 \
		"$PROGRAM check slow & echo \$! >pid; wait; echo end"
	while [[ -z $(drawn) && $(state_of "$(cat pid)") == [^ZX] ]]; do
		sleep 0.01
	done
	kill -INT "$(cat pid)" 2>/dev/null || true
	ended
	grep -q 'No errors' screen || break
done
! grep -q 'No errors' screen || fail "it always ends before that"
tr '\r' '\n' <screen | grep -A 1 '%$' | tail -n 1 | grep -q '^end' ||
	fail "the bar stays before the prompt"
