/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of `legacy`. */
#ifndef TEST_LEGACY_H
#define TEST_LEGACY_H

#include "tests/engine/legacy-images.h"

extern struct legacy_images images;

/* Reads the image, which must hold the bytes of all images. */
void read_all(struct legacy *legacy, const char *what);

/* legacy-deaths.c */

void test_deaths(void);
void test_server_death(void);

#endif /* TEST_LEGACY_H */
