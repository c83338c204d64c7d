/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The breakages of refcounts; for the table in breakages.c only. */
#ifndef BREAKAGES_COUNTS_H
#define BREAKAGES_COUNTS_H

#include "tests/lib/breakages.h"

breakage_poke count_too_high, count_zero, count_too_low, header_not_counted,
	table_not_counted, nothing_counted, block_unaligned, block_beyond_end,
	block_far_away, block_reserved_bits, block_missing, block_in_header,
	counts_beyond_end, counts_far_away, counts_in_header, counts_in_l1,
	no_refcount_table;

#endif /* BREAKAGES_COUNTS_H */
