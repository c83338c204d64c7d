/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The report of `info`, in two forms.
 */
#ifndef INFO_H
#define INFO_H

#include "plugin/commands/served.h"
#include "qcow/qcow.h"

struct report {
	const char *image; /* as it was called */
	const struct served *served;
	struct qcow_info info;
	struct qcow_judgement judgement;
	struct qcow_references references;
};

/* info-text.c: for people. */
void info_print(const struct report *report);

/* info-json.c: for programs. */
void info_put_json(const struct report *report);

/* info.c: the words that both forms use. */
const char *info_format(const struct qcow_info *info);
const char *info_compression(const struct qcow_info *info);
const char *info_encryption(const struct qcow_info *info);
const char *info_role(enum qcow_role role);
const char *info_served(const struct qcow_judgement *judgement);
void info_date(const struct qcow_snapshot *snapshot, char date[32]);

/* Does the image have the feature of that name? */
bool info_has(const struct qcow_info *info, const char *feature);

#endif /* INFO_H */
