# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Functions of the programs that run on the developer's machine (check, demo,
# vm): progress on the terminal, and Debian packages that are missing.

if [[ (-t 1 && -t 2) || -n ${TESTS_COLOR:-} ]]; then
	BOLD=$'\e[1m' DIM=$'\e[2m' RED=$'\e[31m' GREEN=$'\e[32m' PLAIN=$'\e[0m'
else
	BOLD='' DIM='' RED='' GREEN='' PLAIN=''
fi
export BOLD DIM RED GREEN PLAIN

die()
{
	echo "${0##*/}: $*" >&2
	exit 1
}

# Something worth knowing that is not a result.
say()
{
	echo "${DIM}$*${PLAIN}" >&2
}

# Where downloaded kernels are kept from one run to the next.
cache_directory()
{
	local dir=${TESTS_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/ublk-qcow2}

	mkdir -p "$dir"
	(cd "$dir" && pwd -P)
}

packages_missing()
{
	local package

	for package; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null |
			grep -q '^install ok installed$' || echo "$package"
	done
}

# Installs those of the Debian packages that are missing.
need_packages()
{
	local missing log

	command -v dpkg-query >/dev/null ||
		die "not a Debian system; install the programs in these: $*"
	mapfile -t missing < <(packages_missing "$@")
	[[ ${#missing[@]} -gt 0 ]] || return 0
	[[ $(id -u) == 0 ]] ||
		die "not root; first run: apt-get install ${missing[*]}"
	say "installing ${missing[*]}"
	log=$(mktemp)
	if ! install_packages "${missing[@]}" >"$log" 2>&1 </dev/null; then
		tail -n 20 "$log" >&2
		rm -f "$log"
		die "cannot install ${missing[*]}"
	fi
	rm -f "$log"
}

install_packages()
{
	export DEBIAN_FRONTEND=noninteractive
	local options=(-y --no-install-recommends -o DPkg::Lock::Timeout=300)

	apt-get "${options[@]}" install "$@" && return
	# The lists may be missing or old.
	apt-get -o Acquire::Retries=3 update
	apt-get "${options[@]}" install "$@"
}

# --- the sources --------------------------------------------------------------

# A build in the tree itself must stay as it is, and must not get in the way: so
# we build from a copy of the sources.
copy_sources()
{
	local from=$1 to=$2

	mkdir -p "$to"
	source_files "$from" | sort -z >"$to.new"
	if ! cmp -s "$to.new" "$to.files"; then
		rm -rf "$to"
		mkdir -p "$to"
	fi
	tar -C "$from" --null --no-recursion -T "$to.new" -cf - |
		tar -C "$to" -xf -
	mv "$to.new" "$to.files"
	[[ -x $to/configure ]] && return
	(cd "$to" && autoreconf -fi) >"$to.log" 2>&1 </dev/null ||
		{ cat "$to.log" >&2; die "autoreconf failed"; }
}

# The files that git knows or would add; without git, all but the built files.
# A copy of the tree may lie in a tree of git that knows nothing of the copy.
source_files()
{
	local file

	if [[ $(git -C "$1" rev-parse --show-toplevel 2>/dev/null) -ef $1 ]]
	then
		git -C "$1" ls-files -z --cached --others --exclude-standard
	else
		(cd "$1" && find . -path ./build -prune -o -type f -print0)
	fi | while IFS= read -r -d '' file; do
		# Deleted files are still in git's index.
		[[ ! -e $1/$file ]] || printf '%s\0' "$file"
	done
}

# How many virtual machines may be up at once: each wants a processor, and
# 6 GiB of memory, of which the host gets a part.
machines_at_once()
{
	local processors memory

	processors=$(nproc)
	memory=$(awk '$1 == "MemTotal:" { print int($2 / 6291456) }' \
		/proc/meminfo)
	((memory < processors)) || memory=$processors
	echo $((memory > 0 ? memory : 1))
}
