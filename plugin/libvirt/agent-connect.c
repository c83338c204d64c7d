// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The agent's connection to libvirt, and its events.
 *
 * libvirtd may not run yet, may be restarted, or may hang, which keepalive
 * messages show.  The guests do not notice.  After a new connection the agent
 * looks at all domains, so a missed event does not matter.
 */
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/libvirt/agent.h"
#include "plugin/libvirt/connection.h"
#include "plugin/libvirt/domain.h"
#include "plugin/common/log.h"

#define KEEPALIVE_INTERVAL 5 /* s */
#define KEEPALIVE_COUNT	   3
#define FIRST_DELAY	   500	 /* ms */
#define DELAY_MAX	   30000 /* ms */

/* --- events -------------------------------------------------------------- */

static int on_lifecycle(virConnectPtr connection, virDomainPtr domain,
			int event, int detail, void *opaque)
{
	struct agent *agent = opaque;

	(void)connection;
	(void)detail;
	if (event == VIR_DOMAIN_EVENT_STOPPED ||
	    event == VIR_DOMAIN_EVENT_CRASHED)
		watch_forget(agent, domain);
	else if (event == VIR_DOMAIN_EVENT_RESUMED)
		watch_resumed(agent, domain);
	else if (event == VIR_DOMAIN_EVENT_STARTED ||
		 event == VIR_DOMAIN_EVENT_SUSPENDED)
		watch_domain(agent, domain);
	return 0;
}

static void on_io_error(virConnectPtr connection, virDomainPtr domain,
			const char *source, const char *alias, int action,
			const char *reason, void *opaque)
{
	(void)connection;
	if (action != VIR_DOMAIN_EVENT_IO_ERROR_PAUSE)
		return;
	watch_domain(opaque, domain);
	if (!domain_is_ours(source))
		return;
	log_of_domain(LOG_WARNING, virDomainGetName(domain),
		      "paused by an I/O error of %s, %s%s%s", alias, source,
		      *reason ? ": " : "", reason);
}

static void on_device_added(virConnectPtr connection, virDomainPtr domain,
			    const char *alias, void *opaque)
{
	(void)connection;
	(void)alias;
	watch_domain(opaque, domain);
}

static void on_device_removed(virConnectPtr connection, virDomainPtr domain,
			      const char *alias, void *opaque)
{
	(void)connection;
	watch_removed(opaque, domain, alias);
}

/* clang-format off */
static const struct {
	int id;
	virConnectDomainEventGenericCallback call;
} events[] = {
	{ VIR_DOMAIN_EVENT_ID_LIFECYCLE,
	  VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle) },
	{ VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON,
	  VIR_DOMAIN_EVENT_CALLBACK(on_io_error) },
	{ VIR_DOMAIN_EVENT_ID_DEVICE_ADDED,
	  VIR_DOMAIN_EVENT_CALLBACK(on_device_added) },
	{ VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED,
	  VIR_DOMAIN_EVENT_CALLBACK(on_device_removed) },
};
/* clang-format on */

#define NR_EVENTS (sizeof(events) / sizeof(events[0]))

static int want_events(struct agent *agent)
{
	size_t i;

	for (i = 0; i < NR_EVENTS; i++) {
		agent->callbacks[i] = virConnectDomainEventRegisterAny(
			agent->connection, NULL, events[i].id, events[i].call,
			agent, NULL);
		if (agent->callbacks[i] < 0)
			return -1;
	}
	return 0;
}

/* --- the connection ------------------------------------------------------ */

static void on_close(virConnectPtr connection, int reason, void *opaque)
{
	struct agent *agent = opaque;

	(void)connection;
	(void)reason;
	agent->lost = true;
}

static int watch_all(struct agent *agent)
{
	virDomainPtr *domains;
	int i, nr;

	nr = virConnectListAllDomains(agent->connection, &domains,
				      VIR_CONNECT_LIST_DOMAINS_ACTIVE);
	for (i = 0; i < nr; i++) {
		watch_domain(agent, domains[i]);
		virDomainFree(domains[i]);
	}
	if (nr >= 0)
		free(domains);
	return nr < 0 ? -1 : 0;
}

/* A driver inside this process, like that of the tests, has no peer that
   could go away. */
static int want_signs_of_life(struct agent *agent)
{
	if (!virConnectSetKeepAlive(agent->connection, KEEPALIVE_INTERVAL,
				    KEEPALIVE_COUNT) &&
	    !virConnectRegisterCloseCallback(agent->connection, on_close, agent,
					     NULL))
		return 0;
	return virGetLastErrorCode() == VIR_ERR_NO_SUPPORT ? 0 : -1;
}

static int set_up(struct agent *agent)
{
	size_t i;

	for (i = 0; i < NR_EVENTS; i++)
		agent->callbacks[i] = -1;
	if (want_signs_of_life(agent) || want_events(agent))
		return -1;
	return watch_all(agent);
}

static void try_later(struct agent *agent)
{
	uint64_t delay = FIRST_DELAY;
	unsigned int i;

	for (i = 0; i < agent->failures && delay < DELAY_MAX; i++)
		delay *= 2;
	if (!agent->failures++)
		log_line(LOG_WARNING, "agent: %s: %s; tries again and again",
			 agent->uri, connection_error());
	agent->due = clock_ms() + (delay < DELAY_MAX ? delay : DELAY_MAX);
}

void agent_connect(struct agent *agent)
{
	if (agent->connection || clock_ms() < agent->due)
		return;
	agent->connection = connection_try(agent->uri);
	if (!agent->connection) {
		try_later(agent);
		return;
	}
	if (set_up(agent)) {
		try_later(agent);
		agent_disconnect(agent);
		return;
	}
	agent->failures = 0;
	agent->due = AGENT_NEVER;
	log_line(LOG_INFO, "agent: connected to %s", agent->uri);
}

void agent_disconnect(struct agent *agent)
{
	size_t i;

	if (!agent->connection)
		return;
	if (agent->lost)
		log_line(LOG_WARNING, "agent: lost the connection to %s",
			 agent->uri);
	for (i = 0; i < NR_EVENTS; i++)
		if (agent->callbacks[i] >= 0)
			virConnectDomainEventDeregisterAny(agent->connection,
							   agent->callbacks[i]);
	virConnectUnregisterCloseCallback(agent->connection, on_close);
	virConnectClose(agent->connection);
	agent->connection = NULL;
	if (agent->lost)
		agent->due = clock_ms() + FIRST_DELAY;
	agent->lost = false;
	watch_forget_all(agent);
}
