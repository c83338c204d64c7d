// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The agent's domains.
 *
 * At any event of a domain, the agent looks at the domain.  The contents of an
 * event do not matter: an event may be old when it arrives, or be missed.  Only
 * the alias of an unplugged disk is looked up in the state of the last look.
 * Another disk may have that alias by then, so the next look decides.
 */
#include <errno.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/libvirt/agent.h"
#include "plugin/libvirt/connection.h"
#include "plugin/libvirt/rescue.h"
#include "plugin/common/log.h"
#include "plugin/common/text.h"

#define RETRY_INTERVAL	5000 /* ms, when libvirt fails */
#define PATROL_INTERVAL 3000 /* ms */

static struct watched *find(const struct agent *agent, virDomainPtr domain)
{
	char uuid[VIR_UUID_STRING_BUFLEN];
	struct watched *watched;

	if (virDomainGetUUIDString(domain, uuid))
		return NULL;
	for (watched = agent->domains; watched; watched = watched->next)
		if (!strcmp(watched->uuid, uuid))
			return watched;
	return NULL;
}

static struct watched *find_or_add(struct agent *agent, virDomainPtr domain)
{
	struct watched *watched = find(agent, domain);

	if (watched)
		return watched;
	watched = calloc(1, sizeof(*watched));
	if (!watched || virDomainGetUUIDString(domain, watched->uuid)) {
		free(watched);
		log_of_domain(LOG_ERR, virDomainGetName(domain),
			      "cannot be watched: %s", strerror(ENOMEM));
		return NULL;
	}
	watched->next = agent->domains;
	agent->domains = watched;
	return watched;
}

void watch_domain(struct agent *agent, virDomainPtr domain)
{
	struct watched *watched = find_or_add(agent, domain);

	if (watched)
		watched->due = 0;
}

void watch_resumed(struct agent *agent, virDomainPtr domain)
{
	struct watched *watched = find_or_add(agent, domain);

	if (!watched)
		return;
	watched->due = 0;
	if (!watched->resuming)
		watched->history = (struct decide_history){ 0 };
	watched->resuming = false;
}

static void drop(struct agent *agent, struct watched *watched)
{
	struct watched **at = &agent->domains;

	while (*at != watched)
		at = &(*at)->next;
	*at = watched->next;
	guest_free(&watched->guest);
	free(watched);
}

void watch_forget(struct agent *agent, virDomainPtr domain)
{
	struct watched *watched = find(agent, domain);

	if (watched)
		drop(agent, watched);
}

void watch_forget_all(struct agent *agent)
{
	while (agent->domains)
		drop(agent, agent->domains);
}

/* --- looking ------------------------------------------------------------- */

/* Logs a new verdict, once. */
static void tell(struct watched *watched, const struct verdict *verdict)
{
	const struct guest *guest = &watched->guest;
	const struct guest_disk *disk = &guest->disks[verdict->disk];
	const bool news = verdict->decision != watched->told.decision ||
			  verdict->reason != watched->told.reason ||
			  verdict->disk != watched->told.disk;
	char word[512];

	watched->told = *verdict;
	if (!news || !verdict->reason)
		return;
	text_quote(word, sizeof(word), guest->name);
	if (verdict->decision == DECIDE_GIVE_UP)
		log_of_domain(LOG_ERR, guest->name,
			      "stays paused: its disk %s, %s, %s; when "
			      "that is mended, run: virsh resume %s",
			      disk->target, disk->source ?: "", verdict->reason,
			      word);
	else if (verdict->decision == DECIDE_NOTHING)
		log_of_domain(LOG_INFO, guest->name,
			      "stays paused: its disk %s %s", disk->target,
			      verdict->reason);
	else
		log_of_domain(LOG_NOTICE, guest->name,
			      "waits, since its disk %s, %s, %s", disk->target,
			      disk->source ?: "", verdict->reason);
}

static void act(struct agent *agent, struct watched *watched,
		const struct verdict *verdict)
{
	watched->due = AGENT_NEVER;
	watched->resuming = verdict->decision == DECIDE_RESUME;
	tell(watched, verdict);
	if (verdict->decision == DECIDE_RECOVER)
		agent->patrol = 0;
	if (verdict->decision == DECIDE_RECOVER ||
	    verdict->decision == DECIDE_WAIT)
		watched->due = clock_ms() + verdict->delay;
}

/* Logs the disks that were not there at the last look. */
static void tell_new_disks(const struct guest *old, const struct guest *new)
{
	size_t i, j;

	for (i = 0; i < new->nr_disks; i++) {
		const struct guest_disk *disk = &new->disks[i];

		for (j = 0; j < old->nr_disks; j++)
			if (!strcmp(old->disks[j].target, disk->target))
				break;
		if (disk->ours && j == old->nr_disks)
			log_of_domain(LOG_INFO, new->name, "its disk %s is %s",
				      disk->target, disk->source);
	}
}

static bool has_disk(const struct guest *guest, const struct guest_disk *disk)
{
	size_t i;

	for (i = 0; i < guest->nr_disks; i++)
		if (guest->disks[i].source &&
		    (!strcmp(guest->disks[i].source, disk->source) ||
		     !strcmp(guest->disks[i].name, disk->name)))
			return true;
	return false;
}

static void release_unplugged(struct agent *agent,
			      const struct watched *watched,
			      const struct guest *now)
{
	size_t i;

	for (i = 0; i < watched->guest.nr_disks; i++) {
		const struct guest_disk *disk = &watched->guest.disks[i];

		if (!disk->unplugged || has_disk(now, disk))
			continue;
		log_of_domain(LOG_INFO, watched->guest.name,
			      "its disk %s, %s, was unplugged", disk->target,
			      disk->source);
		errand_release(agent, watched->uuid, disk->name);
	}
}

static int read_guest(struct agent *agent, virDomainPtr domain,
		      struct watched *watched)
{
	struct guest guest;
	int ret = guest_read(domain, &guest);

	if (ret) {
		guest_free(&guest);
		return ret;
	}
	release_unplugged(agent, watched, &guest);
	tell_new_disks(&watched->guest, &guest);
	guest_free(&watched->guest);
	watched->guest = guest;
	return 0;
}

static bool is_gone(virDomainPtr domain)
{
	const virError *error = virGetLastError();

	if (!domain)
		return error && error->code == VIR_ERR_NO_DOMAIN;
	return virDomainIsActive(domain) == 0;
}

static int look_at(struct agent *agent, struct watched *watched,
		   virDomainPtr domain)
{
	struct verdict verdict;
	int ret = domain ? read_guest(agent, domain, watched) : -EIO;

	if (!ret)
		ret = rescue_try(domain, &watched->guest, &watched->history,
				 &verdict);
	if (!ret)
		act(agent, watched, &verdict);
	return ret;
}

/* Logs the failure once, since it may last. */
static void look_later(struct watched *watched, int ret)
{
	watched->due = clock_ms() + RETRY_INTERVAL;
	if (!watched->failed)
		log_of_domain(LOG_WARNING, watched->guest.name ?: watched->uuid,
			      "cannot look at it: %s; tries again and again",
			      ret == -EIO ? connection_error() :
					    strerror(-ret));
	watched->failed = true;
}

static void look(struct agent *agent, struct watched *watched)
{
	virDomainPtr domain = virDomainLookupByUUIDString(agent->connection,
							  watched->uuid);
	int ret;

	if (is_gone(domain)) {
		drop(agent, watched);
	} else {
		ret = look_at(agent, watched, domain);
		if (ret)
			look_later(watched, ret);
		else
			watched->failed = false;
	}
	if (domain)
		virDomainFree(domain);
}

uint64_t watch_look(struct agent *agent)
{
	struct watched *watched, *next;
	uint64_t due = AGENT_NEVER;

	for (watched = agent->domains; watched; watched = next) {
		next = watched->next;
		if (watched->due <= clock_ms())
			look(agent, watched);
	}
	for (watched = agent->domains; watched; watched = watched->next)
		if (watched->due < due)
			due = watched->due;
	return due;
}

/* --- the disks of those that run ----------------------------------------- */

/* The disk of a domain may lie below another image.  Then only the record of
   its user names it. */
static bool is_used(const struct agent *agent, const struct disk *disk)
{
	const struct watched *watched;
	struct owner owner;
	size_t i;

	if (owner_find_user(disk, &owner))
		*owner.uuid = '\0';
	for (watched = agent->domains; watched; watched = watched->next) {
		if (!strcmp(watched->uuid, owner.uuid))
			return true;
		for (i = 0; i < watched->guest.nr_disks; i++)
			if (!strcmp(watched->guest.disks[i].name, disk->name))
				return true;
	}
	return false;
}

static int patrol_disk(const struct disk *disk, void *opaque)
{
	struct agent *agent = opaque;

	if (disk->state != DISK_ADDING && !process_alive(&disk->supervisor) &&
	    is_used(agent, disk))
		errand_recover(agent, disk);
	return 0;
}

uint64_t watch_patrol(struct agent *agent)
{
	if (clock_ms() < agent->patrol)
		return agent->patrol;
	disk_each(patrol_disk, agent);
	agent->patrol = clock_ms() + PATROL_INTERVAL;
	return agent->patrol;
}

void watch_removed(struct agent *agent, virDomainPtr domain, const char *alias)
{
	const struct watched *watched = find(agent, domain);
	size_t i;

	for (i = 0; watched && i < watched->guest.nr_disks; i++) {
		struct guest_disk *disk = &watched->guest.disks[i];

		if (disk->ours && disk->alias && !strcmp(disk->alias, alias))
			disk->unplugged = true;
	}
	watch_domain(agent, domain);
}
