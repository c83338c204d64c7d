#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 120
#
# `recover --force` while the disk's users have requests under way.  Server and
# supervisor are dead, and another program has written to the image: the journal
# does not fit it any more, and `recover` refuses it.  By force the journal is
# given up, and nothing else is: the users get no error, their requests under
# way are answered, and all that was flushed is there.  Of writes after that
# flush each is there or not, as after a loss of power.
#
# A discard that is smaller than a cluster may leave the bytes as they are, so
# the discards are whole clusters.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

# They read nothing, for they would see that writes are lost.
start_users()
{
	local end=$((SECONDS + 60))

	"$LOAD" --tell --depth 8 --mix 70,0,15,15 --discard-align 64K \
		--ledger "$WORK/ledger" "$DEV" \
		>"$WORK/users.out" 2>"$WORK/users.err" &
	USERS=$!
	cleanup "kill -9 $USERS 2>/dev/null"
	until [[ -s $WORK/users.out ]]; do
		((SECONDS <= end)) || fail "the users do not begin"
		sleep 0.05
	done
}

# The users' requests that have been answered.  Others are under way always.
answered()
{
	local reads writes rest

	read -r reads rest rest rest writes rest <"/sys/block/${DEV#/dev/}/stat"
	echo $((reads + writes))
}

# Some more than now.
await_answers()
{
	local end=$((SECONDS + 60)) wanted=$(($(answered) + 50))

	until [[ $(answered) -ge $wanted ]]; do
		((SECONDS <= end)) || fail "the users do not go on"
		sleep 0.05
	done
}

stop_users()
{
	local status=0

	kill -TERM "$USERS"
	wait "$USERS" || status=$?
	note "users: $(tail -n 1 "$WORK/users.out")"
	[[ $status == 0 ]] || fail "the users met: $(cat "$WORK/users.err")"
}

# A loss of the journal may leak, as a loss of power may.
check_loosely()
{
	local status=0

	qemu-img check -q "$1" || status=$?
	[[ $status == 0 || $status == 3 ]] || fail "qemu-img check: $status"
}

image=$(image disk.qcow2 64M)
add "$image"
start_users
await_answers
note "what is answered now is flushed"
cp "$WORK/ledger" "$WORK/flushed"
sync "$DEV"
await_answers

kill_off "$(listed supervisor_pid)" "$(listed server_pid)"
waiting=$(answered)
# As other programs do before they write: the private bit goes.
poke "$image" 88 00
refused 'does not fit it' "$UBLK_QCOW2" recover "$DEV"
[[ $(answered) == "$waiting" ]] || fail "the refusal answered the users"
kill -0 "$USERS" || fail "the users ended: $(cat "$WORK/users.err")"
"$UBLK_QCOW2" recover --force "$DEV" || fail "recover --force"
wait_live
await_answers
stop_users

note "what was flushed"
"$LOAD" --verify-only --ledger "$WORK/flushed" --later "$WORK/ledger" "$DEV" ||
	fail "more is lost than the journal"

# The disk is as good as another one.
start_load --depth 8 --unknown
storm 1
stop_load
del
check_loosely "$image"
