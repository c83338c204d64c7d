// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The steps that `attach` and `detach` have in common.
 *
 * A guest may take half a minute to let go of a disk, and another command may
 * give another disk of the domain another image meanwhile.  So no list of
 * entries is kept for later.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin/libvirt/connection.h"
#include "plugin/libvirt/plug.h"
#include "plugin/libvirt/release.h"
#include "plugin/common/log.h"

#define LOCK_PATIENCE 90000 /* ms */
#define STOP_PATIENCE 30000 /* ms */
#define LIST_PATIENCE 30000 /* ms */

static int judge_state(struct plug *plug)
{
	char uuid[VIR_UUID_STRING_BUFLEN];

	if (virDomainGetUUIDString(plug->domain, uuid) ||
	    owner_uuid(uuid, plug->uuid))
		return complain("%s: %s", plug->name, connection_error());
	plug->live = virDomainIsActive(plug->domain) == 1;
	plug->config = plug->options->config;
	if (!plug->live && !plug->config)
		return complain("%s: is not running; --config changes its "
				"definition",
				plug->name);
	if (plug->config && virDomainIsPersistent(plug->domain) != 1)
		return complain("%s: is transient: it has no definition for "
				"--config to change",
				plug->name);
	return 0;
}

int plug_begin(struct plug *plug, const struct libvirt_options *options)
{
	*plug = (struct plug){ .options = options };
	plug->connection = connection_open(options->uri);
	if (!plug->connection)
		return EXIT_FAILURE;
	plug->domain = connection_domain(plug->connection,
					 options->subjects[0]);
	if (!plug->domain)
		return EXIT_FAILURE;
	plug->name = virDomainGetName(plug->domain);
	return judge_state(plug);
}

void plug_end(struct plug *plug)
{
	free(plug->definition);
	free(plug->device);
	free(plug->list);
	free(plug->source);
	if (plug->domain)
		virDomainFree(plug->domain);
	if (plug->connection)
		virConnectClose(plug->connection);
}

int plug_read(const struct plug *plug, bool live, enum rewrite_way way,
	      struct rewrite *rewrite)
{
	const unsigned int flags = live ? 0 :
					  VIR_DOMAIN_XML_INACTIVE |
						   VIR_DOMAIN_XML_SECURE;
	char why[DOMAIN_REASON_MAX] = "out of memory";
	char *xml = virDomainGetXMLDesc(plug->domain, flags);
	int ret;

	*rewrite = (struct rewrite){ 0 };
	if (!xml)
		return complain("%s: %s", plug->name, connection_error());
	ret = rewrite_read(xml, way, rewrite, why);
	free(xml);
	return ret ? complain("%s: %s", plug->name, why) : 0;
}

int plug_set_list(const struct plug *plug, const char *list)
{
	if (!virDomainSetMetadata(plug->domain, VIR_DOMAIN_METADATA_ELEMENT,
				  list, DOMAIN_PREFIX, DOMAIN_NAMESPACE,
				  VIR_DOMAIN_AFFECT_LIVE))
		return 0;
	return complain("%s: cannot change the metadata: %s", plug->name,
			connection_error());
}

int plug_lock(const struct plug *plug, int *lock)
{
	int ret = owner_lock(plug->uuid, LIST_PATIENCE, lock);

	if (!ret)
		return 0;
	return complain("%s: cannot lock its metadata: %s", plug->name,
			strerror(-ret));
}

static int drop_entry(const struct plug *plug)
{
	struct rewrite rewrite;
	char *list = NULL;
	int ret = plug_read(plug, true, REWRITE_BACK, &rewrite);

	if (!ret && rewrite_drop_entry(&rewrite, plug->source))
		ret = rewrite_list_text(&rewrite, &list) ?
			      complain("%s: out of memory", plug->name) :
			      plug_set_list(plug, list);
	free(list);
	rewrite_free(&rewrite);
	return ret;
}

int plug_drop_entry(const struct plug *plug)
{
	int lock;
	int ret = plug_lock(plug, &lock);

	if (ret)
		return ret;
	ret = drop_entry(plug);
	close(lock);
	return ret;
}

static int define(const struct plug *plug)
{
	virDomainPtr defined = virDomainDefineXML(plug->connection,
						  plug->definition);

	if (!defined)
		return complain("%s: libvirt refuses the new definition: %s",
				plug->name, connection_error());
	virDomainFree(defined);
	return 0;
}

int plug_define(struct plug *plug, int (*work_out)(struct plug *plug))
{
	int ret, lock;

	if (!plug->definition)
		return 0;
	ret = plug_lock(plug, &lock);
	if (ret)
		return ret;
	ret = work_out(plug);
	if (!ret)
		ret = define(plug);
	close(lock);
	return ret;
}

int plug_release(const struct plug *plug)
{
	char why[DOMAIN_REASON_MAX];

	if (!release_disk(plug->uuid, plug->disk_name, LOCK_PATIENCE,
			  STOP_PATIENCE, why))
		return 0;
	return complain("%s: the disk %s is not the domain's any more, but "
			"cannot be removed: %s; 'ublk-qcow2 del %s' removes it",
			plug->name, plug->disk_name, why, plug->disk_name);
}
