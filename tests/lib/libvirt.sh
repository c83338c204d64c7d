# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the tests with libvirt share, on top of driver.sh, which this sources.
#
# Each test has a libvirtd of its own.  Its configuration, its state, its
# hooks and its sockets are in $WORK, mounted over the machine's in a mount
# namespace of the test's own: the machine's libvirt, if it has one, sees
# nothing of it.  What libvirtd learns of QEMU, which takes a quarter of a
# minute, is kept for the next test.
#
# The guest is in guest/: it works on its disks and tells on its serial
# port, which is a file here, how far it is.
if [[ -z ${LIBVIRT_PRIVATE:-} ]]; then
	export LIBVIRT_PRIVATE=1
	exec unshare --mount bash "$0" "$@"
fi
# shellcheck source=driver.sh
. "$(dirname "${BASH_SOURCE[0]}")/driver.sh"

GUEST=$PROGRAMS/guest/guest.bin
GUEST_DATA=$PROGRAMS/guest/guest-data
HOOK=${UBLK_QCOW2%/*}/ublk-qcow2-hook
NAMESPACE=https://ublk-qcow2/1.0
LIBVIRTD=			# its pid

explain_libvirt()
{
	local file

	for file in "$WORK"/libvirt/log/*.log "$WORK"/libvirt/log/qemu/*.log \
		"$WORK"/*.serial; do
		[[ -e $file ]] || continue
		echo "--- ${file#"$WORK/"}"
		tail -n 15 "$file"
	done
}

images()
{
	find "$WORK" -name '*.qcow2' -type f
}

# Disks that the hook had served are this test's, too.
cleanup_libvirt()
{
	local status=$? image dev

	set +e			# or what follows would not
	[[ $status == 0 ]] || explain_libvirt
	for image in $(images); do
		dev=$(readlink -e "$(disk_device "$image")") && ADDED+=("$dev")
	done
	(exit "$status")
	clean_up
}
trap cleanup_libvirt EXIT

# --- libvirtd -----------------------------------------------------------------

# over DIRECTORY SOURCE: in this test SOURCE is what the machine has there.
over()
{
	mkdir -p "$1" "$2"
	mount --bind "$2" "$1"
}

# Everything is the default, QEMU's own user and its own /dev among it, but
# what needs a distribution around it: the daemon for logs, and AppArmor, which
# has tests of its own (apparmor.sh).
SECURITY_DRIVER=none

libvirt_configuration()
{
	cat <<-END
	security_driver = "$SECURITY_DRIVER"
	stdio_handler = "file"
	END
	printf '%s\n' "$@"
}

# start_libvirt [LINE-OF-QEMU.CONF]...
start_libvirt()
{
	local dir=$WORK/libvirt

	mkdir -p "$dir/etc/hooks/qemu.d" "$dir/etc/secrets"
	libvirt_configuration "$@" >"$dir/etc/qemu.conf"
	over /etc/libvirt "$dir/etc"
	over /var/lib/libvirt "$dir/lib"
	over /var/log/libvirt "$dir/log"
	over /run/libvirt "$dir/run"
	over /var/cache/libvirt "$SCRATCH/libvirt-cache"
	ln -s "$HOOK" /etc/libvirt/hooks/qemu.d/ublk-qcow2
	cleanup stop_libvirt_anyhow
	run_libvirtd
	note "libvirtd runs"
}

# Starts the daemon and waits until it answers: its sockets are there before.
run_libvirtd()
{
	local end=$((SECONDS + 120))

	libvirtd --pid-file "$WORK/libvirt/libvirtd.pid" \
		>>"$WORK/libvirt/log/libvirtd.log" 2>&1 &
	LIBVIRTD=$!
	disown				# and do not tell of its death
	until [[ -S /run/libvirt/libvirt-sock ]] &&
		timeout 30 virsh -c qemu:///system uri >/dev/null 2>&1; do
		kill -0 "$LIBVIRTD" 2>/dev/null || fail "libvirtd ended"
		((SECONDS <= end)) || fail "libvirtd does not come up"
		sleep 0.1
	done
}

# Ends it, like an administrator or, with -9, like a crash.
end_libvirtd()
{
	local end=$((SECONDS + 60))

	kill "${1:--TERM}" "$LIBVIRTD"
	while kill -0 "$LIBVIRTD" 2>/dev/null; do
		((SECONDS <= end)) || fail "libvirtd does not end"
		sleep 0.1
	done
	rm -f /run/libvirt/libvirt-sock
	LIBVIRTD=
}

# The end of a test that went well.
end_libvirt()
{
	end_libvirtd
	note "libvirtd ended"
}

# The end of one that may not have.
stop_libvirt_anyhow()
{
	local file

	for file in /run/libvirt/qemu/*.pid; do
		[[ ! -e $file ]] || kill -9 "$(cat "$file")" 2>/dev/null
	done
	[[ -z $LIBVIRTD ]] || kill -9 "$LIBVIRTD" 2>/dev/null
}

virsh()
{
	timeout -k 5 150 virsh -q -c qemu:///system "$@"
}

# --- guests -------------------------------------------------------------------

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

# start NAME: boots a defined domain and waits until it is at work.
start()
{
	virsh start "$1" || fail "virsh start $1"
	note "$1 is started"
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

# What is new in a file that grows: a line each in NEWS.  FILE is looked for
# until it is there.
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

# domain_hints NAME STATE: what libvirtd keeps says so, which is a reason to ask.
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

# --- afterwards ---------------------------------------------------------------

# check_guest NAME IMAGE [DISK]: QEMU finds in the image what the guest wrote,
# all of it and, if the guest ended by itself, nothing else.
check_guest()
{
	local told found

	check_image "$2"
	qemu-img convert -O raw "$2" "$WORK/converted"
	found=$("$GUEST_DATA" "$WORK/converted") ||
		fail "$2 does not hold what $1 wrote"
	rm "$WORK/converted"
	told=$(position "$1" "${3:-0}")
	note "$1 told of $told blocks; $found are on $(disk_name "$2")"
	[[ $found -ge $told ]] || fail "that is less"
	[[ $found == "$told" ]] || ! tail -n 1 "$WORK/$1.serial" |
		grep -aq 'in the end' || fail "that is more"
}

# What is left of disks, and who holds a lock on an image.
remains()
{
	local image major minor inode

	traces
	pgrep -a qemu-system || true
	for image in $(images); do
		read -r major minor inode < <(stat -c '%Hd %Ld %i' "$image")
		grep "$(printf ' %02x:%02x:%d ' "$major" "$minor" "$inode")" \
			/proc/locks || true
	done
}

# No device, no process, no link and no lock is left, very soon.
nothing_left()
{
	local end=$((SECONDS + 60))

	# Cheap, and most of the time.
	while compgen -G '/run/ublk-qcow2/*.disk' >"$WORK/records" &&
		((SECONDS <= end - 50)); do
		sleep 0.1
	done
	while [[ -n $(remains) ]]; do
		((SECONDS <= end)) || fail "left behind: $(remains)"
		sleep 0.2
	done
}

# --- the agent ----------------------------------------------------------------

AGENT_PROGRAM=${UBLK_QCOW2%/*}/ublk-qcow2-agent
AGENT_LOG=$WORK/agent.log
AGENT_SAID=()			# what was not heard yet

# Starts the agent and waits until it has found libvirtd.
start_agent()
{
	"$AGENT_PROGRAM" 2>>"$AGENT_LOG" &
	AGENT=$!
	cleanup "kill -9 $AGENT 2>/dev/null"
	agent_says "agent: connected"
}

# agent_says PATTERN [SECONDS]: soon, or since what it was heard to say last.
agent_says()
{
	local end=$((SECONDS + ${2:-120})) i

	for (( ; ; )); do
		read_news "$AGENT_LOG"
		AGENT_SAID+=("${NEWS[@]}")
		for i in "${!AGENT_SAID[@]}"; do
			[[ ${AGENT_SAID[i]} =~ $1 ]] && break 2
		done
		((SECONDS <= end)) || fail "the agent does not say '$1' but:" \
			"$(cat "$AGENT_LOG")"
		sleep 0.1
	done
	note "the agent says: ${AGENT_SAID[i]}"
	AGENT_SAID=("${AGENT_SAID[@]:i+1}")
}

# How often it has said that.
agent_said()
{
	grep -cE -- "$1" "$AGENT_LOG" || true
}

end_agent()
{
	local status=0

	kill "$AGENT"
	wait "$AGENT" || status=$?
	[[ $status == 0 ]] || fail "the agent ended with status $status"
	agent_says "agent: ends"
}

# --- a disk of the host's that can be broken ----------------------------------

# Mounts it at $WORK/host.  No journal: the file system is to survive errors.
make_host_disk()
{
	local backing=$WORK/host-disk loop

	truncate -s 256M "$backing"
	loop=$(losetup --show -f "$backing")
	cleanup "losetup -d $loop"
	HOST_DISK="linear $loop 0"
	HOST_SECTORS=$(blockdev --getsz "$loop")
	dmsetup create --noudevsync "host-$$" \
		--table "0 $HOST_SECTORS $HOST_DISK"
	dmsetup mknodes
	cleanup "dmsetup remove --noudevsync host-$$"
	mkfs.ext4 -q -O ^has_journal "/dev/mapper/host-$$"
	mkdir "$WORK/host"
	mount -o errors=continue "/dev/mapper/host-$$" "$WORK/host"
	cleanup "umount $WORK/host"
}

# host_image NAME: an image on that disk whose file has all its room.  While
# the disk is broken the kernel gives up the file system's own writes, and says
# so to nobody who asks later; so no new place in the file may depend on them.
host_image()
{
	local file=$WORK/host/$1 node=driver=qcow2,discard=unmap

	qemu-img create -q -f qcow2 "$file" 64M
	node+=,file.driver=file,file.discard=ignore,file.filename=$file
	qemu-io --image-opts -c 'write 0 64M' -c 'discard 0 64M' "$node" \
		>/dev/null || fail "cannot prepare $file"
	echo "$file"
}

host_disk_is()
{
	dmsetup suspend --noudevsync --nolockfs "host-$$"
	dmsetup load "host-$$" --table "0 $HOST_SECTORS $1"
	dmsetup resume --noudevsync "host-$$"
}

break_host_disk()
{
	host_disk_is error
	note "the host's disk is broken"
}

mend_host_disk()
{
	host_disk_is "$HOST_DISK"
	note "the host's disk is well again"
}
