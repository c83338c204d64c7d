/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Resumes domains that an I/O error has paused.
 */
#ifndef RESCUE_H
#define RESCUE_H

#include "plugin/libvirt/guest.h"

/* Looks at a domain once, decides, and resumes the domain if that is the
   decision.  Returns:
   0		*verdict is the decision
   -EIO		libvirt failed, see connection_error()
   -ENOMEM */
int rescue_try(virDomainPtr domain, const struct guest *guest,
	       struct decide_history *history, struct verdict *verdict);

#endif /* RESCUE_H */
