// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The commands of the stand-in for qemu-io that move bytes: read, write, and
 * their likes.  Those that begin with aio_ are done by threads of their own;
 * their results are printed in the order in which they were asked for.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/foreign/stand-in.h"

#define LENGTH_MAX 2147483136ll /* of one request, says QEMU's block layer */
#define FRESH_READ 0xab		/* the buffer before a read */
#define FRESH	   0xcd

struct transfer {
	struct transfer *next; /* of those with a thread */
	pthread_t thread;
	char name[16]; /* of the command */
	bool writes, beside;
	bool zeroes, unmap, durable, any_length;
	bool quiet, machine, dump, check;
	int pattern;
	const char *file; /* its bytes are written.  NULL: the pattern is */
	int64_t check_from, check_length; /* -1: to the end */
	int64_t offset, length;
	uint8_t *bytes; /* NULL: zeros */
	int result;
};

static struct transfer *beside; /* the first is the newest */

/* -EINVAL, and it has said so. */
static int must_be_number(const char *text, int64_t *number)
{
	*number = words_number(text);
	return *number < 0 ? (int)*number : 0;
}

static int take_option(struct transfer *t, int option)
{
	t->zeroes |= option == 'z';
	t->unmap |= option == 'u';
	t->durable |= option == 'f';
	t->any_length |= option == 'n';
	t->quiet |= option == 'q';
	t->machine |= option == 'C';
	t->dump |= option == 'v';
	t->check |= option == 'P';
	if (option == 'P') {
		t->pattern = words_pattern(optarg);
		return t->pattern < 0 ? t->pattern : 0;
	}
	if (option == 'l')
		return must_be_number(optarg, &t->check_length);
	if (option == 's' && !t->writes)
		return must_be_number(optarg, &t->check_from);
	if (option == 's')
		t->file = optarg;
	return option == '?' ? -EINVAL : 0;
}

static int check_options(const struct transfer *t)
{
	const char *wrong = NULL;

	if (!t->writes)
		return 0;
	if (t->any_length && !t->zeroes)
		wrong = "-n requires -z to be specified";
	else if (t->unmap && !t->zeroes)
		wrong = "-u requires -z to be specified";
	else if (t->zeroes + t->check + !!t->file > 1)
		wrong = "Only one of -z, -P, and -s can be specified at the same time";
	if (wrong)
		puts(wrong);
	return wrong ? -EINVAL : 0;
}

static int check_length(const struct transfer *t, const char *text)
{
	int64_t from = t->check_from, length = t->check_length;

	if (t->length > LENGTH_MAX && !t->any_length) {
		printf("length cannot exceed %lld%s, given %s\n", LENGTH_MAX,
		       t->writes ? " without -n" : "", text);
		return -EINVAL;
	}
	if (t->writes || (from <= t->length && length <= t->length - from))
		return 0;
	printf("pattern verification range exceeds end of read data\n");
	return -EINVAL;
}

/* Offset and length, which may be in several pieces. */
static int take_range(struct transfer *t, int argc, char **argv)
{
	int64_t piece;
	int ret;

	if (argc < 2)
		return -EINVAL;
	ret = must_be_number(argv[0], &t->offset);
	for (int i = 1; !ret && i < argc; i++) {
		ret = must_be_number(argv[i], &piece);
		t->length += piece;
	}
	return ret ? ret : check_length(t, argv[1]);
}

static int parse(struct transfer *t, int argc, char **argv)
{
	int option, ret = 0;

	snprintf(t->name, sizeof(t->name), "%s", argv[0]);
	t->check_length = -1;
	t->pattern = t->writes ? FRESH : 0;
	optind = 0;
	while (!ret && (option = getopt(argc, argv, "CfnpP:qs:l:uvz")) != -1)
		ret = take_option(t, option);
	if (!ret)
		ret = check_options(t);
	if (!ret)
		ret = take_range(t, argc - optind, argv + optind);
	return ret;
}

/* The file's bytes, as often as they fit in. */
static int fill_from_file(struct transfer *t)
{
	FILE *file = fopen(t->file, "r");
	size_t got;

	if (!file) {
		perror(t->file);
		return -EINVAL;
	}
	got = fread(t->bytes, 1, t->length, file);
	fclose(file);
	if (!got) {
		fprintf(stderr, "%s: file is empty\n", t->file);
		return -EINVAL;
	}
	for (size_t at = got; at < (size_t)t->length; at++)
		t->bytes[at] = t->bytes[at - got];
	return 0;
}

static int fill(struct transfer *t)
{
	if (t->zeroes)
		return 0;
	t->bytes = aligned_alloc(4096, (t->length | 4095) + 1);
	if (!t->bytes)
		return -ENOMEM;
	memset(t->bytes, t->writes ? t->pattern : FRESH_READ, t->length);
	return t->file ? fill_from_file(t) : 0;
}

static void *move(void *opaque)
{
	struct transfer *t = opaque;

	if (!t->writes)
		t->result = served_read(t->bytes, t->offset, t->length);
	else if (t->zeroes)
		t->result = served_zero(t->offset, t->length, t->unmap);
	else
		t->result = served_write(t->bytes, t->offset, t->length);
	if (!t->result && t->durable)
		t->result = served_flush();
	return NULL;
}

static int compare(const struct transfer *t)
{
	int64_t length = t->check_length;

	if (length < 0)
		length = t->length - t->check_from;
	for (int64_t i = 0; i < length; i++)
		if (t->bytes[t->check_from + i] != t->pattern) {
			printf("Pattern verification failed at offset %" PRId64
			       ", %" PRId64 " bytes\n",
			       t->offset + t->check_from, length);
			return -EINVAL;
		}
	return 0;
}

/* aio_read says "readv", as QEMU's does. */
static int tell(const struct transfer *t)
{
	const char *name = t->beside && !t->writes ? "readv" : t->name;
	int ret = t->result;

	if (!strcmp(name, "r") || !strcmp(name, "w"))
		name = t->writes ? "write" : "read";
	if (ret) {
		printf("%s failed: %s\n", name, strerror(-ret));
		return ret;
	}
	if (t->check && !t->writes)
		ret = compare(t);
	if (t->quiet)
		return ret;
	if (t->dump)
		words_dump(t->bytes, t->offset, t->length);
	words_report(t->writes ? "wrote" : "read", t->offset, t->length,
		     t->machine);
	return ret;
}

static void let_go(struct transfer *t)
{
	free(t->bytes);
	free(t);
}

static int tell_now(struct transfer *t)
{
	int ret;

	move(t);
	ret = tell(t);
	let_go(t);
	return ret;
}

static int begin(struct transfer *t)
{
	int ret = pthread_create(&t->thread, NULL, move, t);

	if (ret) {
		let_go(t);
		return -ret;
	}
	t->next = beside;
	beside = t;
	return 0;
}

static int transfer(bool writes, int argc, char **argv)
{
	struct transfer *t = calloc(1, sizeof(*t));
	int ret;

	if (!t)
		return -ENOMEM;
	t->writes = writes;
	t->beside = !strncmp(argv[0], "aio_", 4);
	ret = parse(t, argc, argv);
	if (!ret && writes && served_read_only()) {
		fprintf(stderr, "qemu-io: Block node is read-only\n");
		ret = -EROFS;
	}
	if (!ret)
		ret = fill(t);
	if (ret) {
		let_go(t);
		return ret;
	}
	return t->beside ? begin(t) : tell_now(t);
}

int transfer_read(int argc, char **argv)
{
	return transfer(false, argc, argv);
}

int transfer_write(int argc, char **argv)
{
	return transfer(true, argc, argv);
}

int transfer_discard(int argc, char **argv)
{
	struct transfer t = { .writes = true,
			      .any_length = true,
			      .zeroes = true };
	int ret = parse(&t, argc, argv);

	if (ret)
		return ret;
	ret = served_read_only() ? -EPERM : served_discard(t.offset, t.length);
	if (ret)
		printf("discard failed: %s\n", strerror(-ret));
	else if (!t.quiet)
		words_report("discard", t.offset, t.length, t.machine);
	return ret;
}

int transfer_flush(int argc, char **argv)
{
	int ret = served_flush();

	(void)argc;
	(void)argv;
	if (ret)
		printf("flush failed: %s\n", strerror(-ret));
	return ret;
}

int transfer_wait(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	transfer_end();
	return 0;
}

/* The oldest first. */
static struct transfer *take_all(void)
{
	struct transfer *oldest = NULL, *t;

	while ((t = beside)) {
		beside = t->next;
		t->next = oldest;
		oldest = t;
	}
	return oldest;
}

void transfer_end(void)
{
	struct transfer *next;

	for (struct transfer *t = take_all(); t; t = next) {
		next = t->next;
		pthread_join(t->thread, NULL);
		tell(t);
		let_go(t);
	}
}
