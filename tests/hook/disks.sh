#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The disks of a domain are served when `prepare` returns, and gone after
# `release`.  A disk that others added or use stays.
# shellcheck source=../lib/hook.sh
. "$(dirname "$0")/../lib/hook.sh"

web=$(image web)
data=$(image data)
link=/dev/ublk-qcow2

case_of "a domain without disks of ours"
domain web1 "$UUID1" "" "$(disk vda /dev/sda)" >"$WORK/web1.xml"
for operation in prepare start started stopped release reconnect migrate \
	restore attach; do
	accepted web1 $operation
done
called ""

case_of "a link"
one web1 "$UUID1" $link/web "$web"
accepted web1 prepare
called "add web.qcow2 --name web"
served web
records 1.web
accepted web1 start
accepted web1 started
accepted web1 stopped end
served web
accepted web1 release
called "add web.qcow2 --name web;del -- web"
served ""
records ""
accepted web1 release
called "add web.qcow2 --name web;del -- web"

case_of "a device"
one web1 "$UUID1" /dev/ublkb7 "$web"
accepted web1 prepare
called "add web.qcow2 --name ublkb7 -n 7"
records 1.ublkb7
accepted web1 release
served ""
records ""

case_of "options"
one web1 "$UUID1" $link/web "$web" "id='3' queues='2' depth='64'
	readonly='yes' cache='writeback' keyfile='/etc/key' recovery='reissue'
	datafile='/srv/data' references='no' confined='yes' soundkernel='yes' watchdog='no'
	iops='500' bandwidth='3072K' cachesize='8M' workers='4'"
accepted web1 prepare
called "add web.qcow2 --name web -n 3 -q 2 -d 64 --read-only --cache writeback --key-file /etc/key --data-file /srv/data --no-references --confined --sound-kernel --watchdog=no --iops=500 --bandwidth=3M --cache-size=8M"

case_of "a second domain with the same disk"
one web1 "$UUID1" $link/web "$web"
one web2 "$UUID2" $link/web "$web"
accepted web1 prepare
refused 'web2: disk vda, /dev/ublk-qcow2/web of .*/web.qcow2: is in use by domain web1' \
	web2 prepare
accepted web2 release
served web
records 1.web
accepted web1 release
served ""

case_of "an image that is served under another name"
ln "$web" "$WORK/images/link.qcow2"
one web1 "$UUID1" $link/web "$web"
one web2 "$UUID2" $link/link "$WORK/images/link.qcow2"
accepted web1 prepare
refused 'link.qcow2: the image is in use by domain web1, as /dev/ublkb0' \
	web2 prepare
accepted web1 release
by_hand "$web" web
refused "the image is served already as /dev/ublkb0, .*'ublk-qcow2 del 0'" \
	web2 prepare
accepted web2 release
served web

case_of "a disk that an admin added"
by_hand "$web" web
one web1 "$UUID1" $link/web "$web"
one web2 "$UUID2" $link/web "$web"
accepted web1 prepare
called "recover -- web"
refused 'in use by domain web1' web2 prepare
accepted web2 release
accepted web1 release
called "recover -- web"
served web
records ""

case_of "one of two disks fails"
domain web1 "$UUID1" "$(entry $link/web "$web")$(entry $link/data "$data")" \
	"$(disk vda $link/web)$(disk vdb $link/data)" >"$WORK/web1.xml"
printf 'data\nin use by another process' >"$FAKE/add.fails"
refused 'disk vdb, /dev/ublk-qcow2/data of [^:]*/data.qcow2: in use by another' \
	web1 prepare
served ""
records ""
called "add web.qcow2 --name web;add data.qcow2 --name data;del -- web"
accepted web1 release

# twice ENTRY-DEV DEV DEV [ELEMENTS]: two disks that are one device.
twice()
{
	domain web1 "$UUID1" "$(entry "$1" "$web")" \
		"$(disk vda "$2" "${4:-}")$(disk vdb "$3" "${4:-}")" \
		>"$WORK/web1.xml"
}

case_of "one device as two disks"
twice $link/web $link/web $link/web
refused "disk vdb, $link/web of [^:]*: is disk vda already" web1 prepare
served ""
records ""

case_of "one device as two disks, by its link and by its number"
twice $link/web $link/web /dev/ublkb0
refused "disk vdb, /dev/ublkb0 of [^:]*: is disk vda already" web1 prepare
served ""
records ""

case_of "one device as two disks that are shareable"
twice $link/web $link/web $link/web '<shareable/>'
accepted web1 prepare
accepted web1 release
served ""

# overlay TARGET DEV [FORMAT]: a file of libvirt's with the device below it.
overlay()
{
	cat <<-END
	<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
	  <source file='/srv/$1.qcow2'/>
	  <backingStore type='file'><format type='qcow2'/>
	    <source file='/srv/middle.qcow2'/>
	    <backingStore type='block'><format type='${3:-raw}'/>
	      <source dev='$2'/><backingStore/>
	    </backingStore>
	  </backingStore>
	  <target dev='$1' bus='virtio'/>
	</disk>
	END
}

case_of "a disk below another image"
domain web1 "$UUID1" "$(entry $link/web "$web")" "$(overlay vda $link/web)" \
	>"$WORK/web1.xml"
accepted web1 prepare
called "add web.qcow2 --name web"
rm -r "$DOMAINS"
accepted web1 reconnect
records 1.web
accepted web1 release
served ""

case_of "a disk below two other images"
domain web1 "$UUID1" "$(entry $link/web "$web")" \
	"$(overlay vda $link/web)$(overlay vdb $link/web)" >"$WORK/web1.xml"
accepted web1 prepare
accepted web1 release

case_of "a disk, and below another image"
domain web1 "$UUID1" "$(entry $link/web "$web")" \
	"$(overlay vda $link/web)$(disk vdb $link/web)" >"$WORK/web1.xml"
refused "disk vdb, $link/web of [^:]*: is disk vda already" web1 prepare
records ""

case_of "a disk below another image, of another format"
domain web1 "$UUID1" "$(entry $link/web "$web")" \
	"$(overlay vda $link/web qcow2)" >"$WORK/web1.xml"
refused "disk vda, $link/web: its <format> says type='qcow2'" web1 prepare

# with_data TARGET DEV: a file of libvirt's whose data is on the device.
with_data()
{
	cat <<-END
	<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
	  <source file='/srv/$1.qcow2' index='1'>
	    <dataStore type='block'><format type='raw'/>
	      <source dev='$2' index='2'/>
	    </dataStore>
	  </source>
	  <target dev='$1' bus='virtio'/>
	</disk>
	END
}

case_of "a disk with the data of another image"
domain web1 "$UUID1" "$(entry $link/web "$web")" "$(with_data vda $link/web)" \
	>"$WORK/web1.xml"
accepted web1 prepare
called "add web.qcow2 --name web"
records 1.web
accepted web1 release
served ""

case_of "a disk with the data of two other images"
domain web1 "$UUID1" "$(entry $link/web "$web")" \
	"$(with_data vda $link/web)$(with_data vdb $link/web)" \
	>"$WORK/web1.xml"
refused "disk vdb, $link/web of [^:]*: is disk vda already" web1 prepare
records ""

case_of "an image that is served, and has the data of another"
domain web1 "$UUID1" "$(entry $link/web "$web")" \
	"$(disk vda $link/web)$(with_data vdb x |
		sed "s:block:file:; s:dev='x':file='$web':")" \
	>"$WORK/web1.xml"
refused "web.qcow2 is the image of $link/web, and disk vdb has it" web1 prepare
records ""

case_of "a disk that another is copied to"
domain web1 "$UUID1" "$(entry $link/web "$web")" \
	"$(disk vda /dev/sdx "<mirror type='block' job='copy' ready='yes'>
	<format type='raw'/><source dev='$link/web'/></mirror>")" \
	>"$WORK/web1.xml"
by_hand "$web" web
kill_process 0 server
accepted web1 reconnect
called "recover -- web"
records 1.web

done_testing
