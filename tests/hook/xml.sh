#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The hook refuses wrong XML at `prepare`, before anything is served.  One line
# names the disk and the reason.
# shellcheck source=../lib/hook.sh
. "$(dirname "$0")/../lib/hook.sh"

web=$(image web)
data=$(image data)
link=/dev/ublk-qcow2

# wrong_xml PATTERN ENTRIES DISKS
wrong_xml()
{
	case_of "$1"
	domain web1 "$UUID1" "$2" "$3" >"$WORK/web1.xml"
	refused "domain web1: .*$1" web1 prepare
	called ""
	records ""
}

vda=$(disk vda $link/web)

# --- entries ----------------------------------------------------------------

wrong_xml 'entry 1 of ublk-qcow2: it has no dev' "<ublk:disk file='$web'/>" ""
wrong_xml "entry 1 of ublk-qcow2: dev='/dev/sda' must be /dev/ublk-qcow2/NAME or /dev/ublkbN" \
	"$(entry /dev/sda "$web")" "$(disk vda /dev/sda)"
wrong_xml "dev='/dev/ublkb07' must be" "$(entry /dev/ublkb07 "$web")" \
	"$(disk vda /dev/ublkb07)"
wrong_xml "dev='/dev/ublkb' must be" "$(entry /dev/ublkb "$web")" ""
wrong_xml "dev='/dev/ublkb1p1' must be" "$(entry /dev/ublkb1p1 "$web")" ""
wrong_xml "dev='/dev/ublk-qcow2/' must be" "$(entry $link/ "$web")" ""
wrong_xml "dev='/dev/ublk-qcow2/../sda' must be" \
	"$(entry $link/../sda "$web")" ""
wrong_xml 'file must be the absolute path of the image of /dev/ublk-qcow2/web' \
	"$(entry $link/web web.qcow2)" "$vda"
wrong_xml 'file must be the absolute path' "<ublk:disk dev='$link/web'/>" "$vda"
wrong_xml "id='x' is not a number" "$(entry $link/web "$web" "id='x'")" "$vda"
wrong_xml "id='-1' is not a number" "$(entry $link/web "$web" "id='-1'")" "$vda"
wrong_xml "depth='12k' is not a number" \
	"$(entry $link/web "$web" "depth='12k'")" "$vda"
wrong_xml "queues='99999999999999999999' is not a number" \
	"$(entry $link/web "$web" "queues='99999999999999999999'")" "$vda"
wrong_xml "id='4' is not that of dev='/dev/ublkb5'" \
	"$(entry /dev/ublkb5 "$web" "id='4'")" "$(disk vda /dev/ublkb5)"
wrong_xml "readonly='true' must be 'no' or 'yes'" \
	"$(entry $link/web "$web" "readonly='true'")" "$vda"
wrong_xml "cache='unsafe' must be 'none' or 'writeback'" \
	"$(entry $link/web "$web" "cache='unsafe'")" "$vda"
wrong_xml "recovery='fail' must be 'reissue'" \
	"$(entry $link/web "$web" "recovery='fail'")" "$vda"
wrong_xml "onfail='error' must be 'queue'" \
	"$(entry $link/web "$web" "onfail='error'")" "$vda"
wrong_xml "deadline='5' must be '0'" \
	"$(entry $link/web "$web" "deadline='5'")" "$vda"
wrong_xml "discard='ignore' must be 'unmap'" \
	"$(entry $link/web "$web" "discard='ignore'")" "$vda"
wrong_xml "datafile='data' must be an absolute path" \
	"$(entry $link/web "$web" "datafile='data'")" "$vda"
wrong_xml "keyfile='key' must be an absolute path" \
	"$(entry $link/web "$web" "keyfile='key'")" "$vda"
wrong_xml "there is no attribute 'read-only'; there are dev, file," \
	"$(entry $link/web "$web" "read-only='yes'")" "$vda"
wrong_xml '<readonly> in it; an entry has attributes and nothing else' \
	"<ublk:disk dev='$link/web' file='$web'><ublk:readonly/></ublk:disk>" \
	"$vda"
wrong_xml 'it has text in it; an entry has attributes and nothing else' \
	"<ublk:disk dev='$link/web' file='$web'><![CDATA[readonly]]></ublk:disk>" \
	"$vda"
wrong_xml "it has the attribute 'readonly' twice" \
	"$(entry $link/web "$web" "readonly='no' ublk:readonly='yes'")" "$vda"
wrong_xml '<disks> of ublk-qcow2 has text in it' \
	"$(entry $link/web "$web")readonly" "$vda"
wrong_xml '<volume> is not a <disk> of ublk-qcow2' \
	"<ublk:volume dev='$link/web'/>" "$vda"
wrong_xml '/dev/ublk-qcow2/web has two entries in <metadata>' \
	"$(entry $link/web "$web")$(entry $link/web "$data")" "$vda"
wrong_xml "web.qcow2 is named by two entries in <metadata>, those of $link/web and $link/data" \
	"$(entry $link/web "$web")$(entry $link/data "$web")" \
	"$vda$(disk vdb $link/data)"
wrong_xml '<metadata> has an entry for /dev/ublk-qcow2/wbe, but no disk has that source' \
	"$(entry $link/wbe "$web")" "$vda"
wrong_xml 'more than 1024 entries' \
	"$(for ((i = 0; i < 1025; i++)); do entry $link/x$i /x$i; done)" ""

# changed PATTERN SED-SCRIPT: refused if its XML is changed like that.
changed()
{
	case_of "$1"
	one web1 "$UUID1" $link/web "$web"
	sed -i "$2" "$WORK/web1.xml"
	refused "domain web1: .*$1" web1 prepare
	called ""
}

changed "<disks> of ublk-qcow2 has the attribute 'readonly'; only the entries" \
	"s/<ublk:disks /&readonly='yes' /"
changed '<disk> of ublk-qcow2 is not in a <disks> of ublk-qcow2' \
	"s/<ublk:disks .*>\(<.*\/>\).*/\1/; s/<ublk:disk /&xmlns:ublk='x\/ublk-qcow2\/1.0' /"

# --- disks ------------------------------------------------------------------

wrong_xml 'disk vda names /dev/ublk-qcow2/web, but <metadata> has no entry that says which image that is' \
	"" "$vda"
wrong_xml 'disk vda, /dev/ublk-qcow2/web: it is a device, so the disk must be type=.block. with <source dev=./dev/ublk-qcow2/web./>' \
	"$(entry $link/web "$web")" \
	"<disk type='file' device='disk'><source file='$link/web'/><target dev='vda'/></disk>"
wrong_xml "disk vda, /dev/ublk-qcow2/web: its driver says type='qcow2'; the device is a raw disk already, say type='raw'" \
	"$(entry $link/web "$web")" \
	"${vda/raw/qcow2}"
wrong_xml "disk vda, /dev/ublk-qcow2/web: a shareable disk needs cache='none', not 'writeback'" \
	"$(entry $link/web "$web")" \
	"$(disk vda $link/web '<shareable/>' | sed 's/none/writeback/')"
wrong_xml 'web.qcow2 is the image of /dev/ublk-qcow2/web, and disk vdb has it as its source, too: it would have two writers' \
	"$(entry $link/web "$web")" \
	"$vda<disk type='file'><source file='$web'/><target dev='vdb'/></disk>"
wrong_xml 'disk vda, /dev/ublk-qcow2/a b of .*: a name consists of A-Z' \
	"$(entry "$link/a b" "$web")" "$(disk vda "$link/a b")"
wrong_xml 'disk vda, /dev/ublk-qcow2/\.\. of .*: a name does not begin with a dot' \
	"$(entry $link/.. "$web")" "$(disk vda $link/..)"
wrong_xml 'disk vda, /dev/ublk-qcow2/7 of .*: a name that is a number' \
	"$(entry $link/7 "$web")" "$(disk vda $link/7)"
long=$(printf 'x%.0s' {1..65})
wrong_xml 'a name has 1 to 64 characters' \
	"$(entry "$link/$long" "$web")" "$(disk vda "$link/$long")"
wrong_xml 'disk vda, /dev/ublk-qcow2/web of /nowhere/x: No such file or directory' \
	"$(entry $link/web /nowhere/x)" "$vda"
wrong_xml "disk vda, $link//web: no disk of ublk-qcow2 has that path; say $link/NAME" \
	"" "$(disk vda $link//web)"
wrong_xml "disk vda, $link/web/: no disk of ublk-qcow2 has that path" \
	"" "$(disk vda $link/web/)"
wrong_xml 'it has more than 1024 disks of ublk-qcow2' "" \
	"$(for ((i = 0; i < 1025; i++)); do disk d$i $link/x$i; done)"

# However long a path is, the line names its fault, and fits.
deep=$(printf '/%0200d' {1..18})
much=$(printf '%06000d' 0)
wrong_xml "00000018 is the image of $link/web, and disk vdb .* two writers$" \
	"$(entry $link/web "$deep")" \
	"$vda<disk type='file'><source file='$deep'/><target dev='vdb'/></disk>"
wrong_xml "has an entry for ${link}/0+ \[\.\.\.\] 0+, but no disk .* or remove it$" \
	"$(entry "$link/$much" "$web")" "$vda"
wrong_xml "entry 1 of ublk-qcow2: dev='0+ .*' must be $link/NAME or" \
	"$(entry "$much" "$web")" "$vda"
wrong_xml "disk vda, $link/0+ \\[\\.\\.\\.\\] .*web.qcow2: a name has 1 to 64" \
	"$(entry "$link/$much$much" "$web")" "$(disk vda "$link/$much$much")"
wrong_xml "disk vda, $link/web of /0+: File name too long$" \
	"$(entry "$link/web" "/$much")" "$vda"
case_of "a long cause"
one web1 "$UUID1" $link/web "$web"
printf '*\nis corrupt: %s and so on' "$much" >"$FAKE/add.fails"
refused ' of [^:]*/web.qcow2: .* and so on$' web1 prepare
[[ $(wc -c <"$WORK/err") -lt 8192 ]] || wrong "the line is too long"

# --- refusals of the program are passed on ----------------------------------

case_of "an id out of range"
one web1 "$UUID1" /dev/ublkb99999999 "$web"
printf '*\nid 99999999 is out of range: 0 to 1048575' >"$FAKE/add.fails"
refused 'disk vda, /dev/ublkb99999999 of [^:]*/web.qcow2: id 99999999 is out of' \
	web1 prepare

case_of "several lines, and control characters"
one web1 "$UUID1" $link/web "$web"
printf '*\nthe first line\nred\033[31m \x01 end\n\n' >"$FAKE/add.fails"
refused '/web.qcow2: red.\[31m . end$' web1 prepare

case_of "a name of a domain with a line break"
domain web1 "$UUID1" "" "$vda" >"$WORK/web1.xml"
XML=$WORK/web1.xml refused '^ublk-qcow2-hook: domain a.b: disk vda names' \
	$'a\nb' prepare

# --- not the XML of a domain ------------------------------------------------

# not_xml PATTERN TEXT
not_xml()
{
	case_of "$1"
	printf '%s' "$2" >"$WORK/web1.xml"
	refused "$1" web1 prepare
	called ""
}

not_xml 'the XML cannot be parsed: it is empty$' ''
not_xml 'the XML cannot be parsed' 'hello'
not_xml 'the XML cannot be parsed: line 1: .*domain.*' '<domain><name>web1</name>'
not_xml 'this is not the XML of a domain' '<network><name>web1</name></network>'
not_xml 'the XML has no name or no uuid' '<domain><name>web1</name></domain>'
not_xml 'the XML has no name or no uuid' "<domain><uuid>$UUID1</uuid></domain>"
not_xml "'../../../etc/passwd' is not a uuid" \
	'<domain><name>web1</name><uuid>../../../etc/passwd</uuid></domain>'
not_xml 'is not a uuid' \
	'<domain><name>web1</name><uuid>11111111-2222-3333-4444-55555555555/</uuid></domain>'
not_xml 'is not a uuid' '<domain><name>web1</name><uuid></uuid></domain>'
not_xml 'the XML cannot be parsed: it has a DOCTYPE$' '<!DOCTYPE d [<!ENTITY a "b">]>
<domain><name>&a;</name></domain>'
not_xml 'the XML cannot be parsed: ' '<!DOCTYPE d [<!ENTITY a "aaaaaaaaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>
<domain><name>&c;&c;&c;&c;&c;</name></domain>'
not_xml 'the XML cannot be parsed' \
	'<!DOCTYPE d SYSTEM "/etc/passwd"><domain><name>a</name></domain>'

# --- good XML that looks odd ------------------------------------------------

case_of "another prefix, another host in the namespace"
cat >"$WORK/web1.xml" <<-END
<domain type='kvm'>
  <name>web1</name><uuid>${UUID1^^}</uuid>
  <metadata><disks xmlns='https://example.org/x/ublk-qcow2/1.0'>
    <!-- a remark --><disk file='$web' dev='$link/web'>
      <!-- another, and blanks -->
    </disk>
  </disks></metadata>
  <devices>$vda<disk type='network'><source protocol='rbd' name='x'/>
  <target dev='vdc'/></disk></devices>
</domain>
END
accepted web1 prepare
called "add web.qcow2 --name web"
records 1.web

case_of "somebody else's element is not ours"
domain web1 "$UUID1" "" "$(disk vda /dev/sda)" |
	sed 's:ublk-qcow2/1.0:other/1.0:' >"$WORK/web1.xml"
accepted web1 prepare

case_of "names that look like options"
one web1 "$UUID1" $link/--help "$web"
accepted web1 prepare
called "add web.qcow2 --name --help"

case_of "a path with blanks and entities"
cp "$web" "$WORK/images/a & b 'c'.qcow2"
one web1 "$UUID1" $link/web "$WORK/images/a &amp; b &apos;c&apos;.qcow2"
accepted web1 prepare
called "add a & b 'c'.qcow2 --name web"

# --- the command line -------------------------------------------------------

case_of "the command line"
status=0
"$HOOK" web1 prepare 2>"$WORK/err" || status=$?
[[ $status == 2 && $(wc -l <"$WORK/err") == 1 ]] || wrong "usage"
"$HOOK" --version | grep -q ublk-qcow2 || wrong "--version"
"$HOOK" --help | grep -q DOMAIN || wrong "--help"

done_testing
