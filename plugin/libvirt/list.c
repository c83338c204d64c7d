// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `libvirt list`: the disks of ours that libvirt's domains have, and the
 * devices as which they are served.
 *
 * A running domain is shown as it runs, any other as it will start.  A disk
 * that is not served is no error: the hook has the disk served when its domain
 * starts.  Domains without a disk of ours are left out.  A disk of ours that
 * lies below an image of QEMU's, as its <backingStore>, is shown with the
 * target of that <disk>.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/common/json.h"
#include "plugin/common/log.h"
#include "plugin/common/state.h"
#include "plugin/common/table.h"
#include "plugin/libvirt/commands.h"
#include "plugin/libvirt/connection.h"
#include "plugin/libvirt/domain.h"

/* One disk of one domain. */
struct row {
	const char *domain;
	const char *state;
	const char *target;
	const char *source; /* its path in the domain */
	char device[32];    /* "": it is not served */
	const char *image;  /* "": not known */
};

static const struct table_column columns[] = {
	{ "DOMAIN", false }, { "STATE", false },  { "TARGET", false },
	{ "DISK", false },   { "DEVICE", false }, { "IMAGE", false },
};

#define NR_COLUMNS (sizeof(columns) / sizeof(columns[0]))

/* The form in which the rows are printed. */
struct output {
	struct json json;
	struct table *table; /* NULL: they go into json */
	int status;
};

static const char *state_of(virDomainPtr domain)
{
	int state = VIR_DOMAIN_NOSTATE;

	virDomainGetState(domain, &state, NULL, 0);
	if (state == VIR_DOMAIN_PAUSED)
		return "paused";
	return virDomainIsActive(domain) == 1 ? "running" : "shut off";
}

static void put_row(struct output *output, const struct row *row)
{
	struct json *json = &output->json;

	if (output->table) {
		if (table_add(output->table,
			      (const char *[NR_COLUMNS]){
				      row->domain, row->state, row->target,
				      row->source, row->device, row->image }))
			output->status = complain("%s: out of memory",
						  row->domain);
		return;
	}
	json_begin(json, NULL, '{');
	json_text(json, "domain", row->domain);
	json_text(json, "state", row->state);
	json_text_or_null(json, "target", row->target);
	json_text(json, "disk", row->source);
	json_text_or_null(json, "device", row->device);
	json_text_or_null(json, "image", row->image);
	json_end(json, '}');
}

static void put_disk(struct output *output, const struct domain *domain,
		     const struct domain_disk *disk, const char *state)
{
	const struct domain_entry *entry = domain_entry_of(domain, disk);
	struct row row = {
		.domain = domain->name,
		.state = state,
		.target = disk->target ?: "",
		.source = disk->source,
		.image = entry ? entry->file : "",
	};
	struct disk served;

	if (!disk_find(disk->source, &served)) {
		snprintf(row.device, sizeof(row.device), "/dev/ublkb%d",
			 served.id);
		row.image = served.image;
	}
	put_row(output, &row);
}

/* A domain may go while we look: then it has no disks. */
static void put_domain(struct output *output, virDomainPtr domain)
{
	const bool active = virDomainIsActive(domain) == 1;
	char *xml = virDomainGetXMLDesc(domain,
					active ? 0 : VIR_DOMAIN_XML_INACTIVE);
	char why[DOMAIN_REASON_MAX] = "out of memory";
	struct domain parsed;
	size_t i;

	if (!xml)
		return;
	if (domain_parse(xml, strlen(xml), &parsed, why))
		output->status = complain("%s: %s", virDomainGetName(domain),
					  why);
	else
		for (i = 0; i < parsed.nr_disks; i++)
			if (parsed.disks[i].source &&
			    domain_is_ours(parsed.disks[i].source))
				put_disk(output, &parsed, &parsed.disks[i],
					 state_of(domain));
	domain_free(&parsed);
	free(xml);
}

static void put_domains(struct output *output, virConnectPtr connection)
{
	virDomainPtr *domains;
	int nr = virConnectListAllDomains(connection, &domains, 0);
	int i;

	if (nr < 0) {
		output->status = complain("cannot list the domains: %s",
					  connection_error());
		return;
	}
	for (i = 0; i < nr; i++) {
		put_domain(output, domains[i]);
		virDomainFree(domains[i]);
	}
	free(domains);
}

int command_list(const struct libvirt_options *options)
{
	struct output output = { .json.file = stdout };
	virConnectPtr connection = connection_open(options->uri);

	if (!connection)
		return EXIT_FAILURE;
	if (!options->json && table_new(columns, NR_COLUMNS, &output.table)) {
		virConnectClose(connection);
		return complain("out of memory");
	}
	if (options->json)
		json_begin(&output.json, NULL, '[');
	put_domains(&output, connection);
	if (options->json)
		json_end(&output.json, ']');
	else if (table_print(output.table))
		output.status = complain("cannot print the table");
	table_free(output.table);
	virConnectClose(connection);
	return complain_of_output(output.status);
}
