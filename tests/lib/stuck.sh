# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Where everybody waits, for those who look at a test that hangs.

# read_task TASK: sets TASK_NAME and TASK_STATE, as the kernel has them.
read_task()
{
	local stat

	IFS= read -r stat 2>/dev/null <"$1/stat" || return
	TASK_STATE=${stat##*) } TASK_NAME=${stat%)*}
	TASK_STATE=${TASK_STATE%% *} TASK_NAME=${TASK_NAME#*(}
}

# tell_task TASK: its name and state, and the kernel's functions that it is in,
# the innermost first.  Only root sees these; the others see the first one.
tell_task()
{
	local stack

	# A task may end, or may not be looked at: that ends nobody else.
	stack=$(sed 's/.*\] //; s/+0x.*//' "$1/stack" 2>/dev/null |
		head -n 12 | tr '\n' ' ') || true
	[[ -n $stack ]] || stack=$(cat "$1/wchan" 2>/dev/null) || true
	echo "$TASK_NAME ${1##*/} $TASK_STATE: $stack"
}

# tell_process PID: each of its threads
tell_process()
{
	local task

	for task in "/proc/$1/task"/*; do
		! read_task "$task" || tell_task "$task"
	done
}

# tell_stuck: each task that waits in the kernel and takes no signal, each of
# ours, and each request that a disk has under way.
tell_stuck()
{
	local task

	for task in /proc/[0-9]*/task/*; do
		read_task "$task" || continue
		[[ $TASK_STATE == D || $TASK_NAME == @(ublk-qcow2|load|qemu-)* ]] ||
			continue
		tell_task "$task"
	done
	grep -Hs . /sys/kernel/debug/block/ublkb*/hctx*/busy \
		/sys/kernel/debug/block/ublkb*/requeue_list |
		sed 's:^/sys/kernel/debug/block/::' | head -n 20
	return 0
}
