// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Copies of neighbouring clusters are written together: the bytes of each are
 * at its place, neighbours make one write and others do not, and a write that
 * fails is nobody's failure but that of the cluster at fault.
 *
 * The ring is an array of files here: a transfer ends before the call returns,
 * but for a gathered one, whose end is kept to the end of the batch.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "plugin/server/inflight-inside.h"
#include "plugin/server/inflight.h"
#include "plugin/server/queue.h"
#include "tests/lib/helpers.h"

#define MOST	100 /* requests */
#define CLUSTER 8192u
#define OWN	1024u /* bytes of a request, in the middle */
#define BEFORE	2048u
#define ROOM	(4096 + CLUSTER)
#define FILES	2

static struct requests all;
static struct request requests[MOST];
static uint8_t files[FILES][MOST * CLUSTER];
static int ends[MOST]; /* of the requests; 1: none yet */
static struct gathered {
	struct request *first;
	unsigned int parts;
	uint32_t length;
	bool grows;
} gathered[MOST];
static unsigned int nr_gathered, nr_alone;
static int fate;	      /* of gathered writes, if it is not 0 */
static unsigned int at_fault; /* a cluster that nobody can write; or MOST */

/* Of cluster nr of a file. */
static uint8_t own_byte(unsigned int file, unsigned int nr)
{
	return 0x80 + nr + file * 64;
}

static unsigned int index_of(const struct request *request)
{
	return request - requests;
}

void queue_read(struct request *request, unsigned int extent, unsigned int file,
		void *buffer, uint32_t length, uint64_t offset)
{
	(void)extent, (void)file;
	memset(buffer, 1 + offset / CLUSTER, length);
	inflight_transferred(request, 0, length);
}

int queue_take_bytes(struct request *request, void *to, uint32_t position,
		     uint32_t length)
{
	const struct qcow_extent *extent = &request->io.extents[0];

	(void)position;
	memset(to, own_byte(extent->file, extent->offset / CLUSTER), length);
	return 0;
}

void queue_write(struct request *request, unsigned int extent,
		 unsigned int file, const void *buffer, uint32_t length,
		 uint64_t offset)
{
	bool fails = offset / CLUSTER == at_fault;

	(void)extent;
	nr_alone++;
	if (!fails)
		memcpy(files[file] + offset, buffer, length);
	inflight_transferred(request, 0, fails ? -EIO : (int)length);
}

void queue_write_gathered(struct request *first, unsigned int parts,
			  uint64_t offset, bool grows)
{
	struct gathered *write = &gathered[nr_gathered++];
	uint8_t *to = files[first->io.extents[0].file] + offset;

	*write = (struct gathered){ first, parts, 0, grows };
	for (unsigned int nr = 0; nr < parts; nr++) {
		if (!fate)
			memcpy(to + write->length, first->parts[nr].iov_base,
			       first->parts[nr].iov_len);
		write->length += first->parts[nr].iov_len;
	}
}

void request_moved(struct request *request)
{
	if (ends[index_of(request)] != 1)
		die("request %u ends twice", index_of(request));
	ends[index_of(request)] = request->result;
}

/* Nothing that a copy needs. */

void queue_writev(struct request *request, unsigned int extent,
		  unsigned int file, const struct iovec *vector,
		  unsigned int count, uint64_t offset)
{
	(void)request, (void)extent, (void)file, (void)vector, (void)count;
	(void)offset;
	abort();
}

void queue_sync(struct request *request, unsigned int file)
{
	(void)request, (void)file;
	abort();
}

void queue_read_fixed(struct request *request, unsigned int extent,
		      unsigned int file, uint32_t position, uint32_t length,
		      uint64_t offset)
{
	(void)request, (void)extent, (void)file, (void)position, (void)length;
	(void)offset;
	abort();
}

void queue_write_fixed(struct request *request, unsigned int extent,
		       unsigned int file, uint32_t position, uint32_t length,
		       uint64_t offset)
{
	queue_read_fixed(request, extent, file, position, length, offset);
}

int queue_give_bytes(struct request *request, uint32_t position,
		     uint32_t length)
{
	(void)request, (void)position, (void)length;
	abort();
}

/* A new world, in which nothing fails. */
static void begin(void)
{
	memset(files, 0, sizeof(files));
	all.alignment = 512;
	all.max_io = ROOM;
	nr_gathered = nr_alone = 0;
	fate = 0;
	at_fault = MOST;
	for (unsigned int nr = 0; nr < MOST; nr++)
		ends[nr] = 1;
}

/* Request nr begins, for that cluster of the file. */
static void copy_at(unsigned int nr, unsigned int file, unsigned int cluster)
{
	struct request *request = &requests[nr];

	if (!request->buffer)
		request->buffer = malloc(ROOM);
	request->all = &all;
	request->op = UBLK_IO_OP_WRITE;
	request->length = OWN;
	request->io = (struct qcow_io){ .nr_extents = 1 };
	request->io.extents[0] = (struct qcow_extent){
		.kind = QCOW_EXTENT_DATA,
		.file = file,
		.length = OWN,
		.offset = (uint64_t)cluster * CLUSTER + BEFORE,
	};
	request->io.copy.before = BEFORE;
	request->io.copy.after = CLUSTER - BEFORE - OWN;
	request->io.copy.offset = (uint64_t)cluster * CLUSTER;
	inflight_start(request);
}

/* The batch ends, and all that was written in it. */
static void finish(unsigned int count)
{
	gather_start(&all);
	for (unsigned int nr = 0; nr < nr_gathered; nr++)
		inflight_gathered(gathered[nr].first,
				  fate ? fate : (int)gathered[nr].length);
	for (unsigned int nr = 0; nr < count; nr++)
		if (ends[nr] == 1)
			die("request %u has no end", nr);
}

static void check_cluster(unsigned int file, unsigned int cluster)
{
	const uint8_t *bytes = files[file] + (size_t)cluster * CLUSTER;

	for (unsigned int at = 0; at < CLUSTER; at++) {
		bool own = at >= BEFORE && at < BEFORE + OWN;
		uint8_t wanted = own ? own_byte(file, cluster) : 1 + cluster;

		if (bytes[at] != wanted)
			die("byte %u of cluster %u of file %u", at, cluster,
			    file);
	}
}

static void expect(unsigned int together, unsigned int alone)
{
	if (nr_gathered != together || nr_alone != alone)
		die("%u writes of several, not %u; %u of one, not %u",
		    nr_gathered, together, nr_alone, alone);
}

/* Ten neighbours that become whole in any order. */
static void test_neighbours(void)
{
	static const unsigned int order[] = { 4, 9, 0, 3, 1, 8, 2, 7, 5, 6 };

	begin();
	for (unsigned int nr = 0; nr < 10; nr++)
		copy_at(nr, 0, 20 + order[nr]);
	if (nr_gathered + nr_alone)
		die("a copy does not wait for the others of its batch");
	finish(10);
	expect(1, 0);
	for (unsigned int nr = 0; nr < 10; nr++) {
		check_cluster(0, 20 + nr);
		if (ends[nr])
			die("neighbour %u fails", nr);
	}
}

/* Two runs and one alone; what follows in number is in another file. */
static void test_gaps(void)
{
	static const unsigned int of[][2] = { { 0, 5 }, { 0, 6 },  { 1, 10 },
					      { 0, 9 }, { 1, 11 }, { 0, 3 } };

	begin();
	for (unsigned int nr = 0; nr < 6; nr++)
		copy_at(nr, of[nr][0], of[nr][1]);
	finish(6);
	expect(2, 2);
	for (unsigned int nr = 0; nr < 6; nr++)
		check_cluster(of[nr][0], of[nr][1]);
}

/* Each cluster is tried by itself then, and one of them fails. */
static void test_failure(int result)
{
	begin();
	fate = result;
	at_fault = 12;
	for (unsigned int nr = 0; nr < 5; nr++)
		copy_at(nr, 0, 10 + nr);
	finish(5);
	expect(1, 5);
	for (unsigned int nr = 0; nr < 5; nr++) {
		if (ends[nr] != (nr == 2 ? -EIO : 0))
			die("%d: request %u has the error %d", result, nr,
			    ends[nr]);
		if (nr != 2)
			check_cluster(0, 10 + nr);
	}
}

/* More than a vector has parts for. */
static void test_many(void)
{
	begin();
	for (unsigned int nr = 0; nr < MOST; nr++)
		copy_at(nr, 0, nr);
	finish(MOST);
	for (unsigned int nr = 0; nr < MOST; nr++)
		check_cluster(0, nr);
	for (unsigned int nr = 0; nr < nr_gathered; nr++)
		if (gathered[nr].parts > REQUEST_PARTS)
			die("a write of %u parts", gathered[nr].parts);
	expect(3, 0);
}

/* Parts that direct I/O would refuse stay alone. */
static void test_alignment(void)
{
	begin();
	all.alignment = 2 * CLUSTER;
	copy_at(0, 0, 0);
	copy_at(1, 0, 1);
	finish(2);
	expect(0, 2);
}

/* A write that makes the file longer must not hold the ring up. */
static void test_growth(void)
{
	begin();
	copy_at(0, 0, 0);
	copy_at(1, 0, 1);
	copy_at(2, 0, 3);
	copy_at(3, 0, 4);
	requests[1].io.extents[0].grows = true;
	finish(4);
	expect(2, 0);
	if (!gathered[0].grows || gathered[1].grows)
		die("the ring is not told which write grows the file");
}

int main(void)
{
	test_neighbours();
	test_gaps();
	test_failure(-EIO);
	test_failure(-EAGAIN);
	test_failure(CLUSTER + 512);
	test_failure(5 * CLUSTER - 512);
	test_many();
	test_alignment();
	test_growth();
	for (unsigned int nr = 0; nr < MOST; nr++)
		free(requests[nr].buffer);
	return 0;
}
