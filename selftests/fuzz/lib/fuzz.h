/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The common part of the fuzzers that run in the emulated machine: programs
 * are strings of bytes, each runs in a process of its own, and what reaches
 * new code of the module is kept and mutated.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include "rng.h"

#define PROGRAM_MAX	3072
#define FUZZ_THREADS	4	/* of a program, with a KCOV buffer each */

struct program {
	uint32_t len;
	uint8_t bytes[PROGRAM_MAX];
};

/**
 * struct fuzz_target - what a fuzzer is made of
 * @name: for messages
 * @generate: make a program
 * @mutate: change a program; @other is another one that was worth keeping
 * @execute: run a program, which may be any bytes; called in a process of its
 *	own. What must not be is said by fuzz_fail()
 * @list: print what the fuzzer knows to call, one per line
 */
struct fuzz_target {
	const char *name;
	void (*generate)(struct rng *rng, struct program *program);
	void (*mutate)(struct rng *rng, struct program *program, const struct program *other);
	void (*execute)(const struct program *program);
	void (*list)(void);
};

/**
 * fuzz_main() - the main program of a fuzzer
 * @argc: of main()
 * @argv: of main()
 * @target: the fuzzer
 *
 * Return: 0, 1 when something was found, 2 for a mistake of the user.
 */
int fuzz_main(int argc, char **argv, const struct fuzz_target *target);

/**
 * fuzz_fail() - the program shows something that must not be
 * @format: as printf(); what was expected, what came
 *
 * Context: any thread of the process that executes it. The first one counts.
 */
__attribute__((format(printf, 1, 2))) void fuzz_fail(const char *format, ...);

/**
 * fuzz_cover() - record the coverage of the calling thread
 * @thread: number of the thread in its program, less than FUZZ_THREADS
 */
void fuzz_cover(unsigned int thread);

/**
 * fuzz_device() - path of the device under test
 */
const char *fuzz_device(void);

#endif
