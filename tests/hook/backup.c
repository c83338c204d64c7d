// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `ublk-qcow2 libvirt backup` and `commit`, on libvirt's own test driver, and
 * with a stand-in for the program ublk-qcow2.  Wherever the disk stops, the
 * metadata name its image, and the same command goes on.
 */
#include <fcntl.h>
#include <libvirt/virterror.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin/libvirt/domain.h"
#include "qcow/merge.h"
#include "tests/hook/domains.h"
#include "tests/hook/fake.h"
#include "tests/lib/helpers.h"

static virDomainPtr domain;
static char *image_path, *overlay, *snapshot_path;

static void set_up(void)
{
	fake_begin();
	image_path = scratch_path("web1.qcow2");
	overlay = scratch_path("web1.qcow2.during-backup");
	snapshot_path = scratch_path("web1.one.qcow2");
}

/* After the next such command the disk has this image, and that one below;
   NULL: its own. */
static void leave_over(const char *command, const char *path, const char *below)
{
	must_run("cd %s/fake && rm -f %s.image", scratch(), command);
	if (path)
		must_run("printf '%%s\\n' %s %s >%s/fake/%s.image", path, below,
			 scratch(), command);
}

static void leave_with(const char *command, const char *path)
{
	leave_over(command, path, "/below");
}

/* The domain that runs and its definition name this image and no other. */
static void names(const char *path, const char *when)
{
	char entry[512];

	snprintf(entry, sizeof(entry), "file=\"%s\"", path);
	for (int live = 0; live < 2; live++) {
		char *xml = virDomainGetXMLDesc(domain, live ? 0 : FLAGS);

		xml = replaced(xml, "'", "\"");
		if (!strstr(xml, entry))
			die("%s: the metadata do not name %s: %s", when, path,
			    xml);
		free(xml);
	}
}

static struct libvirt_options with(const char *file)
{
	return (struct libvirt_options){
		.uri = URI,
		.subjects = { "web1", "vda", file },
	};
}

static void must(libvirt_command *command,
		 const struct libvirt_options *options)
{
	if (run_captured(command, options) || *err)
		die("%s", err);
}

static void test_backup(void)
{
	struct libvirt_options options = with("/copy");

	must(command_backup, &options);
	fake_called("backup 0 /copy --domain-told;");
	names(image_path, "copied");
	options.bandwidth = "1M";
	must(command_backup, &options);
	fake_called("backup 0 /copy --domain-told --bandwidth 1M;");
	options.bandwidth = "12x";
	refused_with(command_backup, &options, "is no bandwidth");
	fake_called("");
}

static void make_overlay(void)
{
	image("-b web1.qcow2 -F qcow2 web1.qcow2.during-backup");
}

/* As the supervisor does it when the overlay is merged. */
static void mark_overlay(void)
{
	struct qcow_identity identity;
	struct qcow_error error;

	if (qcow_identify_path(overlay, &identity) ||
	    qcow_mark_merged(overlay, &identity, image_path, &error))
		die("%s cannot be marked", overlay);
}

/* It stops while the disk has the overlay, and goes on. */
static void test_interrupted(void)
{
	struct libvirt_options options = with("/copy");

	make_overlay();
	must_run("cd %s/fake && printf '*\\nit was killed\\n' >backup.fails",
		 scratch());
	leave_over("backup", overlay, image_path);
	if (!run_captured(command_backup, &options))
		die("it does not fail");
	names(overlay, "interrupted");
	must_run("rm %s/fake/backup.fails", scratch());
	leave_with("backup", image_path);
	mark_overlay();
	must(command_backup, &options);
	names(image_path, "it went on");
	if (!access(overlay, F_OK))
		die("the overlay is left");
	fake_called("backup 0 /copy --domain-told;recover 0;"
		    "backup 0 /copy --domain-told;");
	leave_with("backup", NULL);
}

/* Has the overlay, which some disk needs, been removed? */
static void is_there(const char *when)
{
	if (access(overlay, F_OK))
		die("%s: %s was removed", when, overlay);
}

/* Another backup has made one of the same name when this one ends. */
static void test_another(void)
{
	struct libvirt_options options = with("/copy");

	make_overlay();
	must(command_backup, &options);
	names(image_path, "another backup");
	is_there("another backup");
	must_run("rm %s && : >%s/fake/calls", overlay, scratch());
}

/* Somebody makes a snapshot during the copy. */
static void test_stacked(void)
{
	struct libvirt_options options = with("/copy");

	make_overlay();
	must_run(": >%s/fake/calls", scratch());
	leave_over("backup", "/other", overlay);
	must(command_backup, &options);
	is_there("a snapshot during the copy");
	leave_with("commit", image_path);
	must(command_commit, &options);
	leave_with("commit", NULL);
	leave_with("backup", NULL);
	must_run("rm %s && : >%s/fake/calls", overlay, scratch());
}

/* An image that has the name of an overlay, and is none. */
static void test_name(void)
{
	struct libvirt_options options = with("/copy");

	make_overlay();
	must_run("cd %s/fake && printf '*\\nno\\n' >backup.fails", scratch());
	leave_over("backup", overlay, image_path);
	if (!run_captured(command_backup, &options))
		die("it does not fail");
	must_run("rm %s/fake/backup.fails && sed -i '/^layer/d' "
		 "\"$UBLK_QCOW2_RUN\"/0.disk",
		 scratch());
	leave_with("backup", NULL);
	must(command_backup, &options);
	names(overlay, "an image of that name");
	is_there("an image of that name");
	leave_with("commit", image_path);
	must(command_commit, &options);
	names(image_path, "merged");
	leave_with("commit", NULL);
	must_run("rm %s && : >%s/fake/calls", overlay, scratch());
}

static void test_commit(void)
{
	struct libvirt_options options = with(NULL);
	char expected[600];

	options.suffix = "one";
	leave_with("snapshot", snapshot_path);
	must(command_snapshot, &options);
	names(snapshot_path, "a snapshot");
	snprintf(expected, sizeof(expected), "snapshot 0 %s --domain-told;",
		 snapshot_path);
	fake_called(expected);
	must_run("cd %s/fake && printf '*\\nno room\\n' >commit.fails",
		 scratch());
	if (!run_captured(command_commit, &options))
		die("it does not fail");
	names(snapshot_path, "not merged");
	must_run("rm %s/fake/commit.fails", scratch());
	leave_with("commit", image_path);
	snprintf(options.to, sizeof(options.to), "/below");
	must(command_commit, &options);
	names(image_path, "merged");
	fake_called("commit 0 --domain-told;recover 0;"
		    "commit 0 --domain-told --to /below;");
	leave_with("commit", NULL);
}

/* The program dies when the disk has its overlay: of a pipe, say, that nobody
   reads any more.  The image below must not be served any more. */
static void test_dead_snapshot(void)
{
	struct libvirt_options options = with(NULL);

	options.suffix = "one";
	leave_with("snapshot", snapshot_path);
	must_run("cd %s/fake && printf '*\nit was killed\n' >snapshot.fails",
		 scratch());
	if (!run_captured(command_snapshot, &options))
		die("it does not fail");
	names(snapshot_path, "a program that died");
	leave_with("snapshot", image_path);
	leave_with("commit", image_path);
	must(command_commit, &options);
	/* Refused, and the disk is as it was. */
	if (!run_captured(command_snapshot, &options))
		die("it does not fail");
	names(image_path, "a refusal");
	must_run("rm %s/fake/snapshot.fails && : >%s/fake/calls", scratch(),
		 scratch());
	leave_with("snapshot", NULL);
	leave_with("commit", NULL);
}

/* An entry names the image by a link to its directory; the disk knows where
   that leads. */
static void test_link(void)
{
	struct libvirt_options options = with(NULL);
	char list[600];

	must_run("ln -s . %s/link && : >%s/fake/calls", scratch(), scratch());
	snprintf(list, sizeof(list),
		 "<disks><disk dev='/dev/ublk-qcow2/web1-vda' "
		 "file='%s/link/web1.qcow2'/></disks>",
		 scratch());
	if (virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, list,
				 DOMAIN_PREFIX, DOMAIN_NAMESPACE,
				 VIR_DOMAIN_AFFECT_LIVE |
					 VIR_DOMAIN_AFFECT_CONFIG))
		die("metadata: %s", virGetLastErrorMessage());
	options.suffix = "one";
	leave_with("snapshot", snapshot_path);
	must(command_snapshot, &options);
	names(snapshot_path, "a link");
	leave_with("commit", image_path);
	must(command_commit, &options);
	names(image_path, "no link any more");
	leave_with("snapshot", NULL);
	leave_with("commit", NULL);
	must_run(": >%s/fake/calls", scratch());
}

static void set_entry(const char *path, unsigned int flags)
{
	char list[600];

	snprintf(list, sizeof(list),
		 "<disks><disk dev='/dev/ublk-qcow2/web1-vda' file='%s'/>"
		 "</disks>",
		 path);
	if (virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, list,
				 DOMAIN_PREFIX, DOMAIN_NAMESPACE, flags))
		die("metadata: %s", virGetLastErrorMessage());
}

static void refuse_all(const char *why)
{
	struct libvirt_options options = with("/copy");

	refused_with(command_backup, &options, why);
	options.subjects[2] = NULL;
	refused_with(command_commit, &options, why);
	options.suffix = "one";
	refused_with(command_snapshot, &options, why);
	fake_called("");
}

/* The domain would start with an image that nobody has changed: with one that
   is out of date. */
static void test_third_image(void)
{
	char *third = scratch_path("third.qcow2");

	image("third.qcow2 64M");
	set_entry(third, VIR_DOMAIN_AFFECT_CONFIG);
	refuse_all("third.qcow2 for its disk vda");
	set_entry(third, VIR_DOMAIN_AFFECT_LIVE);
	set_entry(image_path, VIR_DOMAIN_AFFECT_CONFIG);
	refuse_all("third.qcow2 for its disk vda");
	set_entry(image_path, VIR_DOMAIN_AFFECT_LIVE);
	must_run("rm %s", third);
	free(third);
}

/* A backup was killed when the metadata named its overlay: there was none yet,
   or the disk had not got it. */
static void test_early_death(void)
{
	const unsigned int both = VIR_DOMAIN_AFFECT_CONFIG |
				  VIR_DOMAIN_AFFECT_LIVE;
	struct libvirt_options options = with("/copy");

	set_entry(overlay, both);
	must(command_backup, &options);
	names(image_path, "no overlay yet");
	make_overlay();
	set_entry(overlay, both);
	must(command_backup, &options);
	names(image_path, "an overlay of nobody");
	must_run("rm %s", overlay);
	/* It had another name. */
	set_entry("/never-made.qcow2", both);
	must(command_backup, &options);
	names(image_path, "never made");
	must_run(": >%s/fake/calls", scratch());
}

/* Another domain, which nobody changes, would do so. */
static void test_other_domain(void)
{
	virDomainPtr other;

	/* By another path of the same file. */
	must_run("ln %s %s/same.qcow2", image_path, scratch());
	other = define(replaced(load("bare"), "bare.qcow2", "same.qcow2"));
	refuse_all("domain bare names");
	undefine(other);
	must_run("rm %s/same.qcow2", scratch());
}

/* A commit was killed when the disk was merged: the same command mends the
   metadata, even if nothing is left to merge. */
static void test_left(void)
{
	struct libvirt_options options = with(NULL);

	make_overlay();
	mark_overlay();
	set_entry(overlay, VIR_DOMAIN_AFFECT_CONFIG | VIR_DOMAIN_AFFECT_LIVE);
	must_run("cd %s/fake && printf '*\\nno image below\\n' >commit.fails",
		 scratch());
	if (!run_captured(command_commit, &options))
		die("it does not fail");
	names(image_path, "it was merged before");
	must_run("rm %s/fake/commit.fails %s && : >%s/fake/calls", scratch(),
		 overlay, scratch());
}

/* ---- signals ---- */

static volatile sig_atomic_t heard, too_early;

/* Does the program still sleep, and the guest stand still? */
static void hear(int number)
{
	char path[512], text[16] = "";
	int fd;

	(void)number;
	snprintf(path, sizeof(path), "%s/fake/asleep", scratch());
	fd = open(path, O_RDONLY);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0 ||
	    !kill(atoi(text), 0))
		too_early = 1;
	close(fd);
	heard = 1;
}

/* A process that sends the signal when the program is at work. */
static void signal_meanwhile(void)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/fake/asleep", scratch());
	unlink(path);
	if (fork())
		return;
	while (access(path, F_OK))
		usleep(10000);
	usleep(100000);
	kill(getppid(), SIGTERM);
	_exit(0);
}

static void must_wait(libvirt_command *command,
		      const struct libvirt_options *options)
{
	int state = 0;

	heard = too_early = 0;
	signal_meanwhile();
	must(command, options);
	if (!heard || too_early)
		die(heard ? "a signal comes while the guest stands still" :
			    "there was no signal");
	if (virDomainGetState(domain, &state, NULL, 0) ||
	    state != VIR_DOMAIN_RUNNING)
		die("the guest stands still");
}

static void test_signal(void)
{
	struct libvirt_options options = with(NULL);

	signal(SIGTERM, hear);
	must_run("echo 2 >%s/fake/snapshot.sleeps", scratch());
	leave_with("snapshot", snapshot_path);
	leave_with("commit", image_path);
	options.suffix = "one";
	must_wait(command_snapshot, &options);
	signal(SIGTERM, SIG_DFL);
	must_run("rm %s/fake/snapshot.sleeps && : >%s/fake/calls", scratch(),
		 scratch());
	must(command_commit, &options);
}

int main(void)
{
	const struct libvirt_options convert = {
		.uri = URI,
		.subjects = { "web1" },
	};
	const struct libvirt_options shut_off = with("/copy");

	domains_begin();
	set_up();
	atexit(fake_end);
	image("web1.qcow2 64M");
	domain = define(load("plain"));
	must(command_convert, &convert);
	refused_with(command_backup, &shut_off, "is not running");
	must_run("\"$UBLK_QCOW2\" add %s --name web1-vda </dev/null && "
		 ": >%s/fake/calls",
		 image_path, scratch());
	virDomainCreate(domain);
	test_backup();
	test_interrupted();
	test_another();
	test_stacked();
	test_name();
	test_commit();
	test_dead_snapshot();
	test_link();
	test_third_image();
	test_early_death();
	test_other_domain();
	test_left();
	test_signal();
	virDomainDestroy(domain);
	undefine(domain);
	domains_end();
	free(image_path);
	free(overlay);
	free(snapshot_path);
	return 0;
}
