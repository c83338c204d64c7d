// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The names of the steps of a server's confinement.
 */
#include <stdio.h>
#include <string.h>

#include "plugin/common/confinement.h"

static const char *const names[CONFINED_STEPS] = {
	"user", "namespaces", "ring", "landlock", "seccomp",
};

const char *confinement_name(unsigned int step)
{
	return names[step];
}

void confinement_list(unsigned int bits, char *text, size_t size)
{
	unsigned int step;
	size_t used = 0;

	*text = '\0';
	for (step = 0; step < CONFINED_STEPS; step++) {
		if (!(bits & 1u << step))
			continue;
		used += snprintf(text + used, size - used, "%s%s",
				 used ? ", " : "", names[step]);
		if (used >= size)
			return;
	}
}
