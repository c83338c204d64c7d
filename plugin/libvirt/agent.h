/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ublk-qcow2-agent: its state.
 *
 * There is one thread.  libvirt's event loop calls us; a callback only notes a
 * task, and agent.c does the task.
 */
#ifndef AGENT_H
#define AGENT_H

#include "plugin/libvirt/guest.h"
#include "plugin/common/process.h"

#define AGENT_NEVER UINT64_MAX

/* A domain that runs. */
struct watched {
	struct watched *next;
	char uuid[OWNER_UUID_SIZE];
	struct guest guest; /* as it was at the last look */
	struct decide_history history;
	struct verdict told; /* the last one logged */
	uint64_t due;	     /* ms; the next look */
	bool resuming;	     /* by us; the event is still to come */
	bool failed;	     /* the last look did */
};

/* A task for a disk, which a child does, or has failed to do. */
struct errand {
	struct errand *next;
	struct agent *agent;
	char name[DISK_NAME_MAX + 1];
	struct process orphaned_by; /* the supervisor that died */
	struct job job;		    /* pidfd -1: none at the moment */
	int handle;		    /* of the event loop */
	bool release;		    /* not a recovery, but the end of a use */
	unsigned int failures;	    /* in a row */
	uint64_t due;		    /* ms; not again before */
};

struct agent {
	const char *uri;
	virConnectPtr connection; /* NULL: none */
	int callbacks[4];	  /* of events; -1: none */
	bool lost;		  /* the connection is dead */
	bool ending;
	unsigned int failures; /* to connect, in a row */
	uint64_t due;	       /* ms; the next attempt to connect */
	uint64_t patrol;       /* ms; the next look at all supervisors */
	struct watched *domains;
	struct errand *errands;
};

/* agent-connect.c: the connection to libvirt, with its events.  A failed
   attempt is repeated later. */
void agent_connect(struct agent *agent);
void agent_disconnect(struct agent *agent);

/* agent-watch.c: the domains. */

/* Looks at the domain soon. */
void watch_domain(struct agent *agent, virDomainPtr domain);

/* The domain was resumed.  Unless the agent did so, the domain's history
   begins anew. */
void watch_resumed(struct agent *agent, virDomainPtr domain);

void watch_forget(struct agent *agent, virDomainPtr domain);
void watch_forget_all(struct agent *agent);

/* Looks at the domains that are due, and returns the time of the next look. */
uint64_t watch_look(struct agent *agent);

/* Sees to it that every disk in use has a supervisor, and returns the time of
   the next patrol. */
uint64_t watch_patrol(struct agent *agent);

/* A device has been unplugged. */
void watch_removed(struct agent *agent, virDomainPtr domain, const char *alias);

/* agent-errand.c: long tasks, done by children. */

/* Has a disk recovered, unless a child is at work on that, or has failed just
   now. */
void errand_recover(struct agent *agent, const struct disk *disk);

/* Ends a domain's use of a disk, and removes the disk if that domain owns
   it. */
void errand_release(struct agent *agent, const char *uuid, const char *name);

/* Kills the errands under way. */
void errand_end_all(struct agent *agent);

#endif /* AGENT_H */
