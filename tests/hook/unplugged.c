// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The agent hears that a disk was unplugged: agent-watch.c, on libvirt's own
 * test driver.  The disk is released when it is out of the domain's XML, and no
 * other disk is, though it may have the same alias by then.
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
static char released[256];

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
	(void)disk;
	die("a disk is recovered");
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
		     "<uuid>6b6dbf1f-d3c9-46ef-87c8-bd5b30c4cf39</uuid>"
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

/* What was released since the last time? */
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

int main(void)
{
	domains_begin();
	agent.connection = connection;
	test_unplugged();
	test_late_event();
	watch_forget_all(&agent);
	domains_end();
	return 0;
}
