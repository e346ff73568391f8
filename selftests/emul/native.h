/* SPDX-License-Identifier: GPL-2.0-only */
/* Executes single instructions on the processor that the test runs on. */
#ifndef VITRO_SELFTEST_EMUL_NATIVE_H
#define VITRO_SELFTEST_EMUL_NATIVE_H

#include "emul.h"

/*
 * The sandbox: addresses that every tested instruction uses, low enough for 32 bits. Pages on both
 * sides of the data are not accessible.
 */
#define CODE_BASE 0x20100000ULL
#define DATA_BASE 0x20000000ULL
#define AREA_SIZE 0x10000U

#define NR_VECTORS 16

/* Vector that native_run() reports for "completed". */
#define NO_TRAP (-1)

/**
 * struct machine - user-visible state before and after an instruction
 * @gpr: General registers by &enum emul_gpr.
 * @rip: Instruction pointer, relative to CS.
 * @rflags: Flags; TF is not reported.
 * @vec: YMM registers, or XMM in the low half.
 * @trap: Exception that was raised, or %NO_TRAP.
 * @error: Its error code.
 * @cr2: For #PF.
 */
struct machine {
	u64 gpr[EMUL_NR_GPR];
	u64 rip;
	u64 rflags;
	u8 vec[NR_VECTORS][32];
	int trap;
	u32 error;
	u64 cr2;
};

/**
 * native_init() - map the sandbox, install signal handlers
 *
 * Return: 0 or -errno.
 */
int native_init(void);

/**
 * native_set_mode() - make segments for a mode, load DS, ES and GS
 * @mode: EMUL_LONG64, EMUL_PROT32 or EMUL_PROT16.
 * @seg: Receives the segment registers as the processor sees them.
 *
 * Return: 0 or -errno; -ENOSYS if the kernel has no modify_ldt().
 */
int native_set_mode(enum emul_mode mode, struct emul_seg seg[EMUL_NR_SEG]);

/**
 * native_run() - execute the instruction at CS:RIP, all iterations of a repeated one
 * @m: State before; receives the state after.
 */
void native_run(struct machine *m);

/** native_has_avx() - can YMM registers be tested */
bool native_has_avx(void);

#endif
