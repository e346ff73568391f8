// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>

#include "ktap.h"

static unsigned int count, failures;

void ktap_begin(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("KTAP version 1");
}

void ktap_result(bool ok, const char *format, ...)
{
	va_list args;

	failures += !ok;
	printf("%s %u - ", ok ? "ok" : "not ok", ++count);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

void ktap_skip(const char *name, const char *why)
{
	printf("ok %u - %s # SKIP %s\n", ++count, name, why);
}

void ktap_note(const char *format, ...)
{
	va_list args;

	fputs("# ", stdout);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

int ktap_end(void)
{
	printf("1..%u\n", count);
	return failures || !count;
}
