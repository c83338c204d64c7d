#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `make install` installs the files that README and the pages promise, and no
# more, below DESTDIR.  A file that the admin has changed survives a second
# `make install` and `make uninstall`; no other file does.
set -euo pipefail

BUILD=$PWD/..
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

fail()
{
	echo "FAILED: $*"
	exit 1
}

# The make that runs this test has its own words for those it starts.
make_in()
{
	local log=$WORK/make.log

	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$BUILD/$1" "${@:2}" \
		DESTDIR="$WORK/root" prefix=/usr sysconfdir=/etc \
		systemdsystemunitdir=/usr/lib/systemd/system \
		udevrulesdir=/usr/lib/udev/rules.d >"$log" 2>&1 ||
		{ tail -n 20 "$log"; fail "make $*"; }
}

install()
{
	make_in plugin install
	make_in . install-dist_docDATA
}

uninstall()
{
	make_in plugin uninstall
	make_in . uninstall-dist_docDATA
}

# All that is there, but for directories that are the system's.
installed()
{
	(cd "$WORK/root" && find . ! -type d -o -path './etc/ublk-qcow2*' |
		sed 's/^\.//' | LC_ALL=C sort)
}

expected()
{
	cat <<-'END'
	/etc/ublk-qcow2
	/etc/ublk-qcow2/directories
	/etc/ublk-qcow2/disks.d
	/etc/ublk-qcow2/hooks.d
	/usr/lib/systemd/system/ublk-qcow2-stat.service
	/usr/lib/systemd/system/ublk-qcow2-stat.timer
	/usr/lib/systemd/system/ublk-qcow2@.service
	/usr/lib/udev/rules.d/59-ublk-qcow2.rules
	/usr/lib/udev/rules.d/99-ublk-qcow2.rules
	/usr/sbin/ublk-qcow2
	/usr/sbin/ublk.qcow2
	/usr/share/bash-completion/completions/ublk-qcow2
	/usr/share/doc/ublk-qcow2/README
	/usr/share/doc/ublk-qcow2/examples/web.conf
	/usr/share/man/man5/ublk-qcow2.conf.5
	/usr/share/man/man8/ublk-qcow2.8
	/usr/share/man/man8/ublk.qcow2.8
	/usr/share/zsh/site-functions/_ublk-qcow2
	END
	[[ -x $BUILD/plugin/ublk-qcow2-libvirt ]] || return 0
	cat <<-'END'
	/etc/libvirt/hooks/qemu.d/ublk-qcow2
	/etc/ublk-qcow2/hooks.d/libvirt
	/usr/lib/systemd/system/ublk-qcow2-agent.service
	/usr/libexec/ublk-qcow2/ublk-qcow2-agent
	/usr/libexec/ublk-qcow2/ublk-qcow2-libvirt
	/usr/sbin/ublk-qcow2-hook
	/usr/share/man/man8/ublk-qcow2-agent.8
	/usr/share/man/man8/ublk-qcow2-hook.8
	/usr/share/man/man8/ublk-qcow2-libvirt.8
	END
}

install
diff <(expected | LC_ALL=C sort) <(installed) ||
	fail "other files than expected (<) are installed (>)"
etc=$WORK/root/etc/ublk-qcow2

# As it comes the file says nothing: without it things are the same.
! grep -vE '^(#|$)' "$etc/directories" || fail "directories says something"

# The files that the links and units name are installed.
for unit in "$WORK"/root/usr/lib/systemd/system/*; do
	program=$(sed -nE 's|^ExecStart=([^ ]*).*|\1|p' "$unit")
	case $unit:$program in
	*.timer:) ;;
	*agent*) [[ $program == */libexec/ublk-qcow2/ublk-qcow2-agent ]] ;;
	*) [[ $program == */sbin/ublk-qcow2 ]] ;;
	esac || fail "$unit starts $program"
done

# Twice is as once; the admin's words stay.
echo /srv/templates >"$etc/directories"
echo 'image = /srv/vm/web.qcow2' >"$etc/disks.d/web.conf"
install
[[ $(cat "$etc/directories") == /srv/templates ]] ||
	fail "install overwrites directories"
uninstall
diff - <(installed) <<-'END' || fail "this is left (>)"
	/etc/ublk-qcow2
	/etc/ublk-qcow2/directories
	/etc/ublk-qcow2/disks.d
	/etc/ublk-qcow2/disks.d/web.conf
	END

rm -r "$WORK/root"
install
uninstall
[[ -z $(installed) ]] || fail "left behind: $(installed)"
