// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the selftests' library wants of its test runner, for a program that is
 * not a test: each failure ends it. And how the programs make one figure of many.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "ktap.h"

const char *test_device(void)
{
	return getenv("VITRO_DEVICE") ?: "/dev/vitro";
}

void test_abort(void)
{
	exit(1);
}

void test_fail(const char *file, int line, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "%s: %s:%d: ", program_invocation_short_name, file, line);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	test_abort();
}

void test_skip(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	test_abort();
}

bool test_eq(const char *file, int line, const char *what,
	     uint64_t got, uint64_t want)
{
	if (got != want)
		test_fail(file, line, "%s: expected %#llx, got %#llx", what,
			  (unsigned long long)want, (unsigned long long)got);
	return true;
}

bool test_ret(const char *file, int line, const char *what,
	      long got, long want)
{
	if (got != want)
		test_fail(file, line, "%s: expected %ld, got %ld", what, want, got);
	return true;
}

bool test_ok(const char *file, int line, const char *what, long got)
{
	if (got < 0)
		test_fail(file, line, "%s: %s", what, strerror(-got));
	return true;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

uint64_t bench_median(uint64_t *ticks, unsigned int nr, unsigned int rounds)
{
	qsort(ticks, nr, sizeof(*ticks), by_size);
	return (ticks[nr / 2] + rounds / 2) / rounds;
}
