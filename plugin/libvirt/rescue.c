// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Resuming domains, for the agent and for the hook of our disks.  Between the
 * look and the resume, another program may resume the domain, which does no
 * harm.  An admin may pause the domain in that moment, and then has to do so
 * again: libvirt has no call that resumes a domain only if its state is
 * unchanged.
 */
#include <errno.h>
#include <stdlib.h>

#include "plugin/libvirt/connection.h"
#include "plugin/libvirt/rescue.h"
#include "plugin/common/log.h"

static int resume(virDomainPtr domain, const struct guest *guest,
		  const struct guest_disk *disk, struct decide_history *history)
{
	int ret = virDomainResume(domain);

	decide_resumed(history, clock_ms());
	if (ret)
		return -EIO;
	log_of_domain(LOG_NOTICE, guest->name,
		      "resumed; it had been paused by an I/O error of "
		      "disk %s, %s",
		      disk->target, disk->source);
	return 0;
}

int rescue_try(virDomainPtr domain, const struct guest *guest,
	       struct decide_history *history, struct verdict *verdict)
{
	struct decide_disk *states;
	bool stopped;
	int ret = guest_is_stopped(domain, &stopped);

	*verdict = (struct verdict){ .decision = DECIDE_NOTHING };
	if (ret || !stopped)
		return ret;
	states = calloc(guest->nr_disks + 1, sizeof(*states));
	if (!states)
		return -ENOMEM;
	ret = guest_look(domain, guest, states);
	if (!ret)
		*verdict = decide(true, states, guest->nr_disks, history,
				  clock_ms());
	free(states);
	if (!ret && verdict->decision == DECIDE_RESUME)
		ret = resume(domain, guest, &guest->disks[verdict->disk],
			     history);
	return ret;
}
