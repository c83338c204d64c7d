// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `info`: the header of an image, its files, and whether it would be
 * served.
 *
 * The command works on any image at any time, even if `add` refuses the image
 * or somebody uses it: it takes no lock and changes nothing.  It opens only
 * those files that a server would open, too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "plugin/common/jail.h"
#include "plugin/common/references.h"
#include "plugin/commands/info.h"
#include "plugin/common/log.h"
#include "plugin/commands/options.h"
#include "plugin/commands/served.h"

/* ---- words ---- */

const char *info_format(const struct qcow_info *info)
{
	return info->version == 1 ? "qcow" : "qcow2";
}

const char *info_compression(const struct qcow_info *info)
{
	static const char *const names[] = { "zlib", "zstd" };

	return info->compression_type < 2 ? names[info->compression_type] :
					    "unknown";
}

const char *info_encryption(const struct qcow_info *info)
{
	static const char *const names[] = { "none", "aes", "luks" };

	return info->crypt_method < 3 ? names[info->crypt_method] : "unknown";
}

const char *info_role(enum qcow_role role)
{
	static const char *const names[] = {
		[QCOW_ROLE_IMAGE] = "image",
		[QCOW_ROLE_DATA_FILE] = "data",
		[QCOW_ROLE_BACKING] = "backing",
	};

	return names[role];
}

const char *info_served(const struct qcow_judgement *judgement)
{
	static const char *const names[] = {
		[QCOW_REFUSED] = "no",
		[QCOW_READ_ONLY] = "read-only",
		[QCOW_READ_WRITE] = "read-write",
	};

	return names[judgement->verdict];
}

void info_date(const struct qcow_snapshot *snapshot, char date[32])
{
	const time_t seconds = snapshot->date;
	struct tm tm;

	strftime(date, 32, "%FT%TZ", gmtime_r(&seconds, &tm));
}

bool info_has(const struct qcow_info *info, const char *feature)
{
	unsigned int i;

	for (i = 0; i < info->nr_features; i++)
		if (info->features[i].known &&
		    !strcmp(info->features[i].name, feature))
			return true;
	return false;
}

/* ---- the command ---- */

static void tell(struct report *report, bool as_json)
{
	const struct qcow_options judged = {
		.references = &report->references,
	};

	qcow_judge(report->image, &judged, &report->judgement);
	if (as_json)
		info_put_json(report);
	else
		info_print(report);
}

int command_info(const struct options *options)
{
	struct served served;
	struct report report = { .served = &served };
	struct jail jail = { .references = &report.references };
	struct qcow_error error;
	int ret;

	served_find(options->subject, &served);
	jail.image = served.path;
	report.image = served.path;
	ret = references_read(&options->disk, &report.references, &error);

	if (!ret) {
		ret = jail_enter_for(&jail);
		snprintf(error.text, sizeof(error.text),
			 "the command cannot confine itself: %s",
			 strerror(-ret));
	}
	if (!ret)
		ret = qcow_read_info(served.path, &report.info, &error);
	if (!ret)
		tell(&report, options->json);
	references_free(&report.references);
	return ret ? complain("%s: %s", served.path, error.text) :
		     complain_of_output(EXIT_SUCCESS);
}
