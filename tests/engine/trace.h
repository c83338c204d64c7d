/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The record of a seed as text, for judges that are not ours. */
#ifndef ENGINE_TRACE_H
#define ENGINE_TRACE_H

#include "tests/engine/history.h"
#include "tests/engine/instants.h"

/* Takes `--trace DIRECTORY` from the front of the arguments. */
void trace_option(int *argc, char ***argv);
/* Writes SEED.trace and SEED.qcow2 there; without the option, nothing. */
void trace_write(const struct instants *instants, const struct history *history,
		 uint64_t seed);

#endif /* ENGINE_TRACE_H */
