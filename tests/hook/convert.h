/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of the test of `convert`.
 */
#ifndef CONVERT_TEST_H
#define CONVERT_TEST_H

#include <libvirt/libvirt.h>
#include <stdbool.h>

/* Converts a domain, or a disk of one. */
void convert_must(const char *domain, const char *disk, bool back,
		  bool dry_run);

/* It must be refused for that reason. */
void convert_refused(const char *domain, const char *disk, bool back,
		     const char *reason);

/* libvirt's schema must allow the definition. */
void convert_validate(virDomainPtr domain);

/* convert-all.c */

/* A disk that names its image by a pool and a volume in it. */
void test_volume(void);

/* All that are shut off, one line for each; one that fails does not keep the
   others, and one without such disks is passed over. */
void test_all(void);

/* The list of the domains with disks of ours, and of the devices. */
void test_list(void);

#endif /* CONVERT_TEST_H */
