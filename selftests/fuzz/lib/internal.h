/* SPDX-License-Identifier: GPL-2.0-only */
/* Between the parts of the common part. */
#ifndef FUZZ_INTERNAL_H
#define FUZZ_INTERNAL_H

#include "fuzz.h"

/* How a program ended. */
enum verdict {
	VERDICT_FINE,
	VERDICT_FAILED,		/* fuzz_fail(), or the process died of a signal */
	VERDICT_STUCK,		/* SIGKILL does not end it */
};

/**
 * coverage_open() - have a KCOV buffer per thread, for this process and its children
 *
 * Return: whether the kernel and the module have KCOV; without it nothing is
 * kept for mutation but by chance.
 */
bool coverage_open(void);

/**
 * coverage_clear() - empty the buffers before a program
 */
void coverage_clear(void);

/**
 * coverage_collect() - take what a program has covered into account
 *
 * Return: transitions between places of the module that no program had taken before.
 */
unsigned int coverage_collect(void);

/* Places and transitions of the module that have been covered so far. */
unsigned int coverage_places(void);
unsigned int coverage_edges(void);

/**
 * coverage_print() - write the places to standard output
 *
 * "section NAME ADDRESS" and "pc ADDRESS", for coverage-report on the host.
 */
void coverage_print(void);

/**
 * supervise() - run a program in a process of its own
 * @target: the fuzzer
 * @program: the program
 * @reason: receives what was wrong
 * @size: its size in bytes
 */
enum verdict supervise(const struct fuzz_target *target, const struct program *program,
		       char *reason, size_t size);

/**
 * supervise_open() - prepare for supervise()
 */
void supervise_open(void);

/**
 * klog_open() - from now on the kernel's log is watched
 */
void klog_open(void);

/**
 * klog_announce() - write a program to the kernel's log, before it runs
 * @program: the program
 * @number: which one it is
 *
 * The kernel's console is the one way out of a machine that is about to
 * panic: what has been written there has left it.
 */
void klog_announce(const struct program *program, unsigned long number);

/**
 * klog_splat() - whether the kernel has complained since the last call
 * @line: receives the first line of it
 * @size: its size in bytes
 */
bool klog_splat(char *line, size_t size);

/* A number from a file of /sys or /proc, or -1. */
long number_from(const char *path);

/* Programs as hexadecimal digits. Returns the length, or 0 when it is none. */
void program_to_hex(const struct program *program, char *hex);
uint32_t program_from_hex(struct program *program, const char *hex);

#endif
