#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In a build for use the environment does not choose the programs that root
# runs.  Builds for the tests allow that (--enable-test-programs).
set -euo pipefail

HOOK=$PWD/../plugin/ublk-qcow2-hook
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
mkdir "$WORK/bin" "$WORK/run" "$WORK/manager"
for name in ublk-qcow2 systemctl systemd-run; do
	printf '#!/bin/sh\necho "%s $*" >>%s/ran\n' "$name" "$WORK" \
		>"$WORK/bin/$name"
	chmod +x "$WORK/bin/$name"
done
qemu-img create -q -f qcow2 "$WORK/web.qcow2" 1M

domain()
{
	cat <<-XML
	<domain type='qemu'><name>web</name>
	<uuid>11111111-1111-1111-1111-111111111111</uuid>
	<metadata><ublk:disks xmlns:ublk='https://ublk-qcow2/1.0'>
	<ublk:disk dev='/dev/ublk-qcow2/web' file='$WORK/web.qcow2'/>
	</ublk:disks></metadata>
	<devices><disk type='block' device='disk'>
	<driver name='qemu' type='raw'/>
	<source dev='/dev/ublk-qcow2/web'/><target dev='vda'/>
	</disk></devices></domain>
	XML
}

# It fails: there is no driver here, or it is not root.
domain | PATH=$WORK/bin:$PATH UBLK_QCOW2=$WORK/bin/ublk-qcow2 \
	UBLK_QCOW2_BIN=$WORK/bin UBLK_QCOW2_SYSTEMD=$WORK/manager \
	UBLK_QCOW2_RUN=$WORK/run UBLK_QCOW2_DISKS=$WORK/none \
	UBLK_QCOW2_RUN_DISKS=$WORK/run/disks.d \
	timeout 60 "$HOOK" web prepare begin - >"$WORK/says" 2>&1 || true
[[ -s $WORK/says ]] || { echo "the hook does nothing at all"; exit 1; }
if [[ -e $WORK/ran ]]; then
	echo "the environment chose the program: $(cat "$WORK/ran")"
	exit 1
fi
