#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# ublk.qcow2 understands the calls of `ublk`, the tool of ublksrv.  ublk.qcow2
# translates the options, refuses those that would break a promise, and answers
# eight bytes in any case.  On failure it says why where the users of `ublk` can
# read it.  It follows no link in a directory where everybody may write.
set -euo pipefail

TOP=$(cd "${srcdir:-$(dirname "$0")/..}/.." && pwd -P)
REAL=$(cd ../plugin && pwd -P)/ublk-qcow2
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
export WORK REAL
FAILED=18446744073709551614

fail()
{
	echo "FAILED: $*"
	exit 1
}

mkdir "$WORK/sbin" "$WORK/run"
sed -e "s,@sbindir@,$WORK/sbin," -e "s,/run/ublksrvd,$WORK/run/ublksrvd," \
	"$TOP/plugin/ublksrv/ublk.qcow2.in" >"$WORK/sbin/ublk.qcow2"
cat >"$WORK/sbin/ublk-qcow2" <<'EOF'
#!/bin/bash
# Stands for the program: tells how it was called, and does nothing.
printf '[%s]' "$@" >>"$WORK/called"
echo >>"$WORK/called"
case $1 in
add)
	[[ ${!#} != /none ]] || { echo "ublk-qcow2: /none: not there" >&2; exit 1; }
	echo /dev/ublkb300
	;;
list) echo '[{"id": 300, "size": 1024, "queues": 2, "server_pid": 4711}]' ;;
help) "$REAL" "$@" ;;
recover) [[ $2 != 13 ]] || exit 1 ;;
esac
EOF
chmod +x "$WORK"/sbin/*

# ublk WORD...: calls the program of a type as that tool does.  $WORK/answer has
# the answer to the tool, $WORK/err the words that its user reads.
ublk()
{
	: >"$WORK/called"
	{
		{
			exec 9>&1
			"$WORK/sbin/ublk.qcow2" "$@" --eventfd 9 \
				<&- >&- 2>&- || true
		} 2>&3 | od -An -tu8 -N16 | tr -s ' \n' ' ' >"$WORK/answer"
	} 3>&1 >/dev/null | cat >"$WORK/err"
}

# calls COMMAND... with the line that the program gets
calls()
{
	grep -qxF -- "$1" "$WORK/called" ||
		fail "ublk-qcow2 is not called $1 but $(cat "$WORK/called")"
}

# answers NUMBER
answers()
{
	[[ $(cat "$WORK/answer") == " $1 " ]] ||
		fail "it answers '$(cat "$WORK/answer")', not $1;" \
			"$(cat "$WORK/err")"
}

# refuses WORD...: nothing is added, and the user reads why.
refuses()
{
	ublk "$@"
	answers $FAILED
	! grep -q '^\[add\]' "$WORK/called" || fail "'$*' adds a disk"
	[[ $(wc -l <"$WORK/err") == 1 ]] || fail "'$*': $(cat "$WORK/err")"
}

ublk add -t qcow2 -f /srv/disk.qcow2
calls '[add][--][/srv/disk.qcow2]'
answers 301
ublk add --type=qcow2 --number 300 -q2 --depth=64 -r 1 -i1 -u 0 \
	--debug_mask=0x1 --read-only --cache writeback --name "a b" \
	--file "/srv/a b"
calls '[add][-n][300][-q][2][-d][64][--read-only][--cache][writeback][--name][a b][--][/srv/a b]'
answers 301

# The file that `ublk recover` and `ublk list` read.
file=$WORK/run/ublksrvd/300.pid
[[ $(head -c 32 "$file") == "0 "* && $(tail -c 1 "$file" | od -An -tu1) -eq 0 ]] ||
	fail "300.pid: $(od -c "$file")"
tail -c +33 "$file" | tr -d '\0' | jq -e '.target.name == "qcow2" and
	.target.dev_size == 1024 and .dev_info.dev_id == 300 and
	(.queues | length) == 2 and .queues["1"].tid == 4711' >/dev/null ||
	fail "300.pid: $(cat "$file")"
[[ $(stat -c %a "$WORK/run/ublksrvd") == 1777 ]] || fail "others cannot write"
echo theirs >"$WORK/theirs"
ln -sf "$WORK/theirs" "$file"
ublk add -t qcow2 -f /srv/disk.qcow2
[[ ! -L $file && $(cat "$WORK/theirs") == theirs ]] || fail "it follows a link"
[[ $(ls "$WORK/run") == ublksrvd ]] || fail "left behind: $(ls "$WORK/run")"

ublk recover -n 300
calls '[recover][300]'
answers 301

# Refused, by name.
refuses add -t qcow2 -f /srv/disk.qcow2 -e 1
grep -q '^ublk.qcow2: -e: ' "$WORK/err" || fail "$(cat "$WORK/err")"
refuses add -t qcow2 -f /srv/disk.qcow2 -z
refuses add -t qcow2 -f /srv/disk.qcow2 --unprivileged
grep -q -- --unprivileged "$WORK/err" || fail "$(cat "$WORK/err")"
refuses add -t qcow2 -f /srv/disk.qcow2 --foreground
refuses add -t loop -f /srv/disk.qcow2
refuses add -t qcow2
refuses add -t qcow2 -f /srv/disk.qcow2 -n x
refuses add -t qcow2 -f /srv/disk.qcow2 other
refuses recover
refuses bogus

# The program's own reasons.
ublk add -t qcow2 -f /none
answers $FAILED
[[ $(cat "$WORK/err") == "ublk-qcow2: /none: not there" ]] ||
	fail "the user reads $(cat "$WORK/err")"
ublk recover -n 13
answers $FAILED

# A file would be spoilt by two that write at their own places.
(exec 2>"$WORK/file"; "$WORK/sbin/ublk.qcow2" bogus <&- >&- 2>&- || true)
[[ ! -s $WORK/file ]] || fail "it writes into a file: $(cat "$WORK/file")"

# By hand.
run()
{
	: >"$WORK/called"
	"$WORK/sbin/ublk.qcow2" "$@" >"$WORK/out" 2>&1
}
run add -t qcow2 -f /srv/disk.qcow2
[[ $(cat "$WORK/out") == /dev/ublkb300 ]] || fail "says $(cat "$WORK/out")"
run help -t qcow2
grep -q -- '-f IMAGE' "$WORK/out" || fail "help: $(cat "$WORK/out")"
run del -n 300
calls '[del][300]'
[[ ! -e $file ]] || fail "$file is left"
run del --all
calls '[del][--all]'
run list
calls '[list]'
! run del || fail "del of nothing"
! run || fail "no command"
