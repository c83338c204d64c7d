#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The manual pages tell of every command and option that there is, and of no
# other; what is configured in disks.d is in its page; mandoc finds no fault.
set -euo pipefail

MAN=${srcdir:-$(dirname "$0")/..}/../plugin/man
CONF=${srcdir:-$(dirname "$0")/..}/../plugin/common/conf.c
PROGRAM=$PWD/../plugin/ublk-qcow2
STATUS=0

complain()
{
	echo "FAILED: $*"
	STATUS=1
}

# --- what the program says --------------------------------------------------

# The commands in a text like that of --help.
commands_in()
{
	sed -nE "s/^ *ublk-qcow2 (libvirt )?([a-z]+).*/\1\2/p" | sort -u
}

# As words of such a text, but for values such as a uri's.
options_in()
{
	{ grep -oE '(^|[[ |(])-(-[a-z][a-z-]*|[a-z]\b)' || true; } |
		tr -d ' [|(' | sort -u
}

# The options of a command, libvirt's as `libvirt convert`.
options_of()
{
	# shellcheck disable=SC2086  # one or two words
	"$PROGRAM" $1 --help | options_in
}

# Those in its usage, which ends with an empty line: one form of each.
usage_of()
{
	# shellcheck disable=SC2086  # one or two words
	"$PROGRAM" $1 --help | sed '/^$/,$d' | options_in
}

# --- what a page says -------------------------------------------------------

# The part of a page's source under a heading.
part()
{
	awk -v heading="$2" '
		/^\.S[hs] / { inside = ($0 == heading); next }
		inside { print }
	' "$MAN/$1"
}

# Its flags: `.Fl -all` and `Fl r`.
flags_in()
{
	{ grep -oE '\bFl -?[a-z][a-z-]*' || true; } | sed 's/^Fl /-/' | sort -u
}

# Its commands in the synopsis: the first of each `.Nm`.
synopsis()
{
	part ublk-qcow2.8 '.Sh SYNOPSIS' | awk '
		/^\.Nm/ { first = 1; next }
		first && /^\.Cm/ { sub(/^\.Cm /, ""); print }
		{ first = 0 }
	' | sort -u
}

# The flags of one command there.
synopsis_of()
{
	part ublk-qcow2.8 '.Sh SYNOPSIS' | awk -v command="$1" '
		/^\.Nm/ { inside = 0; first = 1; next }
		first { inside = ($0 == ".Cm " command); first = 0 }
		inside { print }
	' | flags_in
}

# --- the comparison ---------------------------------------------------------

# same WHAT EXPECTED FOUND: lists, a word a line.
same()
{
	[[ $2 == "$3" ]] ||
		complain "$1: the program has [${2//$'\n'/ }], the page" \
			"[${3//$'\n'/ }]"
}

# Without libvirt its commands are in the page nevertheless.
built()
{
	if [[ -x ${PROGRAM}-libvirt ]]; then
		cat
	else
		grep -v '^libvirt'
	fi
}

commands=$("$PROGRAM" --help | commands_in | grep -vx libvirt)
if [[ -x ${PROGRAM}-libvirt ]]; then
	commands+=$'\n'$("$PROGRAM" libvirt --help | commands_in)
	commands=$(sort -u <<<"$commands")
fi
same "commands" "$commands" "$(synopsis | built)"
same "sections" "$commands" \
	"$(sed -n 's/^\.Ss //p' "$MAN/ublk-qcow2.8" | sort | built)"
[[ $(wc -l <<<"$commands") -ge 7 ]] || complain "only: $commands"

while read -r command; do
	options=$(options_of "$command")
	same "options of $command" "$options" \
		"$(part ublk-qcow2.8 ".Ss $command" | flags_in)"
	same "synopsis of $command" "$(usage_of "$command")" \
		"$(synopsis_of "$command")"
done <<<"$commands"

# Every key of disks.d, as the parser has them.
keys=$(sed -nE 's/^\t\[[A-Z_]+\] = \{ "([a-z-]+)".*/\1/p' "$CONF" | sort)
[[ $(wc -l <<<"$keys") -ge 7 ]] || complain "only the keys $keys"
same "keys" "$keys" "$(part ublk-qcow2.conf.5 '.Ss disks.d' |
	sed -n 's/^\.It Cm //p' | sort)"

command -v mandoc >/dev/null || { echo "mandoc is missing"; exit 77; }
for page in "$MAN"/*.[158]; do
	mandoc -T lint -W warning "$page" || complain "$page"
done
exit $STATUS
