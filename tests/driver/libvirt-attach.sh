#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 600
#
# A disk that our command attaches belongs to the domain.  The disk is removed
# when our command or, with the agent, virsh detaches it, and when the domain
# ends.
# shellcheck source=../lib/libvirt.sh
. "$(dirname "$0")/../lib/libvirt.sh"

image=$(image web.qcow2 64M)
guest "$image"
data=$(image data.qcow2 64M)
other=$(image other.qcow2 1M)
link=/dev/ublk-qcow2/web-vdb
ADDED+=("$link")
start_libvirt
define web "$image"
virsh dumpxml --inactive web >"$WORK/before.xml"
start web

attach()
{
	"$UBLK_QCOW2" libvirt attach web "$data" vdb "$@" || fail "attach"
	progress web 1
}

gone()
{
	local end=$((SECONDS + 60))

	while [[ -e $link ]]; do
		((SECONDS <= end)) || fail "$link is still there"
		sleep 0.2
	done
}

attach --config
storm 2 "$link"
progress web 1
grep -q "<source dev='$link'/>" <<<"$(virsh dumpxml --inactive web)" ||
	fail "it is not in the definition"
grep -q "file=\"$data\"" <<<"$(virsh dumpxml web)" || fail "it has no entry"
refused "has a disk vdb already" \
	"$UBLK_QCOW2" libvirt attach web "$other" vdb
"$UBLK_QCOW2" libvirt detach web vdb --config || fail "detach"
[[ ! -e $link ]] || fail "$link is still there"
virsh dumpxml --inactive web | cmp - "$WORK/before.xml" ||
	fail "the definition has changed"
xml=$(virsh dumpxml web) || fail "dumpxml"
! grep -q "file=\"$data\"" <<<"$xml" || fail "it has an entry"
check_guest web "$data" 1
progress web 0

start_agent
attach
agent_says "domain web: its disk vdb is $link"
virsh detach-disk web vdb || fail "detach-disk"
agent_says "disk web-vdb: removed"
gone
end_agent

attach
shut_down web
gone
nothing_left
check_guest web "$image"
end_libvirt
