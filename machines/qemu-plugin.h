/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the plugins for QEMU's TCG use of its interface: Debian packages QEMU without
 * <qemu-plugin.h>.
 */
#ifndef MACHINES_QEMU_PLUGIN_H
#define MACHINES_QEMU_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;

typedef uint64_t plugin_id;
typedef void tb_callback(plugin_id id, struct qemu_plugin_tb *tb);
typedef void exec_callback(unsigned int cpu, void *data);

enum { NO_REGISTERS };
enum { INLINE_ADD };

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, tb_callback *callback);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, exec_callback *callback,
					  int flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, exec_callback *callback,
					    int flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int op,
						void *counter, uint64_t number);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void *qemu_plugin_insn_haddr(const struct qemu_plugin_insn *insn);
char *qemu_plugin_insn_disas(const struct qemu_plugin_insn *insn);

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv);

/* The instructions that plugins look for have three bytes. */
#define CODE_SIZE	3

/* XCHG BX, BX: the mark. It does nothing, and no compiler emits it; Bochs' debugger knows it too. */
static const unsigned char mark[CODE_SIZE] = { 0x66, 0x87, 0xdb };

static inline bool is(const struct qemu_plugin_insn *insn, const unsigned char *code)
{
	return qemu_plugin_insn_size(insn) == CODE_SIZE &&
	       !memcmp(qemu_plugin_insn_data(insn), code, CODE_SIZE);
}

#endif
