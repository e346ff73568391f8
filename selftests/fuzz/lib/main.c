// SPDX-License-Identifier: GPL-2.0-only
/* The loop of the fuzzers: make a program, run it, look at what it did. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#define CORPUS_MAX	8192
#define PROGRESS_EVERY	10	/* seconds */
#define IDLE_EVERY	200	/* programs between looks at the module's references */
#define REFERENCES	"/sys/module/vitro/refcnt"

static struct options {
	const char *device, *corpus, *replay;
	double seconds;
	unsigned long runs, repeat;
	uint64_t seed;
} options = { .device = "/dev/vitro", .seconds = 60, .runs = ~0UL, .repeat = 20, .seed = 1 };

static const struct fuzz_target *target;
static struct program *corpus[CORPUS_MAX];
static unsigned int corpus_size;
static unsigned long runs;
static struct timespec started;
static bool feedback;

const char *fuzz_device(void)
{
	return options.device;
}

static double elapsed(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec - started.tv_sec + (t.tv_nsec - started.tv_nsec) / 1e9;
}

static void keep(const struct program *program, bool tell)
{
	static char hex[2 * PROGRAM_MAX + 1];
	struct program *copy;

	if (corpus_size == CORPUS_MAX)
		return;
	copy = malloc(sizeof(*copy));
	if (!copy)
		return;
	memcpy(copy, program, sizeof(*copy));
	corpus[corpus_size++] = copy;
	if (tell) {
		program_to_hex(program, hex);
		printf("corpus %s\n", hex);
	}
}

static int found(const struct program *program, const char *reason)
{
	static char hex[2 * PROGRAM_MAX + 1];

	program_to_hex(program, hex);
	printf("crash %s\n", hex);
	printf("found %s\n", reason);
	return 1;
}

/* A module that nobody uses any more must say so. Returns 1 if it does not. */
static int check_idle(const struct program *program)
{
	char reason[80];
	long n = 0;
	int i;

	for (i = 0; i < 1200; i++) {
		n = number_from(REFERENCES);
		if (n <= 0)
			return 0;
		usleep(50000);
	}
	snprintf(reason, sizeof(reason), "the module still has %ld references after a minute", n);
	return found(program, reason);
}

/* Returns 1 when something was found. */
static int run_one(const struct program *program)
{
	char reason[512];
	enum verdict verdict;

	klog_announce(program, ++runs);
	coverage_clear();
	verdict = supervise(target, program, reason, sizeof(reason));
	if (klog_splat(reason, sizeof(reason)) || verdict != VERDICT_FINE)
		return found(program, reason);
	if (runs % IDLE_EVERY == 0 && check_idle(program))
		return 1;
	return 0;
}

static void progress(void)
{
	double t = elapsed();

	printf("progress %.0f s: %lu programs (%.1f/s), %u kept, %u places, %u transitions\n", t,
	       runs, runs / t, corpus_size, coverage_places(), coverage_edges());
	fflush(stdout);
}

static void next_program(struct rng *rng, struct program *program)
{
	/* The last ones have not been tried much. */
	unsigned int i, recent = corpus_size > 32 ? 32 : corpus_size;

	if (!corpus_size || rng_one_in(rng, 4)) {
		target->generate(rng, program);
		return;
	}
	i = rng_one_in(rng, 2) ? rng_below(rng, corpus_size) :
				 corpus_size - 1 - rng_below(rng, recent);
	memcpy(program, corpus[i], sizeof(*program));
	target->mutate(rng, program, corpus[rng_below(rng, corpus_size)]);
}

static int fuzz(void)
{
	struct rng rng = { options.seed };
	struct program program = { 0 };
	unsigned int first = corpus_size, i;
	double shown = 0;

	/* What earlier runs have kept tells where new code begins. */
	for (i = 0; i < first && elapsed() < options.seconds / 2; i++) {
		if (run_one(corpus[i]))
			return 1;
		coverage_collect();
	}
	while (runs < options.runs && elapsed() < options.seconds) {
		next_program(&rng, &program);
		if (run_one(&program))
			return 1;
		if (feedback ? coverage_collect() : rng_one_in(&rng, 8))
			keep(&program, feedback);
		if (elapsed() > shown + PROGRESS_EVERY) {
			shown = elapsed();
			progress();
		}
	}
	return check_idle(&program);
}

static int replay(void)
{
	unsigned long round;
	unsigned int i;

	for (round = 0; round < options.repeat; round++)
		for (i = 0; i < corpus_size; i++)
			if (run_one(corpus[i]))
				return 1;
	return check_idle(corpus[0]);
}

static void read_programs(const char *path)
{
	static char line[2 * PROGRAM_MAX + 64];
	struct program program;
	FILE *file = fopen(path, "r");

	if (!file) {
		fprintf(stderr, "fuzz: %s: %s\n", path, strerror(errno));
		exit(2);
	}
	while (fgets(line, sizeof(line), file))
		if (*line != '#' && program_from_hex(&program, line))
			keep(&program, false);
	fclose(file);
}

static void usage(int status)
{
	printf("usage: fuzz-%s [OPTIONS]\n"
	       "\n"
	       "  --seconds N    for so long (60)\n"
	       "  --runs N       so many programs at most\n"
	       "  --seed N       of the random numbers (1)\n"
	       "  --corpus FILE  begin with these programs, hexadecimal, one per line\n"
	       "  --replay FILE  run these programs, in turn, and nothing else\n"
	       "  --repeat N     ... so many times (20)\n"
	       "  --device PATH  under test (/dev/vitro)\n"
	       "  --list         print the names of what is called\n", target->name);
	exit(status);
}

static void parse(int argc, char **argv)
{
	static const struct option names[] = {
		{ "seconds", 1, NULL, 's' }, { "runs", 1, NULL, 'r' }, { "seed", 1, NULL, 'S' },
		{ "corpus", 1, NULL, 'c' }, { "replay", 1, NULL, 'R' },
		{ "repeat", 1, NULL, 'n' }, { "device", 1, NULL, 'd' },
		{ "list", 0, NULL, 'l' }, { "help", 0, NULL, 'h' }, { 0 }
	};
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (c) {
		case 's':
			options.seconds = atof(optarg);
			break;
		case 'r':
			options.runs = strtoul(optarg, NULL, 0);
			break;
		case 'S':
			options.seed = strtoull(optarg, NULL, 0);
			break;
		case 'c':
			options.corpus = optarg;
			break;
		case 'R':
			options.replay = optarg;
			break;
		case 'n':
			options.repeat = strtoul(optarg, NULL, 0);
			break;
		case 'd':
			options.device = optarg;
			break;
		case 'l':
			target->list();
			exit(0);
		case 'h':
			usage(0);
			break;
		default:
			usage(2);
		}
	}
	if (optind < argc)
		usage(2);
}

int fuzz_main(int argc, char **argv, const struct fuzz_target *the_target)
{
	int status;

	target = the_target;
	parse(argc, argv);
	clock_gettime(CLOCK_MONOTONIC, &started);
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (options.corpus)
		read_programs(options.corpus);
	if (options.replay)
		read_programs(options.replay);
	if (options.replay && !corpus_size) {
		fprintf(stderr, "fuzz: there is no program in %s\n", options.replay);
		return 2;
	}
	klog_open();
	supervise_open();
	feedback = coverage_open();
	if (!feedback)
		printf("note no KCOV in this kernel or module: programs are mutated by chance\n");
	status = options.replay ? replay() : fuzz();
	progress();
	coverage_print();
	printf("end %s after %lu programs\n", status ? "found something" : "nothing found", runs);
	return status;
}
