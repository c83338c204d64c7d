#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# README and the manual pages are true: they have every command and option that
# there is, and no other; the keys of disks.d and of --json; messages that the
# sources have; files and pages that exist.  mandoc finds no fault.
set -euo pipefail

TOP=$(cd "${srcdir:-$(dirname "$0")/..}/.." && pwd -P)
MAN=$TOP/plugin/man
CONF=$TOP/plugin/common/conf-file.c
PROGRAM=$PWD/../plugin/ublk-qcow2
STATUS=0

complain()
{
	echo "FAILED: $*"
	STATUS=1
}

# --- words of the program ---------------------------------------------------

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

# --- words of a page --------------------------------------------------------

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

# The page that a command is in.
page_of()
{
	case $1 in
	libvirt\ *) echo ublk-qcow2-libvirt.8 ;;
	*) echo ublk-qcow2.8 ;;
	esac
}

# A page's commands in the synopsis: the first of each `.Nm`.
synopsis()
{
	part "$1" '.Sh SYNOPSIS' | awk '
		/^\.Nm/ { first = 1; next }
		first && /^\.Cm/ { sub(/^\.Cm /, ""); print }
		{ first = 0 }
	' | sort -u
}

# The flags of one command there.
synopsis_of()
{
	part "$(page_of "$1")" '.Sh SYNOPSIS' | awk -v command="$1" '
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

# same_commands PAGE COMMANDS: its synopsis and its sections.
same_commands()
{
	same "synopsis of $1" "$2" "$(synopsis "$1")"
	same "sections of $1" "$2" \
		"$(sed -n 's/^\.Ss //p' "$MAN/$1" | sort)"
}

# Without libvirt its commands are in the page nevertheless.
commands=$("$PROGRAM" --help | commands_in)
same_commands ublk-qcow2.8 "$commands"
[[ $(wc -l <<<"$commands") -ge 8 ]] || complain "only: $commands"
commands=$(grep -vx libvirt <<<"$commands")
if [[ -x ${PROGRAM}-libvirt ]]; then
	ours=$("$PROGRAM" libvirt --help | commands_in)
	same_commands ublk-qcow2-libvirt.8 "$ours"
	commands+=$'\n'$ours
fi

while read -r command; do
	options=$(options_of "$command")
	same "options of $command" "$options" \
		"$(part "$(page_of "$command")" ".Ss $command" | flags_in)"
	same "synopsis of $command" "$(usage_of "$command")" \
		"$(synopsis_of "$command")"
done <<<"$commands"

# Every key of disks.d, as the parser has them.
keys=$(sed -nE 's/^\t\[[A-Z_]+\] = \{ "([a-z-]+)".*/\1/p' "$CONF" | sort)
[[ $(wc -l <<<"$keys") -ge 7 ]] || complain "only the keys $keys"
same "keys" "$keys" "$(part ublk-qcow2.conf.5 '.Ss disks.d' |
	sed -n 's/^\.It Cm //p' | sort)"

# Words and ids of the events, as the log has them.
events=$(tr -d '\n' <"$TOP/plugin/common/disk-event.c" |
	grep -oE '"[a-z-]+", LOG_[A-Z]+,[[:space:]]*"[0-9a-f]{32}"' |
	sed -E 's/^"([a-z-]+)".*"(.*)"$/\1 \2/')
[[ $(wc -l <<<"$events") -ge 15 ]] || complain "only the events $events"
same "events" "$events" "$(part ublk-qcow2.8 '.Sh LOG' |
	sed -n 's/^\.It Cm \([a-z-]*\) , Li /\1 /p')"

# --- the keys of --json -------------------------------------------------------

# The keys that these sources print, sorted.
json_keys()
{
	(cd "$TOP/plugin" && tr -d '\n' <"$1" |
		grep -oE '(json_[a-z_]+|put_[a-z_]+)\(&?json,[[:space:]]*"[a-z_-]+"' |
		sed 's/.*"\(.*\)"/\1/' | sort -u)
}

# The bold words of a page behind `.It Fl -json` of a command: keys, and values.
json_words()
{
	part "$(page_of "$1")" ".Ss $1" | sed -n '/^\.It Fl -json/,$p' |
		sed '/^\.It Fl -connect/,$d' |
		grep -E '^\.(It )?Cm|^\.Pf \( Cm' |
		sed -E 's/^\.(It |Pf \( )?Cm //' | tr ' ' '\n' |
		grep -E '^[a-z][a-z0-9_-]+$' | sort -u
}

# Every key is in the page; any other word there is a value that some source
# has.
while read -r file command; do
	keys=$(json_keys "$file")
	words=$(json_words "$command")
	[[ $(wc -l <<<"$keys") -ge 6 ]] || complain "$command: only $keys"
	for key in $(comm -23 <(echo "$keys") <(echo "$words")); do
		complain "$command --json prints '$key'; the page lacks it"
	done
	for word in $(comm -13 <(echo "$keys") <(echo "$words")); do
		[[ $word == null || $word == false ]] ||
			grep -rqF "\"$word\"" "$TOP/plugin" "$TOP/qcow" \
				--include='*.c' ||
			complain "$command --json: the page has '$word'"
	done
done <<-'END'
	commands/list-json.c list
	commands/stat-json.c stat
	commands/info-json.c info
	commands/check.c check
	libvirt/list.c libvirt list
	END

# --- the messages -------------------------------------------------------------

# The sources, each on one line and without comments: texts in pieces are put
# together, and a conversion becomes a *.
texts()
{
	find "$TOP/plugin" "$TOP/qcow" -name '*.c' -exec cat {} + |
		tr '\n\t' '  ' | sed -E -e 's,/\*([^*]|\*+[^*/])*\*+/,,g' \
			-e 's/" *"//g' -e 's/%[-0-9.*]*(ll)?[a-z]/*/g'
}
TEXTS=$(mktemp)
trap 'rm -f "$TEXTS"' EXIT
texts >"$TEXTS"

# said MESSAGE WHERE: the sources have it; N and ... stand for anything.
said()
{
	local part=$1 pattern

	pattern=$(sed -E 's/[].[*^$\/]/\\&/g; s/\\\.\\\.\\\./.*/g; s/\bN\b/\\*/g' \
		<<<"$part")
	grep -q -- "$pattern" "$TEXTS" ||
		complain "$2 quotes '$1', which no program says"
}

# README's begin a line; libvirt's own are marked.
# shellcheck disable=SC2016
while read -r message; do
	said "$message" README
done < <(sed -n '/^Troubleshooting/,/^To change it/p' "$TOP/README" |
	grep '^`' | grep -v "libvirt says" | sed 's/^`\([^`]*\)`.*/\1/')
[[ $(sed -n '/^Troubleshooting/,$p' "$TOP/README" | grep -c '^`') -ge 10 ]] ||
	complain "README quotes hardly any message"
while read -r message; do
	said "$message" ublk-qcow2.8
done < <(part ublk-qcow2.8 '.Sh DIAGNOSTICS' | sed -n 's/^\.It //p')

# --- files --------------------------------------------------------------------

# names_in README: the sources and scripts that it speaks of.
names_in()
{
	grep -oE '\b[a-z0-9][a-z0-9_/-]*\.(c|h|sh|\[ch\])' "$TOP/$1" |
		sed 's/\[ch\]$/c/' | sort -u
}

# All files that the READMEs name are there.
for readme in plugin/README qcow/README tests/README; do
	while read -r file; do
		find "$TOP/plugin" "$TOP/qcow" "$TOP/tests" -path "*/$file" |
			grep -q . ||
			complain "$readme names $file, which is not there"
	done < <(names_in "$readme")
done
for room in "$TOP"/tests/*/; do
	grep -q "^    $(basename "$room")/ " "$TOP/tests/README" ||
		complain "tests/README has no line for $room"
done
while read -r file; do
	[[ -e $TOP/$file ]] || complain "README names $file, which is not there"
done < <(grep -oE '\b(plugin|qcow|tests)/[a-z0-9_/.-]*[a-z0-9]' \
	"$TOP/README" | sort -u)

# --- other pages, and the look ------------------------------------------------

for page in "$MAN"/*.[158]; do
	while read -r name section; do
		[[ $name == ublk?qcow2* ]] || continue
		[[ -e $MAN/$name.$section ]] ||
			complain "$page: there is no $name($section)"
	done < <(sed -n 's/^\.Xr \([^ ]*\) \([0-9]\).*/\1 \2/p' "$page")
	for other in "$MAN"/ublk?qcow2*; do
		other=$(basename "$other")
		[[ $other != "$(basename "$page")" ]] || continue
		grep -q "^\.Xr ${other%.*} ${other##*.}" "$MAN/ublk-qcow2.8" ||
			[[ $other == ublk-qcow2.8 ]] ||
			complain "ublk-qcow2(8) does not name $other"
	done
	grep -q '^\.Xr ublk-qcow2 8' "$page" || [[ $page == */ublk-qcow2.8 ]] ||
		complain "$page does not name ublk-qcow2(8)"
	for format in mandoc "groff -mandoc -T ascii"; do
		command -v "${format%% *}" >/dev/null || continue
		! $format "$page" 2>/dev/null | grep -q '\bBSD\b' ||
			complain "$page: $format calls the system BSD"
	done
done

command -v mandoc >/dev/null || { echo "mandoc is missing"; exit 77; }
for page in "$MAN"/*.[158]; do
	mandoc -T lint -W warning "$page" || complain "$page"
done
exit $STATUS
