# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The deaths of the soak: those that are drawn, and the recoveries from them;
# sourced by soak.sh.

declare -A KILLED=([server]=0 [supervisor]=0 [both]=0 [libvirtd]=0 [agent]=0)

count_kill()
{
	local before=${KILLED[$1]}

	KILLED[$1]=$((before + 1))
}

# look I: the disk's answers, of one `list`, which takes as long as a kill.
declare -A SEEN=()

look()
{
	local json key

	json=$("$UBLK_QCOW2" list --json "${DEVICES[$1]}")
	for key in state image recoveries server_pid supervisor_pid ms; do
		SEEN[$key]=''
		[[ ! $json =~ \"$key\":\ *\"?([^\",}]*) ]] ||
			SEEN[$key]=${BASH_REMATCH[1]%%[[:space:]]*}
	done
}

# Draws the process to kill: of each disk that is given.
declare -A VICTIM=() BEFORE=() SERVED=()

draw_victims()
{
	local i

	PIDS=()
	for i; do
		look "$i"
		BEFORE[$i]=${SEEN[recoveries]}
		SERVED[$i]=${SEEN[image]}
		case $((RANDOM % 10)) in
		[0-5]) VICTIM[$i]=server PIDS+=("${SEEN[server_pid]}") ;;
		[67]) VICTIM[$i]=supervisor PIDS+=("${SEEN[supervisor_pid]}") ;;
		*)
			VICTIM[$i]=both
			PIDS+=("${SEEN[server_pid]}" "${SEEN[supervisor_pid]}")
			;;
		esac
	done
}

# Those without a supervisor are recovered side by side.
recover_disks()
{
	local i commands=()

	for i; do
		[[ ${VICTIM[$i]} != server ]] || continue
		! left_to_agent "$i" || continue
		"$UBLK_QCOW2" recover "${DEVICES[i]}" 2>"$WORK/$i.recover" &
		commands[i]=$!
	done
	for i in "${!commands[@]}"; do
		wait "${commands[i]}" || give_up "$i"
	done
}

# An image of version 2 has no mark.  It is refused if a write of the dead server
# reached it late (R12): then the disk is out.  Others never are.
give_up()
{
	local i=$1

	cat "$WORK/$i.recover"
	[[ ${VICTIM[$i]} == both && ${IMAGES[i]} == compat=0.10 ]] ||
		fail "recover ${DEVICES[i]}"
	grep -q 'does not fit it' "$WORK/$i.recover" ||
		fail "recover ${DEVICES[i]}"
	note "${IMAGES[i]}: refused after a death of both," \
		"written ${LATE[$i]} ms after it"
	REFUSED=$((REFUSED + 1))
	kill -9 "${LOADS[i]}"
	wait "${LOADS[i]}" || true
	"$UBLK_QCOW2" del --force "${DEVICES[i]}" || true
	unset "DEVICES[i]" "LOADS[i]"
}
REFUSED=0

# The record of a disk tells when to ask.
await_life()
{
	local i=$1 end=$((SECONDS + 120)) wanted=${BEFORE[$1]}

	[[ ${VICTIM[$i]} == supervisor ]] || wanted=$((wanted + 1))
	for (( ; ; )); do
		if record_hints "recoveries $wanted" "${DEVICES[i]}"; then
			look "$i"
			[[ ${SEEN[state]} != live ||
				${SEEN[recoveries]} != "$wanted" ]] || break
		fi
		((SECONDS <= end)) || fail "${DEVICES[i]} does not live again"
		sleep 0.1
	done
	[[ ${VICTIM[$i]} == supervisor ]] || PAUSES+=("${SEEN[ms]}")
	count_kill "${VICTIM[$i]}"
}

# As often one disk as several.
draw_disks()
{
	local left=("${!DEVICES[@]}") count=1 n

	((RANDOM % 2)) || count=$((1 + RANDOM % ${#left[@]}))
	DISKS=()
	for (( ; count; count--)); do
		n=$((RANDOM % ${#left[@]}))
		DISKS+=("${left[n]}")
		unset "left[n]"
		left=("${left[@]}")
	done
}

# The last write of a dead server, in ms after the kill.  It may come late if
# the kernel had queued it.
declare -A LATE=()

note_late()
{
	local i killed=$1

	shift
	for i; do
		[[ ${VICTIM[$i]} == both ]] || continue
		LATE[$i]=$(stat -c %.9Y "${SERVED[$i]}" | awk -v t="$killed" \
			'{ printf "%d", ($1 - t) * 1000 }')
		((LATE[$i] <= LATEST)) || LATEST=${LATE[$i]}
	done
}
LATEST=-1000

# Several are killed at once, and their recoveries do not wait for each other.
kill_some()
{
	local i killed

	draw_disks
	draw_victims "${DISKS[@]}"
	draw_daemons
	killed=$EPOCHREALTIME
	kill_off "${PIDS[@]}"
	note_late "$killed" "${DISKS[@]}"
	recover_disks "${DISKS[@]}"
	revive_daemons
	for i in "${DISKS[@]}"; do
		[[ -z ${DEVICES[i]:-} ]] || await_life "$i"
	done
	guest_goes_on
}
