#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 600
#
# A domain whose disk is a file is converted, starts, and does not notice that
# its server is killed.  Converted back, the domain is as it was, and starts,
# too.
# shellcheck source=../lib/libvirt.sh
. "$(dirname "$0")/../lib/libvirt.sh"

image=$(image web.qcow2 64M)
chmod a+x "$WORK"		# QEMU's user is another
guest "$image"
start_libvirt
domain_xml web "$image" >"$WORK/ours.xml"
sed -e '/<metadata>/,/<\/metadata>/d' \
	-e "s/<disk type='block'/<disk type='file'/" \
	-e "/<driver/,/\/>/c <driver name='qemu' type='qcow2' cache='writeback'/>" \
	-e "s:<source dev=.*:<source file='$image'/>:" "$WORK/ours.xml" \
	>"$WORK/web.xml"
virsh define "$WORK/web.xml" || fail "define"
virsh dumpxml --inactive --security-info web >"$WORK/before.xml"

"$UBLK_QCOW2" libvirt convert web || fail "convert"
start web
link=$(virsh domblklist web | awk '/^ *vda/ { print $2 }')
note "its disk is $link"
[[ $link == /dev/ublk-qcow2/web-vda ]] || fail "its disk is $link"
ADDED+=("$link")
storm 3 "$link"
progress web
domain_is web running
refused "web: is running; shut it down first" \
	"$UBLK_QCOW2" libvirt convert web --back
shut_down web
nothing_left

"$UBLK_QCOW2" libvirt convert web --back || fail "convert --back"
virsh dumpxml --inactive --security-info web >"$WORK/after.xml"
cmp "$WORK/before.xml" "$WORK/after.xml" || fail "not as it was before"
start web
shut_down web
check_guest web "$image"
end_libvirt
