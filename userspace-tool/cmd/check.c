// SPDX-License-Identifier: GPL-2.0-only
/* vitro check: can this host run vitro, and if not, what stands in the way? */
#include "cmd/check.h"
#include "cmd/cmd.h"
#include "core/util.h"

#include <argp.h>
#include <cpuid.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define STATUS_NO	1
#define STATUS_USAGE	2

/* @remedy: what to do about it, or NULL */
static void line(const char *verdict, const char *name, const char *remedy, const char *fmt,
		 va_list args)
{
	printf("%-5s %-20s ", verdict, name);
	vprintf(fmt, args);
	putchar('\n');
	if (remedy)
		printf("%-26s => %s\n", "", remedy);
}

void check_pass(struct check *c, const char *name, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	line("PASS", name, NULL, fmt, args);
	va_end(args);
}

void check_fail(struct check *c, const char *name, const char *remedy, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	line("FAIL", name, remedy, fmt, args);
	va_end(args);
	c->failures++;
}

void check_unknown(struct check *c, const char *name, const char *remedy, const char *fmt, ...)
{
	va_list args;

	/* A module that has loaded has seen it for itself. */
	if (c->loaded)
		return;
	va_start(args, fmt);
	line("?", name, remedy, fmt, args);
	va_end(args);
	c->unknowns++;
}

void check_info(struct check *c, const char *name, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	line("INFO", name, NULL, fmt, args);
	va_end(args);
}

void check_advise(struct check *c, const char *name, const char *advice, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	line("INFO", name, advice, fmt, args);
	va_end(args);
}

static void check_vendor(struct check *c)
{
	unsigned int a, b, cx, d;
	char id[13] = { 0 };

	__cpuid(0, a, b, cx, d);
	memcpy(id, &b, 4);
	memcpy(id + 4, &d, 4);
	memcpy(id + 8, &cx, 4);
	if (!strcmp(id, "GenuineIntel"))
		c->vendor = VENDOR_INTEL;
	else if (!strcmp(id, "AuthenticAMD") || !strcmp(id, "HygonGenuine"))
		c->vendor = VENDOR_AMD;
	if (c->vendor == VENDOR_OTHER)
		check_fail(c, "processor", "use a machine with an Intel or AMD processor",
			   "%s, which vitro does not know", id);
	else
		check_pass(c, "processor", "%s", id);
}

static void check_below(struct check *c)
{
	unsigned int a, b, cx, d;
	char id[13] = { 0 };

	if (!__get_cpuid(1, &a, &b, &cx, &d) || !(cx & BIT(31))) {
		check_info(c, "runs on", "bare hardware, as far as CPUID tells");
		return;
	}
	c->nested = true;
	__cpuid(0x40000000, a, b, cx, d);
	memcpy(id, &b, 4);
	memcpy(id + 4, &cx, 4);
	memcpy(id + 8, &d, 4);
	check_info(c, "runs on", "a hypervisor%s%s", id[0] ? ": " : "", id);
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	argp_error(state, "%s: no such argument", arg);
	return EINVAL;
}

static const struct argp_option options[] = { { 0 } };

static const struct argp check_argp = {
	.options = options,
	.parser = parse_option,
	.doc = "Say whether this host can run vitro, feature by feature.\v"
	       "The exit status is 0 if it can and 1 if it cannot. Some features can be seen by root "
	       "only; '?' marks what could not be seen.",
};

int cmd_check(int argc, char **argv)
{
	struct check c = { .vendor = VENDOR_OTHER };

	if (argp_parse(&check_argp, argc, argv, 0, NULL, NULL))
		return STATUS_USAGE;
	check_vendor(&c);
	check_below(&c);
	check_module(&c);
	if (c.vendor == VENDOR_INTEL)
		check_vmx(&c);
	else if (c.vendor == VENDOR_AMD)
		check_svm(&c);
	if (!c.loaded) {
		check_owners(&c);
		check_kernel(&c);
	}
	if (c.failures)
		printf("\nThis host cannot run vitro: %u obstacle%s.\n", c.failures,
		       c.failures == 1 ? "" : "s");
	else if (c.unknowns)
		printf("\nThis host can run vitro, unless something that could not be seen stands in the way.\n");
	else
		printf("\nThis host can run vitro.\n");
	return c.failures ? STATUS_NO : 0;
}
