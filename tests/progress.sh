#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The progress bar of `check`: on a terminal only and not at once, no wider
# than that, and gone when the result is told.
set -euo pipefail

PROGRAM=$PWD/../plugin/ublk-qcow2
# Sparse to an extent that few file systems have.
WORK=$(mktemp -d /dev/shm/ublk-qcow2-test-XXXXXX)
trap 'rm -rf "$WORK"' EXIT
cd "$WORK"
SCRIPT=

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

# Lets time pass, but not for the process, once it has the image open:
# whatever it does takes longer than that.  (script stops when its child is
# stopped.)
interrupt()
{
	while [[ ! -s pid ]]; do sleep 0.01; done
	until find -L "/proc/$(cat pid)/fd" -samefile slow | grep -q .; do
		sleep 0.01
	done
	kill -STOP "$(cat pid)" || fail "it has ended already"
	sleep 0.6
	kill -CONT "$(cat pid)" ${SCRIPT:+"$SCRIPT"}
}

# on_terminal COLUMNS COMMAND: what arrives there is in the file screen, with
# the lines of its own.
on_terminal()
{
	rm -f pid
	script -fqe -c "stty -onlcr cols $1; echo \$\$ >pid; $2" screen \
		>/dev/null </dev/null &
	SCRIPT=$!
}

ended()
{
	wait "$SCRIPT" || fail "status $?"
	SCRIPT=
	# What script says of itself.
	sed -i '/^Script \(started\|done\) on/d' screen
}

# Everything drawn, a line each.
drawn()
{
	tr '\r' '\n' <screen | grep -E '^(\[[# ]*\] +[0-9.]+%|[0-9]+%) *$' ||
		true
}

# In the order of time, and no further than to the end.
check_bars()
{
	local columns=$1 last=0 bar number

	drawn >bars
	[[ -s bars ]] || fail "no bar on a terminal of $columns columns"
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
	on_terminal "$columns" "exec $PROGRAM check slow"
	interrupt
	ended
	check_bars "$columns"
	check_clean
done
# How wide it is, where there is room.
on_terminal 200 "exec $PROGRAM check slow"
interrupt
ended
check_bars 200
[[ $(head -n 1 bars) =~ ^\[[#\ ]{40}\] ]] || fail "another width"

# None where there is nothing to wait for.
on_terminal 80 "exec $PROGRAM check quick"
ended
[[ -z $(drawn) ]] || fail "a bar for a check of no time"
grep -q 'No errors' screen || fail "no result"

# Nor with --json, though there is a terminal.
on_terminal 80 "exec $PROGRAM check --json slow"
interrupt
ended
[[ -z $(drawn) ]] || fail "a bar with --json"
jq -e '.corruptions == 0' screen >/dev/null || fail "no JSON"

# Nor in a pipe or file: of both the result is all.
rm -f pid
SCRIPT=
sh -c "echo \$\$ >pid; exec $PROGRAM check slow" 2>err | cat >out &
interrupt
wait
[[ ! -s err ]] || fail "something on stderr"
[[ $(head -c 9 out) == 'No errors' && $(wc -l <out) == 3 ]] ||
	fail "something else on stdout"

# The bar is where the terminal is.
on_terminal 80 "exec $PROGRAM check slow >out"
interrupt
ended
check_bars 80
[[ $(head -c 9 out) == 'No errors' ]] || fail "no result"

# Who interrupts it has a line of his own.
on_terminal 80 "$PROGRAM check slow & echo \$! >pid; wait; echo end"
interrupt
while [[ -z $(drawn) ]]; do sleep 0.01; done
kill -INT "$(cat pid)" || fail "it has ended already"
ended
tr '\r' '\n' <screen | grep -A 1 '%$' | tail -n 1 | grep -q '^end' ||
	fail "the bar stays before the prompt"
