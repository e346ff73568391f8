// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin for QEMU's TCG: writes which instructions are executed from a mark to the next,
 * a line "mark" and then one for each, address and disassembly. The mark: qemu-plugin.h.
 *
 *	-plugin tracer.so,out=FILE,count=N
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-plugin.h"

int qemu_plugin_version = 1;

/* XCHG CX, CX, for whoever reads the trace: QEMU cannot disassemble what a nested guest does. */
static const unsigned char note[CODE_SIZE] = { 0x66, 0x87, 0xc9 };

/* Of a translated instruction. Lives as long as QEMU: a translation may be used again. */
struct site {
	uint64_t address;
	const char *text;
};

static unsigned long count, left;
static bool writing;
static FILE *out;

static void executed(unsigned int cpu, void *data)
{
	const struct site *site = data;

	(void)cpu;
	if (!left)
		return;
	fprintf(out, "%" PRIx64 " %s\n", site->address, site->text);
	left--;
}

static void marked(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	writing = !writing;
	left = writing ? count : 0;
	if (writing)
		fputs("mark\n", out);
	fflush(out);
}

static void translated(plugin_id id, struct qemu_plugin_tb *tb)
{
	size_t i, nr = qemu_plugin_tb_n_insns(tb);

	(void)id;
	for (i = 0; i < nr; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		struct site *site = malloc(sizeof(*site));

		if (!site)
			abort();
		site->address = qemu_plugin_insn_vaddr(insn);
		site->text = is(insn, note) ? "xchgw %cx, %cx" : qemu_plugin_insn_disas(insn);
		qemu_plugin_register_vcpu_insn_exec_cb(insn, executed, NO_REGISTERS, site);
		if (is(insn, mark))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, marked, NO_REGISTERS, NULL);
	}
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
	int i;

	(void)info;
	for (i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "out=", 4))
			out = fopen(argv[i] + 4, "w");
		else if (!strncmp(argv[i], "count=", 6))
			count = strtoul(argv[i] + 6, NULL, 10);
	}
	if (!out || !count) {
		fprintf(stderr, "tracer: out=FILE and count=N are needed\n");
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
