// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A domain's XML is rewritten: its disks change.  The way back leads to the
 * text before the way forth, and keeps edits in between.  Some domains are
 * refused, and so is damaged XML.
 *
 * usage: libvirt-rewrite
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/helpers.h"
#include "tests/hook/rewritten.h"
#include "plugin/libvirt/xml.h"

static const char *const files[] = { "plain", "odd", "bare", "empty-metadata" };
#define NR_FILES (sizeof(files) / sizeof(files[0]))

static void test_round_trip(const char *name)
{
	char *before = load(name);
	char *forth = must(before, REWRITE_FORTH, NULL);
	char *back;

	fits_hook(forth);
	refused(forth, REWRITE_FORTH, NULL, "no disk to convert");
	back = must(forth, REWRITE_BACK, NULL);
	if (strcmp(name, "odd") != 0)
		same(before, back);
	free(before);
	free(forth);
	free(back);
}

static void test_plain(void)
{
	char *before = load("plain");
	char *forth = must(before, REWRITE_FORTH, NULL);

	/* clang-format off */
	static const struct { const char *path, *value; } expected[] = {
		{ "count(//disk)", "2" },
		{ "//disk[1]/@type", "block" },
		{ "//devices/disk[1]/driver/@name", "qemu" },
		{ "//devices/disk[1]/driver/@type", "raw" },
		{ "//devices/disk[1]/driver/@cache", "none" },
		{ "//devices/disk[1]/driver/@io", "io_uring" },
		{ "//devices/disk[1]/driver/@discard", "unmap" },
		{ "//devices/disk[1]/driver/@error_policy", "stop" },
		{ "//devices/disk[1]/driver/@rerror_policy", "stop" },
		{ "//devices/disk[1]/driver/@iothread", "1" },
		{ "//devices/disk[1]/driver/@queues", "2" },
		{ "count(//devices/disk[1]/source/@*)", "1" },
		{ "//devices/disk[1]/source/@dev", "/dev/ublk-qcow2/name-vda" },
		{ "//devices/disk[1]/target/@bus", "virtio" },
		{ "//devices/disk[1]/address/@bus", "0x04" },
		{ "//devices/disk[2]/driver/@type", "raw" },
		{ "count(//metadata)", "1" },
		{ "count(//metadata/u:disks/u:disk)", "1" },
		{ "//u:disk/@dev", "/dev/ublk-qcow2/name-vda" },
		{ "//u:disk/@file", "/srv/vm/web1.qcow2" },
		{ "count(//u:disk/@*)", "2" },
		{ "//graphics/@passwd", "secret" },
	};
	/* clang-format on */
	size_t i;

	for (i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		expect(forth, expected[i].path, expected[i].value);
	free(before);
	free(forth);
}

/* A list without a prefix, written by hand; children of the driver and the
   source; a read-only disk; a disk that is one of ours already. */
static void test_odd(void)
{
	char *before = load("odd");
	char *forth = must(before, REWRITE_FORTH, NULL);
	char *back = must(forth, REWRITE_BACK, "sda");
	char *back_too = must(back, REWRITE_BACK, "/srv/vm/read-only.qcow2");

	expect(forth, "count(//u:disk)", "3");
	expect(forth, "count(//devices/disk/source[@dev])", "3");
	expect(forth, "count(//devices/disk/backingStore)", "0");
	expect(forth, "count(//devices/disk[1]/driver/*)", "0");
	expect(forth, "count(//devices/disk[1]/source/*)", "0");
	expect(forth, "count(//driver/@copy_on_read)", "1"); /* in the entry */
	expect(forth, "//u:disk[3]/@readonly", "yes");
	expect(forth, "count(//u:disk/u:before/source)", "2");
	expect(forth, "//devices/disk[1]/driver/@detect_zeroes", "on");
	expect(forth, "//devices/disk[1]/alias/@name", "ua-root");
	expect(back, "count(//u:disk)", "2");
	expect(back, "//devices/disk[1]/driver/@error_policy", "report");
	same(before, back_too);
	if (strstr(back_too, "xmlns=\"\""))
		die("something was left of the namespace: %s", back_too);
	free(before);
	free(forth);
	free(back);
	free(back_too);
}

/* The first one in the text becomes the other; the old text is freed. */
static char *edited(char *text, const char *from, const char *to)
{
	char *at = strstr(text, from);
	char *result;

	if (!at)
		die("there is no %s in %s", from, text);
	if (asprintf(&result, "%.*s%s%s", (int)(at - text), text, to,
		     at + strlen(from)) < 0)
		die("out of memory");
	free(text);
	return result;
}

/* An entry is in our list, whether it has our namespace or none. */
static void test_without_prefix(void)
{
	char *before = load("plain");
	char *forth = must(before, REWRITE_FORTH, NULL);
	char *back;

	forth = edited(forth, "<ublk:disk ", "<disk ");
	forth = edited(forth, "</ublk:disk>", "</disk>");
	fits_hook(forth);
	back = must(forth, REWRITE_BACK, NULL);
	same(before, back);
	free(before);
	free(forth);
	free(back);
}

/* An edit in between is not undone. */
static void test_edited(void)
{
	char *before = load("plain");
	char *text = must(before, REWRITE_FORTH, "vda");

	text = edited(text, "file=\"/srv/vm/web1.qcow2\"",
		      "file=\"/new/web1.qcow2\"");
	text = edited(text, "<target dev=\"vda\" bus=\"virtio\"/>",
		      "<target dev=\"sdx\" bus=\"scsi\"/><boot order=\"7\"/>");
	text = edited(text, "cache=\"none\"",
		      "cache=\"directsync\" packed=\"on\"");
	free(before);
	before = text;
	text = must(before, REWRITE_BACK, "sdx");
	expect(text, "//disk[1]/@type", "file");
	expect(text, "//disk[1]/source/@file", "/new/web1.qcow2");
	expect(text, "//disk[1]/target/@bus", "scsi");
	expect(text, "//disk[1]/boot/@order", "7");
	expect(text, "//disk[1]/driver/@type", "qcow2");
	expect(text, "//disk[1]/driver/@packed", "on");
	expect(text, "count(//disk[1]/driver/@cache)", "0");
	expect(text, "count(//metadata/*)", "1");
	free(before);
	free(text);
}

/* An entry that was not made by us has no record of before. */
static void test_by_hand(void)
{
	char *before = load("odd");
	char *back = must(before, REWRITE_BACK, NULL);

	expect(back, "count(//u:disks)", "0");
	expect(back, "//devices/disk[3]/@type", "file");
	expect(back, "//devices/disk[3]/source/@file", "/srv/vm/by-hand.qcow2");
	expect(back, "//devices/disk[3]/driver/@type", "qcow2");
	expect(back, "//devices/disk[3]/driver/@io", "threads");
	free(before);
	free(back);
}

#define DISK(attributes, inside) \
	"<domain><name>d</name><devices><disk " attributes ">" inside \
	"<target dev='vda'/></disk></devices></domain>"
#define QCOW2 "<driver name='qemu' type='qcow2'/><source file='/i'/>"

#define BESIDE(metadata, other) \
	"<domain><name>d</name>" metadata "<devices>" other \
	"<disk type='file'>" QCOW2 \
	"<target dev='vda'/></disk></devices></domain>"

static void test_refused(void)
{
	/* clang-format off */
	static const struct { const char *xml, *disk, *reason; } cases[] = {
		{ "", NULL, "parsed" },
		{ "<network><name>n</name></network>", NULL, "domain" },
		{ "<domain/>", NULL, "domain" },
		{ "<domain><name>d</name></domain>", NULL, "no disk" },
		{ DISK("type='file'", QCOW2), "vdb", "no disk 'vdb'" },
		{ DISK("type='file' device='cdrom'", QCOW2), "vda", "cdrom" },
		{ DISK("type='block'", "<source dev='/dev/sda'/>"), "vda",
		  "not type='file'" },
		{ DISK("type='block'", "<source dev='/dev/ublk-qcow2/x'/>"),
		  "vda", "already" },
		{ DISK("type='block'", "<source dev='/dev/ublkb7'/>"),
		  "/dev/ublkb7", "already" },
		{ DISK("type='volume'", "<source pool='p' volume='v'/>"),
		  "vda", "volume is not known" },
		{ DISK("type='file'", "<source file='/i'/>"), "/i", "qcow2" },
		{ DISK("type='file'", "<driver type='raw'/>"
		       "<source file='/i'/>"), "vda", "qcow2" },
		{ DISK("type='file'", "<driver type='qcow2'/>"), "vda",
		  "absolute" },
		{ DISK("type='file'", QCOW2 "<encryption format='luks'/>"),
		  "vda", "encrypted" },
		{ DISK("type='file'", "<driver type='qcow2'/>"
		       "<source file='/i'><encryption/></source>"), "vda",
		  "encrypted" },
		{ DISK("type='file'", "<driver type='qcow2'/>"
		       "<source file='/i'><slices/></source>"), "vda",
		  "slice" },
		{ BESIDE("", "<disk type='block'><source dev='/i'/>"
			 "<target dev='vdb'/></disk>"), "vda", "same image" },
		{ BESIDE("", "<disk type='file'><source file='/j'/>"
			 "<backingStore><source file='/i'/></backingStore>"
			 "<target dev='vdb'/></disk>"), "vda", "same image" },
		{ BESIDE("<metadata><disks xmlns='" DOMAIN_NAMESPACE "'>"
			 "<disk dev='/dev/ublk-qcow2/x' file='/i'/></disks>"
			 "</metadata>", ""), "vda", "another entry" },
		{ DISK("type='file'", "<driver type='qcow2'/>"
		       "<source file='/i' fdgroup='f'/>"), "vda",
		  "descriptor" },
		{ DISK("type='file'", QCOW2 "<shareable/>"), "vda",
		  "shareable" },
		{ DISK("type='file'", QCOW2 "<transient/>"), "vda",
		  "transient" },
		{ "<domain><name>d</name><devices>"
		  "<disk type='file'>" QCOW2 "<target dev='vda'/></disk>"
		  "<disk type='file'>" QCOW2 "<target dev='vdb'/></disk>"
		  "</devices></domain>", NULL,
		  "vda: disk vdb has the same image; vdb: disk vda" },
		{ "<domain><name>d</name><devices><disk type='file'>" QCOW2
		  "</disk></devices></domain>", "/i", "no target" },
	};
	/* clang-format on */
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		refused(cases[i].xml, REWRITE_FORTH, cases[i].disk,
			cases[i].reason);
	refused(DISK("type='file'", QCOW2), REWRITE_BACK, "vda",
		"no disk of ublk-qcow2");
	refused(DISK("type='block'", "<source dev='/dev/ublkb7'/>"),
		REWRITE_BACK, "vda", "no entry");
}

/* A new disk looks as if it had been converted, and goes without a trace. */
static void test_plug(const char *name)
{
	char why[DOMAIN_REASON_MAX], *before = load(name), *text, *list, *disk;
	struct rewrite rewrite;

	if (rewrite_read(before, REWRITE_FORTH, &rewrite, why))
		die("%s", why);
	if (rewrite_add(&rewrite, "vdx", "/srv/vm/it's <new>", true, why))
		die("%s", why);
	strcpy(rewrite.disks[rewrite.nr_disks - 1].name, "new");
	if (rewrite_do(&rewrite) || rewrite_list_text(&rewrite, &list))
		die("out of memory");
	disk = rewrite_disk_text(&rewrite);
	text = rewrite_text(&rewrite);
	rewrite_free(&rewrite);

	fits_hook(text);
	expect(list, "/disks/disk[last()]/@file", "/srv/vm/it's <new>");
	expect(list, "/disks/disk[last()]/@readonly", "yes");
	expect(list, "/disks/disk[last()]/before/driver/@type", "qcow2");
	expect(disk, "/disk/@type", "block");
	expect(disk, "/disk/driver/@io", "io_uring");
	expect(disk, "/disk/source/@dev", "/dev/ublk-qcow2/new");
	expect(disk, "/disk/target/@bus", "virtio");
	expect(disk, "count(/disk/readonly)", "1");
	expect(text, "//devices/disk[last()]/source/@dev",
	       "/dev/ublk-qcow2/new");
	free(list);
	free(disk);

	if (rewrite_read(text, REWRITE_BACK, &rewrite, why) ||
	    rewrite_choose(&rewrite, "vdx", why))
		die("%s", why);
	if (rewrite_remove(&rewrite))
		die("was not removed");
	free(text);
	text = rewrite_text(&rewrite);
	rewrite_free(&rewrite);
	same(before, text);
	free(before);
	free(text);
}

static void test_plug_refused(void)
{
	static const char *const targets[] = { "",    "vd",	"vd1",	  "hdb",
					       "vdB", "vdbb c", "vdbbbbb" };
	char why[DOMAIN_REASON_MAX], *before = load("plain");
	struct rewrite rewrite;
	size_t i;

	if (rewrite_read(before, REWRITE_FORTH, &rewrite, why))
		die("%s", why);
	for (i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
		if (rewrite_add(&rewrite, targets[i], "/i", false, why) !=
			    -EINVAL ||
		    !strstr(why, "is no target"))
			die("'%s' was taken as a target", targets[i]);
	if (rewrite_add(&rewrite, "vda", "/i", false, why) != -EINVAL ||
	    !strstr(why, "has a disk vda"))
		die("a second vda: %s", why);
	if (rewrite_add(&rewrite, "vdb", "/srv/vm/web1.qcow2", false, why) !=
		    -EINVAL ||
	    !strstr(why, "is its disk vda"))
		die("an image twice: %s", why);
	rewrite_free(&rewrite);
	free(before);
}

/* Nothing is asked of the result but that there is one, or a reason. */
static void test_damaged(void)
{
	struct random random = { .state = 1 };
	unsigned int i, j;

	for (i = 0; i < 4000 * effort(); i++) {
		char *before = load(files[i % NR_FILES]);
		char *text = must(before, REWRITE_FORTH, NULL);
		char *use = i & 4 ? text : before;
		char why[DOMAIN_REASON_MAX];
		const size_t length = strlen(use);

		for (j = 0; j <= i % 3; j++) {
			char *at = use + random_below(&random, length);
			const char *from = use + random_below(&random, length);
			const size_t room = use + length - at;
			size_t size = random_below(&random, 40);

			if (size > room)
				size = room;
			if (size > (size_t)(use + length - from))
				size = use + length - from;
			memmove(at, from, size);
		}
		free(rewritten(use, REWRITE_FORTH, NULL, why));
		free(rewritten(use, REWRITE_BACK, NULL, why));
		free(before);
		free(text);
	}
}

int main(void)
{
	size_t i;

	for (i = 0; i < NR_FILES; i++)
		test_round_trip(files[i]);
	for (i = 0; i < NR_FILES; i++)
		test_plug(files[i]);
	test_plug_refused();
	test_plain();
	test_odd();
	test_without_prefix();
	test_edited();
	test_by_hand();
	test_refused();
	test_damaged();
	xmlCleanupParser();
	return 0;
}
