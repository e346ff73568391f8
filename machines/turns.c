// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin for QEMU's TCG with one thread for all CPUs: has them take turns of some
 * instructions each, so that they run as good as at once. By itself a CPU has its turn
 * until the next timer of QEMU or a PAUSE; and when all of that time was one CPU's, QEMU 7.2
 * with -icount begins with the same one again, and the others starve.
 *
 *	-plugin turns.so,count=N
 *
 * A turn ends with the block of instructions in which the count is reached: the same in each run.
 */
#include <stdlib.h>
#include <string.h>

#include "qemu-plugin.h"

/* Not meant for plugins, but QEMU has it for its own modules. */
void *qemu_get_cpu(int index);
void cpu_exit(void *cpu);

int qemu_plugin_version = 1;

static unsigned long count = 100, done;
static unsigned int whose;

static void executed(unsigned int cpu, void *data)
{
	if (cpu != whose) {
		whose = cpu;
		done = 0;
	}
	done += (uintptr_t)data;
	if (done < count)
		return;
	done = 0;
	cpu_exit(qemu_get_cpu(cpu));
}

static void translated(plugin_id id, struct qemu_plugin_tb *tb)
{
	(void)id;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, NO_REGISTERS,
					     (void *)qemu_plugin_tb_n_insns(tb));
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
	int i;

	(void)info;
	for (i = 0; i < argc; i++) {
		if (strncmp(argv[i], "count=", 6))
			return -1;
		count = strtoul(argv[i] + 6, NULL, 0);
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
