/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a process is called in the output of ps(1).
 */
#ifndef TITLE_H
#define TITLE_H

/* Notes the room for titles.  For main(), once, before anybody keeps a pointer
   into the environment. */
void title_begin(int argc, char **argv);

/* Calls this process "ublk-qcow2: ROLE NAME".  Writes over the arguments, so
   nobody may need them any more. */
void title_set(const char *role, const char *name);

#endif /* TITLE_H */
