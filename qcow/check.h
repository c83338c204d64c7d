/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds the faults of an image that nobody uses, and mends them. */
#ifndef QCOW_CHECK_H
#define QCOW_CHECK_H

#include "qcow/options.h"

/* check/check.c */

enum qcow_repair {
	QCOW_REPAIR_NONE,
	QCOW_REPAIR_LEAKS, /* counts that are too high */
	QCOW_REPAIR_ALL,
};

struct qcow_check_options {
	enum qcow_repair repair;
	const char *journal_dir; /* NULL stands for QCOW_JOURNAL_DIR */
	size_t memory;		 /* bytes; 0 stands for the default */

	/* Each may be NULL.  A line, without newline, about a finding; how
	   much is done of a step of the check, which may have several. */
	void (*line)(void *opaque, const char *line);
	void (*progress)(void *opaque, uint64_t done, uint64_t total);
	void *opaque;

	const struct qcow_test_hooks *test;
};

/* The findings, or those that are left after a repair; clusters, as in
   qemu-img. */
struct qcow_check {
	uint64_t corruptions, corruptions_fixed;
	uint64_t leaks, leaks_fixed;
	uint64_t check_errors;	   /* something could not be read */
	uint64_t image_end_offset; /* bytes */
	uint64_t total_clusters;
	uint64_t allocated_clusters;
	uint64_t fragmented_clusters;
	uint64_t compressed_clusters;
};

/*
 * Returns 0 if the check was made, with or without findings; -ENOTSUP if this
 * is no qcow2 image.  An image in use is refused, and so is the repair of one
 * whose journal holds acknowledged writes.  A death or power loss during a
 * repair leaves the image no worse than it was (P3).
 */
int qcow_check(const char *path, const struct qcow_check_options *options,
	       struct qcow_check *result, struct qcow_error *error);

#endif /* QCOW_CHECK_H */
