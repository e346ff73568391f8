// SPDX-License-Identifier: GPL-2.0-only
/* vitro run: put a machine together, run it, say how it ended. */
#include "cmd/cmd.h"
#include "cmd/run-loop.h"
#include "cmd/run-options.h"
#include "core/stats.h"
#include "core/terminal.h"
#include "core/util.h"
#include "core/vcpu.h"
#include "core/vm.h"
#include "devices/board.h"
#include "loader/layout.h"
#include "vitro.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int load(struct vm *vm, const struct run_options *o, struct boot_entry *entry)
{
	struct load_request req = {
		.kernel = o->kernel,
		.initrd = o->initrd,
		.cmdline = o->append,
		.protocol = o->boot,
		.rsdp = BOOT_ACPI,
	};

	return load_guest(&req, &vm->mem, entry);
}

/* Times cost something, so they are taken only for those who look at them. */
static void start_timing(struct vm *vm)
{
	if (ioctl(vm->vm_fd, VITRO_SET_TIMING, 1) < 0 && errno != ENOTTY)
		note("exits are counted but not timed: VITRO_SET_TIMING: %s", strerror(errno));
}

/* Runs the guest to its end. */
static int run_vm(struct vm *vm, struct board *board, const struct run_options *o)
{
	struct boot_entry entry;
	int ret;

	/* The first thread is started by board_init(). */
	run_loop_block_signals();
	ret = load(vm, o, &entry);
	if (!ret)
		ret = vcpus_create(vm, o->cpus);
	if (!ret)
		ret = board_init(board, vm, o);
	if (ret)
		return ret;
	if (o->stats)
		start_timing(vm);
	terminal_raw();
	ret = vcpus_start(vm, &entry);
	if (ret)
		vm_stop(vm, VM_HOST_ERROR);
	else
		ret = run_loop(board, o->timeout);
	vcpus_join(vm);
	terminal_restore();
	return ret;
}

static void print_stats(struct vm *vm)
{
	struct stats_table *table = calloc(1, sizeof(*table));
	int ret = table ? 0 : -ENOMEM;

	for (unsigned int i = 0; i < vm->nr_vcpus && !ret; i++) {
		int fd = vm->vcpus[i].stats_fd;

		ret = fd < 0 ? -ENOTTY : stats_add(table, fd);
	}
	if (ret == -ENOTTY) {
		note("%s has no binary statistics: there is no table of exits", vm->dev_path);
	} else if (ret) {
		note("cannot read the statistics: %s", strerror(-ret));
	} else {
		stats_sort(table);
		stats_print(stderr, table, NULL, 0);
	}
	free(table);
}

static void say_end(enum vm_end end, const struct run_options *o)
{
	switch (end) {
	case VM_POWER_OFF:
	case VM_HOST_ERROR:
	case VM_USAGE:
	case VM_RUNNING:
		break;
	case VM_REBOOT:
		note("the guest asked for a reboot%s", o->restart ? "; starting it again" : "");
		break;
	case VM_PANIC:
		note("the guest panicked");
		break;
	case VM_TRIPLE_FAULT:
		note("the guest ended in a triple fault");
		break;
	case VM_VCPU_ERROR:
		note("the guest cannot go on");
		break;
	case VM_TIMEOUT:
		note("the guest was stopped: its %u seconds are over", o->timeout);
		break;
	case VM_USER_QUIT:
		note("the guest was stopped by Ctrl-A X");
		break;
	default:
		note("the guest was stopped by signal %d (%s)", end - VM_SIGNAL,
		     strsignal(end - VM_SIGNAL));
	}
}

/* A new process is the surest way to a machine in its reset state. */
static int restart(int argc, char **argv)
{
	char **args = calloc(argc + 2, sizeof(*args));

	if (!args) {
		fail(ENOMEM, "no memory to start again");
		return VM_HOST_ERROR;
	}
	args[0] = "vitro";
	args[1] = "run";
	memcpy(args + 2, argv + 1, (argc - 1) * sizeof(*args));
	run_loop_unblock_signals();
	execv("/proc/self/exe", args);
	fail(errno, "cannot start again: /proc/self/exe: %s", strerror(errno));
	free(args);
	return VM_HOST_ERROR;
}

int cmd_run(int argc, char **argv)
{
	struct run_options opts;
	struct board *board;
	enum vm_end end;
	struct vm *vm;
	int ret;

	if (run_options_parse(&opts, argc, argv, 0))
		return VM_USAGE;
	vm = calloc(1, sizeof(*vm));
	board = calloc(1, sizeof(*board));
	if (!vm || !board) {
		fail(ENOMEM, "no memory");
		free(vm);
		free(board);
		return VM_HOST_ERROR;
	}
	ret = vm_create(vm, opts.device, opts.mem);
	if (!ret) {
		ret = run_vm(vm, board, &opts);
		board_destroy(board);
	}
	end = ret ? VM_HOST_ERROR : (enum vm_end)atomic_load(&vm->end);
	say_end(end, &opts);
	if (opts.stats && !ret)
		print_stats(vm);
	vcpus_destroy(vm);
	if (!ret || vm->vm_fd >= 0)
		vm_destroy(vm);
	free(board);
	free(vm);
	run_options_free(&opts);
	if (end == VM_REBOOT && opts.restart)
		return restart(argc, argv);
	return end;
}
