// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Faults for tests.  Nothing of this is in a program that is installed.
 */
#include "plugin/server/fault.h"

#ifdef TEST_FAULTS

#include <stdlib.h>
#include <string.h>
#include "qcow/file.h"

bool fault(const char *name)
{
	const char *list = getenv("UBLK_QCOW2_FAULT");
	size_t length = strlen(name);

	while (list) {
		if (!strncmp(list, name, length) &&
		    (list[length] == ',' || !list[length]))
			return true;
		list = strchr(list, ',');
		if (list)
			list++;
	}
	return false;
}

void fault_options(struct qcow_options *options)
{
	static const struct qcow_test_hooks no_fence = { .no_fence = true };

	if (fault("no-fence-lock"))
		options->test = &no_fence;
}

#endif
