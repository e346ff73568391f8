/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The instruction at RIP: its bytes, its length, getting past it, and
 * emulating it.
 */
#ifndef VITRO_INSN_H
#define VITRO_INSN_H

#include <linux/types.h>

#include "compat.h"

struct vitro_vcpu;

/* Debug-register bits that <asm/debugreg.h> has no names for. */
#define DR6_WRITABLE	0xe00fULL	/* B0..B3, BD, BS, BT */
#define DR6_FIXED_ONES	0xffff0ff0ULL
#define DR6_BD		0x2000ULL
#define DR6_BS		0x4000ULL
#define DR7_WRITABLE	0xffff23ffULL
#define DR7_GD		0x2000ULL
#define DR7_ENABLED	0xffULL

/*
 * Return values of "exit" functions: 1: handled, go on; 0: kvm_run is
 * filled, return to user space; -errno: KVM_RUN fails.
 */

/* Fetches up to @max bytes at RIP. Number of bytes (at least 1), or -EFAULT with #PF
 * queued, -EAGAIN if @atomic and they are not at hand.
 */
int vitro_fetch_insn(struct vitro_vcpu *vcpu, u8 *bytes, unsigned int max, bool atomic);

/* Finds out what the processor did not tell about vcpu->exit: length, registers. */
bool vitro_complete_exit_decode(struct vitro_vcpu *vcpu, int *r);

/* Where the instruction at RIP is, as a linear address. */
u64 vitro_linear_rip(struct vitro_vcpu *vcpu);

/* Gets past the instruction that caused vcpu->exit, single-step trap included. Returns 1. */
int vitro_skip_insn(struct vitro_vcpu *vcpu);

/*
 * The inner loop's version of vitro_complete_exit_decode(), for the length only: false if the
 * bytes are not at hand. Its vitro_skip_insn() is vitro_skip_insn_fast(), in backend.h.
 */
bool vitro_find_insn_len(struct vitro_vcpu *vcpu);

/* Emulates the instruction at RIP. "exit" function. */
int vitro_emulate_insn(struct vitro_vcpu *vcpu);

/* Reports KVM_INTERNAL_ERROR_EMULATION. Returns 0. */
int vitro_emulation_failed(struct vitro_vcpu *vcpu, const u8 *bytes, unsigned int len);

int vitro_emul_alloc(struct vitro_vcpu *vcpu);
void vitro_emul_free(struct vitro_vcpu *vcpu);

/* pio.c: port I/O exits. */
bool vitro_exit_io_fast(struct vitro_vcpu *vcpu);
int vitro_exit_io(struct vitro_vcpu *vcpu);

#endif /* VITRO_INSN_H */
