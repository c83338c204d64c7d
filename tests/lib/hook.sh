# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The things that the tests of libvirt's hook share: a directory of state, a
# stand-in for the program ublk-qcow2 (fake-ublk-qcow2), and domains in XML.
# These tests need neither libvirtd nor a driver nor root.
set -euo pipefail

TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
HOOK=${HOOK:-$PWD/../plugin/ublk-qcow2-hook}
WORK=$(mktemp -d)
mkdir "$WORK/images"
export FAKE=$WORK/fake UBLK_QCOW2_RUN=$WORK/run
export UBLK_QCOW2=$TESTS/hook/fake-ublk-qcow2 UBLK_QCOW2_PATIENCE=60000
# None of this machine's, but for the test of that.
export UBLK_QCOW2_SYSTEMD=$WORK/none UBLK_QCOW2_DISKS=$WORK/none
export UBLK_QCOW2_RUN_DISKS=$WORK/none
DOMAINS=$UBLK_QCOW2_RUN/domains
STATUS=			# of the last call of the hook
FAILED=0

[[ -x $HOOK ]] || { echo "there is no $HOOK"; exit 1; }

clean_up()
{
	local status=$?

	trap - EXIT
	# Those that are dead already cannot be killed.
	set +e
	[[ ! -e $FAKE/idle ]] || xargs -r kill -9 <"$FAKE/idle" 2>/dev/null
	rm -rf "$WORK"
	exit "$status"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

# --- cases ------------------------------------------------------------------

# Each case begins with nothing there.
case_of()
{
	CASE=$*
	[[ ! -e $FAKE/idle ]] || xargs -r kill -9 <"$FAKE/idle" 2>/dev/null ||
		true
	rm -rf "$FAKE" "$UBLK_QCOW2_RUN"
	mkdir -p "$FAKE" "$UBLK_QCOW2_RUN"
	: >"$FAKE/calls"
}

# A failed case does not keep the others from being looked at.
wrong()
{
	echo "FAILED: $CASE: $*"
	echo "    calls: $(head -c 1000 "$FAKE/calls" | tr '\n' ';')"
	echo "    stderr: $(head -c 1000 "$WORK/err" 2>/dev/null)"
	FAILED=$((FAILED + 1))
}

done_testing()
{
	[[ $FAILED == 0 ]] || echo "$FAILED failures"
	[[ $FAILED == 0 ]]
}

# --- domains ----------------------------------------------------------------

# shellcheck disable=SC2034  # for the tests
UUID1=11111111-2222-3333-4444-555555555551
# shellcheck disable=SC2034
UUID2=11111111-2222-3333-4444-555555555552

image()
{
	local path=$WORK/images/$1.qcow2

	: >"$path"
	echo "$path"
}

# entry DEV IMAGE [ATTRIBUTES]
entry()
{
	echo "<ublk:disk dev='$1' file='$2' ${3:-}/>"
}

# disk TARGET DEV [ELEMENTS [DRIVER-ATTRIBUTES]]
disk()
{
	cat <<-END
	<disk type='block' device='disk'>
	  <driver name='qemu' type='raw' cache='none' ${4:-}/>
	  <source dev='$2'/><target dev='$1' bus='virtio'/>${3:-}
	</disk>
	END
}

# domain NAME UUID ENTRIES DISKS: its XML.
domain()
{
	cat <<-END
	<domain type='kvm'>
	  <name>$1</name>
	  <uuid>$2</uuid>
	  <metadata>
	    <ublk:disks xmlns:ublk='https://ublk-qcow2/1.0'>$3</ublk:disks>
	    <other:thing xmlns:other='http://example.org/other'/>
	  </metadata>
	  <devices>
	    <disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>
	    $4
	  </devices>
	</domain>
	END
}

# one NAME UUID DEV IMAGE [ENTRY-ATTRIBUTES [DISK-ELEMENTS]]: the XML of a
# domain with one disk, in $WORK/NAME.xml.
one()
{
	domain "$1" "$2" "$(entry "$3" "$4" "${5:-}")" \
		"$(disk vda "$3" "${6:-}")" >"$WORK/$1.xml"
}

# --- the hook ---------------------------------------------------------------

# call DOMAIN OPERATION [SUBOPERATION]: as libvirt does it, which reads both
# outputs to their end.
call()
{
	local name=$1 operation=$2 when=${3:-begin} start=$SECONDS

	[[ $operation != release || -n ${3:-} ]] || when=end
	: >"$WORK/status"
	{
		{
			{
				"$HOOK" "$name" "$operation" "$when" - \
					<"${XML:-$WORK/$name.xml}" 2>&1 >&3 ||
					echo $? >"$WORK/status"
			} | cat >"$WORK/err"
		} 3>&1
	} | cat >"$WORK/out"
	STATUS=$(cat "$WORK/status")
	STATUS=${STATUS:-0}
	# shellcheck disable=SC2034
	ELAPSED=$((SECONDS - start))
	[[ ! -s $WORK/out ]] || wrong "stdout is not empty: $(cat "$WORK/out")"
	! grep -qaE 'Sanitizer|runtime error' "$WORK/err" ||
		wrong "a sanitizer complains"
}

# accepted DOMAIN OPERATION: it succeeds and says nothing.
accepted()
{
	call "$@"
	[[ $STATUS == 0 ]] || wrong "$*: status $STATUS"
	[[ ! -s $WORK/err ]] || wrong "$*: it says something"
}

# says PATTERN LINES: it said so many lines, each with the domain's name, and
# one of them matches.
says()
{
	local lines

	lines=$(wc -l <"$WORK/err")
	[[ $lines == "${2:-1}" ]] || wrong "$lines lines on stderr"
	grep -qE -- "$1" "$WORK/err" || wrong "does not say '$1'"
	[[ $(grep -c '^ublk-qcow2-hook: domain ' "$WORK/err") == "$lines" ]] ||
		wrong "a line does not name the domain"
}

# refused PATTERN DOMAIN OPERATION: it fails with one line.
refused()
{
	local pattern=$1
	shift

	call "$@"
	[[ $STATUS == 1 ]] || wrong "$*: status $STATUS"
	says "$pattern"
}

# --- judgements -------------------------------------------------------------

# The calls of ublk-qcow2 so far, as one text, are these.
called()
{
	local calls

	calls=$(sed "s:$WORK/images/::" "$FAKE/calls" | paste -sd ';')
	[[ $calls == "$1" ]] || wrong "calls are '$calls' and not '$1'"
}

# The names of the disks that are served, and of the records of users.
served()
{
	local names

	names=$(sed -n 's/^name //p' "$UBLK_QCOW2_RUN"/*.disk 2>/dev/null |
		sort | paste -sd ' ') || true
	[[ $names == "$1" ]] || wrong "served is '$names' and not '$1'"
}

records()
{
	local names

	names=$(find "$DOMAINS" -mindepth 1 ! -name lock -printf '%f\n' \
		2>/dev/null | sed 's/^11111111-2222-3333-4444-55555555555//' |
		sort | paste -sd ' ') || true
	[[ $names == "$1" ]] || wrong "records are '$names' and not '$1'"
}

# by_hand IMAGE NAME [OPTIONS]: an admin's disk.
by_hand()
{
	"$UBLK_QCOW2" add "$1" --name "${@:2}" >/dev/null </dev/null
	: >"$FAKE/calls"
}

# await_call CALL: of a hook in the background
await_call()
{
	local i

	for ((i = 0; i < 6000; i++)); do
		! grep -qx -- "$1" "$FAKE/calls" || return 0
		sleep 0.01
	done
	wrong "there is no call '$1'"
}

# replace_by IMAGE NAME: the disk of id 0 is gone, and another has the id.
replace_by()
{
	local new=$UBLK_QCOW2_RUN/.other

	sed -e "s:^image .*:image $1:" -e "s/^name .*/name $2/" \
		-e "s/^image_inode .*/image_inode $(stat -c %i "$1")/" \
		-e 's/^nonce .*/nonce 1/' "$UBLK_QCOW2_RUN/0.disk" >"$new"
	mv "$new" "$UBLK_QCOW2_RUN/0.disk"
}

field_of()
{
	sed -n "s/^$2 //p" "$UBLK_QCOW2_RUN/$1.disk"
}

# Whether a process ends soon, be it reaped or not.
ends()
{
	local i

	for ((i = 0; i < 6000; i++)); do
		[[ -e /proc/$1 ]] || return 0
		! grep -q '^State:.[ZX]' "/proc/$1/status" 2>/dev/null ||
			return 0
		sleep 0.01
	done
	return 1
}

# kill_process ID server|supervisor
kill_process()
{
	local pid

	pid=$(field_of "$1" "$2_pid")
	kill -9 "$pid"
	ends "$pid" || wrong "process $pid does not end"
}
