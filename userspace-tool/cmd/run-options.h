/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VITRO_RUN_OPTIONS_H
#define VITRO_RUN_OPTIONS_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#include "loader/loader.h"

#define MAX_DISKS	8
#define MAX_CPUS	254		/* xAPIC ids 0 to 253 */
#define MIN_MEM		(16ULL << 20)
#define MAX_MEM		(1ULL << 45)

struct disk_option {
	char *path;
	bool read_only;
};

struct run_options {
	const char *kernel;
	const char *initrd;
	const char *append;
	const char *device;
	unsigned int cpus;
	uint64_t mem;
	struct disk_option disks[MAX_DISKS];
	unsigned int nr_disks;
	enum boot_protocol boot;
	bool restart;			/* --on-reboot=restart */
	bool stats;
	unsigned int timeout;		/* seconds, 0: none */
};

extern const struct argp run_argp;

/**
 * run_options_parse() - read the command line of "vitro run"
 * @opts: filled in
 * @argc: number of arguments
 * @argv: the arguments; strings stay in use, their order may change
 * @flags: for argp_parse(); 0 exits on a bad line, with status 2
 *
 * Return: 0 or a positive errno value. run_options_free() is to be called
 * either way.
 */
int run_options_parse(struct run_options *opts, int argc, char **argv, unsigned int flags);

/**
 * run_options_free() - free what run_options_parse() allocated
 * @opts: the options
 */
void run_options_free(struct run_options *opts);

#endif
