# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Guests that work, for the tests with libvirt: their domains, and how far they
# are.  libvirt.sh sources this file.

# Puts the guest on an image.
guest()
{
	qemu-io -f qcow2 -c "write -s $GUEST 0 $(stat -c %s "$GUEST")" "$1" \
		>/dev/null || fail "cannot write to $1"
}

# The name that a disk of this image gets, and its device's.
disk_name()
{
	basename "$1" .qcow2
}

disk_device()
{
	echo "/dev/ublk-qcow2/$(disk_name "$1")"
}

# disk_xml DEVICE TARGET: one <disk>.
disk_xml()
{
	cat <<-END
	<disk type='block' device='disk'>
	  <driver name='qemu' type='raw' cache='none' io='io_uring'
	    discard='unmap' error_policy='stop' rerror_policy='stop'/>
	  <source dev='$1'/>
	  <target dev='$2' bus='virtio'/>
	</disk>
	END
}

# domain_xml NAME IMAGE...: a domain with these disks; boots from the first.
domain_xml()
{
	local name=$1 image letters=abcdefgh i=0
	shift

	cat <<-END
	<domain type='qemu'>
	  <name>$name</name>
	  <metadata>
	    <ublk:disks xmlns:ublk='$NAMESPACE'>
	END
	for image; do
		echo "<ublk:disk dev='$(disk_device "$image")' file='$image'/>"
	done
	cat <<-END
	    </ublk:disks>
	  </metadata>
	  <memory unit='MiB'>16</memory>
	  <os>
	    <type arch='x86_64' machine='pc'>hvm</type>
	    <boot dev='hd'/>
	  </os>
	  <features><acpi/></features>
	  <devices>
	    <controller type='usb' model='none'/>
	    <serial type='file'>
	      <source path='$WORK/$name.serial' append='on'/>
	    </serial>
	    <memballoon model='none'/>
	END
	for image; do
		disk_xml "$(disk_device "$image")" "vd${letters:i++:1}"
	done
	echo "</devices></domain>"
}

# define NAME IMAGE...
define()
{
	domain_xml "$@" >"$WORK/$1.xml"
	virsh define "$WORK/$1.xml" || fail "cannot define $1"
}

# The guest computes and polls without end.  Its processor takes only the time
# that the others leave, for most of a test is their work.
give_way()
{
	local task name

	for task in /proc/"$(qemu_of "$1")"/task/*; do
		{ read -r name <"$task/comm"; } 2>/dev/null || continue
		[[ $name != CPU* ]] || renice -n 10 -p "${task##*/}" >/dev/null
	done
}

# start NAME: boots a defined domain and waits until it is at work.
start()
{
	virsh start "$1" || fail "virsh start $1"
	note "$1 is started"
	give_way "$1"
	progress "$1"
	note "$1 works"
}

# How many blocks of a disk, 0 being the first, the guest has written and
# verified, as far as it told: position NAME [DISK].
position()
{
	local line

	line=$(grep -aE "^disk ${2:-0}: [0-9]+( [a-z ]*)?\$" "$WORK/$1.serial" |
		tail -n 1) || true
	line=${line#*: }
	echo "${line%% *}"
}

# --- waiting, without a process for each look: one costs as much here as the
# guest does in a tenth of a second

# read_news FILE: the new lines of a file that grows, each an element of NEWS.
# FILE may not be there yet.
declare -A NEWS_OF=() NEWS_PART=()
read_news()
{
	local file=$1 fd=${NEWS_OF[$1]:-} line

	NEWS=()
	if [[ -z $fd ]]; then
		[[ -e $file ]] || return 0
		exec {fd}<"$file"
		NEWS_OF[$file]=$fd
	fi
	while IFS= read -r line <&"$fd"; do
		NEWS+=("${NEWS_PART[$file]:-}$line")
		NEWS_PART[$file]=
	done 2>/dev/null
	NEWS_PART[$file]=${NEWS_PART[$file]:-}$line
}

# hear_guest NAME: HEARD[NAME DISK] is how many blocks it has told of.
declare -A HEARD=()
hear_guest()
{
	local line disk='^disk ([0-9]+): ([0-9]+)( [a-z ]*)?$'

	read_news "$WORK/$1.serial"
	for line in "${NEWS[@]}"; do
		if [[ $line =~ $disk ]]; then
			HEARD[$1 ${BASH_REMATCH[1]}]=${BASH_REMATCH[2]}
		elif [[ $line == *error* || $line == *mismatch* ]]; then
			fail "the guest $1 met an error: $line"
		fi
	done
}

# domain_hints NAME STATE: libvirtd's file says so, which is a reason to ask.
domain_hints()
{
	local file=/run/libvirt/qemu/$1.xml text=''

	if [[ $2 == "shut off" ]]; then
		[[ ! -e $file ]]
	else
		{ IFS= read -rd '' text <"$file"; } 2>/dev/null || true
		[[ $text == *"<domstatus state='$2'"* ]]
	fi
}

no_guest_error()
{
	! grep -aE 'error|mismatch' "$WORK/$1.serial" ||
		fail "the guest $1 met an error"
}

# progress NAME [DISK]: the guest works, now, on that disk.
progress()
{
	local end=$((SECONDS + 120)) disk="$1 ${2:-0}" before

	hear_guest "$1"
	before=${HEARD[$disk]:-0}
	# Two batches: the first may have been done before this was called.
	until [[ ${HEARD[$disk]:-0} -gt $((before + 16)) ]]; do
		((SECONDS <= end)) || fail "the guest $1 does not go on"
		sleep 0.1
		hear_guest "$1"
	done
}

# The process of a domain.
qemu_of()
{
	cat "/run/libvirt/qemu/$1.pid"
}

domain_is()
{
	local state

	state=$(virsh domstate "$1")
	[[ $state == "$2" ]] || fail "$1 is $state and not $2"
}

# domain_becomes NAME STATE [SECONDS]
domain_becomes()
{
	local end=$((SECONDS + ${3:-120})) next=$((SECONDS + 5)) state

	for (( ; ; )); do
		if domain_hints "$1" "$2" || ((SECONDS >= next)); then
			state=$(virsh domstate "$1") && [[ $state == "$2" ]] &&
				return
			next=$((SECONDS + 5))
		fi
		((SECONDS <= end)) || fail "$1 is ${state:-?} and not $2"
		sleep 0.2
	done
}

# unplugged NAME DISK: the guest has let go of it.
unplugged()
{
	local end=$((SECONDS + 120))

	until grep -aqE "^disk $2: [0-9]+ when unplugged$" "$WORK/$1.serial"
	do
		((SECONDS <= end)) || fail "$1 keeps disk $2"
		sleep 0.2
	done
}

# del_unplugged DEVICE: QEMU closes it some time after the guest has let go.
del_unplugged()
{
	local end=$((SECONDS + 60))

	until "$UBLK_QCOW2" del "$1" 2>"$WORK/err"; do
		grep -q 'in use by process.*qemu' "$WORK/err" ||
			fail "del: $(cat "$WORK/err")"
		((SECONDS <= end)) || fail "QEMU keeps $1"
		sleep 0.2
	done
	[[ ! -e $1 ]] || fail "$1 is still there"
}

# Has the guest end by itself.
shut_down()
{
	virsh shutdown "$1" || fail "virsh shutdown $1"
	domain_becomes "$1" "shut off"
	tail -n 1 "$WORK/$1.serial" | grep -aq 'in the end$' ||
		fail "$1 did not end by itself"
	no_guest_error "$1"
}
