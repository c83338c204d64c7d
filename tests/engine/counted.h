/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files whose calls are counted; the process dies at one of them. */
#ifndef COUNTED_H
#define COUNTED_H

#include "qcow/file.h"

struct counted {
	int fd;
	void (*on_write)(void); /* before each write; NULL: nothing to do */
	bool cannot_sync;
	struct qcow_test_hooks hooks;
};

/* Opens a file.  The struct stays where it is. */
void counted_open(struct counted *counted, const char *path);
void counted_close(struct counted *counted);

/* Runs the life in a process of its own, which dies before the n-th call of all
   files.  Returns whether it died; otherwise the life was over before. */
bool counted_dies_at(int n, void (*life)(void));

#endif /* COUNTED_H */
