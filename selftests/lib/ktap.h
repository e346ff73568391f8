/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Test cases and their report in KTAP.
 *
 * Each test case runs in a process of its own, with a time limit: one that
 * crashes or hangs is one "not ok" line, and the next case starts clean.
 */
#ifndef SELFTESTS_KTAP_H
#define SELFTESTS_KTAP_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

struct test_case {
	const char *name;
	void (*fn)(void);
	int line;
	unsigned int limit_s;
};

/* TEST(name) { ... } defines a test case and registers it. */
#define TEST(id)	TEST_LIMIT(id, 60)

/* The same with another time limit, in seconds of the machine it runs on. */
#define TEST_LIMIT(id, seconds)						\
	static void case_##id(void);					\
	static const struct test_case test_case_##id = {		\
		.name = #id, .fn = case_##id, .line = __LINE__,		\
		.limit_s = (seconds),					\
	};								\
	static const struct test_case *const test_entry_##id		\
		__attribute__((used, section("test_cases"))) =		\
		&test_case_##id;					\
	static void case_##id(void)

/**
 * test_device() - path of the device under test
 *
 * Return: the program's --device argument, $VITRO_DEVICE, or "/dev/vitro".
 */
const char *test_device(void);

/**
 * test_note() - print a diagnostic line
 * @fmt: format of the text, without the newline
 */
void test_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * test_fail() - mark the running test case as failed, and go on with it
 * @file: source file of the check
 * @line: source line of the check
 * @fmt: what was expected and what came
 */
void test_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * test_abort() - leave the running test case now; what it found so far counts
 */
void test_abort(void) __attribute__((noreturn));

/**
 * test_skip() - leave the running test case as skipped
 * @fmt: what is missing
 *
 * A case that failed a check before stays failed.
 */
void test_skip(const char *fmt, ...)
	__attribute__((noreturn, format(printf, 1, 2)));

/**
 * test_failures() - number of failed checks of the running test case so far
 */
unsigned int test_failures(void);

/**
 * test_slowness() - how many times as slow as usual the kernel is
 *
 * Return: $VITRO_SLOWNESS, or 1: what the time limits are multiplied with.
 */
unsigned int test_slowness(void);

/* Text for the result of a call that returns a negative errno on failure. */
const char *test_result(long ret, char *buf, size_t size);

/* The checks behind the macros below; each returns whether it held. */
bool test_eq(const char *file, int line, const char *what,
	     uint64_t got, uint64_t want);
bool test_ret(const char *file, int line, const char *what,
	      long got, long want);
bool test_ok(const char *file, int line, const char *what, long got);

#define CHECK(cond, fmt, ...)						\
	({								\
		bool held_ = (cond);					\
		if (!held_)						\
			test_fail(__FILE__, __LINE__, "%s: " fmt,	\
				  #cond, ##__VA_ARGS__);		\
		held_;							\
	})
#define CHECK_EQ(got, want)						\
	test_eq(__FILE__, __LINE__, #got, (uint64_t)(got), (uint64_t)(want))
/* A call that returns a negative errno: it shall fail with this one. */
#define CHECK_ERR(call, err)						\
	test_ret(__FILE__, __LINE__, #call, (call), -(long)(err))
/* It shall return exactly this. */
#define CHECK_RET(call, want)						\
	test_ret(__FILE__, __LINE__, #call, (call), (want))
/* It shall not fail. */
#define CHECK_OK(call)							\
	test_ok(__FILE__, __LINE__, #call, (call))

/* The same, without which the rest of the test case makes no sense. */
#define REQUIRE(cond, fmt, ...)						\
	do {								\
		if (!CHECK(cond, fmt, ##__VA_ARGS__))			\
			test_abort();					\
	} while (0)
#define REQUIRE_EQ(got, want)						\
	do {								\
		if (!CHECK_EQ(got, want))				\
			test_abort();					\
	} while (0)
#define REQUIRE_OK(call)						\
	({								\
		long req_ = (call);					\
		if (!test_ok(__FILE__, __LINE__, #call, req_))		\
			test_abort();					\
		req_;							\
	})

#endif
