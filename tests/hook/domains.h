/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Functions of the tests on libvirt's own test driver, which keeps its domains
 * in this process.
 */
#ifndef LIBVIRT_DOMAINS_H
#define LIBVIRT_DOMAINS_H

#include <libvirt/libvirt.h>

#include "plugin/libvirt/commands.h"

#define URI   "test:///default"
#define FLAGS (VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE)

extern virConnectPtr connection;

/* The output of the last command. */
extern char *out, *err;

/* Connects; nothing of the machine's is looked at. */
void domains_begin(void);
void domains_end(void);

/* A file as a text; the caller frees it. */
char *take(const char *path);

typedef int libvirt_command(const struct libvirt_options *options);

/* Runs a command, and takes its output; returns its exit status. */
int run_captured(libvirt_command *command,
		 const struct libvirt_options *options);

/* Makes an image, with these arguments of qemu-img create. */
void image(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* All of them become the other; the old text is freed. */
char *replaced(char *text, const char *from, const char *to);

/* A domain's XML, for the test driver and with images of ours. */
char *load(const char *name);

/* Takes over the XML. */
virDomainPtr define(char *xml);
void undefine(virDomainPtr domain);

/* The caller frees it. */
char *definition(virDomainPtr domain);

/* This is in the domain's definition; this is the definition. */
void says(virDomainPtr domain, const char *text);
void is(virDomainPtr domain, const char *xml);

/* The command must fail with one line, which says this. */
void refused_with(libvirt_command *command,
		  const struct libvirt_options *options, const char *reason);

#endif /* LIBVIRT_DOMAINS_H */
