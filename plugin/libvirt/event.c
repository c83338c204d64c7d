// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `event`: the command that the shipped hook in hooks.d runs.
 *
 * The command logs which domains use the disk.  When the disk has a server
 * again, the command resumes the domains that an I/O error has paused, once,
 * by the same decision as the agent's.  The agent, where it runs, tries again
 * and again, also after errors that do not come from a dead server.
 *
 * No user reads the output of a hook, so the command speaks to the system's
 * log.
 */
#include <stdlib.h>
#include <string.h>

#include "plugin/libvirt/commands.h"
#include "plugin/libvirt/connection.h"
#include "plugin/libvirt/domain.h"
#include "plugin/libvirt/rescue.h"
#include "plugin/common/log.h"

static const struct event {
	const char *name;
	int priority;
	const char *what;
	bool rescue;
} events[] = {
	{ "crashed", LOG_WARNING,
	  "lost its server; the domain waits for the next one", false },
	{ "recovered", LOG_NOTICE, "has a server again", true },
	{ "gave-up", LOG_ERR,
	  "has no server and gets none by itself: the domain waits until the "
	  "cause is removed and 'ublk-qcow2 recover' was run",
	  false },
	{ "no-space", LOG_ERR,
	  "fails requests: no room is left where its image lies", false },
	{ "io-error", LOG_ERR,
	  "fails requests: the storage below its image fails", false },
	{ "well-again", LOG_NOTICE, "no longer fails requests", false },
	{ "poisoned", LOG_ERR,
	  "had a request that killed three servers; this request fails",
	  false },
	{ "no-progress", LOG_WARNING,
	  "has a server that makes no progress, and is not to blame; the "
	  "domain waits",
	  false },
	{ "goes-on", LOG_NOTICE, "has a server that makes progress again",
	  false },
	{ "stuck", LOG_ERR,
	  "has a server that is stuck, and gets another one; the domain waits",
	  false },
};

#define NR_EVENTS (sizeof(events) / sizeof(events[0]))

/* The domain's disk that is this one, or NULL. */
static const struct guest_disk *find_disk(const struct guest *guest, int id)
{
	struct disk disk;
	size_t i;

	for (i = 0; i < guest->nr_disks; i++)
		if (guest->disks[i].ours &&
		    !disk_find(guest->disks[i].source, &disk) && disk.id == id)
			return &guest->disks[i];
	return NULL;
}

static void rescue(virDomainPtr domain, const struct guest *guest)
{
	struct decide_history history = { 0 };
	struct verdict verdict;

	if (rescue_try(domain, guest, &history, &verdict))
		log_of_domain(LOG_WARNING, guest->name, "cannot be resumed: %s",
			      connection_error());
	else if (verdict.reason)
		log_of_domain(
			LOG_NOTICE, guest->name, "stays paused: its disk %s %s",
			guest->disks[verdict.disk].target, verdict.reason);
}

/* A disk below another image is in the record of its user alone. */
static bool is_its(const struct guest *guest, const struct disk *disk)
{
	struct owner owner;

	return !owner_load(guest->uuid, disk->name, &owner) &&
	       owner_is_using(&owner, disk);
}

static void tell_guest(virDomainPtr domain, const struct guest *guest,
		       const struct event *event, const struct disk *disk)
{
	const struct guest_disk *found = find_disk(guest, disk->id);

	if (found)
		log_of_domain(event->priority, guest->name,
			      "its disk %s, %s, %s", found->target,
			      found->source, event->what);
	else if (is_its(guest, disk))
		log_of_domain(event->priority, guest->name,
			      "its disk " DOMAIN_LINKS "%s %s", disk->name,
			      event->what);
	else
		return;
	if (event->rescue)
		rescue(domain, guest);
}

static void tell_domain(virDomainPtr domain, const struct event *event,
			const struct disk *disk)
{
	struct guest guest;

	if (!guest_read(domain, &guest))
		tell_guest(domain, &guest, event, disk);
	guest_free(&guest);
}

static int tell_all(virConnectPtr connection, const struct event *event,
		    const struct disk *disk)
{
	virDomainPtr *domains;
	int i, nr;

	nr = virConnectListAllDomains(connection, &domains,
				      VIR_CONNECT_LIST_DOMAINS_ACTIVE);
	if (nr < 0)
		return complain("event: cannot list the domains: %s",
				connection_error());
	for (i = 0; i < nr; i++) {
		tell_domain(domains[i], event, disk);
		virDomainFree(domains[i]);
	}
	free(domains);
	return EXIT_SUCCESS;
}

int command_event(const struct libvirt_options *options)
{
	const struct event *event = events;
	virConnectPtr connection;
	struct disk disk;
	int ret;

	while (event < events + NR_EVENTS &&
	       strcmp(event->name, options->subjects[0]) != 0)
		event++;
	if (event == events + NR_EVENTS)
		return complain("event: there is no '%s'",
				options->subjects[0]);
	if (disk_find(options->subjects[1], &disk))
		return complain("event: %s: no such disk",
				options->subjects[1]);
	connection = connection_open(options->uri);
	if (!connection)
		return EXIT_FAILURE;
	log_to_system();
	ret = tell_all(connection, event, &disk);
	virConnectClose(connection);
	return ret;
}
