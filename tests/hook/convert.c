// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `ublk-qcow2 libvirt convert` on libvirt's own test driver, which keeps its
 * domains in this process.  libvirt's schema allows the new definition.  --back
 * leaves the definition byte for byte as it was.  Some domains are refused.
 * `libvirt list` shows the converted disks.
 *
 * usage: libvirt-convert
 */
#include <libvirt/virterror.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tests/lib/helpers.h"
#include "tests/hook/convert.h"
#include "tests/hook/domains.h"
#include "plugin/common/state.h"

/* The engine's, in a child that has given up its rights. */
int __real_qcow_open(const char *path, const struct qcow_options *options,
		     struct qcow_image **image, struct qcow_error *error);
int __wrap_qcow_open(const char *path, const struct qcow_options *options,
		     struct qcow_image **image, struct qcow_error *error);
int __real_qcow_read_info(const char *path, struct qcow_info *info,
			  struct qcow_error *error);
int __wrap_qcow_read_info(const char *path, struct qcow_info *info,
			  struct qcow_error *error);

static unsigned int rest; /* us; how long it takes to open an image */

static void expect_jail(void)
{
	if (!prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0))
		die("an image is read outside a jail");
}

int __wrap_qcow_open(const char *path, const struct qcow_options *options,
		     struct qcow_image **image, struct qcow_error *error)
{
	expect_jail();
	usleep(rest);
	return __real_qcow_open(path, options, image, error);
}

int __wrap_qcow_read_info(const char *path, struct qcow_info *info,
			  struct qcow_error *error)
{
	expect_jail();
	return __real_qcow_read_info(path, info, error);
}

void convert_must(const char *domain, const char *disk, bool back, bool dry_run)
{
	const struct libvirt_options options = {
		.uri = URI,
		.subjects = { domain, disk },
		.back = back,
		.dry_run = dry_run,
	};

	if (run_captured(command_convert, &options) || *err)
		die("convert %s: %s", domain, err);
}

void convert_refused(const char *domain, const char *disk, bool back,
		     const char *reason)
{
	const struct libvirt_options options = {
		.uri = URI,
		.subjects = { domain, disk },
		.back = back,
	};

	refused_with(command_convert, &options, reason);
}

void convert_validate(virDomainPtr domain)
{
	char *xml = definition(domain);
	virDomainPtr again = virDomainDefineXMLFlags(
		connection, xml, VIR_DOMAIN_DEFINE_VALIDATE);

	if (!again)
		die("not valid: %s\n%s", virGetLastErrorMessage(), xml);
	virDomainFree(again);
	free(xml);
}

static void test_round_trip(const char *file)
{
	virDomainPtr domain = define(load(file));
	const char *name = virDomainGetName(domain);
	char *before = definition(domain);

	convert_must(name, NULL, false, true);
	is(domain, before);
	if (!strstr(out, "\n+      <source dev=\"/dev/ublk-qcow2/") ||
	    !strstr(out, "would be"))
		die("the difference of %s is %s", file, out);
	convert_must(name, NULL, false, false);
	says(domain, "<source dev='/dev/ublk-qcow2/");
	convert_validate(domain);
	convert_refused(name, NULL, false, "already");
	convert_must(name, NULL, true, true);
	says(domain, "<source dev='/dev/ublk-qcow2/");
	/* An entry that was there is not part of the way back. */
	if (!strcmp(file, "odd")) {
		convert_must(name, "sda", true, false);
		convert_must(name, "sdb", true, false);
	} else {
		convert_must(name, NULL, true, false);
		convert_refused(name, NULL, true, "no disk");
	}
	is(domain, before);
	free(before);
	undefine(domain);
}

/* One by one, in another order, by target and by path. */
static void test_single_disks(void)
{
	virDomainPtr domain = define(load("bare"));
	char *before = definition(domain);
	char *path = scratch_path("bare.qcow2");

	convert_must("bare", "hdb", false, false);
	says(domain, "/dev/ublk-qcow2/bare-hdb");
	if (!strstr(out, "hda stays as it is"))
		die("does not tell of hda: %s", out);
	convert_refused("bare", "hdb", false, "already");
	convert_must("bare", path, false, false);
	says(domain, "/dev/ublk-qcow2/bare-hda");
	convert_must("bare", "/dev/ublk-qcow2/bare-hdb", true, false);
	convert_refused("bare", "hdb", true, "no disk of ublk-qcow2");
	convert_must("bare", path, true, false);
	is(domain, before);
	convert_refused("bare", "hdc", false, "no disk 'hdc'");
	undefine(domain);
	free(before);
	free(path);
}

/* By uuid, too; and no other domain. */
static void test_names(void)
{
	virDomainPtr domain = define(load("bare"));

	convert_must("8f51ec33-6d33-4c7c-8f0c-6b5a2e7d3e03", NULL, false,
		     false);
	convert_must("bare", NULL, true, false);
	convert_refused("bar", NULL, false, "no such domain");
	undefine(domain);
}

/* Different domains, the same letters in a link's name. */
static void test_same_links(void)
{
	virDomainPtr a = define(replaced(load("bare"), ">bare<", ">a b<"));
	virDomainPtr b;
	char *xml = replaced(load("bare"), ">bare<", ">a_b<");

	xml = replaced(xml, "3e03", "3e05");
	xml = replaced(xml, "bare.qcow2", "web1.qcow2");
	b = define(replaced(xml, "bare2.qcow2", "base.qcow2"));
	convert_must("a b", "hda", false, false);
	says(a, "<source dev='/dev/ublk-qcow2/a_b-hda'/>");
	convert_must("a_b", "hda", false, false);
	says(b, "<source dev='/dev/ublk-qcow2/a_b-hda-2'/>");
	undefine(a);
	undefine(b);
}

/* A disk must not get a name that would be taken for an option. */
static void test_dash(void)
{
	virDomainPtr domain = define(replaced(load("bare"), ">bare<", ">-n<"));

	convert_must("-n", "hda", false, false);
	says(domain, "<source dev='/dev/ublk-qcow2/_n-hda'/>");
	undefine(domain);
}

static void test_states(void)
{
	static const char snapshot[] = "<domainsnapshot/>";
	static const char checkpoint[] = "<domaincheckpoint/>";
	virDomainSnapshotPtr made;
	virDomainCheckpointPtr point;
	virDomainPtr domain = define(load("bare"));

	virDomainCreate(domain);
	convert_refused("bare", NULL, false, "is running");
	if (virDomainManagedSave(domain, 0))
		die("managedsave: %s", virGetLastErrorMessage());
	convert_refused("bare", NULL, false, "saved state");
	virDomainManagedSaveRemove(domain, 0);

	made = virDomainSnapshotCreateXML(domain, snapshot, 0);
	if (!made)
		die("snapshot: %s", virGetLastErrorMessage());
	convert_refused("bare", NULL, false, "snapshots");
	virDomainSnapshotDelete(made, 0);
	virDomainSnapshotFree(made);

	virDomainCreate(domain);
	point = virDomainCheckpointCreateXML(domain, checkpoint, 0);
	virDomainDestroy(domain);
	if (!point)
		die("checkpoint: %s", virGetLastErrorMessage());
	convert_refused("bare", NULL, false, "checkpoints");
	virDomainCheckpointDelete(point, 0);
	virDomainCheckpointFree(point);

	convert_must("bare", NULL, false, false);
	virDomainCreate(domain);
	convert_refused("bare", NULL, true, "is running");
	virDomainDestroy(domain);
	undefine(domain);
}

/* A command that we advise can be pasted into a shell. */
static void test_quotes(void)
{
	virDomainPtr domain = define(
		replaced(load("bare"), ">bare<", ">it's $(ls)<"));

	virDomainCreate(domain);
	convert_refused("it's $(ls)", NULL, false,
			"virsh shutdown 'it'\\''s $(ls)'");
	virDomainDestroy(domain);
	undefine(domain);
}

static void test_transient(void)
{
	char *xml = load("bare");
	virDomainPtr domain = virDomainCreateXML(connection, xml, 0);

	if (!domain)
		die("create: %s", virGetLastErrorMessage());
	convert_refused("bare", NULL, false, "transient");
	virDomainDestroy(domain);
	virDomainFree(domain);
	free(xml);
}

/* The same file under another name. */
static void test_shared(void)
{
	virDomainPtr domain = define(load("bare"));
	char *xml = replaced(load("bare"), ">bare<", ">other<");
	virDomainPtr other;

	must_run("cd %s && ln bare2.qcow2 linked.qcow2", scratch());
	xml = replaced(xml, "3e03", "3e05");
	xml = replaced(xml, "/bare.qcow2", "/web1.qcow2");
	other = define(replaced(xml, "bare2.qcow2", "linked.qcow2"));
	convert_refused("bare", NULL, false, "domain other uses");
	convert_must("bare", "hda", false, false);
	undefine(other);
	convert_must("bare", "hdb", false, false);
	undefine(domain);
}

static void bad_image(const char *reason)
{
	virDomainPtr domain = define(load("bare"));
	char *before = definition(domain);

	convert_refused("bare", NULL, false, reason);
	is(domain, before);
	convert_must("bare", "hda", false, false);
	undefine(domain);
	free(before);
}

static void test_bad_images(void)
{
	must_run("cd %s && mv bare2.qcow2 good.qcow2", scratch());
	bad_image("No such file");
	must_run("cd %s && head -c 1M /dev/zero >bare2.qcow2", scratch());
	bad_image("bare2.qcow2: ");
	must_run("cd %s && cp good.qcow2 bare2.qcow2 && printf '\\002' | "
		 "dd of=bare2.qcow2 bs=1 seek=35 conv=notrunc status=none",
		 scratch());
	bad_image("LUKS encryption");
	must_run("cd %s && mkdir own && ln -sf own/bare2.qcow2 .", scratch());
	image("-b ../base.qcow2 -F qcow2 own/bare2.qcow2 1M");
	bad_image("outside the image's directory");
	must_run("cd %s && rm bare2.qcow2 && cp good.qcow2 bare2.qcow2 && "
		 "printf '\\002' | dd of=bare2.qcow2 bs=1 seek=79 "
		 "conv=notrunc status=none",
		 scratch());
	bad_image("marked as corrupt");
	must_run("cd %s && mv good.qcow2 bare2.qcow2", scratch());
}

/* Another process has the image open. */
static void test_in_use(void)
{
	virDomainPtr domain = define(load("bare"));

	must_run("cd %s && { qemu-nbd -t -f qcow2 -k $PWD/socket --fork "
		 "--pid-file=pid bare2.qcow2; }",
		 scratch());
	convert_refused("bare", NULL, false, "bare2.qcow2: ");
	/* Its locks go with it.  A signal that comes before its loop begins it
	   forgets. */
	must_run("pid=$(cat %s/pid); "
		 "while kill $pid 2>/dev/null; do sleep 0.05; done",
		 scratch());
	undefine(domain);
}

static void *change_meanwhile(void *argument)
{
	usleep(300000);
	if (virDomainSetMetadata(argument, VIR_DOMAIN_METADATA_TITLE, "new",
				 NULL, NULL, VIR_DOMAIN_AFFECT_CONFIG))
		die("title: %s", virGetLastErrorMessage());
	return NULL;
}

/* Another program changes the domain while the image is looked at. */
static void test_meanwhile(void)
{
	const struct libvirt_options options = {
		.uri = URI,
		.subjects = { "web1" },
	};
	virDomainPtr domain = define(load("plain"));
	pthread_t other;

	rest = 1000000;
	if (pthread_create(&other, NULL, change_meanwhile, domain))
		die("no thread");
	refused_with(command_convert, &options, "has changed meanwhile");
	pthread_join(other, NULL);
	rest = 0;
	says(domain, "<title>new</title>");
	if (run_captured(command_convert, &options))
		die("once more: %s", err);
	says(domain, "<title>new</title>");
	says(domain, "/dev/ublk-qcow2/web1-vda");
	undefine(domain);
}

/* As `list` shows it. */
static void test_served(void)
{
	virDomainPtr domain = define(load("bare"));
	struct disk disk = { .id = 7, .name = "x", .state = DISK_LIVE };

	snprintf(disk.image, sizeof(disk.image), "%s/bare2.qcow2", scratch());
	if (state_open() || disk_stamp(&disk) || disk_save(&disk, NULL))
		die("cannot write a record");
	convert_refused("bare", NULL, false, "served as /dev/ublkb7");
	disk_forget(7);
	/* A name that is taken. */
	strcpy(disk.name, "bare-hda");
	strcpy(disk.image, "/elsewhere");
	disk_save(&disk, NULL);
	convert_must("bare", NULL, false, false);
	says(domain, "<source dev='/dev/ublk-qcow2/bare-hda-2'/>");
	disk_forget(7);
	snprintf(disk.image, sizeof(disk.image), "%s/bare2.qcow2", scratch());
	disk_save(&disk, NULL);
	convert_refused("bare", NULL, true, "served as /dev/ublkb7");
	disk_forget(7);
	undefine(domain);
}

/* An admin's file has the name. */
static void test_configured(void)
{
	virDomainPtr domain = define(load("bare"));
	char *path = scratch_path("disks.d");

	must_run("cd %s && mkdir disks.d && "
		 "echo image = /elsewhere >disks.d/bare-hda.conf",
		 scratch());
	setenv("UBLK_QCOW2_DISKS", path, 1);
	convert_must("bare", NULL, false, false);
	says(domain, "<source dev='/dev/ublk-qcow2/bare-hda-2'/>");
	says(domain, "<source dev='/dev/ublk-qcow2/bare-hdb'/>");
	setenv("UBLK_QCOW2_DISKS", "/nowhere", 1);
	undefine(domain);
	free(path);
}

int main(void)
{
	static const char *const files[] = { "plain", "odd", "bare",
					     "empty-metadata" };
	size_t i;

	domains_begin();
	image("web1.qcow2 64M");
	image("base.qcow2 64M");
	image("-b base.qcow2 -F qcow2 \"with 'quotes' & blanks.qcow2\" 64M");
	image("read-only.qcow2 64M");
	image("by-hand.qcow2 64M");
	image("bare.qcow2 64M");
	image("bare2.qcow2 64M");
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		test_round_trip(files[i]);
	test_single_disks();
	test_names();
	test_same_links();
	test_dash();
	test_states();
	test_quotes();
	test_transient();
	test_shared();
	test_bad_images();
	test_in_use();
	test_meanwhile();
	test_served();
	test_configured();
	test_volume();
	test_all();
	test_list();
	domains_end();
	return 0;
}
