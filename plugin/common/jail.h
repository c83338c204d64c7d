/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The jail of a process that opens an image and is no server: `info`, `check`,
 * a command's look at an image, and the closing in a server's stead.
 */
#ifndef JAIL_H
#define JAIL_H

#include <stdbool.h>
#include "qcow/qcow.h"

/* The files that such a process may open. */
struct jail {
	const char *image;
	/* The image is written, and the layers that say so, and journals are
	   made and removed. */
	bool write;
	/* The names that the image may name; NULL: none. */
	const struct qcow_references *references;
	/* And these, which are known. */
	const struct qcow_layer *layers;
	unsigned int nr_layers;
	const char *key_file; /* NULL: none */
};

/* For a process that executes such a program, which reads the image. */
struct jail_program {
	struct jail jail;
	const char *path; /* of the program */
	const char *made; /* a file that it writes, and that is there */
};

/* Before the program is executed, by a process with one thread: from here on it
   has the rights to read the image's files and those of programs, to write to
   that one file, and no others.  Root stays its user, without root's
   capabilities but for files.  0 or -errno, as below. */
int jail_enter_for_program(const struct jail_program *program);

/* Before the image is opened, by a process with one thread: from here on it has
   the rights to open these files, and no others.  A step that the kernel does
   not have, or that the process has no right to, is left out.  0 or -errno. */
int jail_enter_for(const struct jail *jail);

#endif /* JAIL_H */
