// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin for QEMU's TCG that counts instructions, in nested guests and outside: see census.h.
 *
 *	-plugin census.so,out=FILE
 *
 * After the numbers there it writes "at ADDRESS COUNT" for each instruction that has been
 * executed outside since the first VMRUN. A guest's stay ends where the instruction behind
 * VMRUN is executed.
 */
#include <stdlib.h>

#include "census.h"
#include "qemu-plugin.h"

#define MAX_VMRUNS	16

static const unsigned char vmrun[CODE_SIZE] = { 0x0f, 0x01, 0xd8 };

int qemu_plugin_version = 1;

/* An instruction outside. Lives as long as QEMU: a translation may be used again. */
struct site {
	struct site *next;
	uint64_t address, count;
};

static struct site *sites;
/* Where QEMU has the bytes behind each VMRUN: a guest may use the same addresses. */
static const void *behind_vmrun[MAX_VMRUNS];
static unsigned int nr_vmruns;

static void forget_sites(void)
{
	struct site *site;

	for (site = sites; site; site = site->next)
		site->count = 0;
}

static void write_sites(void)
{
	struct site *site;

	for (site = sites; site; site = site->next)
		if (site->count)
			fprintf(census.out, "at %" PRIx64 " %" PRIu64 "\n", site->address,
				site->count);
	fflush(census.out);
}

static void marked(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	if (census_mark())
		forget_sites();
	else
		write_sites();
}

/* QEMU calls this before it counts the instruction. */
static void enters(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	if (!census.entered)
		forget_sites();
	executed.kernel++;
	census_enter();
	executed.kernel--;
}

static void leaves(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	if (census.in_guest)
		census_leave();
}

static bool is_behind_vmrun(const struct qemu_plugin_insn *insn)
{
	unsigned int i;

	for (i = 0; i < nr_vmruns; i++)
		if (behind_vmrun[i] == qemu_plugin_insn_haddr(insn))
			return true;
	return false;
}

static void note_vmrun(const struct qemu_plugin_insn *insn)
{
	const char *next = (const char *)qemu_plugin_insn_haddr(insn) + CODE_SIZE;
	unsigned int i;

	for (i = 0; i < nr_vmruns; i++)
		if (behind_vmrun[i] == next)
			return;
	if (nr_vmruns == MAX_VMRUNS) {
		fprintf(stderr, "census: more than %d VMRUNs\n", MAX_VMRUNS);
		abort();
	}
	behind_vmrun[nr_vmruns++] = next;
}

static void count_site(struct qemu_plugin_insn *insn)
{
	struct site *site = calloc(1, sizeof(*site));

	if (!site)
		abort();
	site->address = qemu_plugin_insn_vaddr(insn);
	site->next = sites;
	sites = site;
	qemu_plugin_register_vcpu_insn_exec_inline(insn, INLINE_ADD, &site->count, 1);
}

/*
 * QEMU translates a block when it is about to execute it, and does so apart for a guest and
 * for the rest, as its flags differ. A VMRUN ends a block. Kernel and user mode are told apart
 * by the address, whose upper half is the kernel's.
 */
static void translated(plugin_id id, struct qemu_plugin_tb *tb)
{
	size_t i, nr = qemu_plugin_tb_n_insns(tb);
	struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, 0);
	bool outside = !census.in_guest;
	uint64_t *counter;

	(void)id;
	if (is_behind_vmrun(insn)) {
		outside = true;
		qemu_plugin_register_vcpu_insn_exec_cb(insn, leaves, NO_REGISTERS, NULL);
	}
	for (i = 0; i < nr; i++) {
		insn = qemu_plugin_tb_get_insn(tb, i);
		counter = qemu_plugin_insn_vaddr(insn) >> 63 ? &executed.kernel : &executed.user;
		qemu_plugin_register_vcpu_insn_exec_inline(insn, INLINE_ADD, counter, 1);
		if (!outside)
			continue;
		count_site(insn);
		if (is(insn, vmrun)) {
			note_vmrun(insn);
			qemu_plugin_register_vcpu_insn_exec_cb(insn, enters, NO_REGISTERS, NULL);
		}
		if (is(insn, mark))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, marked, NO_REGISTERS, NULL);
	}
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
	(void)info;
	if (argc == 1 && !strncmp(argv[0], "out=", 4))
		census.out = fopen(argv[0] + 4, "w");
	if (!census.out) {
		fprintf(stderr, "census: out=FILE is needed\n");
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
