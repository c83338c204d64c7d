# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The planned operations of the soak: a disk in use is changed, and some process
# is killed meanwhile now and then.  Sourced by soak.sh.

declare -A CHANGES=([upgrade]=0 [snapshot]=0 [commit]=0 [resize]=0 [backup]=0
	[restart]=0)
INTERRUPTED=0		# changes meanwhile a process was killed
COPIES=0		# backups and images below, compared with the ledger
OVERLAYS=0		# their names

count_change()
{
	local before=${CHANGES[$1]}

	CHANGES[$1]=$((before + 1))
}

# change I COMMAND...: alone, or while the disk's processes die.  Returns false
# if it failed in the latter case: then the caller sees to it.
change()
{
	local i=$1 out=$WORK/$1.change status=0
	shift

	count_change "$1"
	if ((RANDOM % 3)); then
		"$UBLK_QCOW2" "$@" >"$out" 2>&1 || fail "$*: $(cat "$out")"
		return
	fi
	INTERRUPTED=$((INTERRUPTED + 1))
	"$UBLK_QCOW2" "$@" >"$out" 2>&1 &
	kill_meanwhile "$i"
	wait $! || status=1
	[[ $status == 0 ]] || note "$1 of disk $i: $(tail -n 1 "$out")"
	"$UBLK_QCOW2" recover "${DEVICES[i]}" || fail "recover after $1"
	wait_live "${DEVICES[i]}" 120
	return $status
}

# An image without a mark need not live through both deaths.
kill_meanwhile()
{
	local pid pids=()

	sleep "0.$((RANDOM % 10))$((RANDOM % 10))"
	look "$1"
	pids=("${SEEN[server_pid]}")
	((RANDOM % 2)) || [[ ${IMAGES[$1]} == compat=0.10 ]] ||
		pids+=("${SEEN[supervisor_pid]}")
	for pid in "${pids[@]}"; do
		[[ $pid != [0-9]* ]] || kill -9 "$pid" 2>/dev/null || true
	done
}

# Kernels before 6.16 cannot.
can_grow()
{
	[[ $(uname -r) != 6.[0-9].* && $(uname -r) != 6.1[0-5].* ]]
}

# copied I FILE: it has what the ledger had at the beginning, or some of the
# writes that came until now.
copied()
{
	qemu-img check -q "$2" || fail "$2 is damaged"
	COPIES=$((COPIES + 1))
	qemu-img convert -O raw "$2" "$WORK/converted"
	cp "$WORK/$1.ledger" "$WORK/$1.after"
	"$LOAD" --verify-only --touched-only --ledger "$WORK/$1.before" \
		--later "$WORK/$1.after" "$WORK/converted" >"$WORK/verified" ||
		fail "${IMAGES[$1]}: lost in $2"
	rm "$WORK/converted"
}

# The image below is the disk as it was at one moment.
snapshot_disk()
{
	local i=$1 below=${SEEN[image]} overlay=$WORK/$1.$((++OVERLAYS)).qcow2

	[[ ! -e $WORK/$i.ledger ]] || cp "$WORK/$i.ledger" "$WORK/$i.before"
	change "$i" snapshot "${DEVICES[i]}" "$overlay" || true
	look "$i"
	if [[ ${SEEN[image]} == "$overlay" ]]; then
		[[ ! -e $WORK/$i.ledger || $((RANDOM % 4)) != 0 ]] ||
			copied "$i" "$below"
	else
		[[ ${SEEN[image]} == "$below" ]] ||
			fail "${DEVICES[i]} is served from ${SEEN[image]}"
		rm -f "$overlay"
	fi
}

# A merge may have gone on, or not, when a process has died.
commit_disk()
{
	local i=$1 overlay=${SEEN[image]}

	change "$i" commit "${DEVICES[i]}" || true
	look "$i"
	if [[ ${SEEN[image]} == "$overlay" ]]; then
		"$UBLK_QCOW2" commit "${DEVICES[i]}" >"$WORK/$i.change" 2>&1 ||
			note "commit again: $(cat "$WORK/$i.change")"
		look "$i"
	fi
	[[ ${SEEN[image]} != "$overlay" ]] ||
		fail "${DEVICES[i]} is still served from $overlay"
	rm "$overlay"
}

resize_disk()
{
	local i=$1 before after

	before=$(blockdev --getsize64 "${DEVICES[i]}")
	change "$i" resize "${DEVICES[i]}" +1M || true
	after=$(blockdev --getsize64 "${DEVICES[i]}")
	[[ $after == "$before" || $after == $((before + (1 << 20))) ]] ||
		fail "${DEVICES[i]} had $before bytes, and has $after"
}

# One that was killed is begun again, and goes on if there is an overlay.
backup_disk()
{
	local i=$1 image=${SEEN[image]} copy=$WORK/$1.copy

	[[ ! -e $WORK/$i.ledger ]] || cp "$WORK/$i.ledger" "$WORK/$i.before"
	if ! change "$i" backup "${DEVICES[i]}" "$copy"; then
		[[ -e $copy ]] ||
			"$UBLK_QCOW2" backup "${DEVICES[i]}" "$copy" \
				>"$WORK/$i.change" 2>&1 ||
			fail "backup again: $(cat "$WORK/$i.change")"
		look "$i"
		[[ ${SEEN[image]} == "$image" ]] ||
			"$UBLK_QCOW2" commit "${DEVICES[i]}" ||
			note "commit of a backup's overlay failed"
	fi
	look "$i"
	[[ ${SEEN[image]} == "$image" ]] ||
		fail "${DEVICES[i]} is served from ${SEEN[image]}"
	rm -f "$image.during-backup"
	[[ ! -e $WORK/$i.ledger ]] || copied "$i" "$copy"
	rm "$copy"
}

# More commits than snapshots, or the chain would grow.
change_layers()
{
	if [[ ${SEEN[image]} == "$WORK/$1.qcow2" ]] || ((RANDOM % 3 == 0)); then
		snapshot_disk "$1"
	else
		commit_disk "$1"
	fi
}

# A domain's disk is known to libvirt by its image.
change_disk()
{
	local i=$1

	look "$i"
	if [[ ${IMAGES[i]} == guest ]]; then
		((RANDOM % 2)) || { restart_guest "$i"; return; }
	else
		case $((RANDOM % 10)) in
		[0-4]) change_layers "$i"; return ;;
		[56]) backup_disk "$i"; return ;;
		7) ! can_grow || { resize_disk "$i"; return; } ;;
		esac
	fi
	change "$i" upgrade "${DEVICES[i]}" || true
}

# Now and then.  Tells of changes that took long.
change_one()
{
	local all=("${!DEVICES[@]}") i began=$SECONDS before

	((RANDOM % 3 == 0)) || return 0
	i=${all[RANDOM % ${#all[@]}]}
	before=$(list_changes)
	change_disk "$i"
	((SECONDS - began < 30)) ||
		note "disk $i: $((SECONDS - began)) s from $before" \
			"to $(list_changes)"
}
