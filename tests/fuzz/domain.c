// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz target: the input is a domain's XML.
 *
 * The hook reads it, and refuses it with a reason or not.  Then the disks of
 * the domain are converted, and back.  A domain that the hook takes is one that
 * it takes when they are converted, and the way back leads to the same disks.
 */
#include <errno.h>
#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "memory.h"
#include "plugin/libvirt/rewrite.h"

static void expect(bool holds, const char *what)
{
	if (!holds)
		memory_complain(what);
}

/* Does the hook take it? */
static bool is_taken(const char *xml, struct domain *domain)
{
	char why[DOMAIN_REASON_MAX] = "";
	int ret = domain_parse(xml, strlen(xml), domain, why);

	if (!ret)
		ret = domain_check(domain, why);
	expect(!ret || ret == -EINVAL, "memory is short");
	expect(!ret || *why, "no reason");
	return !ret;
}

/* The domain with all disks converted that fit; NULL: none does. */
static char *converted(const char *xml, enum rewrite_way way)
{
	char why[DOMAIN_REASON_MAX] = "";
	struct rewrite rewrite;
	char *text = NULL;
	size_t i;
	int ret = rewrite_read(xml, way, &rewrite, why);

	if (!ret)
		ret = rewrite_choose(&rewrite, NULL, why);
	for (i = 0; !ret && i < rewrite.nr_disks; i++)
		snprintf(rewrite.disks[i].name, sizeof(rewrite.disks[i].name),
			 "new-%zu", i);
	if (!ret) {
		expect(!rewrite_do(&rewrite), "memory is short");
		text = rewrite_text(&rewrite);
	}
	expect(text || *why, "no reason");
	rewrite_free(&rewrite);
	return text;
}

static bool is_same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool is_same_disk(const struct domain_disk *a,
			 const struct domain_disk *b)
{
	return is_same_text(a->source, b->source) &&
	       is_same_text(a->target, b->target) &&
	       is_same_text(a->format, b->format) &&
	       is_same_text(a->cache, b->cache) && a->block == b->block;
}

/* The next that is a <disk>; NULL: there is none. */
static const struct domain_disk *next_disk(const struct domain *domain,
					   size_t *at)
{
	while (*at < domain->nr_disks && domain->disks[*at].inner)
		++*at;
	return *at < domain->nr_disks ? &domain->disks[(*at)++] : NULL;
}

/* The elements in a <disk> go and come with the disk: libvirt never says one
   twice, as an input does. */
static void expect_same_disks(const struct domain *a, const struct domain *b)
{
	const struct domain_disk *one, *other;
	size_t at_one = 0, at_other = 0;

	do {
		one = next_disk(a, &at_one);
		other = next_disk(b, &at_other);
		expect(!one == !other, "another number of disks");
		expect(!one || is_same_disk(one, other), "another disk");
	} while (one);
}

static void go_both_ways(const char *xml, const struct domain *domain)
{
	char *forth = converted(xml, REWRITE_FORTH);
	char *back = forth ? converted(forth, REWRITE_BACK) : NULL;
	struct domain after = { 0 };

	if (!forth)
		return;
	expect(is_taken(forth, &after), "is refused on the way forth");
	domain_free(&after);
	expect(back, "there is no way back");
	/* Other entries lead back to any path. */
	if (!domain->nr_ours) {
		expect(is_taken(back, &after), "is refused on the way back");
		expect_same_disks(domain, &after);
		domain_free(&after);
	}
	free(forth);
	free(back);
}

/* Do the ways forth and back survive it, at least? */
static void go_anyhow(const char *xml)
{
	free(converted(xml, REWRITE_FORTH));
	free(converted(xml, REWRITE_BACK));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char *xml = strndup((const char *)bytes, size);
	struct domain domain;

	if (is_taken(xml, &domain))
		go_both_ways(xml, &domain);
	else
		go_anyhow(xml);
	domain_free(&domain);
	free(xml);
	xmlResetLastError();
	return 0;
}
