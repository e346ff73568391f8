/* SPDX-License-Identifier: GPL-2.0-only */
/* Small things that every file of the tool uses. */
#ifndef VITRO_UTIL_H
#define VITRO_UTIL_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define ALIGN_UP(x, a)	(((x) + (a) - 1) & ~((__typeof__(x))(a) - 1))
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a) - 1))
#define BIT(n)		(1ULL << (n))
#define KIB		(1ULL << 10)
#define MIB		(1ULL << 20)
#define GIB		(1ULL << 30)

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/**
 * fail() - tell the user what went wrong
 * @err: positive errno value for the caller to pass on
 * @fmt: what happened, on what, why, and what to do about it
 *
 * Prints one line to the standard error stream.
 *
 * Return: -@err, so that "return fail(...)" reports and returns.
 */
int fail(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/**
 * note() - tell the user something which is no failure
 * @fmt: the text, without a newline
 */
void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * parse_size() - read a number of bytes such as 512M
 * @text: decimal or 0x number with an optional suffix K, M, G or T
 *	  (powers of 1024, either case)
 * @bytes: set to the value when 0 is returned
 *
 * Return: 0, -EINVAL for anything but such a number, -ERANGE for one which
 * does not fit 64 bits.
 */
int parse_size(const char *text, uint64_t *bytes);

/**
 * parse_uint() - read a decimal number
 * @text: digits only
 * @max: largest value accepted
 * @value: set to the value when 0 is returned
 *
 * Return: 0, -EINVAL for anything but digits, -ERANGE for more than @max.
 */
int parse_uint(const char *text, unsigned int max, unsigned int *value);

/**
 * read_all() - read until a count is reached
 * @fd: file
 * @buf: destination
 * @len: bytes wanted
 * @offset: position in the file
 *
 * Return: 0, -ENODATA when the file ends first, another negative errno.
 */
int read_all(int fd, void *buf, size_t len, uint64_t offset);

#endif
