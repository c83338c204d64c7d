// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Releases of Linux whose ublk driver has a known fatal defect.
 *
 * The driver itself is asked for its features, since distributions take over
 * features.  A driver cannot be asked for its defects; the first sign of a
 * defect is an oops with the disk in use.  So here, and only here, releases are
 * compared.  A distribution may have mended its own: these are a reason to
 * tell, and a refusal only if the admin wants that.
 *
 * - 7.0: a request that is cancelled while its server dies is used after it was
 *   freed.  The mending (f7700a4415af) came with 7.1 and was not taken back.
 * - 6.18.4 and 6.18.5, and Ubuntu's 6.17.0 of that time: 529d4d632788 without
 *   011af85ccd87.  To add the first device is a NULL dereference; the command
 *   never ends, and cannot be killed.
 */
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "plugin/server/defect.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define USE_AFTER_FREE \
	"uses memory after it was freed when a server dies; boot 6.12, or " \
	"7.1 or later"
#define NULL_AT_ADD \
	"stops for good at the first device that is added; boot another " \
	"kernel, 6.18.6 or later of this series"

struct defect {
	unsigned int major, minor;
	unsigned int first, last;	      /* the third number */
	const char *word;		      /* in the version, or empty */
	unsigned int build_first, build_last; /* the number behind the '-' */
	const char *text;
};

static const struct defect defects[] = {
	{ 7, 0, 0, UINT_MAX, "", 0, UINT_MAX, USE_AFTER_FREE },
	{ 6, 18, 4, 5, "", 0, UINT_MAX, NULL_AT_ADD },
	{ 6, 17, 0, 0, "Ubuntu", 35, 40, NULL_AT_ADD },
	{ 6, 17, 0, 0, "Ubuntu", 1015, 1018, NULL_AT_ADD },
};

static bool is_in(unsigned int number, unsigned int first, unsigned int last)
{
	return number >= first && number <= last;
}

const char *defect_of_kernel(const char *release, const char *version)
{
	unsigned int major, minor, third = 0, build = 0;
	const struct defect *defect;
	size_t i;

	if (sscanf(release, "%u.%u.%u-%u", &major, &minor, &third, &build) < 2)
		return NULL;
	for (i = 0; i < ARRAY_SIZE(defects); i++) {
		defect = &defects[i];
		if (major == defect->major && minor == defect->minor &&
		    is_in(third, defect->first, defect->last) &&
		    is_in(build, defect->build_first, defect->build_last) &&
		    strstr(version, defect->word))
			return defect->text;
	}
	return NULL;
}
