#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A wrong command line gets status 2 and one line, which names the word that is
# wrong; help and version are where people look for them.
set -euo pipefail

PROGRAM=$PWD/../plugin/ublk-qcow2
STATUS=0

complain()
{
	echo "FAILED: $*"
	STATUS=1
}

# wrong MESSAGE WORD...: is refused with exactly this message.
wrong()
{
	local message=$1 status=0 says
	shift

	says=$("$PROGRAM" "$@" 2>&1 >/dev/null) || status=$?
	[[ $status == 2 ]] || complain "$*: status $status"
	[[ $says == "ublk-qcow2: $message" ]] ||
		complain "$*: '$says' and not '$message'"
}

# says PATTERN WORD...: on stdout, with status 0.
says()
{
	local pattern=$1 status=0 text
	shift

	text=$("$PROGRAM" "$@" 2>/dev/null) || status=$?
	[[ $status == 0 ]] || complain "$*: status $status"
	grep -qE -- "$pattern" <<<"$text" || complain "$*: says '$text'"
}

# judged PATTERN WORD...: is a good command line, which the command itself
# refuses with a message like that.
judged()
{
	local pattern=$1 status=0 says
	shift

	says=$("$PROGRAM" "$@" 2>&1 >/dev/null) || status=$?
	[[ $status == 1 && $says =~ $pattern ]] ||
		complain "$*: status $status, '$says'"
}

see=" see 'ublk-qcow2"

# The word that is wrong, wherever it stands.
wrong "a command is missing;$see --help'"
wrong "'ad' is no command;$see --help'" ad
wrong "-x is no option;$see --help'" -x
wrong "-r is no option of 'add';$see add --help'" add -r IMG
wrong "-r is no option of 'add';$see add --help'" add IMG -r
wrong "-n is no option of 'del';$see del --help'" del -n 0
wrong "-n is no option of 'del';$see del --help'" del -n0
wrong "-z is no option of 'list';$see list --help'" list -z dev
wrong "--cache is no option of 'del';$see del --help'" del --cache none 0
wrong "--bogus=1 is no option of 'add';$see add --help'" add --bogus=1 IMG
wrong "--force takes no value;$see del --help'" del --force=yes 0
wrong "--help takes no value;$see del --help'" del --help=yes

# A word is missing, or there is one too many.
wrong "IMAGE is missing;$see add --help'" add
wrong "IMAGE is missing;$see info --help'" info --json
wrong "NAME is missing;$see serve --help'" serve
wrong "DEV is missing;$see del --help'" del
wrong "'b' is one argument too many;$see add --help'" add a b
wrong "argument 1 is empty;$see info --help'" info ''
wrong "argument 2 is empty;$see resize --help'" resize web ''
wrong "argument 3 is empty;$see del --help'" del a b ''
wrong "'b' is one argument too many;$see list --help'" list a b
wrong "'x' and --all exclude each other;$see del --help'" del x --all
wrong "--all excludes every other option;$see del --help'" del --all --force
judged 'only root|no such disk' del a b c d
wrong "-n needs a value;$see add --help'" add IMG -n
wrong "--name needs a value;$see add --help'" add IMG --name
wrong "'x' and --all exclude each other;$see add --help'" add --all x
wrong "--all excludes every other option;$see recover --help'" \
	recover --all --force
wrong "--json and --openmetrics exclude each other;$see stat --help'" \
	stat --openmetrics --json
wrong "--bandwidth and --cancel exclude each other;$see commit --help'" \
	commit web --cancel --bandwidth 1M

# Values.
wrong "'x' is no value for -n;$see add --help'" add IMG -n x
wrong "'-1' is no value for --id;$see add --help'" add IMG --id=-1
wrong "'' is no value for --depth;$see add --help'" add IMG --depth ''
wrong "'4294967296' is no value for -q;$see add --help'" add IMG -q 4294967296
wrong "'' is no value for --key-file;$see add --help'" add IMG --key-file ''
wrong "'no' is no value for --cache; allowed: none|writeback;$see add --help'" \
	add IMG --cache no
wrong "'non' is no value for --cache; allowed: none|writeback;$see add --help'" \
	add IMG --cache non
wrong "'al' is no value for -r; allowed: leaks|all;$see check --help'" \
	check IMG -r al

# Every form of an option is taken.
for words in '-n 1 -q 1 -d 1' '--id 1 --queues 1 --depth 1' \
	'--id=1 --queues=1 --depth=1' '-n1 -q1 -d1'; do
	# shellcheck disable=SC2086  # words
	judged 'nowhere: (No such file|only root)' add /nowhere $words
done
judged '^ublk-qcow2: --all: No such file' info -- --all

# With --brief a message is the cause alone.
judged '^(No such file or directory|only root may do this)$' \
	add --brief /nowhere
judged "^(no such disk; see 'ublk-qcow2 list'|only root may do this)\$" \
	del --brief nowhere

# Help and version.
for word in help --help -h; do
	says '^  ublk-qcow2 add IMAGE \[-n ID\]' "$word"
done
for word in --version -V; do
	says '^ublk-qcow2 [0-9]' "$word"
done
says '^  -n, --id ID  ' help add
says '^  -n, --id ID  ' add --help
says '^  -n, --id ID  ' add -h IMG
says '^ublk-qcow2 add --all$' help add
wrong "'ad' is no command;$see --help'" help ad

# unwritten WORD...: tells that its output is lost.
unwritten()
{
	local status=0 says

	says=$("$@" 2>&1 >/dev/full) || status=$?
	[[ $status == 1 &&
		$says == "ublk-qcow2: writing the output: "* ]] ||
		complain "$* to a full disk: status $status, '$says'"
}
for words in help --help --version 'help add' 'add --help'; do
	# shellcheck disable=SC2086  # words
	unwritten "$PROGRAM" $words
done
for program in hook agent libvirt; do
	[[ -x $PROGRAM-$program ]] || continue
	unwritten "$PROGRAM-$program" --help
	unwritten "$PROGRAM-$program" --version
done

wide=$({ "$PROGRAM" help; "$PROGRAM" help add; } | grep -E '.{80}') || true
[[ -z $wide ]] || complain "wider than 79 columns: $wide"

if [[ -x ${PROGRAM}-libvirt ]]; then
	of=" see 'ublk-qcow2 libvirt"
	wrong "libvirt: a command is missing;$of --help'" libvirt
	wrong "libvirt: 'list1' is no command;$of --help'" libvirt list1
	wrong "libvirt: TARGET is missing;$of attach --help'" \
		libvirt attach web image
	wrong "libvirt: DOMAIN is missing;$of convert --help'" libvirt convert
	wrong "libvirt: -n is no option of 'convert';$of convert --help'" \
		libvirt convert -n web
	says '^  --connect URI ' help libvirt convert
	says '^  --connect URI ' libvirt convert --help
	says '^  ublk-qcow2 libvirt attach' help libvirt
	PROGRAM+=-libvirt
	says '^ublk-qcow2 [0-9]' --version
	says '^ublk-qcow2 [0-9]' -V
fi
exit $STATUS
