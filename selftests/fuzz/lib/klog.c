// SPDX-License-Identifier: GPL-2.0-only
/* The kernel's log: programs go there before they run, complaints come from there. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

#define TAG		"vitro-fuzz:"
/* A record of the log holds less than 1024 bytes. */
#define HEX_PER_LINE	880

static int out = -1, in = -1;

void program_to_hex(const struct program *program, char *hex)
{
	static const char digits[] = "0123456789abcdef";
	uint32_t i;

	for (i = 0; i < program->len; i++) {
		*hex++ = digits[program->bytes[i] >> 4];
		*hex++ = digits[program->bytes[i] & 15];
	}
	*hex = 0;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

uint32_t program_from_hex(struct program *program, const char *hex)
{
	program->len = 0;
	while (program->len < PROGRAM_MAX && digit(hex[0]) >= 0 && digit(hex[1]) >= 0) {
		program->bytes[program->len++] = digit(hex[0]) << 4 | digit(hex[1]);
		hex += 2;
	}
	return program->len;
}

long number_from(const char *path)
{
	long value = -1;
	FILE *file = fopen(path, "r");

	if (!file)
		return -1;
	if (fscanf(file, "%ld", &value) != 1)
		value = -1;
	fclose(file);
	return value;
}

void klog_open(void)
{
	/* The machines boot with printk.devkmsg=on: nothing is dropped for coming too fast. */
	out = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	in = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (out < 0 || in < 0) {
		perror("fuzz: /dev/kmsg");
		exit(2);
	}
	lseek(in, 0, SEEK_END);
}

void klog_announce(const struct program *program, unsigned long number)
{
	static char hex[2 * PROGRAM_MAX + 1];
	char line[HEX_PER_LINE + 64];
	size_t len, at, part = 0, n;

	program_to_hex(program, hex);
	len = strlen(hex);
	for (at = 0; at < len; at += HEX_PER_LINE, part++) {
		n = snprintf(line, sizeof(line), "<6>" TAG " %lu %zu %zu %.*s\n", number, part,
			     (len + HEX_PER_LINE - 1) / HEX_PER_LINE, HEX_PER_LINE, hex + at);
		if (write(out, line, n) != (ssize_t)n)
			perror("fuzz: write to /dev/kmsg");
	}
}

static bool is_splat(const char *line)
{
	static const char *const marks[] = {
		"WARNING: ", "BUG: ", "BUG at ", "Oops", "general protection fault",
		"Call Trace:", "rcu: INFO: ", "INFO: task ", "unchecked MSR access", "UBSAN",
		"refcount_t: ", "Unable to handle", "scheduling while atomic",
		"sleeping function called", "corruption", "lockup", "double fault",
		"nobody cared", "Bad page", "Bad rss", "ODEBUG", "page allocation failure",
	};
	unsigned int i;

	if (strstr(line, TAG))
		return false;
	for (i = 0; i < ARRAY_SIZE(marks); i++)
		if (strstr(line, marks[i]))
			return true;
	return false;
}

bool klog_splat(char *line, size_t size)
{
	char record[2048], *text, *end;
	bool found = false;
	ssize_t n;

	for (;;) {
		n = read(in, record, sizeof(record) - 1);
		/* EPIPE: records were overwritten before they were read; go on behind them. */
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			return found;
		record[n] = 0;
		text = strchr(record, ';');
		if (found || !text || !is_splat(text))
			continue;
		end = strchr(text, '\n');
		if (end)
			*end = 0;
		snprintf(line, size, "%s", text + 1);
		found = true;
	}
}
