// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The memory of a merge outlives its servers.
 *
 * The supervisor shares this memory with each server by the fork: no file has
 * to be removed, and no other process can have it.  The supervisor never reads
 * it.  The memory is right as long as nobody but these servers writes to the
 * image or to the layer (qcow/granules.c).  So it lives as long as our locks on
 * both are unbroken (P4, R14), and no longer:
 *
 * - Each merge begins with zeros, for between two merges there is a server that
 *   does not merge.
 * - With `recover --force` an image is opened without its journal, and perhaps
 *   without the clusters that the merge has linked.
 * - A supervisor that follows us begins with zeros: the files were ours and the
 *   server's, but no lock of ours says so any more.
 *
 * Without that memory, a server merges all that the overlay hides.
 */
#include <sys/mman.h>

#include "plugin/supervisor/watch.h"

void kept_drop(struct supervisor *sv)
{
	if (sv->kept.size)
		munmap(sv->kept.memory, sv->kept.size);
	sv->kept.memory = NULL;
	sv->kept.size = 0;
}

void kept_prepare(struct supervisor *sv)
{
	const size_t size = qcow_merge_kept_size(sv->disk.size);
	void *memory;

	if (!sv->disk.merging || sv->force_open || sv->kept.size != size)
		kept_drop(sv);
	if (!sv->disk.merging || sv->kept.size)
		return;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return;
	sv->kept.memory = memory;
	sv->kept.size = size;
}
