// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Disks that are volumes of a pool, `convert --all`, and `libvirt list`.
 */
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/helpers.h"
#include "tests/hook/convert.h"
#include "tests/hook/domains.h"
#include "plugin/common/state.h"

void test_volume(void)
{
	virStoragePoolPtr pool;
	virStorageVolPtr volume;
	virDomainPtr domain;
	char xml[512], *file = scratch_path("bare.qcow2"), *before, *text;

	snprintf(xml, sizeof(xml), "<source file='%s'/>", file);
	text = replaced(load("bare"), xml,
			"<source pool='images' volume='bare.qcow2'/>");
	text = replaced(text,
			"type='file' device='disk'>\n"
			"      <driver name='qemu' type='qcow2'/>\n"
			"      <source pool",
			"type='volume' device='disk'>\n"
			"      <driver name='qemu' type='qcow2'/>\n"
			"      <source pool");
	domain = define(text);
	before = definition(domain);
	convert_refused("bare", "hda", false, "volume is not known to libvirt");

	snprintf(xml, sizeof(xml),
		 "<pool type='dir'><name>images</name><target><path>%s</path>"
		 "</target></pool>",
		 scratch());
	pool = virStoragePoolCreateXML(connection, xml, 0);
	volume = pool ? virStorageVolCreateXML(
				pool,
				"<volume><name>bare.qcow2</name>"
				"<capacity>67108864</capacity></volume>",
				0) :
			NULL;
	if (!volume)
		die("no volume: %s", virGetLastErrorMessage());
	convert_must("bare", "hda", false, false);
	says(domain, "file='");
	says(domain, file);
	convert_validate(domain);
	convert_must("bare", "hda", true, false);
	is(domain, before);
	virStorageVolFree(volume);
	virStoragePoolDestroy(pool);
	virStoragePoolFree(pool);
	undefine(domain);
	free(before);
	free(file);
}

static int convert_all(bool back, bool dry_run)
{
	const struct libvirt_options options = {
		.uri = URI,
		.all = true,
		.back = back,
		.dry_run = dry_run,
	};

	return run_captured(command_convert, &options);
}

void test_all(void)
{
	virDomainPtr plain = define(load("plain"));
	virDomainPtr bare = define(load("bare"));
	char *before = definition(plain);
	char *kept = definition(bare);

	if (convert_all(false, true) || *err ||
	    !strstr(out, "bare: hda hdb would be converted\n") ||
	    strstr(out, "<source"))
		die("a dry run says %s%s", out, err);
	is(plain, before);
	must_run("cd %s && mv bare2.qcow2 good.qcow2", scratch());
	if (convert_all(false, false) != EXIT_FAILURE ||
	    !strstr(err, "bare2.qcow2") || strchr(err, '\n')[1] ||
	    strstr(out, "bare:") || !strstr(out, " converted\n"))
		die("with a bad image it says %s%s", out, err);
	says(plain, "<source dev='/dev/ublk-qcow2/");
	is(bare, kept);
	must_run("cd %s && mv good.qcow2 bare2.qcow2", scratch());
	if (convert_all(false, false) || *err ||
	    strcmp(out, "bare: hda hdb converted\n"))
		die("the rest: %s%s", out, err);
	if (convert_all(false, false) || *err || *out)
		die("nothing to do: %s%s", out, err);
	/* One that runs is not looked at. */
	virDomainCreate(bare);
	if (convert_all(true, false) || *err || strstr(out, "bare"))
		die("one runs: %s%s", out, err);
	virDomainDestroy(bare);
	is(plain, before);
	if (convert_all(true, false) || *err)
		die("back: %s%s", out, err);
	is(bare, kept);
	free(before);
	free(kept);
	undefine(plain);
	undefine(bare);
}

/* The whole disk is a file of QEMU's. */
static void test_list_below(void)
{
	static const char xml[] =
		"<domain type='test'><name>upon</name><memory>8192</memory>"
		"<os><type>hvm</type></os><devices>"
		"<disk type='file' device='disk'>"
		"<driver name='qemu' type='qcow2'/><source file='/upon'/>"
		"<backingStore type='block'><format type='raw'/>"
		"<source dev='/dev/ublk-qcow2/base'/></backingStore>"
		"<target dev='vdc' bus='virtio'/></disk></devices></domain>";
	const struct libvirt_options text = { .uri = URI };
	virDomainPtr domain = virDomainDefineXML(connection, xml);

	if (!domain)
		die("%s", virGetLastErrorMessage());
	if (run_captured(command_list, &text) || *err ||
	    !strstr(out, "upon   shut off vdc    /dev/ublk-qcow2/base -"))
		die("list: %s%s", out, err);
	undefine(domain);
}

void test_list(void)
{
	const struct libvirt_options text = { .uri = URI };
	const struct libvirt_options json = { .uri = URI, .json = true };
	struct disk disk = { .id = 7, .name = "bare-hda", .state = DISK_LIVE };
	virDomainPtr domain = define(load("bare"));

	snprintf(disk.image, sizeof(disk.image), "%s/bare.qcow2", scratch());
	if (run_captured(command_list, &text) || *out || *err)
		die("list of none: %s%s", out, err);
	convert_must("bare", NULL, false, false);
	if (state_open() || disk_stamp(&disk) || disk_save(&disk, NULL))
		die("cannot write a record");
	if (run_captured(command_list, &text) || *err ||
	    strncmp(out, "DOMAIN STATE    TARGET DISK ", 28) ||
	    !strstr(out, "bare   shut off hda    /dev/ublk-qcow2/bare-hda "
			 "/dev/ublkb7 /") ||
	    !strstr(out, "bare   shut off hdb    /dev/ublk-qcow2/bare-hdb "
			 "-           /") ||
	    !strstr(out, "/bare2.qcow2\n"))
		die("list: %s%s", out, err);
	virDomainCreate(domain);
	if (run_captured(command_list, &json) || *err ||
	    !strstr(out, "\"state\": \"running\"") ||
	    !strstr(out, "\"device\": \"/dev/ublkb7\"") ||
	    !strstr(out, "\"device\": null"))
		die("list --json: %s%s", out, err);
	virDomainDestroy(domain);
	disk_forget(7);
	convert_must("bare", NULL, true, false);
	undefine(domain);
	test_list_below();
}
