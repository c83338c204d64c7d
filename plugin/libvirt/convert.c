// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `convert`: redefines a domain so that its disks are served by us, or no
 * longer.
 *
 * All that would keep the domain from starting again, or its data from being
 * what they were, is judged before anything is changed, and refused with what
 * to do.  Then there is a single change, libvirt's: the new definition.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin/libvirt/candidate.h"
#include "plugin/libvirt/commands.h"
#include "plugin/libvirt/connection.h"
#include "plugin/libvirt/difference.h"
#include "plugin/libvirt/host.h"
#include "plugin/libvirt/rewrite.h"
#include "plugin/libvirt/xml.h"
#include "plugin/common/log.h"
#include "plugin/common/text.h"

#define HOOK SYSCONFDIR "/libvirt/hooks/qemu.d/ublk-qcow2"

#define WORD_SIZE 1024

struct conversion {
	const struct libvirt_options *options;
	virConnectPtr connection;
	virDomainPtr domain;
	const char *name;
	char word[WORD_SIZE]; /* the same, for a shell */
	struct rewrite rewrite;
	struct host host;
	char *old; /* both as we would write them */
	char *new;
};

/* --- the domain's state -------------------------------------------------- */

static int judge_state(const struct conversion *conversion)
{
	virDomainPtr domain = conversion->domain;
	const char *name = conversion->name;

	if (virDomainIsPersistent(domain) != 1)
		return complain("%s: is transient: it has no definition that "
				"could be changed; change the XML that it is "
				"created from",
				name);
	if (virDomainIsActive(domain) != 0)
		return complain("%s: is running; shut it down first (virsh "
				"shutdown %s)",
				name, conversion->word);
	if (virDomainHasManagedSaveImage(domain, 0) != 0)
		return complain("%s: has a saved state, which knows its disks "
				"as they are; start it and shut it down, or "
				"virsh managedsave-remove %s",
				name, conversion->word);
	return 0;
}

/* Does any attribute have this value? */
static bool xml_mentions(const xmlNode *node, const char *path)
{
	const xmlAttr *attr;
	bool found = false;

	for (; node && !found; node = node->next) {
		if (node->type != XML_ELEMENT_NODE)
			continue;
		for (attr = node->properties; attr && !found; attr = attr->next)
			found = xml_attribute_is(node, (const char *)attr->name,
						 path);
		found = found || xml_mentions(node->children, path);
	}
	return found;
}

/* Takes over the text.  What cannot be read is as good as a mention. */
static bool text_mentions(char *text, const char *path)
{
	xmlDoc *document = text ? xml_read(text, strlen(text)) : NULL;
	const bool found = !document ||
			   xml_mentions(xmlDocGetRootElement(document), path);

	xmlFreeDoc(document);
	free(text);
	return found;
}

static bool snapshots_mention(virDomainPtr domain, const char *path)
{
	virDomainSnapshotPtr *snapshots = NULL;
	bool found = false;
	int i, nr;

	nr = virDomainListAllSnapshots(domain, &snapshots, 0);
	for (i = 0; i < nr; i++) {
		found = found || text_mentions(virDomainSnapshotGetXMLDesc(
						       snapshots[i], 0),
					       path);
		virDomainSnapshotFree(snapshots[i]);
	}
	free(snapshots);
	return found;
}

static bool checkpoints_mention(virDomainPtr domain, const char *path)
{
	virDomainCheckpointPtr *checkpoints = NULL;
	bool found = false;
	int i, nr;

	nr = virDomainListAllCheckpoints(domain, &checkpoints, 0);
	for (i = 0; i < nr; i++) {
		found = found || text_mentions(virDomainCheckpointGetXMLDesc(
						       checkpoints[i], 0),
					       path);
		virDomainCheckpointFree(checkpoints[i]);
	}
	free(checkpoints);
	return found;
}

static int judge_snapshots(const struct conversion *conversion,
			   const struct rewrite_disk *disk)
{
	const char *name = conversion->name;

	if (snapshots_mention(conversion->domain, disk->source))
		return complain("%s: libvirt's snapshots of it know disk %s as "
				"it is; remove them first (virsh snapshot-list "
				"%s, virsh snapshot-delete), or only what "
				"libvirt notes of them, with --metadata",
				name, disk->target, conversion->word);
	if (checkpoints_mention(conversion->domain, disk->source))
		return complain("%s: its checkpoints know disk %s as it is; "
				"remove them first (virsh checkpoint-list %s, "
				"virsh checkpoint-delete)",
				name, disk->target, conversion->word);
	return 0;
}

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
	int ret = judge_snapshots(conversion, disk);

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

/* NULL: libvirt does not know it, or it is no file. */
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

static int read_definition(struct conversion *conversion)
{
	char why[DOMAIN_REASON_MAX] = "out of memory";
	char *xml = virDomainGetXMLDesc(conversion->domain,
					VIR_DOMAIN_XML_INACTIVE |
						VIR_DOMAIN_XML_SECURE);
	int ret;

	if (!xml)
		return complain("%s: %s", conversion->name, connection_error());
	ret = rewrite_read(
		xml, conversion->options->back ? REWRITE_BACK : REWRITE_FORTH,
		&conversion->rewrite, why);
	free(xml);
	if (!ret)
		ret = resolve_volumes(conversion);
	if (!ret)
		ret = rewrite_choose(&conversion->rewrite,
				     conversion->options->subjects[1], why);
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

static int define(const struct conversion *conversion)
{
	virDomainPtr defined;

	if (conversion->options->dry_run)
		return 0;
	defined = virDomainDefineXML(conversion->connection, conversion->new);
	if (!defined)
		return complain("%s: libvirt refuses the new definition: %s",
				conversion->name, connection_error());
	virDomainFree(defined);
	return 0;
}

static void tell_disk(const struct conversion *conversion,
		      const struct rewrite_disk *disk)
{
	const char *mood = conversion->options->dry_run ? "would be" : "is now";

	printf("%s: %s ", conversion->name, disk->target ?: "?");
	if (!disk->chosen && *disk->reason)
		printf("stays as it is: %s\n", disk->reason);
	else if (!disk->chosen)
		puts("stays as it is");
	else if (conversion->options->back)
		printf("%s %s\n", mood, disk->file);
	else
		printf("%s " DOMAIN_LINKS "%s, served from %s\n", mood,
		       disk->name, disk->file);
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

static int convert(struct conversion *conversion)
{
	int ret = judge_state(conversion);

	if (!ret)
		ret = read_definition(conversion);
	if (!ret)
		ret = prepare_disks(conversion);
	if (!ret)
		ret = rewrite(conversion);
	if (ret)
		return ret;
	if (difference_print(conversion->old, "before", conversion->new,
			     "after"))
		complain("%s: cannot print the difference", conversion->name);
	ret = define(conversion);
	if (ret)
		return ret;
	tell(conversion);
	return 0;
}

static void clean_up(struct conversion *conversion)
{
	rewrite_free(&conversion->rewrite);
	host_free(&conversion->host);
	free(conversion->old);
	free(conversion->new);
	if (conversion->domain)
		virDomainFree(conversion->domain);
	virConnectClose(conversion->connection);
}

int command_convert(const struct libvirt_options *options)
{
	struct conversion conversion = { .options = options };
	int ret = EXIT_FAILURE;

	conversion.connection = connection_open(options->uri);
	if (!conversion.connection)
		return EXIT_FAILURE;
	conversion.domain = connection_domain(conversion.connection,
					      options->subjects[0]);
	if (conversion.domain) {
		conversion.name = virDomainGetName(conversion.domain);
		text_quote(conversion.word, sizeof(conversion.word),
			   conversion.name);
		ret = convert(&conversion);
	}
	clean_up(&conversion);
	return ret;
}
