// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The files and devices that the domains of a host use: the sources of their
 * disks, and the images of the disks that are ours.
 *
 * A domain that runs has two definitions: the one that it runs with, and the
 * one that it will start with.  Both count.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "plugin/libvirt/child.h"
#include "plugin/libvirt/host.h"
#include "plugin/libvirt/rewrite.h"

#define LOOK_PATIENCE 2000 /* ms */

int host_add(struct host *host, const char *domain, const char *path)
{
	struct host_path *grown, *new;

	grown = reallocarray(host->paths, host->nr_paths + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	host->paths = grown;
	new = &grown[host->nr_paths];
	new->domain = strdup(domain);
	new->path = strdup(path);
	if (new->domain &&new->path) {
		host->nr_paths++;
		return 0;
	}
	free(new->domain);
	free(new->path);
	return -ENOMEM;
}

static int add_xml(struct host *host, const char *xml)
{
	char why[DOMAIN_REASON_MAX];
	struct rewrite rewrite;
	int ret = rewrite_read(xml, REWRITE_FORTH, &rewrite, why);
	size_t i;

	for (i = 0; i < rewrite.nr_disks && !ret; i++) {
		const struct rewrite_disk *disk = &rewrite.disks[i];

		if (disk->source)
			ret = host_add(host, rewrite.domain, disk->source);
		if (!ret && disk->entry && disk->file)
			ret = host_add(host, rewrite.domain, disk->file);
	}
	rewrite_free(&rewrite);
	return ret;
}

/* A domain may go while we look: then it uses nothing. */
static int add_definition(struct host *host, virDomainPtr domain,
			  unsigned int flags)
{
	char *xml = virDomainGetXMLDesc(domain, flags);
	int ret = xml ? add_xml(host, xml) : 0;

	free(xml);
	return ret;
}

static int add_domain(struct host *host, virDomainPtr domain)
{
	int ret = add_definition(host, domain, VIR_DOMAIN_XML_INACTIVE);

	if (!ret && virDomainIsActive(domain) == 1)
		ret = add_definition(host, domain, 0);
	return ret;
}

int host_read(virConnectPtr connection, struct host *host)
{
	virDomainPtr *domains;
	int i, nr, ret = 0;

	*host = (struct host){ 0 };
	nr = virConnectListAllDomains(connection, &domains, 0);
	if (nr < 0)
		return -EIO;
	for (i = 0; i < nr; i++) {
		if (!ret)
			ret = add_domain(host, domains[i]);
		virDomainFree(domains[i]);
	}
	free(domains);
	return ret;
}

void host_free(struct host *host)
{
	while (host->nr_paths--) {
		free(host->paths[host->nr_paths].domain);
		free(host->paths[host->nr_paths].path);
	}
	free(host->paths);
	*host = (struct host){ 0 };
}

struct pair {
	const char *a, *b;
};

static int compare(const void *argument)
{
	const struct pair *pair = argument;
	struct stat st_a, st_b;

	return !stat(pair->a, &st_a) && !stat(pair->b, &st_b) &&
			       st_a.st_dev == st_b.st_dev &&
			       st_a.st_ino == st_b.st_ino ?
		       EXIT_SUCCESS :
		       EXIT_FAILURE;
}

/* One path is another domain's, whose storage may hang, so a child looks.  If
   the child gets no answer, the paths alone decide. */
static bool same_file(const char *a, const char *b)
{
	const struct pair pair = { .a = a, .b = b };
	size_t length;

	return !strcmp(a, b) ||
	       !child_run(compare, &pair, LOOK_PATIENCE, NULL, 0, &length);
}

const char *host_user(const struct host *host, const char *path,
		      const char *domain)
{
	size_t i;

	for (i = 0; i < host->nr_paths; i++)
		if (strcmp(host->paths[i].domain, domain) != 0 &&
		    same_file(host->paths[i].path, path))
			return host->paths[i].domain;
	return NULL;
}

bool host_has(const struct host *host, const char *path)
{
	size_t i;

	for (i = 0; i < host->nr_paths; i++)
		if (!strcmp(host->paths[i].path, path))
			return true;
	return false;
}
