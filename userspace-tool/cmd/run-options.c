// SPDX-License-Identifier: GPL-2.0-only
#include "cmd/run-options.h"
#include "core/util.h"

#include <stdlib.h>
#include <string.h>

enum {
	KEY_DEVICE = 256,
	KEY_BOOT,
	KEY_ON_REBOOT,
	KEY_STATS,
	KEY_TIMEOUT,
};

static const struct argp_option options[] = {
	{ "kernel", 'k', "FILE", 0, "Linux bzImage, or ELF kernel such as vmlinux", 0 },
	{ "initrd", 'i', "FILE", 0, "initial RAM disk", 0 },
	{ "append", 'a', "STRING", 0, "kernel command line (default: console=ttyS0)", 0 },
	{ "cpus", 'c', "N", 0, "number of vCPUs (default: 1)", 0 },
	{ "mem", 'm', "SIZE", 0, "guest memory; suffix K, M, G or T (default: 512M)", 0 },
	{ "disk", 'd', "FILE[,ro]", 0, "virtio disk backed by FILE, read-only with ,ro; up to 8 times", 0 },
	{ "device", KEY_DEVICE, "FILE", 0, "hypervisor: /dev/vitro (default) or /dev/kvm", 0 },
	{ "boot", KEY_BOOT, "PROTOCOL", 0, "auto (default), linux64 or pvh", 0 },
	{ "on-reboot", KEY_ON_REBOOT, "ACTION", 0, "exit (default) or restart", 0 },
	{ "stats", KEY_STATS, NULL, 0, "print a table of exits by reason at the end", 0 },
	{ "timeout", KEY_TIMEOUT, "SECONDS", 0, "stop the guest after this time", 0 },
	{ 0 }
};

static int parse_mem(struct argp_state *state, struct run_options *o, const char *arg)
{
	int ret = parse_size(arg, &o->mem);

	if (ret == -EINVAL)
		argp_error(state, "--mem %s: not a size; give a number with K, M, G or T, such as 512M", arg);
	else if (ret || o->mem > MAX_MEM)
		argp_error(state, "--mem %s: too much, the most is 32T", arg);
	else if (o->mem < MIN_MEM)
		argp_error(state, "--mem %s: too little to boot anything, the least is 16M", arg);
	else if (o->mem % 4096)
		argp_error(state, "--mem %s: not a multiple of the page size, 4K", arg);
	else
		return 0;
	return EINVAL;
}

static int parse_number(struct argp_state *state, const char *option, const char *arg,
			unsigned int min, unsigned int max, unsigned int *value)
{
	if (parse_uint(arg, max, value) == 0 && *value >= min)
		return 0;
	argp_error(state, "--%s %s: give a number from %u to %u", option, arg, min, max);
	return EINVAL;
}

static int parse_disk(struct argp_state *state, struct run_options *o, const char *arg)
{
	struct disk_option *disk;
	size_t len = strlen(arg);

	if (o->nr_disks == MAX_DISKS) {
		argp_error(state, "--disk %s: there can be %d disks at most", arg, MAX_DISKS);
		return EINVAL;
	}
	disk = &o->disks[o->nr_disks];
	disk->read_only = len > 3 && !strcmp(arg + len - 3, ",ro");
	/* A copy: the arguments are needed as they were for a restart. */
	disk->path = strndup(arg, disk->read_only ? len - 3 : len);
	if (!disk->path)
		return ENOMEM;
	o->nr_disks++;
	return 0;
}

/* Finds @arg among @nr words; the index is the value. */
static int parse_word(struct argp_state *state, const char *option, const char *arg,
		      const char * const *words, unsigned int nr, const char *choice)
{
	for (unsigned int i = 0; i < nr; i++) {
		if (!strcmp(arg, words[i]))
			return i;
	}
	argp_error(state, "--%s %s: give %s", option, arg, choice);
	return -EINVAL;
}

static int parse_words(int key, struct argp_state *state, struct run_options *o, const char *arg)
{
	static const char * const boot[] = { "auto", "linux64", "pvh" };
	static const char * const action[] = { "exit", "restart" };
	int value;

	if (key == KEY_BOOT) {
		value = parse_word(state, "boot", arg, boot, ARRAY_SIZE(boot), "auto, linux64 or pvh");
		if (value >= 0)
			o->boot = value;
	} else {
		value = parse_word(state, "on-reboot", arg, action, ARRAY_SIZE(action), "exit or restart");
		o->restart = value == 1;
	}
	return value < 0 ? EINVAL : 0;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct run_options *o = state->input;

	switch (key) {
	case 'k':
		o->kernel = arg;
		return 0;
	case 'i':
		o->initrd = arg;
		return 0;
	case 'a':
		o->append = arg;
		return 0;
	case 'c':
		return parse_number(state, "cpus", arg, 1, MAX_CPUS, &o->cpus);
	case 'm':
		return parse_mem(state, o, arg);
	case 'd':
		return parse_disk(state, o, arg);
	case KEY_DEVICE:
		o->device = arg;
		return 0;
	case KEY_BOOT:
	case KEY_ON_REBOOT:
		return parse_words(key, state, o, arg);
	case KEY_STATS:
		o->stats = true;
		return 0;
	case KEY_TIMEOUT:
		return parse_number(state, "timeout", arg, 1, 1000000000, &o->timeout);
	case ARGP_KEY_ARG:
		argp_error(state, "%s: no such argument; did you mean --kernel %s?", arg, arg);
		return EINVAL;
	case ARGP_KEY_END:
		if (o->kernel)
			return 0;
		argp_error(state, "no kernel to boot: give --kernel FILE");
		return EINVAL;
	}
	return ARGP_ERR_UNKNOWN;
}

const struct argp run_argp = {
	.options = options,
	.parser = parse_option,
	.doc = "Boot a kernel in a virtual machine whose serial console is this terminal.\v"
	       "Ctrl-A X leaves, Ctrl-A H lists the keys.\n\n"
	       "The exit status tells how the guest ended: 0 power-off, 3 reboot, 4 panic, "
	       "5 triple fault, 6 vCPU error, 7 time limit, 8 Ctrl-A X, 128+N signal N; "
	       "1 is an error on the host and 2 a wrong command line.",
};

void run_options_free(struct run_options *opts)
{
	for (unsigned int i = 0; i < opts->nr_disks; i++)
		free(opts->disks[i].path);
	opts->nr_disks = 0;
}

int run_options_parse(struct run_options *opts, int argc, char **argv, unsigned int flags)
{
	*opts = (struct run_options){
		.append = "console=ttyS0",
		.device = "/dev/vitro",
		.cpus = 1,
		.mem = 512 * MIB,
	};
	return argp_parse(&run_argp, argc, argv, flags, NULL, opts);
}
