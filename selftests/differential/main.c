// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random guests on stock KVM and on vitro: both have to do the same.
 *
 * Two passes, as a processor can have one hypervisor at a time. The first one, on vitro,
 * also writes vitro's CPUID table, which the guests of both passes have.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <vitro.h>

#include "result.h"

struct options {
	const char *device, *out, *cpuid;
	uint64_t seed;
	uint32_t count;
	bool verbose, trace;
};

static int fail(const char *what)
{
	fprintf(stderr, "differential: %s: %s\n", what, strerror(errno));
	return -1;
}

/* Of another pass's file, or the device's own. */
static int get_cpuid(struct machine *m, const char *name)
{
	struct result_head head;
	FILE *file;
	long ret;

	m->cpuid = calloc(1, sizeof(*m->cpuid) + MAX_CPUID * sizeof(struct kvm_cpuid_entry2));
	if (!m->cpuid)
		return fail("memory");
	if (!name) {
		m->cpuid->nent = MAX_CPUID;
		ret = call(m->kvm, KVM_GET_SUPPORTED_CPUID, m->cpuid);
		errno = -ret;
		return ret ? fail("KVM_GET_SUPPORTED_CPUID") : 0;
	}
	file = fopen(name, "rb");
	if (!file || fread(&head, sizeof(head), 1, file) != 1 || head.magic != RESULT_MAGIC ||
	    head.nent > MAX_CPUID ||
	    fread(m->cpuid->entries, sizeof(struct kvm_cpuid_entry2), head.nent, file) !=
	    head.nent)
		return fail(name);
	m->cpuid->nent = head.nent;
	fclose(file);
	return 0;
}

static int open_machine(struct machine *m, const struct options *options)
{
	struct vitro_info info = {};

	m->verbose = options->verbose;
	m->kvm = open(options->device, O_RDWR | O_CLOEXEC);
	if (m->kvm < 0)
		return fail(options->device);
	m->stock = call(m->kvm, VITRO_GET_INFO, &info) < 0;
	m->run_size = call(m->kvm, KVM_GET_VCPU_MMAP_SIZE, NULL);
	m->mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m->mem == MAP_FAILED)
		return fail("memory");
	return get_cpuid(m, options->cpuid);
}

static void write_head(FILE *file, const struct machine *m, const struct options *options)
{
	struct result_head head = {
		.magic = RESULT_MAGIC,
		.seed = options->seed,
		.count = options->count,
		.stock = m->stock,
		.verbose = m->verbose,
		.nent = m->cpuid->nent,
	};

	fwrite(&head, sizeof(head), 1, file);
	fwrite(m->cpuid->entries, sizeof(m->cpuid->entries[0]), head.nent, file);
}

static void write_result(FILE *file, const struct result *r)
{
	fwrite(&r->seed, sizeof(r->seed), 1, file);
	fwrite(&r->count, sizeof(r->count), 1, file);
	fwrite(r->items, sizeof(r->items[0]), r->count, file);
}

/* Ends a KVM_RUN that would not end, see vm_exits(). */
static void ignore(int sig)
{
	(void)sig;
}

static void show(const struct guest *g)
{
	unsigned int i;

	printf("# seed %llu: %s mode, CR0 %#llx, CR4 %#llx, EFER %#llx, RFLAGS %#llx\n",
	       (unsigned long long)g->seed, mode_names[g->mode], g->sregs.cr0, g->sregs.cr4,
	       g->sregs.efer, g->regs.rflags);
	for (i = 0; i < g->nr_slots; i++)
		guest_print_slot(g, i);
}

/* Bochs does the same each time; and once is enough to read what a guest does. */
static struct result *run(struct machine *machine, struct guest *guest, struct result *results,
			  const struct options *options)
{
	if (!options->trace && guest_on_amd(guest))
		return vm_run_twice(machine, guest, results);
	return vm_run(machine, guest, results) ? NULL : results;
}

/* More than one in a hundred, and it is not TCG's rare mishap. */
static int too_many_unlike(const struct machine *machine, const struct options *options)
{
	if (machine->unlike)
		fprintf(stderr, "differential: %s: %u of %u guests did not do the same at once when run again\n",
			options->device, machine->unlike, options->count);
	return machine->unlike > 1 + options->count / 100 ? -1 : 0;
}

static int pass(const struct options *options)
{
	struct result *results = calloc(2, sizeof(*results)), *result;
	struct guest *guest = malloc(sizeof(*guest));
	struct sigaction action = { .sa_handler = ignore };
	struct machine machine = {};
	uint32_t i;
	FILE *file;

	sigaction(SIGALRM, &action, NULL);
	file = fopen(options->out, "wb");
	if (!file || !results || !guest)
		return fail(options->out);
	if (open_machine(&machine, options))
		return -1;
	write_head(file, &machine, options);
	results->trace = options->trace;
	setlinebuf(stdout);
	for (i = 0; i < options->count; i++) {
		if (i % 20 == 0 || options->verbose)
			fprintf(stderr, "%s: seed %llu, guest %u of %u\n", options->device,
				(unsigned long long)options->seed + i, i + 1, options->count);
		guest_generate(guest, options->seed + i, machine.cpuid);
		if (options->trace)
			show(guest);
		result = run(&machine, guest, results, options);
		if (!result)
			return -1;
		write_result(file, result);
	}
	if (fclose(file))
		return fail(options->out);
	return too_many_unlike(&machine, options);
}

static int usage(void)
{
	fprintf(stderr,
		"usage: differential --device PATH --out FILE [--cpuid FILE] [--seed S] [--count N] [--verbose] [--trace]\n"
		"       differential --compare KVM-FILE VITRO-FILE [--verbose]\n"
		"The first form runs guests of seeds S, S + 1 ... and writes what came of them;\n"
		"--cpuid takes the guests' CPUID table from the file of another pass, and\n"
		"--verbose records each register where hashes suffice otherwise, and --trace\n"
		"prints the code of each guest and what is recorded while it runs.\n");
	return 2;
}

static int compare(const char *kvm, const char *vitro, const struct options *options)
{
	int bad = compare_files(kvm, vitro, options->verbose);

	printf("KTAP version 1\n1..1\n%sok 1 guests of seeds %llu to %llu do the same on both\n",
	       bad ? "not " : "", (unsigned long long)options->seed,
	       (unsigned long long)(options->seed + options->count - 1));
	return bad != 0;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "device", required_argument, NULL, 'd' },
		{ "out", required_argument, NULL, 'o' },
		{ "cpuid", required_argument, NULL, 'i' },
		{ "seed", required_argument, NULL, 's' },
		{ "count", required_argument, NULL, 'n' },
		{ "compare", no_argument, NULL, 'c' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "trace", no_argument, NULL, 't' },
		{}
	};
	struct options options = { .seed = 1, .count = 1 };
	bool comparing = false;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'd':
			options.device = optarg;
			break;
		case 'o':
			options.out = optarg;
			break;
		case 'i':
			options.cpuid = optarg;
			break;
		case 's':
			options.seed = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			options.count = strtoul(optarg, NULL, 0);
			break;
		case 'c':
			comparing = true;
			break;
		case 'v':
			options.verbose = true;
			break;
		case 't':
			options.trace = true;
			break;
		default:
			return usage();
		}
	}
	if (comparing && argc - optind == 2)
		return compare(argv[optind], argv[optind + 1], &options);
	if (comparing || argc != optind || !options.device || !options.out)
		return usage();
	return pass(&options) ? 1 : 0;
}
