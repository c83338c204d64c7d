// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Our check beside qemu-img's.
 *
 * Sound images of every kind must be found sound, with the same figures.  Each
 * image of a second list is broken in each way (lib/breakages.c); then
 *
 *	check		both say the same: sound, corrupt or leaking
 *	-r leaks,	qemu-img check must like our repaired image at least
 *	-r all		as well as qemu-img's own repair of the same image,
 *			and the guest must see the same bytes as before
 *
 * usage: check-image
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/breakages.h"
#include "tests/lib/helpers.h"
#include "tests/lib/qemu-check.h"

static unsigned long checks;

/* ---- sound images ---- */

/* Commands of the shell; $i is the image, $d a file beside it. */
static const char *const recipes[] = {
	"qemu-img create -q -f qcow2 -o cluster_size=512,refcount_bits=1 $i 9M;"
	"qemu-io -c 'write -q 0 3M' -c 'write -q 7M 1M' $i",
	"qemu-img create -q -f qcow2 -o cluster_size=512,refcount_bits=64 $i 9M;"
	"qemu-io -c 'write -q 0 3M' -c 'write -qz 1M 1M' $i",
	"qemu-img create -q -f qcow2 -o cluster_size=4k,refcount_bits=2 $i 64M;"
	"qemu-io -c 'write -q 1M 9M' -c 'discard -q 2M 2M' $i",
	"qemu-img create -q -f qcow2 -o cluster_size=2M,refcount_bits=32 $i 1T;"
	"qemu-io -c 'write -q 1M 9M' -c 'write -q 900G 4k' $i",
	"qemu-img create -q -f qcow2 -o compat=0.10 $i 64M;"
	"qemu-io -c 'write -q 1M 9M' $i",
	"qemu-img create -q -f qcow2 -o preallocation=metadata $i 64M",
	"qemu-img create -q -f qcow2 -o extended_l2=on $i 64M;"
	"qemu-io -c 'write -q 1M 2k' -c 'write -q 3M 1M' -c 'write -qz 3M 8k' $i",
	"qemu-img create -q -f qcow2 -o data_file=$d $i 64M;"
	"qemu-io -c 'write -q 1M 9M' $i",
	"qemu-img create -q -f qcow2 -o data_file=$d,data_file_raw=on $i 64M;"
	"qemu-io -c 'write -q 1M 9M' $i",
	"qemu-img create -q -f qcow2 $i 64M; qemu-io -c 'write -q 1M 9M' $i;"
	"qemu-img snapshot -c a $i; qemu-io -c 'write -q 2M 3M' $i;"
	"qemu-img snapshot -c b $i; qemu-io -c 'write -q 0 64k' $i;"
	"qemu-img snapshot -c c $i; qemu-img snapshot -d a $i",
	"qemu-img create -q -f qcow2 $i 512M; qemu-img bitmap --add $i a;"
	"qemu-img bitmap --add -g 4k $i b; qemu-io -c 'write -q 9M 1M' $i",
	"head -c 3M /dev/urandom >$d; yes | head -c 9M >>$d;"
	"qemu-img convert -c -O qcow2 $d $i",
	"head -c 1M /dev/urandom >$d; yes | head -c 2M >>$d;"
	"qemu-img convert -c -O qcow2 -o cluster_size=4k,compression_type=zstd $d $i",
	"head -c 1M /dev/urandom >$d; yes | head -c 2M >>$d;"
	"qemu-img convert -c -O qcow2 -o cluster_size=512 $d $i;"
	"qemu-img snapshot -c a $i; qemu-io -c 'write -q 9k 99k' $i",
	"qemu-img create -q -f qcow2 -o lazy_refcounts=on $i 64M;"
	"qemu-io -c 'write -q 1M 9M' $i",
	MAKE_LUKS("cluster_size=64k", "64M", "write -q 1M 9M"),
};

/* ---- ours and theirs ---- */

static int ours(const char *path, enum qcow_repair repair, size_t memory,
		struct qcow_check *result)
{
	checks++;
	return check_ours(path, repair, memory, result);
}

/* The value of a figure in qemu-img's output; 0 if it has no such figure. */
static uint64_t their_figure(const char *key)
{
	char *path = scratch_path("qemu"), *text, *at;
	uint64_t figure = 0;
	size_t size;

	text = (char *)read_file(path, &size);
	text[size] = 0;
	at = strstr(text, key);
	if (at)
		figure = strtoull(at + strlen(key) + 2, NULL, 10);
	free(text);
	free(path);
	return figure;
}

static void same_figure(const char *what, const char *key, uint64_t our)
{
	if (their_figure(key) != our)
		die("%s: %s is %lu, ours %lu", what, key, their_figure(key),
		    our);
}

static void test_sound(const char *recipe, size_t memory)
{
	struct qcow_check result;
	char *image = scratch_path("sound");

	must_run("rm -f %s %s/data; i=%s d=%s/data; %s", image, scratch(),
		 image, scratch(), recipe);
	if (check_theirs(image, "--output=json"))
		die("%s: not sound to begin with", recipe);
	if (ours(image, QCOW_REPAIR_NONE, memory, &result))
		die("%s: sound, but we say: $(cat %s/told)", recipe, scratch());
	same_figure(recipe, "image-end-offset\"", result.image_end_offset);
	same_figure(recipe, "total-clusters\"", result.total_clusters);
	same_figure(recipe, "allocated-clusters\"", result.allocated_clusters);
	same_figure(recipe, "fragmented-clusters\"",
		    result.fragmented_clusters);
	same_figure(recipe, "compressed-clusters\"",
		    result.compressed_clusters);
	free(image);
}

/* ---- broken images ---- */

struct geometry {
	const char *options; /* of qemu-img create */
	const char *size;
	bool snapshot;
};

static const struct geometry geometries[] = {
	{ "cluster_size=64k", "64M", true },
	{ "cluster_size=4k,refcount_bits=64", "4M", false },
	{ "cluster_size=512,refcount_bits=8", "100k", true },
	{ "cluster_size=16k,extended_l2=on", "4M", true },
	{ "cluster_size=16k,extended_l2=on", "4M", false },
	{ "cluster_size=64k,compat=0.10", "1G", false },
	{ "cluster_size=2M,refcount_bits=32", "1G", true },
};

static const struct mode {
	const char *option;
	enum qcow_repair repair;
} modes[] = {
	{ "", QCOW_REPAIR_NONE },
	{ "-r leaks", QCOW_REPAIR_LEAKS },
	{ "-r all", QCOW_REPAIR_ALL },
};

/* How bad a status is. */
static int badness(int status)
{
	static const int order[] = { 0, 3, 2, 1 };

	return status >= 0 && status <= 3 ? order[status] : 4;
}

static void make_sound(const struct geometry *geometry, const char *path)
{
	must_run("qemu-img create -q -f qcow2 -o %s %s %s", geometry->options,
		 path, geometry->size);
	must_run(
		"qemu-io -c 'write -q -P 7 0 20k' -c 'write -q -P 8 40k 20k' %s",
		path);
	if (geometry->snapshot)
		must_run(
			"qemu-img snapshot -c a %s; qemu-io -c 'write -q -P 9 50k 10k' %s",
			path, path);
}

static void same_content(const char *what, enum content content,
			 const char *sound, const char *broken,
			 const char *after)
{
	int status;

	if (content == CONTENT_METADATA)
		return;
	status = run("qemu-img compare -q -U %s %s >/dev/null 2>&1",
		     content == CONTENT_SOUND ? sound : broken, after);
	/* A sector that could not be read before may not be readable now. */
	if (status == 1 || (content == CONTENT_SOUND && status))
		die("%s: the guest sees something else", what);
}

/* qemu-img gives up on a table that it cannot read, and does not call that
   corrupt.  It also gives up on some repairs of everything. */
static bool may_differ(enum qcow_repair repair, const char *broken, int our,
		       int their)
{
	if (our == their)
		return true;
	if (repair == QCOW_REPAIR_ALL)
		return badness(our) < badness(their);
	return our == STATUS_CORRUPT && their == STATUS_FAILED &&
	       check_theirs(broken, "") == STATUS_FAILED;
}

/* May qemu-img check say this after our repair with that status? */
static bool may_follow(int our, int after)
{
	return our == after ||
	       (our == STATUS_FAILED && after == STATUS_CORRUPT) ||
	       (our == STATUS_CORRUPT && after == STATUS_FAILED);
}

static void test_mode(const struct geometry *geometry,
		      const struct breakage *breakage, const struct mode *mode,
		      const char *sound, const char *broken)
{
	struct qcow_check result;
	int our, their, our_after, their_after;
	char *mine = scratch_path("mine"), *yours = scratch_path("yours");
	char what[200];

	snprintf(what, sizeof(what), "%s: %s, check %s", geometry->options,
		 breakage->name, mode->option);
	must_run("cp %s %s; cp %s %s", broken, mine, broken, yours);
	their = check_theirs(yours, mode->option);
	our = ours(mine, mode->repair, 0, &result);
	if (!breakage->ours && !may_differ(mode->repair, broken, our, their))
		die("%s: status %d, qemu-img %d", what, our, their);
	if (breakage->ours &&
	    our == (mode->repair == QCOW_REPAIR_ALL ? STATUS_CORRUPT :
						      STATUS_SOUND))
		die("%s: status %d", what, our);
	their_after = check_theirs(yours, "");
	our_after = check_theirs(mine, "");
	if (badness(our_after) > badness(their_after))
		die("%s: qemu-img says %d of ours, %d of its own", what,
		    our_after, their_after);
	if (!breakage->ours && !may_follow(our, our_after))
		die("%s: we say %d, qemu-img %d afterwards", what, our,
		    our_after);
	same_content(what, breakage->content, sound, broken, mine);
	free(mine);
	free(yours);
}

static void test_breakage(const struct geometry *geometry,
			  const struct breakage *breakage, const char *sound)
{
	char *broken = scratch_path("broken");
	size_t size;
	uint8_t *bytes = read_file(sound, &size);

	if (breakage->poke(bytes, size)) {
		write_file(broken, bytes, size);
		for (unsigned int m = 0; m < 3; m++)
			test_mode(geometry, breakage, &modes[m], sound, broken);
	}
	free(bytes);
	free(broken);
}

static void test_geometry(const struct geometry *geometry)
{
	char *sound = scratch_path("sound");

	must_run("rm -f %s", sound);
	make_sound(geometry, sound);
	for (unsigned int b = 0; b < nr_breakages; b++)
		test_breakage(geometry, &breakages[b], sound);
	free(sound);
}

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

int main(void)
{
	for (unsigned int r = 0; r < COUNT(recipes); r++)
		test_sound(recipes[r], 0);
	/* With next to no memory: many windows, many lists of tables. */
	for (unsigned int r = 0; r < COUNT(recipes); r++)
		test_sound(recipes[r], 1);
	for (unsigned int g = 0; g < COUNT(geometries); g++)
		if (g < 5 || effort() > 1)
			test_geometry(&geometries[g]);
	printf("%lu checks\n", checks);
	return 0;
}
