#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The completions of bash and zsh offer every command and option of --help, and
# no other.  For arguments and values they offer the disks, images, domains and
# targets that there are.  A name that looks like a command of the shell is not
# run.
set -euo pipefail

TOP=$(cd "${srcdir:-$(dirname "$0")/..}/.." && pwd -P)
PROGRAMS=$(cd ../plugin && pwd -P)
LIBRARY=/usr/share/bash-completion/bash_completion
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

fail()
{
	echo "FAILED: $*"
	exit 1
}

[[ -e $LIBRARY ]] || { echo "bash-completion is missing"; exit 77; }
command -v zsh >/dev/null || { echo "zsh is missing"; exit 77; }

# --- disks, images and domains to offer -------------------------------------

mkdir -p "$WORK"/{run,bin,functions,disks.d,srv/deep}
export UBLK_QCOW2_RUN=$WORK/run PATH=$WORK/bin:$PROGRAMS:$PATH WORK

# record ID NAME
record()
{
	printf '%s\n' "id $1" "name $2" "state live" "size 1024" \
		"read_only 0" "image /srv/$2.qcow2" "supervisor_pid 0" \
		"server_pid 0" "boot $(</proc/sys/kernel/random/boot_id)" \
		"since 1764331391" >"$WORK/run/$1.disk"
}

record 3 web
record 10 database-1
touch "$WORK"/disks.d/{web,spare}.conf "$WORK"/srv/{one.qcow2,two.img,note}
cat >"$WORK/bin/virsh" <<'EOF'
#!/bin/sh
echo "$*" >>"$WORK/asked"
case $* in
*" list "*) printf '%s\n' web1 '$(touch "$WORK/run-it")' web2 '' ;;
*" domblklist web2") printf ' vda   /dev/x\n vdb   -\n\n' ;;
esac
EOF
chmod +x "$WORK/bin/virsh"
for ours in ublk-qcow2 _ublk-qcow2; do
	sed "s|{/etc,/run}/ublk-qcow2/disks.d|$WORK/disks.d|" \
		"$TOP/plugin/completion/$ours" >"$WORK/functions/$ours"
	! cmp -s "$WORK/functions/$ours" "$TOP/plugin/completion/$ours" ||
		fail "$ours: where is disks.d?"
done

# --- bash -------------------------------------------------------------------

# The words that bash offers for a tab at the end of the line.
in_bash()
{
	local line=$1

	read -ra COMP_WORDS <<<"${line//=/ = }"
	[[ $line != *" " ]] || COMP_WORDS+=("")
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	COMP_LINE=$line COMP_POINT=${#line} COMPREPLY=()
	_ublk_qcow2 ublk-qcow2 "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}" \
		2>/dev/null
	printf '%s\n' "${COMPREPLY[@]}" | LC_ALL=C sort | paste -sd ' '
}

# The library is for interactive shells.
set +eu
# shellcheck disable=SC1090  # the distribution's
. "$LIBRARY"
# shellcheck disable=SC1091
. "$WORK/functions/ublk-qcow2"

# offered LINE WORDS: these, in the order of the alphabet.  zsh is asked for
# all of them at once, below.
LINES_ASKED=() ANSWERS=()
offered()
{
	local found

	LINES_ASKED+=("$1")
	ANSWERS+=("$2")
	found=$(in_bash "$1")
	[[ $found == "$2" ]] || fail "bash, '$1': [$found], not [$2]"
}

# The options in a help: words behind a space or bracket.
options_of()
{
	# shellcheck disable=SC2086  # one or two words
	{ ublk-qcow2 $1 --help && echo ' --help'; } |
		grep -oE '(^|[[ |(])-(-[a-z][a-z-]*|[a-z]\b)' | tr -d ' [|(' |
		LC_ALL=C sort -u | paste -sd ' '
}

# The commands in a help: words behind the program's name.
commands_of()
{
	# shellcheck disable=SC2086  # none or one word
	ublk-qcow2 $1 --help |
		sed -nE "s/^ *ublk-qcow2 ${1:+$1 }([a-z-]+).*/\1/p" |
		LC_ALL=C sort -u | paste -sd ' '
}

commands=$(commands_of "")
[[ $(wc -w <<<"$commands") -ge 9 ]] || fail "only the commands $commands"
offered "ublk-qcow2 " "$commands"
offered "ublk-qcow2 ad" add
offered "ublk-qcow2 help " "$commands"
offered "ublk-qcow2 help serv" serve
for command in $commands; do
	case $command in
	help | libvirt) ;;
	*) offered "ublk-qcow2 $command -" "$(options_of "$command")" ;;
	esac
done

offered "ublk-qcow2 del " "database-1 web"
offered "ublk-qcow2 del web d" "database-1"
offered "ublk-qcow2 recover --force w" web
offered "ublk-qcow2 list /dev/ublkb1" /dev/ublkb10
offered "ublk-qcow2 list /dev/ublk-qcow2/w" /dev/ublk-qcow2/web
offered "ublk-qcow2 serve " "spare web"
offered "ublk-qcow2 check -r " "all leaks"
offered "ublk-qcow2 add --cache " "none writeback"
offered "ublk-qcow2 add --cache=w" writeback
offered "ublk-qcow2 add --name " ""
offered "ublk-qcow2 add --depth 7 $WORK/srv/o" "$WORK/srv/one.qcow2"
offered "ublk-qcow2 info $WORK/srv/t" "$WORK/srv/two.img"
offered "ublk-qcow2 info $WORK/srv/n" "$WORK/srv/note"
offered "ublk-qcow2 add --key-file $WORK/srv/no" "$WORK/srv/note"
if [[ -x $PROGRAMS/ublk-qcow2-libvirt ]]; then
	commands=$(commands_of libvirt)
	offered "ublk-qcow2 libvirt " "$commands"
	offered "ublk-qcow2 help libvirt " "$commands"
	for command in $commands; do
		offered "ublk-qcow2 libvirt $command -" \
			"$(options_of "libvirt $command")"
	done
	offered "ublk-qcow2 libvirt convert web" "web1 web2"
	offered "ublk-qcow2 libvirt convert --back web2 " "vda vdb"
	offered "ublk-qcow2 libvirt detach web2 vdb" vdb
	offered "ublk-qcow2 libvirt attach web2 $WORK/srv/t" "$WORK/srv/two.img"
	offered "ublk-qcow2 libvirt attach web2 $WORK/srv/two.img v" ""
	offered "ublk-qcow2 libvirt detach --connect test:///x web2 vda" vda
	[[ $(in_bash "ublk-qcow2 libvirt convert ") == *touch* ]] ||
		fail "the strange domain is not offered"
	LINES_ASKED+=("ublk-qcow2 libvirt convert ")
	ANSWERS+=("")
	grep -q -- '-c test:///x domblklist web2$' "$WORK/asked" ||
		fail "virsh was asked: $(cat "$WORK/asked")"
fi

# --- zsh --------------------------------------------------------------------

# after LINE FOUND: the text that zsh has put behind the line's last space or =.
# An option at the end may have kept the = that its value could follow.
after()
{
	local kept=${1%"${1##*[ =]}"}

	[[ $2 == "$kept"* ]] || fail "zsh has made '$2' of '$1'"
	tr ' ' '\n' <<<"${2#"$kept"}" | sed 's/=$//; /^$/d' | LC_ALL=C sort |
		paste -sd ' '
}

zsh -n "$WORK/functions/_ublk-qcow2" || fail "zsh -n"
: >"$WORK/asked"
timeout 120 zsh -f "$TOP/tests/commands/completion.zsh" "$WORK/functions" \
	"${LINES_ASKED[@]}" >"$WORK/lines"
status=$?
[[ $status != 77 ]] || exit 77
[[ $status == 0 ]] || fail "zsh: status $status"
i=0
while IFS= read -r line; do
	asked=${LINES_ASKED[i]} answer=${ANSWERS[i]}
	i=$((i + 1))
	# Where nothing is offered the word stays as it is.
	[[ -n $answer ]] || answer=${asked##*[ =]}
	if [[ $asked == *" convert " ]]; then
		[[ $line == *touch* ]] || fail "zsh: $line"
		continue
	fi
	found=$(after "$asked" "$line")
	[[ $found == "$answer" ]] ||
		fail "zsh, '$asked': [$found], not [$answer]"
done <"$WORK/lines"
[[ $i == "${#LINES_ASKED[@]}" ]] || fail "zsh has ended behind $i lines"
[[ ! -s $WORK/asked ]] || grep -q -- '-c test:///x domblklist web2$' \
	"$WORK/asked" || fail "zsh asked virsh: $(cat "$WORK/asked")"
[[ ! -e $WORK/run-it ]] || fail "the name of a domain was run"
