// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qemu-img makes the images.  Each sector of an image that is not empty holds a
 * stamp, as if an operation of the number STAMPED had written the sector.
 */
#include <stdlib.h>
#include "qcow/bits.h"
#include "tests/engine/geometry.h"
#include "tests/lib/helpers.h"

#define SECTOR 512u

const struct geometry geometries[] = {
	{ "cluster_size=512", 512, "96K", EMPTY },
	{ "cluster_size=512,refcount_bits=64", 512, "200K", EMPTY },
	{ "cluster_size=512,refcount_bits=64", 512, "5200K", NEARLY_FULL },
	{ "cluster_size=512,refcount_bits=1", 512, "65024", EMPTY },
	{ "cluster_size=1024,compat=0.10", 1024, "100K", EMPTY },
	{ "cluster_size=4096", 4096, "300K", EMPTY },
	{ "cluster_size=4096,refcount_bits=64", 4096, "3000384", EMPTY },
	{ "cluster_size=4096,preallocation=metadata", 4096, "256K", EMPTY },
	{ "cluster_size=65536", 65536, "1M", EMPTY },
	{ "cluster_size=65536,compat=0.10,preallocation=full", 65536, "640K",
	  EMPTY },
	{ "cluster_size=16384,extended_l2=on", 16384, "500K", EMPTY },
	{ "cluster_size=16384,extended_l2=on", 16384, "300K", OVERLAY },
	{ "cluster_size=16384,extended_l2=on", 16384, "300K", SNAPSHOT },
	{ "cluster_size=4096", 4096, "200K", COMPRESSED },
	{ "cluster_size=1024,compat=0.10", 1024, "90K", COMPRESSED },
	{ "cluster_size=512", 512, "70K", SNAPSHOT },
	{ "cluster_size=4096", 4096, "200K", SNAPSHOT },
	{ "cluster_size=4096", 4096, "190K", OVERLAY },
	{ "cluster_size=512,compat=0.10", 512, "70K", OVERLAY },
	{ "cluster_size=512", 512, "70K", DEVICE },
	{ "cluster_size=32768,extended_l2=on", 32768, "600K", DEVICE },
};
const unsigned int nr_geometries = ARRAY_SIZE(geometries);

/* Makes a raw file whose sectors carry the stamp from before all operations. */
static void make_stamped(const char *path, uint64_t size)
{
	uint64_t *words = malloc(size);

	for (uint64_t i = 0; i < size / 8; i++)
		words[i] = (uint64_t)STAMPED << 32 | (i * 8 / SECTOR + 1);
	write_file(path, words, size);
	free(words);
}

uint64_t geometry_make(const struct geometry *geometry, const char *path)
{
	char *raw = scratch_path("raw");
	uint64_t size;

	must_run("rm -f %s", path);
	must_run("qemu-img create -q -f raw %s %s", raw, geometry->size);
	free(read_file(raw, &size));
	if (geometry->base >= COMPRESSED)
		make_stamped(raw, size);
	if (geometry->base == COMPRESSED || geometry->base == SNAPSHOT)
		must_run("qemu-img convert -f raw %s -O qcow2 -o %s %s %s",
			 geometry->base == COMPRESSED ? "-c" : "",
			 geometry->options, raw, path);
	else if (geometry->base == OVERLAY)
		must_run("qemu-img create -q -f qcow2 -o %s -b %s -F raw %s",
			 geometry->options, raw, path);
	else
		must_run("qemu-img create -q -f qcow2 -o %s %s %s",
			 geometry->options, path, geometry->size);
	if (geometry->base == SNAPSHOT)
		must_run("qemu-img snapshot -c one %s", path);
	if (geometry->base == NEARLY_FULL)
		must_run("qemu-io -c 'write -q -P 0 0 1960K' %s", path);
	free(raw);
	return size;
}
