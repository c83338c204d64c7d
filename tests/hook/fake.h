/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hook/fake-ublk-qcow2 in place of the program: it notes how it is called.
 */
#ifndef FAKE_H
#define FAKE_H

/* From now on commands run it; the scratch directory gets fake and run. */
void fake_begin(void);
/* Kills the processes that it has left. */
void fake_end(void);

/* The calls since this was asked last, each with a semicolon behind it, are
   these, or else the test fails. */
void fake_called(const char *expected);

#endif /* FAKE_H */
