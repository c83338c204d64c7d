#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2016  # dpkg's formats are no variables of the shell
#
# `make deb` and `make rpm` build packages.  lintian finds no fault.  The .deb
# is installed, upgraded, removed and purged in a root directory of Debian's
# packages: no disk's unit is stopped or restarted, disks are upgraded unless
# the admin says no, the package stays while there are disks, the admin's files
# stay, and of ours nothing is left.  The RPM has the same files and does alike.
set -euo pipefail

BUILD=$(cd .. && pwd -P)
WORK=$(mktemp -d)
ROOT=$WORK/root
trap 'rm -rf "$WORK"' EXIT

fail()
{
	echo "FAILED: $*"
	exit 1
}

[[ $(id -u) == 0 ]] || { echo "only root can chroot"; exit 77; }
[[ -x $BUILD/plugin/ublk-qcow2-libvirt ]] ||
	{ echo "packages have the part for libvirt"; exit 77; }
for program in dpkg-buildpackage dh lintian rpmbuild; do
	command -v $program >/dev/null || { echo "no $program"; exit 77; }
done

# run COMMAND...: shows the output only if the command fails.
run()
{
	local log=$WORK/log.$BASHPID

	"$@" >"$log" 2>&1 </dev/null || { tail -n 40 "$log"; fail "$*"; }
}

# --- packages ---------------------------------------------------------------

# As `make deb` and `make rpm` do, but quicker: they are not for use.
build_packages()
{
	local tarball=$BUILD/$1.tar.xz scripts=$WORK/$1/plugin/packaging

	run env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL XZ_OPT=-0 \
		make -C "$BUILD" dist
	tar -C "$WORK" -xf "$tarball"
	run env DEB_BUILD_OPTIONS="noopt noautodbgsym" \
		"$scripts/make-deb" "$tarball" "$WORK/deb" &
	run "$scripts/make-rpm" "$tarball" "$WORK/rpm" \
		--define "optflags -O0" --define "debug_package %{nil}"
	wait $! || exit
	rm -rf "$tarball" "${WORK:?}/$1"
}

# A later version: another hook, and a program that tells how it was called.
make_later_version()
{
	local tree=$WORK/later

	dpkg-deb -R "$DEB" "$tree"
	sed -i 's/^Version: .*/Version: 99-1/' "$tree/DEBIAN/control"
	echo '# later' >>"$tree/etc/ublk-qcow2/hooks.d/libvirt"
	stand_in "$tree/usr/sbin/ublk-qcow2"
	run dpkg-deb -b "$tree" "$LATER"
}

# stand_in FILE: /disks has the output of `list`.
stand_in()
{
	cat >"$1" <<-'EOF'
	#!/bin/sh
	case $1 in
	list) cat /disks 2>/dev/null || true ;;
	*) echo "ublk-qcow2 $*" >>/called ;;
	esac
	EOF
}

# As libvirt's package brings it: a profile of AppArmor.
make_libvirt()
{
	local tree=$WORK/libvirt

	mkdir -p "$tree"/{DEBIAN,etc/apparmor.d}
	touch "$tree/etc/apparmor.d/usr.lib.libvirt.virt-aa-helper"
	printf '%s\n' 'Package: some-libvirt' 'Version: 1' 'Architecture: all' \
		'Maintainer: nobody <nobody@localhost>' 'Description: none' \
		>"$tree/DEBIAN/control"
	run dpkg-deb -b "$tree" "$WORK/libvirt.deb"
}

# --- the root directory -----------------------------------------------------

# Essential packages, and those that ours needs.
root_packages()
{
	local needs

	needs=$(dpkg-deb -f "$DEB" Depends | sed 's/([^)]*)//g; s/,/ /g')
	# shellcheck disable=SC2046,SC2086  # words
	apt-cache depends -i --recurse --installed $needs \
		$(dpkg-query -W -f '${Essential} ${Package}\n' |
			sed -n 's/^yes //p') | grep -E '^[a-z0-9]' | sort -u |
		xargs dpkg-query -W -f '${Status} ${binary:Package}\n' \
			2>/dev/null | sed -n 's/^install ok installed //p'
}

make_root()
{
	local packages directory package

	mapfile -t packages < <(root_packages)
	[[ ${#packages[@]} -gt 20 ]] || fail "packages: ${packages[*]}"
	mkdir -p "$ROOT"/{dev,proc,run/systemd/system,tmp}
	mkdir -p "$ROOT"/var/{log,lib/systemd,lib/dpkg/{info,triggers,updates}}
	for directory in bin sbin lib lib32 lib64; do
		[[ -L /$directory ]] || continue
		cp -a "/$directory" "$ROOT/$directory"
		mkdir -p "$ROOT$(readlink -f "/$directory")"
	done
	dpkg-query -L "${packages[@]}" | sed 's,^/,,' | sort -u |
		grep -vE '^usr/share/(doc|man|info|locale)(/|$)|^$' |
		while read -r file; do
			[[ -d /$file || ! -e /$file ]] || echo "$file"
		done >"$WORK/files"
	tar -C / -T "$WORK/files" -cf - | tar -C "$ROOT" -xf -
	cp /etc/passwd /etc/group "$ROOT/etc"
	dpkg-query -s "${packages[@]}" >"$ROOT/var/lib/dpkg/status"
	for package in "${packages[@]}"; do
		cp /var/lib/dpkg/info/"$package".* "$ROOT/var/lib/dpkg/info"
	done
	mknod "$ROOT/dev/null" c 1 3 2>/dev/null || : >"$ROOT/dev/null"
	printf '%s\n' '#!/bin/sh' 'echo "systemctl $*" >>/called' \
		>"$ROOT/usr/bin/systemctl"
	chmod a+rx "$ROOT/usr/bin/systemctl"
}

inside()
{
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive \
		LC_ALL=C chroot "$ROOT" "$@"
}

# dpkg WORD...: in there; /called has the commands that are called meanwhile.
dpkg_inside()
{
	local package=${!#}

	if [[ -e $package ]]; then
		cp "$package" "$ROOT/tmp/new.deb"
		set -- "${@:1:$#-1}" /tmp/new.deb
	fi
	: >"$ROOT/called"
	inside dpkg "$@" >"$WORK/log" 2>&1 </dev/null
}

must()
{
	"$@" || { tail -n 40 "$WORK/log"; fail "$*"; }
}

# All files, but for those of dpkg.
snapshot()
{
	(cd "$ROOT" && find . -path ./var/lib/dpkg -prune -o \
		-path ./var/log -prune -o -path ./tmp -prune -o \
		! -name called ! -name disks -printf '%P %y %l\n') |
		LC_ALL=C sort
}

# --- the tests --------------------------------------------------------------

HOOK=$ROOT/etc/libvirt/hooks/qemu.d/ublk-qcow2
ETC=$ROOT/etc/ublk-qcow2
RULE=$ROOT/etc/apparmor.d/local/usr.lib.libvirt.virt-aa-helper

# No disk is touched, and nothing begins that was off.
no_disk_touched()
{
	! grep -E 'ublk-qcow2@|(^| )(start|enable) ' "$ROOT/called" ||
		fail "called meanwhile"
}

check_lintian()
{
	lintian --allow-root "$WORK"/deb/*.changes >"$WORK/lintian" 2>&1 || true
	! grep -E '^[EW]:|rror' "$WORK/lintian" || fail "lintian"
}

check_installed()
{
	local version

	version=$(inside ublk-qcow2 --version)
	[[ $version == "ublk-qcow2 $VERSION" ]] || fail "version $version"
	[[ -L $HOOK && -x $ROOT/$(readlink "$HOOK") ]] || fail "no hook"
	[[ $(inside dpkg-query -W -f '${Conffiles}\n' ublk-qcow2 |
		awk 'NF { print $1 }' | sort | paste -sd ' ') == \
		"/etc/ublk-qcow2/directories /etc/ublk-qcow2/hooks.d/libvirt" ]] ||
		fail "conffiles"
	[[ -d $ETC/disks.d ]] || fail "no disks.d"
	# Servers have numbers of their own, and need no user.
	cmp /etc/passwd "$ROOT/etc/passwd" || fail "it adds a user"
	grep -q 'systemctl.* daemon-reload' "$ROOT/called" ||
		fail "systemd was not told"
	no_disk_touched
}

# Those of `make install`, in the directories of Debian.
check_files()
{
	local file

	for file in usr/sbin/{ublk-qcow2,ublk-qcow2-hook,ublk.qcow2} \
		usr/libexec/ublk-qcow2/ublk-qcow2-{agent,libvirt} \
		usr/share/bash-completion/completions/ublk-qcow2 \
		usr/share/zsh/vendor-completions/_ublk-qcow2 \
		usr/share/doc/ublk-qcow2/examples/web.conf \
		usr/share/man/man8/ublk-qcow2{,-agent,-hook,-libvirt}.8.gz \
		usr/share/man/man5/ublk-qcow2.conf.5.gz; do
		[[ -f $ROOT/$file ]] || fail "$file is missing"
	done
	for file in systemd/system/ublk-qcow2{@,-agent,-stat}.service \
		udev/rules.d/{59,99}-ublk-qcow2.rules; do
		[[ -f $ROOT/lib/$file || -f $ROOT/usr/lib/$file ]] ||
			fail "$file is missing"
	done
}

# --- a package's life -------------------------------------------------------

VERSION=$("$BUILD/plugin/ublk-qcow2" --version | cut -d ' ' -f 2)
LATER=$WORK/later.deb
build_packages "ublk-qcow2-$VERSION"
DEB=$(echo "$WORK"/deb/ublk-qcow2_*.deb)
check_lintian
make_later_version
make_libvirt
make_root

snapshot >"$WORK/before"
must dpkg_inside -i "$DEB"
check_installed
check_files

# libvirt comes later, and its profile learns our rule.
must dpkg_inside -i "$WORK/libvirt.deb"
grep -q '^deny /dev/ublkb' "$RULE" || fail "AppArmor has no rule"
snapshot >"$WORK/installed"

# An upgrade keeps the admin's changes, and disks go on.
echo /srv/templates >>"$ETC/directories"
echo 'image = /srv/vm/web.qcow2' >"$ETC/disks.d/web.conf"
rm "$HOOK"
echo '/dev/ublkb0 web live' >"$ROOT/disks"
must dpkg_inside -i "$LATER"
no_disk_touched
[[ $(grep -c '^ublk-qcow2 upgrade --all$' "$ROOT/called") == 1 ]] ||
	fail "disks are not upgraded: $(cat "$ROOT/called")"
! grep -E 'systemctl.* (stop|restart) ' "$ROOT/called" | grep -v -- -agent ||
	fail "stopped"
[[ $(tail -n 1 "$ETC/directories") == /srv/templates ]] || fail "not kept"
[[ $(tail -n 1 "$ETC/hooks.d/libvirt") == '# later' ]] || fail "old hook"
[[ ! -L $HOOK ]] || fail "the hook is on again"

touch "$ETC/no-upgrade"
must dpkg_inside -i "$LATER"
! grep '^ublk-qcow2' "$ROOT/called" || fail "upgraded in spite of no-upgrade"
grep -q 'no-upgrade' "$WORK/log" || fail "it does not say so: $(cat "$WORK/log")"

# There are disks: the package stays, whole.
! dpkg_inside -r ublk-qcow2 || fail "removed while there are disks"
grep -q "'ublk-qcow2 del --all'" "$WORK/log" || fail "says $(cat "$WORK/log")"
no_disk_touched
[[ $(inside dpkg-query -W -f '${db:Status-Status}' ublk-qcow2) == installed ]] ||
	fail "the package is broken"
grep -q '^deny' "$RULE" || fail "the rule is gone"

# Removed: the configuration stays.  Again installed: all is as at first.
rm "$ROOT/disks" "$ETC/no-upgrade"
must dpkg_inside -r ublk-qcow2
[[ ! -e $ROOT/usr/sbin/ublk-qcow2 && ! -L $HOOK ]] || fail "not removed"
[[ -e $ETC/directories && -e $ETC/hooks.d/libvirt ]] || fail "conffiles gone"
[[ ! -s $RULE ]] || fail "the rule stays"
must dpkg_inside -i "$DEB"
[[ -L $HOOK ]] || fail "no hook again"
grep -q '^deny' "$RULE" || fail "no rule again"

# Purged: only the files that others made are left.
must dpkg_inside -P ublk-qcow2
must dpkg_inside -P some-libvirt
snapshot | diff "$WORK/before" - >"$WORK/left" || true
grep '^[<>]' "$WORK/left" | grep -vE '^> etc/(ublk-qcow2(/disks.d(/web.conf)?)?|apparmor.d(/local(/.*)?)?) ' &&
	fail "not as before"
[[ -e $ETC/disks.d/web.conf ]] || fail "the admin's file is gone"
rm -r "$ETC" "$ROOT/etc/apparmor.d"

# --- RPM --------------------------------------------------------------------

rpm_inside()
{
	: >"$ROOT/called"
	rpm --force-debian --nodeps --root "$ROOT" "$@" >"$WORK/log" 2>&1
}

RPM=$(echo "$WORK"/rpm/ublk-qcow2-*.rpm)
# By names: the directories and the compression are the distribution's.
names()
{
	sed -E 's/\.gz$//; s,.*/,,' | sort -u
}
ours=$(rpm -qpl "$RPM" 2>/dev/null | names)
theirs=$({ diff "$WORK/before" "$WORK/installed" || true; } |
	sed -n '/^> var/d; s/^> \(.*\) [fl] .*/\1/p' | names)
diff <(comm -23 <(echo "$theirs") <(echo "$ours")) - <<-'EOF' ||
	changelog.Debian
	copyright
	usr.lib.libvirt.virt-aa-helper
	EOF
	fail "the RPM has not all files of the .deb (<)"

must rpm_inside -i "$RPM"
[[ -L $HOOK && -x $ROOT/usr/sbin/ublk-qcow2 ]] || fail "RPM: not installed"
no_disk_touched
rm "$HOOK"
must rpm_inside -U --replacepkgs "$RPM"
[[ ! -L $HOOK ]] || fail "RPM: the hook is on again"
no_disk_touched
stand_in "$ROOT/usr/sbin/ublk-qcow2"
echo '/dev/ublkb0 web live' >"$ROOT/disks"
! rpm_inside -e ublk-qcow2 || fail "RPM: removed while there are disks"
grep -q "'ublk-qcow2 del --all'" "$WORK/log" || fail "says $(cat "$WORK/log")"
[[ -x $ROOT/usr/sbin/ublk-qcow2-hook ]] || fail "RPM: the package is broken"
rm "$ROOT/disks"
ln -s /usr/sbin/ublk-qcow2-hook "$HOOK"
must rpm_inside -e ublk-qcow2
[[ ! -e $ROOT/usr/sbin/ublk-qcow2 && ! -L $HOOK ]] || fail "RPM: not removed"
no_disk_touched
