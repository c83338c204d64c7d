// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The agent's look at a domain that runs, on libvirt's own test driver: which
 * disks are ours, which of them have a server, which failed.  A domain that no
 * I/O error has paused is left alone.
 *
 * usage: libvirt-guest
 */
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/helpers.h"
#include "tests/hook/domains.h"
#include "plugin/libvirt/guest.h"
#include "plugin/libvirt/rescue.h"

static const char xml[] =
	"<domain type='test'><name>web</name>"
	"<uuid>8F51EC33-6D33-4C7C-8F0C-6B5A2E7D3E01</uuid>"
	"<memory>65536</memory><os><type>hvm</type></os><devices>"
	"<disk type='block' device='disk'><driver name='qemu' type='raw'/>"
	"<source dev='/dev/ublk-qcow2/web'/><target dev='vda'/>"
	"<alias name='ua-a'/></disk>"
	"<disk type='block' device='disk'><driver name='qemu' type='raw'/>"
	"<source dev='/dev/ublkb7'/><target dev='vdb'/></disk>"
	"<disk type='block' device='disk'><driver name='qemu' type='raw'/>"
	"<source dev='/dev/ublkb8'/><target dev='vdc'/></disk>"
	"<disk type='file' device='disk'><driver name='qemu' type='raw'/>"
	"<source file='/dev/ublk-qcow2/file'/><target dev='vdd'/></disk>"
	"<disk type='network' device='disk'><driver name='qemu' type='raw'/>"
	"<source protocol='nbd'><host name='h'/></source>"
	"<target dev='vde'/></disk>"
	"<disk type='file' device='cdrom'><target dev='hda' bus='ide'/></disk>"
	"</devices></domain>";

/* All its disks are ours. */
static const char ours[] =
	"<domain type='test'><name>ours</name>"
	"<memory>65536</memory><os><type>hvm</type></os><devices>"
	"<disk type='block' device='disk'><driver name='qemu' type='raw'/>"
	"<source dev='/dev/ublkb7'/><target dev='vda'/></disk>"
	"</devices></domain>";

static virDomainPtr start(const char *text)
{
	virDomainPtr domain = virDomainCreateXML(connection, text, 0);

	if (!domain)
		die("create: %s", virGetLastErrorMessage());
	return domain;
}

static void save(int id, const char *name, const char *image, bool alive)
{
	struct disk disk = { .id = id, .state = DISK_LIVE };

	strcpy(disk.name, name);
	strcpy(disk.image, image);
	process_identify(getpid(), &disk.server);
	disk.supervisor = disk.server;
	disk.supervisor.start += !alive;
	if (state_open() || disk_stamp(&disk) || disk_save(&disk, NULL))
		die("cannot write a record");
}

static void is_disk(const struct guest_disk *disk, const char *target,
		    const char *alias, const char *name)
{
	if (strcmp(disk->target, target) || disk->ours != !!name ||
	    strcmp(disk->name, name ?: ""))
		die("disk %s: %s, '%s'", disk->target,
		    disk->ours ? "ours" : "not ours", disk->name);
	if (!disk->alias != !alias || (alias && strcmp(disk->alias, alias)))
		die("disk %s: alias %s", disk->target, disk->alias);
}

static void test_parse(void)
{
	static const char *const junk[] = { "", "<domain/>", "<a/>",
					    "<domain><name>n</name></domain>" };
	struct guest guest;
	size_t i;

	save(7, "seven", "/nowhere", true);
	if (guest_parse(xml, &guest))
		die("not parsed");
	if (strcmp(guest.name, "web") ||
	    strcmp(guest.uuid, "8f51ec33-6d33-4c7c-8f0c-6b5a2e7d3e01") ||
	    guest.nr_disks != 5)
		die("%s, %s, %zu disks", guest.name, guest.uuid,
		    guest.nr_disks);
	is_disk(&guest.disks[0], "vda", "ua-a", "web");
	is_disk(&guest.disks[1], "vdb", NULL, "seven");
	is_disk(&guest.disks[2], "vdc", NULL, NULL);
	is_disk(&guest.disks[3], "vdd", NULL, NULL);
	is_disk(&guest.disks[4], "vde", NULL, NULL);
	guest_free(&guest);
	for (i = 0; i < sizeof(junk) / sizeof(junk[0]); i++) {
		if (!guest_parse(junk[i], &guest))
			die("parsed: %s", junk[i]);
		guest_free(&guest);
	}
	disk_forget(7);
}

/* The driver says that the first disk has failed and that the second one needs
   space, of every domain. */
static void look(virDomainPtr domain, bool served, bool live, bool orphan,
		 bool room)
{
	struct decide_disk states[5];
	struct guest guest;

	if (guest_read(domain, &guest) || guest_look(domain, &guest, states))
		die("cannot look: %s", virGetLastErrorMessage());
	if (states[0].trouble != TROUBLE_ERROR ||
	    states[1].trouble != TROUBLE_SPACE)
		die("troubles %d and %d", states[0].trouble, states[1].trouble);
	if (!states[0].ours || states[0].served || states[0].live)
		die("vda, of which there is no record, is there");
	if (states[1].ours != served || states[1].served != served ||
	    states[1].live != live || states[1].orphan != orphan ||
	    states[1].room != room)
		die("vdb is ours %d, served %d, live %d, orphan %d, room %d",
		    states[1].ours, states[1].served, states[1].live,
		    states[1].orphan, states[1].room);
	if (states[3].ours || states[4].ours)
		die("vdd or vde is ours");
	guest_free(&guest);
}

static void test_look(virDomainPtr domain)
{
	look(domain, false, false, false, false);
	save(7, "seven", scratch(), true);
	look(domain, true, true, false, true);
	save(7, "seven", "/nowhere", true);
	look(domain, true, true, false, false);
	save(7, "seven", scratch(), false);
	look(domain, true, false, true, true);
	disk_forget(7);
}

/* Its disk has failed, but that is not why it is paused. */
static void test_user(virDomainPtr domain)
{
	struct decide_history history = { 0 };
	struct verdict verdict;
	struct guest guest;
	int state, reason;

	save(7, "seven", scratch(), true);
	if (guest_read(domain, &guest) ||
	    rescue_try(domain, &guest, &history, &verdict) ||
	    verdict.decision != DECIDE_NOTHING)
		die("decides on a domain that runs");
	if (virDomainSuspend(domain) ||
	    rescue_try(domain, &guest, &history, &verdict) ||
	    verdict.decision != DECIDE_NOTHING || history.tries)
		die("decides on a domain that its admin has paused");
	virDomainGetState(domain, &state, &reason, 0);
	if (state != VIR_DOMAIN_PAUSED || reason != VIR_DOMAIN_PAUSED_USER)
		die("it is %d for %d", state, reason);
	guest_free(&guest);
	disk_forget(7);
}

int main(void)
{
	virDomainPtr domain;

	domains_begin();
	test_parse();
	domain = start(xml);
	test_look(domain);
	virDomainDestroy(domain);
	virDomainFree(domain);
	domain = start(ours);
	test_user(domain);
	virDomainDestroy(domain);
	virDomainFree(domain);
	domains_end();
	return 0;
}
