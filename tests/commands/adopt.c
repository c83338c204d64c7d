// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A supervisor adopts a disk whose record it cannot read just now: then it does
 * not write that record, which would forget the disk's layers.
 */
#include <errno.h>
#include <stdbool.h>

#include "plugin/supervisor/watch.h"
#include "tests/lib/helpers.h"

static int load_result, layers_result;
static unsigned int saved, refused;

int __wrap_disk_load(int id, struct disk *disk);
int __wrap_disk_load(int id, struct disk *disk)
{
	*disk = (struct disk){ .id = id, .nonce = 7 };
	return load_result;
}

int __wrap_disk_load_layers(int id, struct layers *layers);
int __wrap_disk_load_layers(int id, struct layers *layers)
{
	(void)id;
	(void)layers;
	return layers_result;
}

int __wrap_disk_save(const struct disk *disk, const struct layers *layers);
int __wrap_disk_save(const struct disk *disk, const struct layers *layers)
{
	(void)disk;
	(void)layers;
	saved++;
	return -ENOSPC;
}

void __wrap_watch_settle(struct supervisor *sv, bool failed, const char *format,
			 ...);
void __wrap_watch_settle(struct supervisor *sv, bool failed, const char *format,
			 ...)
{
	(void)sv;
	(void)format;
	refused += failed;
}

/* Does it come to the write, which fails here? */
static void adopt(int load, int layers, int expected)
{
	struct supervisor sv = { .disk = { .id = 3, .nonce = 7 } };
	int ret;

	load_result = load;
	layers_result = layers;
	saved = refused = 0;
	ret = adopt_disk(&sv);
	if (ret != expected || refused != 1 || saved != (ret == -ENOSPC))
		die("record %d, layers %d: %d and not %d, %u writes", load,
		    layers, ret, expected, saved);
}

int main(void)
{
	adopt(0, 0, -ENOSPC);
	adopt(-ENFILE, 0, -ENFILE);
	adopt(0, -ENFILE, -ENFILE);
	adopt(0, -ENOMEM, -ENOMEM);
	/* A list of an older version. */
	adopt(0, -EINVAL, -ENOSPC);
	return 0;
}
