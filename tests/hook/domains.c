// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>
#include <libvirt/virterror.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/helpers.h"
#include "tests/hook/domains.h"

virConnectPtr connection;

/* --- running commands ----------------------------------------------------- */

char *out, *err;

/* --- domains ------------------------------------------------------------- */

void domains_begin(void)
{
	char *run = scratch_path("run");

	setenv("UBLK_QCOW2_DIRECTORIES", "/nowhere", 1);
	setenv("UBLK_QCOW2_RUN", run, 1);
	setenv("UBLK_QCOW2_DISKS", "/nowhere", 1);
	setenv("UBLK_QCOW2_SYSTEMD", "/nowhere", 1);
	free(run);
	connection = virConnectOpen(URI);
	if (!connection)
		die(URI ": %s", virGetLastErrorMessage());
}

void domains_end(void)
{
	virConnectClose(connection);
	free(out);
	free(err);
}

char *take(const char *path)
{
	size_t size;
	char *text = (char *)read_file(path, &size);

	if (!text)
		die("cannot read %s", path);
	text[size] = '\0';
	return text;
}

/* From now on the descriptor leads to this file; its old self. */
static int lead(int fd, const char *path)
{
	int saved = dup(fd);
	int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (file < 0 || dup2(file, fd) < 0)
		die("cannot write %s", path);
	close(file);
	return saved;
}

static void lead_back(int fd, int saved)
{
	dup2(saved, fd);
	close(saved);
}

int run_captured(libvirt_command *command,
		 const struct libvirt_options *options)
{
	char *out_path = scratch_path("out");
	char *err_path = scratch_path("err");
	int saved_out, saved_err, status;

	fflush(NULL);
	saved_out = lead(STDOUT_FILENO, out_path);
	saved_err = lead(STDERR_FILENO, err_path);
	status = command(options);
	fflush(NULL);
	lead_back(STDOUT_FILENO, saved_out);
	lead_back(STDERR_FILENO, saved_err);
	free(out);
	free(err);
	out = take(out_path);
	err = take(err_path);
	free(out_path);
	free(err_path);
	return status;
}

void image(const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		abort();
	va_end(args);
	must_run("cd %s && qemu-img create -q -f qcow2 %s", scratch(), text);
	free(text);
}

char *replaced(char *text, const char *from, const char *to)
{
	char *result = NULL, *rest = text, *at;
	size_t size;
	FILE *file = open_memstream(&result, &size);

	while ((at = strstr(rest, from))) {
		fwrite(rest, 1, at - rest, file);
		fputs(to, file);
		rest = at + strlen(from);
	}
	fputs(rest, file);
	fclose(file);
	free(text);
	return result;
}

char *load(const char *name)
{
	const char *srcdir = getenv("srcdir");
	char path[256];

	snprintf(path, sizeof(path), "%s/hook/xml/%s.xml", srcdir ?: ".", name);
	return replaced(replaced(take(path), "type='kvm'", "type='test'"),
			"/srv/vm", scratch());
}

virDomainPtr define(char *xml)
{
	virDomainPtr domain = virDomainDefineXML(connection, xml);

	if (!domain)
		die("define: %s", virGetLastErrorMessage());
	free(xml);
	return domain;
}

void undefine(virDomainPtr domain)
{
	if (virDomainUndefine(domain))
		die("undefine: %s", virGetLastErrorMessage());
	virDomainFree(domain);
}

char *definition(virDomainPtr domain)
{
	char *xml = virDomainGetXMLDesc(domain, FLAGS);

	if (!xml)
		die("dumpxml: %s", virGetLastErrorMessage());
	return xml;
}

void says(virDomainPtr domain, const char *text)
{
	char *xml = definition(domain);

	if (!strstr(xml, text))
		die("'%s' is not in %s", text, xml);
	free(xml);
}

void is(virDomainPtr domain, const char *xml)
{
	char *now = definition(domain);

	if (strcmp(now, xml) != 0)
		die("not as it was:\n%s\n%s", xml, now);
	free(now);
}

/* One line, which says this. */
void refused_with(libvirt_command *command,
		  const struct libvirt_options *options, const char *reason)
{
	const char *domain = options->subjects[0];

	if (run_captured(command, options) != EXIT_FAILURE)
		die("%s was not refused: %s", domain, reason);
	if (!strstr(err, reason) || strchr(err, '\n') != err + strlen(err) - 1)
		die("%s was refused for %s and not '%s'", domain, err, reason);
}
