// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A kernel with a known fatal defect is told of before it meets a device.
 *
 * After that it may be too late to tell anybody anything.  The line goes to the
 * caller of the command, or to the log if a service manager is the caller.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "plugin/commands/command.h"
#include "plugin/commands/kernel.h"
#include "plugin/common/log.h"
#include "plugin/common/program.h"
#include "plugin/server/defect.h"

/* RELEASE VERSION, where tests choose. */
static void take(const char *chosen, struct utsname *name)
{
	size_t length = strcspn(chosen, " ");

	snprintf(name->release, sizeof(name->release), "%.*s", (int)length,
		 chosen);
	snprintf(name->version, sizeof(name->version), "%s", chosen + length);
}

int kernel_check(const char *image, const struct disk_options *options)
{
	const char *chosen = program_choice("UBLK_QCOW2_KERNEL");
	struct utsname name;
	const char *defect;

	if (uname(&name))
		return EXIT_SUCCESS;
	if (chosen)
		take(chosen, &name);
	defect = defect_of_kernel(name.release, name.version);
	if (!defect)
		return EXIT_SUCCESS;
	if (options->sound_kernel)
		return complain_about(image,
				      "is to have a sound kernel "
				      "(--sound-kernel); this one is %s, and "
				      "its ublk driver %s",
				      name.release, defect);
	log_line(LOG_WARNING, "%s: this kernel is %s, and its ublk driver %s",
		 image, name.release, defect);
	return EXIT_SUCCESS;
}
