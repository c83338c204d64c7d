// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `ublk-qcow2 libvirt attach` and `detach`, on libvirt's own test driver, and
 * with a stand-in for the program ublk-qcow2.  That driver cannot plug a disk
 * into a domain that runs.  So here a failed attach undoes everything;
 * driver/libvirt-attach tests an attach that succeeds.
 *
 * usage: libvirt-plug
 */
#include <dirent.h>
#include <errno.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "plugin/common/owner.h"
#include "plugin/libvirt/domain.h"
#include "plugin/libvirt/release.h"
#include "tests/hook/domains.h"
#include "tests/hook/fake.h"
#include "tests/lib/helpers.h"

/* So many records of owners can still be written. */
static unsigned int room = 1000;

int __real_owner_save(const struct owner *owner);
int __wrap_owner_save(const struct owner *owner);

int __wrap_owner_save(const struct owner *owner)
{
	if (!room)
		return -ENOSPC;
	room--;
	return __real_owner_save(owner);
}

/* No record of a domain or a disk is left. */
static void nothing_left(void)
{
	must_run("cd %s/run && [ -z \"$(find . -type f ! -name lock)\" ]",
		 scratch());
}

static struct libvirt_options with(const char *domain, const char *a,
				   const char *b)
{
	return (struct libvirt_options){
		.uri = URI,
		.subjects = { domain, a, b },
	};
}

static void must(libvirt_command *command,
		 const struct libvirt_options *options)
{
	if (run_captured(command, options) || *err)
		die("%s: %s", options->subjects[0], err);
}

static void test_definition(void)
{
	virDomainPtr domain = define(load("plain"));
	char *before = definition(domain);
	char *path = scratch_path("new.qcow2");
	struct libvirt_options options = with("web1", path, "vdb");

	refused_with(command_attach, &options, "is not running");
	options.config = true;
	options.read_only = true;
	must(command_attach, &options);
	says(domain, "<source dev='/dev/ublk-qcow2/web1-vdb'/>");
	says(domain, "file=\"/dev/shm/");
	says(domain, "readonly=\"yes\"");
	if (!strstr(out, "web1: vdb is /dev/ublk-qcow2/web1-vdb, served from"))
		die("it says %s", out);
	refused_with(command_attach, &options, "has a disk vdb already");
	options.subjects[2] = "vdc";
	refused_with(command_attach, &options, "is its disk vdb already");

	options = with("web1", "vdb", NULL);
	refused_with(command_detach, &options, "is not running");
	options.config = true;
	must(command_detach, &options);
	is(domain, before);
	refused_with(command_detach, &options, "no disk 'vdb'");
	options.subjects[1] = "vda";
	refused_with(command_detach, &options, "no disk of ublk-qcow2");
	fake_called("");
	nothing_left();
	free(before);
	free(path);
	undefine(domain);
}

static void test_refused(void)
{
	virDomainPtr domain = define(load("plain"));
	virDomainPtr other = define(load("bare"));
	char *path = scratch_path("new.qcow2");
	char *taken = scratch_path("bare.qcow2");
	struct libvirt_options options = with("web1", path, "vd1");

	virDomainCreate(domain);
	refused_with(command_attach, &options, "is no target");
	options.subjects[2] = "vda";
	refused_with(command_attach, &options, "has a disk vda already");
	options.subjects[2] = "vdb";
	options.subjects[1] = "/nowhere";
	refused_with(command_attach, &options, "No such file");
	options.subjects[1] = "/dev/null";
	refused_with(command_attach, &options, "/dev/null: ");
	options.subjects[1] = taken;
	refused_with(command_attach, &options, "domain bare uses");
	options.subjects[0] = "nobody";
	refused_with(command_attach, &options, "no such domain");
	fake_called("");
	nothing_left();
	virDomainDestroy(domain);
	undefine(domain);
	undefine(other);
	free(path);
	free(taken);
}

/* The driver refuses the disk after it was served. */
static void test_undone(void)
{
	virDomainPtr domain = define(load("plain"));
	char *path = scratch_path("new.qcow2"), *before, *after, *calls;
	struct libvirt_options options = with("web1", path, "vdb");

	virDomainCreate(domain);
	before = virDomainGetXMLDesc(domain, 0);
	options.config = true;
	refused_with(command_attach, &options, "libvirt refuses the disk");
	after = virDomainGetXMLDesc(domain, 0);
	if (strcmp(before, after) != 0)
		die("not undone: %s\n%s", before, after);
	if (asprintf(&calls, "add %s --name web1-vdb;del -- web1-vdb;", path) <
	    0)
		die("out of memory");
	fake_called(calls);
	nothing_left();
	says(domain, "vda");
	virDomainDestroy(domain);
	undefine(domain);
	free(path);
	free(before);
	free(after);
	free(calls);
}

/* A command for another disk of the domain. */
static void *change_other(void *argument)
{
	const struct timespec late = { .tv_nsec = 400000000 };
	virDomainPtr domain = argument;

	nanosleep(&late, NULL);
	if (virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT,
				 "<disks><disk dev='/dev/ublk-qcow2/other' "
				 "file='/overlay'/></disks>",
				 DOMAIN_PREFIX, DOMAIN_NAMESPACE,
				 VIR_DOMAIN_AFFECT_LIVE))
		die("metadata: %s", virGetLastErrorMessage());
	return NULL;
}

static void live_says(virDomainPtr domain, const char *text, bool says)
{
	char *xml = virDomainGetXMLDesc(domain, 0);

	if (!strstr(xml, text) == says)
		die("'%s' is %sthere: %s", text, says ? "not " : "", xml);
	free(xml);
}

/* Until the disk is served, and is refused, another disk of the domain gets
   another image: the domain must name that. */
static void test_meanwhile(void)
{
	virDomainPtr domain = define(load("plain"));
	char *path = scratch_path("new.qcow2");
	struct libvirt_options options = with("web1", path, "vdb");
	pthread_t other;

	virDomainCreate(domain);
	if (virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT,
				 "<disks><disk dev='/dev/ublk-qcow2/other' "
				 "file='/image'/></disks>",
				 DOMAIN_PREFIX, DOMAIN_NAMESPACE,
				 VIR_DOMAIN_AFFECT_LIVE))
		die("metadata: %s", virGetLastErrorMessage());
	must_run("echo 1 >%s/fake/add.sleeps", scratch());
	if (pthread_create(&other, NULL, change_other, domain))
		die("no thread");
	refused_with(command_attach, &options, "libvirt refuses the disk");
	pthread_join(other, NULL);
	must_run("rm %s/fake/add.sleeps && : >%s/fake/calls", scratch(),
		 scratch());
	live_says(domain, "/overlay", true);
	live_says(domain, "new.qcow2", false);
	nothing_left();
	virDomainDestroy(domain);
	undefine(domain);
	free(path);
}

static void set_live(virDomainPtr domain, const char *list)
{
	if (virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, list,
				 DOMAIN_PREFIX, DOMAIN_NAMESPACE,
				 VIR_DOMAIN_AFFECT_LIVE))
		die("metadata: %s", virGetLastErrorMessage());
}

/* An `attach` that was killed has left its entry: two entries of one device, or
   of one image, would keep the domain from being restored. */
static void test_left(void)
{
	virDomainPtr domain = define(load("plain"));
	char *path = scratch_path("new.qcow2"), *list;
	struct libvirt_options options = with("web1", path, "vdb");

	virDomainCreate(domain);
	if (asprintf(&list,
		     "<disks><disk dev='/dev/ublk-qcow2/web1-vdb' file='/a'/>"
		     "<disk dev='/dev/ublk-qcow2/other' file='%s'/>"
		     "<disk dev='/dev/ublk-qcow2/third' file='/c'/></disks>",
		     path) < 0)
		die("out of memory");
	set_live(domain, list);
	refused_with(command_attach, &options, "libvirt refuses the disk");
	live_says(domain, "web1-vdb", false);
	live_says(domain, "qcow2/other", false);
	live_says(domain, "qcow2/third", true);
	/* The last entry is not the list's last node. */
	set_live(domain,
		 "<disks><disk dev='/dev/ublk-qcow2/web1-vdb' file='/a'/>"
		 "<!-- mine --></disks>");
	refused_with(command_attach, &options, "libvirt refuses the disk");
	live_says(domain, "web1-vdb", false);
	must_run(": >%s/fake/calls", scratch());
	nothing_left();
	virDomainDestroy(domain);
	undefine(domain);
	free(path);
	free(list);
}

/* The guest has let go of a disk when `detach` did not wait any more. */
static void test_late(void)
{
	static const char list[] =
		"<disks><disk dev='/dev/ublk-qcow2/one' file='/one'/>"
		"<disk dev='/dev/ublk-qcow2/two' file='/two'/></disks>";
	virDomainPtr domain = define(load("plain"));
	struct libvirt_options options = with("web1", NULL, NULL);

	virDomainCreate(domain);
	options.subjects[1] = "vdb";
	refused_with(command_detach, &options, "no disk 'vdb'");
	set_live(domain, list);
	options.subjects[1] = "/dev/ublk-qcow2/third";
	refused_with(command_detach, &options, "no disk '/dev");
	options.subjects[1] = "vda";
	refused_with(command_detach, &options, "no disk of ublk-qcow2");
	options.subjects[1] = "/dev/ublk-qcow2/two";
	must(command_detach, &options);
	live_says(domain, "qcow2/two", false);
	live_says(domain, "qcow2/one", true);
	/* Nobody knows any more which target it had. */
	options.subjects[1] = "vdb";
	must(command_detach, &options);
	live_says(domain, "qcow2/one", false);
	nothing_left();
	virDomainDestroy(domain);
	undefine(domain);
}

static void test_not_served(void)
{
	virDomainPtr domain = define(load("plain"));
	char *path = scratch_path("new.qcow2");
	struct libvirt_options options = with("web1", path, "vdb");

	virDomainCreate(domain);
	must_run("cd %s/fake && printf '*\\nno driver\\n' >add.fails",
		 scratch());
	refused_with(command_attach, &options, "cannot serve");
	must_run("rm %s/fake/add.fails", scratch());
	nothing_left();
	virDomainDestroy(domain);
	undefine(domain);
	free(path);
}

/* The program kills the command when the disk is there. */
static void be_killed(const struct libvirt_options *options)
{
	char *program = scratch_path("murderer");
	int status = 0;
	pid_t pid;

	must_run("cd %s && printf '%%s\n' '#!/bin/sh' '%s \"$@\"' "
		 "'[ $1 != add ] || kill -9 $PPID' >murderer && "
		 "chmod +x murderer",
		 scratch(), getenv("UBLK_QCOW2"));
	pid = fork();
	if (!pid) {
		setenv("UBLK_QCOW2", program, 1);
		run_captured(command_attach, options);
		_exit(1);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		die("attach was not killed: %d", status);
	free(program);
}

/* There is no room for the record of a disk that is served.  The disk is
   removed at once, or with the domain. */
static void test_no_room(void)
{
	virDomainPtr domain = define(load("plain"));
	char *path = scratch_path("new.qcow2"), uuid[VIR_UUID_STRING_BUFLEN];
	struct libvirt_options options = with("web1", path, "vdb");
	char why[DOMAIN_REASON_MAX];

	virDomainCreate(domain);
	virDomainGetUUIDString(domain, uuid);
	room = 1;
	refused_with(command_attach, &options, "cannot note that it owns");
	nothing_left();
	must_run("cd %s/fake && printf '*\\nin use\\n' >del.fails", scratch());
	room = 1;
	refused_with(command_attach, &options, "cannot note that it owns");
	room = 1000;
	must_run("rm %s/fake/del.fails && [ -e %s/run/0.disk ]", scratch(),
		 scratch());
	if (release_disk(uuid, "web1-vdb", 1000, 1000, why))
		die("release: %s", why);
	nothing_left();
	virDomainDestroy(domain);
	undefine(domain);
	free(path);
}

/* The domain's end takes the disk away. */
static void test_killed(void)
{
	virDomainPtr domain = define(load("plain"));
	char *path = scratch_path("new.qcow2"), uuid[VIR_UUID_STRING_BUFLEN];
	struct libvirt_options options = with("web1", path, "vdb");
	char why[DOMAIN_REASON_MAX];

	virDomainCreate(domain);
	virDomainGetUUIDString(domain, uuid);
	be_killed(&options);
	must_run("[ -e %s/run/0.disk ]", scratch());
	if (release_disk(uuid, "web1-vdb", 1000, 1000, why))
		die("release: %s", why);
	nothing_left();
	virDomainDestroy(domain);
	undefine(domain);
	free(path);
}

int main(void)
{
	domains_begin();
	fake_begin();
	atexit(fake_end);
	image("new.qcow2 64M");
	image("bare.qcow2 64M");
	test_definition();
	test_refused();
	test_undone();
	test_meanwhile();
	test_left();
	test_late();
	test_not_served();
	test_no_room();
	test_killed();
	domains_end();
	return 0;
}
