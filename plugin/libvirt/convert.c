// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `convert`: redefines a domain so that its disks are served by us, or no
 * longer.
 *
 * Before it changes anything, the command looks for all that would keep the
 * domain from starting again, or change its data.  A refusal has the remedy.
 * Then there is a single change, which libvirt makes: the new definition.
 *
 * With --all each domain is on its own, and gets one line.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin/libvirt/candidate.h"
#include "plugin/libvirt/commands.h"
#include "plugin/libvirt/connection.h"
#include "plugin/libvirt/convert.h"
#include "plugin/libvirt/difference.h"
#include "plugin/libvirt/host.h"
#include "plugin/libvirt/plug.h"
#include "plugin/libvirt/rewrite.h"
#include "plugin/libvirt/xml.h"
#include "plugin/common/log.h"
#include "plugin/common/text.h"

#define HOOK SYSCONFDIR "/libvirt/hooks/qemu.d/ublk-qcow2"

/* Beside 0 and EXIT_FAILURE: the domain has no disk to convert. */
#define NOTHING_TO_DO (-1)

/* --- the disks ----------------------------------------------------------- */

static int prepare_disk(struct conversion *conversion,
			struct rewrite_disk *disk)
{
	const struct candidate candidate = {
		.domain = conversion->name,
		.target = disk->target,
		.image = disk->file,
		.read_only = xml_child(disk->node, "readonly"),
	};
	int ret = convert_judge_snapshots(conversion, disk);

	if (!ret)
		ret = candidate_is_free(&candidate, &conversion->host);
	if (ret || conversion->options->back)
		return ret;
	ret = candidate_is_fit(&candidate);
	if (!ret)
		ret = candidate_name(&candidate, &conversion->host, disk->name);
	return ret;
}

static int prepare_disks(struct conversion *conversion)
{
	struct rewrite *rewrite = &conversion->rewrite;
	size_t i;
	int ret = 0;

	for (i = 0; i < rewrite->nr_disks && !ret; i++)
		if (rewrite->disks[i].chosen)
			ret = prepare_disk(conversion, &rewrite->disks[i]);
	return ret;
}

/* --- the new definition -------------------------------------------------- */

/* NULL: libvirt does not know the volume, or the volume is no file. */
static char *path_of_volume(virConnectPtr connection, const char *pool_name,
			    const char *name)
{
	virStoragePoolPtr pool = virStoragePoolLookupByName(connection,
							    pool_name);
	virStorageVolPtr volume = pool ? virStorageVolLookupByName(pool, name) :
					 NULL;
	char *path = volume ? virStorageVolGetPath(volume) : NULL;

	if (volume)
		virStorageVolFree(volume);
	if (pool)
		virStoragePoolFree(pool);
	return path;
}

/* A disk may name its image by a pool and a volume in it. */
static int resolve_volumes(struct conversion *conversion)
{
	struct rewrite *rewrite = &conversion->rewrite;
	size_t i;
	int ret = 0;

	for (i = 0; i < rewrite->nr_disks && !ret; i++) {
		struct rewrite_disk *disk = &rewrite->disks[i];
		char *path;

		if (!disk->pool || !disk->volume)
			continue;
		path = path_of_volume(conversion->connection, disk->pool,
				      disk->volume);
		if (path)
			ret = rewrite_set_file(disk, path);
		free(path);
	}
	return ret;
}

static char *definition(const struct conversion *conversion)
{
	return virDomainGetXMLDesc(conversion->domain,
				   VIR_DOMAIN_XML_INACTIVE |
					   VIR_DOMAIN_XML_SECURE);
}

static int read_definition(struct conversion *conversion)
{
	char why[DOMAIN_REASON_MAX] = "out of memory";
	int ret;

	conversion->xml = definition(conversion);
	if (!conversion->xml)
		return complain("%s: %s", conversion->name, connection_error());
	ret = rewrite_read(conversion->xml,
			   conversion->options->back ? REWRITE_BACK :
						       REWRITE_FORTH,
			   &conversion->rewrite, why);
	if (!ret)
		ret = resolve_volumes(conversion);
	if (!ret)
		ret = rewrite_choose(&conversion->rewrite,
				     conversion->options->subjects[1], why);
	if (ret && conversion->options->all)
		return NOTHING_TO_DO;
	if (ret)
		return complain("%s: %s", conversion->name, why);
	ret = host_read(conversion->connection, &conversion->host);
	if (ret)
		return complain("%s: cannot read the other domains: %s",
				conversion->name,
				ret == -EIO ? connection_error() :
					      strerror(-ret));
	return 0;
}

static int rewrite(struct conversion *conversion)
{
	int ret;

	conversion->old = rewrite_text(&conversion->rewrite);
	ret = rewrite_do(&conversion->rewrite);
	conversion->new = rewrite_text(&conversion->rewrite);
	if (ret || !conversion->old || !conversion->new)
		return complain("%s: out of memory", conversion->name);
	return 0;
}

/* Images were looked at, which takes a while: another program may have changed
   or removed the domain, or given a disk of it another image. */
static int check_unchanged(const struct conversion *conversion)
{
	char *now = definition(conversion);
	const bool same = now && !strcmp(now, conversion->xml);

	free(now);
	if (same)
		return 0;
	return complain("%s: its definition has changed meanwhile; run this "
			"again",
			conversion->name);
}

static int define_locked(const struct conversion *conversion)
{
	virDomainPtr defined;

	if (check_unchanged(conversion))
		return EXIT_FAILURE;
	defined = virDomainDefineXML(conversion->connection, conversion->new);
	if (!defined)
		return complain("%s: libvirt refuses the new definition: %s",
				conversion->name, connection_error());
	virDomainFree(defined);
	return 0;
}

static int define(const struct conversion *conversion)
{
	struct plug plug = { .name = conversion->name };
	int ret, lock;

	if (conversion->options->dry_run)
		return 0;
	if (virDomainGetUUIDString(conversion->domain, plug.uuid))
		return complain("%s: %s", conversion->name, connection_error());
	ret = plug_lock(&plug, &lock);
	if (ret)
		return ret;
	ret = define_locked(conversion);
	close(lock);
	return ret;
}

static void tell_disk(const struct conversion *conversion,
		      const struct rewrite_disk *disk)
{
	const char *mood = conversion->options->dry_run ? "would be" : "is now";
	const char *target = disk->target ?: "?";

	if (!disk->chosen)
		say("%s: %s stays as it is%s%s", conversion->name, target,
		    *disk->reason ? ": " : "", disk->reason);
	else if (conversion->options->back)
		say("%s: %s %s %s", conversion->name, target, mood, disk->file);
	else
		say("%s: %s %s " DOMAIN_LINKS "%s, served from %s",
		    conversion->name, target, mood, disk->name, disk->file);
}

static void tell(const struct conversion *conversion)
{
	size_t i;

	for (i = 0; i < conversion->rewrite.nr_disks; i++)
		tell_disk(conversion, &conversion->rewrite.disks[i]);
	if (!conversion->options->back && access(HOOK, X_OK))
		printf("%s: libvirt's hook " HOOK " is missing; without it the "
		       "domain does not start\n",
		       conversion->name);
}

/* Prints one line for one domain of many. */
static void tell_briefly(const struct conversion *conversion)
{
	const struct rewrite *rewrite = &conversion->rewrite;
	size_t i;

	printf("%s:", conversion->name);
	for (i = 0; i < rewrite->nr_disks; i++)
		if (rewrite->disks[i].chosen)
			printf(" %s", rewrite->disks[i].target ?: "?");
	puts(conversion->options->dry_run ? " would be converted" :
					    " converted");
}

/* A domain without such disks is passed over in any state. */
static int read_one_of_all(struct conversion *conversion)
{
	int ret = read_definition(conversion);

	return ret ? ret : convert_judge_state(conversion);
}

static int read_one(struct conversion *conversion)
{
	int ret = convert_judge_state(conversion);

	return ret ? ret : read_definition(conversion);
}

static int convert(struct conversion *conversion)
{
	const bool all = conversion->options->all;
	int ret = all ? read_one_of_all(conversion) : read_one(conversion);

	if (!ret)
		ret = prepare_disks(conversion);
	if (!ret)
		ret = rewrite(conversion);
	if (ret)
		return ret;
	if (!all && difference_print(conversion->old, "before", conversion->new,
				     "after"))
		complain("%s: cannot print the difference", conversion->name);
	ret = define(conversion);
	if (ret)
		return ret;
	if (all)
		tell_briefly(conversion);
	else
		tell(conversion);
	return 0;
}

static void clean_up(struct conversion *conversion)
{
	rewrite_free(&conversion->rewrite);
	host_free(&conversion->host);
	free(conversion->xml);
	free(conversion->old);
	free(conversion->new);
	virDomainFree(conversion->domain);
}

/* Frees the domain. */
static int convert_domain(const struct libvirt_options *options,
			  virConnectPtr connection, virDomainPtr domain)
{
	struct conversion conversion = {
		.options = options,
		.connection = connection,
		.domain = domain,
		.name = virDomainGetName(domain),
	};
	int ret;

	text_quote(conversion.word, sizeof(conversion.word), conversion.name);
	ret = convert(&conversion);
	clean_up(&conversion);
	return ret;
}

static int convert_all(const struct libvirt_options *options,
		       virConnectPtr connection)
{
	virDomainPtr *domains;
	int status = EXIT_SUCCESS;
	int i, nr;

	nr = virConnectListAllDomains(
		connection, &domains,
		VIR_CONNECT_LIST_DOMAINS_INACTIVE |
			VIR_CONNECT_LIST_DOMAINS_PERSISTENT);
	if (nr < 0)
		return complain("cannot list the domains: %s",
				connection_error());
	for (i = 0; i < nr; i++)
		if (convert_domain(options, connection, domains[i]) > 0)
			status = EXIT_FAILURE;
	free(domains);
	return status;
}

int command_convert(const struct libvirt_options *options)
{
	virConnectPtr connection = connection_open(options->uri);
	virDomainPtr domain;
	int ret = EXIT_FAILURE;

	if (!connection)
		return EXIT_FAILURE;
	if (options->all) {
		ret = convert_all(options, connection);
	} else {
		domain = connection_domain(connection, options->subjects[0]);
		if (domain)
			ret = convert_domain(options, connection, domain);
	}
	virConnectClose(connection);
	return ret;
}
