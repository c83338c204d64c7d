// SPDX-License-Identifier: GPL-2.0-or-later
/* The load program's command line. */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/load/load.h"

struct options options = {
	.depth = 8,
	.max_blocks = 1,
	.mix = { 100 },
	.geometry = { .block = 4096, .seed = 1, .zero = 1 },
};

void die(int error, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fprintf(stderr, "load: ");
	vfprintf(stderr, format, ap);
	fprintf(stderr, error ? ": %s\n" : "\n", strerror(error));
	va_end(ap);
	exit(2);
}

static const char usage_text[] =
	"usage: load [OPTION]... DISK\n"
	"  --block SIZE         bytes of a block (4K)\n"
	"  --stride SIZE        from one block to the next (the block's size)\n"
	"  --offset SIZE        where the first block lies (0)\n"
	"  --size SIZE          how much of the disk is used (all)\n"
	"  --max-blocks N       one request takes 1 to N blocks (1)\n"
	"  --depth N            requests under way (8)\n"
	"  --mix WRITE,READ,DISCARD,ZEROES   weights (100,0,0,0)\n"
	"  --discard-align SIZE discards are aligned to this (the block's size)\n"
	"  --sequential         instead of random\n"
	"  --seed N             (1)\n"
	"  --seconds N, --ops N how long; else until SIGTERM\n"
	"  --rate N             requests a second, at most\n"
	"  --fsync-every N      fdatasync after N writes (never)\n"
	"  --dsync-every N      the Nth write is one that is durable (never)\n"
	"  --ledger FILE        record acknowledged writes here, or go on\n"
	"  --later FILE         writes issued in this later ledger are right, too\n"
	"  --latencies FILE     when each request ended, and how many ms it took\n"
	"  --unknown            untouched blocks may hold anything, not zeroes\n"
	"  --verify             at the end, read all and compare\n"
	"  --touched-only       verify only where something was written\n"
	"  --verify-only        nothing else; the ledger knows the geometry\n"
	"  --tolerate-errors    I/O errors are counted but are no failure\n"
	"  --tell               the first request done, the first error\n"
	"Exit status: 0; 1 if something was wrong; 2 if it could not run.\n";

static uint64_t parse_size(const char *text)
{
	static const char units[] = "KMGT";
	char *end;
	uint64_t value = strtoull(text, &end, 0);
	const char *unit;

	if (*end) {
		unit = strchr(units, *end);
		if (!unit || end[1])
			die(0, "not a size: %s", text);
		value <<= 10 * (unit - units + 1);
	}
	return value;
}

static void parse_mix(const char *text)
{
	unsigned int *mix = options.mix;

	mix[READ] = mix[DISCARD] = mix[ZEROES] = 0;
	if (sscanf(text, "%u,%u,%u,%u", &mix[WRITE], &mix[READ], &mix[DISCARD],
		   &mix[ZEROES]) < 1 ||
	    !(mix[WRITE] + mix[READ] + mix[DISCARD] + mix[ZEROES]))
		die(0, "not a mix: %s", text);
}

static void parse_number(int c, const char *text)
{
	uint64_t n = parse_size(text);

	switch (c) {
	case 'b':
		options.geometry.block = (uint32_t)n;
		break;
	case 's':
		options.geometry.stride = n;
		break;
	case 'o':
		options.geometry.offset = n;
		break;
	case 'z':
		options.geometry.size = n;
		break;
	case 'x':
		options.geometry.seed = (uint32_t)n;
		break;
	case 'n':
		options.max_blocks = (unsigned int)n;
		break;
	case 'd':
		options.depth = (unsigned int)n;
		break;
	case 'a':
		options.discard_align = n;
		break;
	case 'f':
		options.fsync_every = (unsigned int)n;
		break;
	case 'D':
		options.dsync_every = (unsigned int)n;
		break;
	case 'i':
		options.ops = n;
		break;
	default:
		die(0, "%s", usage_text);
	}
}

static void parse_option(int c)
{
	switch (c) {
	case 'm':
		parse_mix(optarg);
		break;
	case 't':
		options.seconds = strtod(optarg, NULL);
		break;
	case 'r':
		options.rate = strtod(optarg, NULL);
		break;
	case 'l':
		options.ledger = optarg;
		break;
	case 'A':
		options.later = optarg;
		break;
	case 'L':
		options.latencies = optarg;
		break;
	case 'S':
		options.sequential = true;
		break;
	case 'U':
		options.geometry.zero = 0;
		break;
	case 'V':
		options.verify = true;
		break;
	case 'T':
		options.touched_only = true;
		break;
	case 'O':
		options.verify_only = true;
		break;
	case 'E':
		options.tolerate = true;
		break;
	case 'W':
		options.tell = true;
		break;
	default:
		if (!optarg)
			die(0, "%s", usage_text);
		parse_number(c, optarg);
	}
}

void parse_options(int argc, char **argv)
{
	static const struct option names[] = {
		{ "block", 1, NULL, 'b' },
		{ "stride", 1, NULL, 's' },
		{ "offset", 1, NULL, 'o' },
		{ "size", 1, NULL, 'z' },
		{ "max-blocks", 1, NULL, 'n' },
		{ "depth", 1, NULL, 'd' },
		{ "mix", 1, NULL, 'm' },
		{ "discard-align", 1, NULL, 'a' },
		{ "sequential", 0, NULL, 'S' },
		{ "seed", 1, NULL, 'x' },
		{ "seconds", 1, NULL, 't' },
		{ "ops", 1, NULL, 'i' },
		{ "rate", 1, NULL, 'r' },
		{ "fsync-every", 1, NULL, 'f' },
		{ "dsync-every", 1, NULL, 'D' },
		{ "ledger", 1, NULL, 'l' },
		{ "later", 1, NULL, 'A' },
		{ "latencies", 1, NULL, 'L' },
		{ "unknown", 0, NULL, 'U' },
		{ "verify", 0, NULL, 'V' },
		{ "touched-only", 0, NULL, 'T' },
		{ "verify-only", 0, NULL, 'O' },
		{ "tolerate-errors", 0, NULL, 'E' },
		{ "tell", 0, NULL, 'W' },
		{ NULL, 0, NULL, 0 }
	};
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1)
		parse_option(c);
	if (optind + 1 != argc)
		die(0, "%s", usage_text);
	options.path = argv[optind];
}
