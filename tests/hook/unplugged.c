// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The agent hears that a disk was unplugged: agent-watch.c, on libvirt's own
 * test driver.  The disk is released when it is out of the domain's XML, and no
 * other disk is, though it may have the same alias by then.
 *
 * The agent sees a disk that has lost its supervisor.  It is recovered if a
 * domain that runs uses it, below another image, too.  So does `event` find it.
 */
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/libvirt/agent.h"
#include "plugin/libvirt/rescue.h"
#include "tests/hook/domains.h"
#include "tests/lib/helpers.h"

static struct agent agent;
static char released[256], recovered[256];

void errand_release(struct agent *a, const char *uuid, const char *name)
{
	(void)a;
	(void)uuid;
	strcat(released, name);
	strcat(released, " ");
}

void errand_recover(struct agent *a, const struct disk *disk)
{
	(void)a;
	strcat(recovered, disk->name);
	strcat(recovered, " ");
}

int rescue_try(virDomainPtr domain, const struct guest *guest,
	       struct decide_history *history, struct verdict *verdict)
{
	(void)domain;
	(void)guest;
	(void)history;
	*verdict = (struct verdict){ .decision = DECIDE_NOTHING };
	return 0;
}

/* A running domain with these disks, vda and vdb, or without. */
#define UUID "6b6dbf1f-d3c9-46ef-87c8-bd5b30c4cf39"

static virDomainPtr begin(const char *vda, const char *vdb)
{
	static const char disk[] =
		"<disk type='block' device='disk'>"
		"<source dev='/dev/ublk-qcow2/%s'/>"
		"<target dev='vd%c' bus='virtio'/><alias name='ua-%c'/>"
		"</disk>";
	char disks[1024] = "", *xml;
	virDomainPtr domain;

	if (vda)
		snprintf(disks, sizeof(disks), disk, vda, 'a', 'a');
	if (vdb)
		snprintf(disks + strlen(disks), sizeof(disks) - strlen(disks),
			 disk, vdb, 'b', 'b');
	if (asprintf(&xml,
		     "<domain type='test'><name>web</name>"
		     "<uuid>" UUID "</uuid>"
		     "<memory>8192</memory><os><type>hvm</type></os>"
		     "<devices>%s</devices></domain>",
		     disks) < 0)
		die("out of memory");
	domain = virDomainDefineXML(connection, xml);
	free(xml);
	if (!domain || virDomainCreate(domain))
		die("%s", virGetLastErrorMessage());
	return domain;
}

static void end(virDomainPtr domain)
{
	virDomainDestroy(domain);
	undefine(domain);
}

static void look(virDomainPtr domain)
{
	watch_domain(&agent, domain);
	watch_look(&agent);
}

/* Which disks were released since the last time? */
static void must_be(const char *names, const char *when)
{
	if (strcmp(released, names))
		die("%s: released '%s' and not '%s'", when, released, names);
	*released = '\0';
}

static void test_unplugged(void)
{
	virDomainPtr domain = begin("one", "two");

	look(domain);
	watch_removed(&agent, domain, "ua-b");
	end(domain);
	domain = begin("one", NULL);
	must_be("", "before a look");
	look(domain);
	must_be("two ", "unplugged");
	look(domain);
	must_be("", "once more");
	watch_forget(&agent, domain);
	end(domain);
}

/* The event comes when another disk has been plugged in, and was seen. */
static void test_late_event(void)
{
	virDomainPtr domain = begin("one", "two");

	look(domain);
	end(domain);
	domain = begin("one", "three");
	look(domain);
	watch_removed(&agent, domain, "ua-b");
	look(domain);
	must_be("", "a late event");
	watch_forget(&agent, domain);
	end(domain);
}

/* A disk without processes. */
static struct disk orphan(int id, const char *name)
{
	struct disk disk = { .id = id, .state = DISK_LIVE };

	snprintf(disk.name, sizeof(disk.name), "%s", name);
	if (state_open() || disk_stamp(&disk) || disk_save(&disk, NULL))
		die("cannot write the record of a disk");
	return disk;
}

static void patrol(const char *expected, const char *when)
{
	agent.patrol = 0;
	watch_patrol(&agent);
	if (strcmp(recovered, expected))
		die("%s: recovered '%s' and not '%s'", when, recovered,
		    expected);
	*recovered = '\0';
}

/* Else the line would be in the system's log. */
void __wrap_log_to_system(void);
void __wrap_log_to_system(void)
{
}

static void tells(const char *event, const char *dev, const char *line)
{
	const struct libvirt_options options = {
		.uri = URI,
		.subjects = { event, dev },
	};

	if (run_captured(command_event, &options) || !strstr(err, line))
		die("%s %s: it says '%s' and not '%s'", event, dev, err, line);
}

static void test_orphans(void)
{
	struct disk below = orphan(2, "below");
	virDomainPtr domain = begin("one", NULL);
	struct owner owner;

	orphan(1, "one");
	patrol("", "before a look");
	look(domain);
	patrol("one ", "its own disk");
	owner_fill(&owner, UUID, "web", &below);
	if (owner_save(&owner))
		die("cannot write the record of a user");
	patrol("one below ", "a disk below");
	tells("crashed", "one",
	      "web: its disk vda, /dev/ublk-qcow2/one, lost its server");
	tells("crashed", "below",
	      "web: its disk /dev/ublk-qcow2/below lost its server");
	watch_forget(&agent, domain);
	patrol("", "after the end");
	end(domain);
}

int main(void)
{
	domains_begin();
	agent.connection = connection;
	test_unplugged();
	test_late_event();
	test_orphans();
	watch_forget_all(&agent);
	domains_end();
	return 0;
}
