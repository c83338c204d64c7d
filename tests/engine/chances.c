// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Of schedules: chances for another thread inside a look-up.  It takes no lock,
 * so there would be none.  The shards are drawn, for all threads there are one
 * of the system's.
 */
#include "tests/lib/scheduler.h"
#include "qcow/image.h"

unsigned int __wrap_shard_of_thread(void);
unsigned int __wrap_shards_of_threads(void);
bool __real_dirty_get(const struct dirty_set *set, uint64_t key,
		      uint64_t *value);
bool __wrap_dirty_get(const struct dirty_set *set, uint64_t key,
		      uint64_t *value);
struct slice *__real_cache_find(struct cache *cache, enum slice_type type,
				uint64_t offset);
struct slice *__wrap_cache_find(struct cache *cache, enum slice_type type,
				uint64_t offset);

unsigned int __wrap_shard_of_thread(void)
{
	return scheduler_draw(3);
}

unsigned int __wrap_shards_of_threads(void)
{
	return SHARDS;
}

bool __wrap_dirty_get(const struct dirty_set *set, uint64_t key,
		      uint64_t *value)
{
	scheduler_yield();
	return __real_dirty_get(set, key, value);
}

struct slice *__wrap_cache_find(struct cache *cache, enum slice_type type,
				uint64_t offset)
{
	struct slice *slice = __real_cache_find(cache, type, offset);

	scheduler_yield();
	return slice;
}
