#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The rooms that a file may include.  Imports run one way, so that a room can be
# read without the rooms above it.
set -euo pipefail

TOP=$(cd "${srcdir:-$(dirname "$0")/..}/.." && pwd -P)

# room: the rooms whose headers it may include, besides its own
ALLOWED='
qcow:
plugin/common: qcow
plugin/server: qcow plugin/common
plugin/supervisor: qcow plugin/common plugin/server
plugin/commands: qcow plugin/common plugin/server plugin/supervisor
plugin/libvirt: plugin/common
'

# room_of PATH: qcow/check/check.h is in qcow.
room_of()
{
	case $1 in
	qcow/*) echo qcow ;;
	*) echo "${1%/*}" ;;
	esac
}

cd "$TOP"
status=0
while IFS=: read -r file line; do
	header=${line#*\"} header=${header%%\"*}
	[[ $header != config.h ]] || continue
	from=$(room_of "$file") to=$(room_of "$header")
	[[ $from != "$to" ]] || continue
	allowed=$(sed -n "s,^$from: *,,p" <<<"$ALLOWED")
	if [[ " $allowed " != *" $to "* ]]; then
		echo "$file includes $header: $from may include ${allowed:-nothing else}"
		status=1
	fi
done < <(grep -r --include='*.[ch]' '^#include "' qcow plugin)
exit "$status"
