/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small arithmetic and byte order, used at the edge of the cache only. */
#ifndef QCOW_BITS_H
#define QCOW_BITS_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* unit is a power of two in these four. */
static inline uint64_t round_down(uint64_t n, uint64_t unit)
{
	return n & ~(unit - 1);
}

static inline uint64_t round_up(uint64_t n, uint64_t unit)
{
	return round_down(n + unit - 1, unit);
}

static inline bool is_aligned(uint64_t n, uint64_t unit)
{
	return (n & (unit - 1)) == 0;
}

static inline bool is_power_of_2(uint64_t n)
{
	return n && is_aligned(n, n);
}

static inline uint64_t div_round_up(uint64_t n, uint64_t unit)
{
	return n / unit + (n % unit != 0);
}

static inline uint16_t load_be16(const void *p)
{
	uint16_t n;

	memcpy(&n, p, sizeof(n));
	return be16toh(n);
}

static inline uint32_t load_be32(const void *p)
{
	uint32_t n;

	memcpy(&n, p, sizeof(n));
	return be32toh(n);
}

static inline uint64_t load_be64(const void *p)
{
	uint64_t n;

	memcpy(&n, p, sizeof(n));
	return be64toh(n);
}

static inline void store_be32(void *p, uint32_t n)
{
	n = htobe32(n);
	memcpy(p, &n, sizeof(n));
}

static inline void store_be64(void *p, uint64_t n)
{
	n = htobe64(n);
	memcpy(p, &n, sizeof(n));
}

/* Do [a, a + a_length) and [b, b + b_length) share a byte? */
static inline bool overlaps(uint64_t a, uint64_t a_length, uint64_t b,
			    uint64_t b_length)
{
	return a < b + b_length && b < a + a_length;
}

#endif /* QCOW_BITS_H */
