/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The words for an error. */
#ifndef QCOW_ERROR_H
#define QCOW_ERROR_H

#include "qcow/options.h"

/* Says why, if anybody wants to know, and returns the code. */
int fail(struct qcow_error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif /* QCOW_ERROR_H */
