/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The title of a process in the output of ps(1).
 */
#ifndef TITLE_H
#define TITLE_H

/* Notes the room for titles.  For main(), once, before any code keeps a
   pointer into the environment. */
void title_begin(int argc, char **argv);

/* Calls this process "ublk-qcow2: ROLE NAME".  Writes over the arguments, so
   no code may need them any more. */
void title_set(const char *role, const char *name);

#endif /* TITLE_H */
