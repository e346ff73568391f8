/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by mmio.c and mmio_mov.c; for exit.c: the quick way. */
#ifndef VITRO_MMIO_H
#define VITRO_MMIO_H

#include "emul/emul.h"

struct vitro_vcpu;

#define VITRO_MOVS	8	/* a power of two */

/**
 * struct vitro_mov - an instruction that has accessed a device before
 * @code:	its bytes, as far as @mask covers them
 * @mask:	0xff for each byte of the instruction
 * @known:	this is in use
 * @mov:	what it does; @mov.len is 0 if it is no plain MOV
 */
struct vitro_mov {
	u64 code[2];
	u64 mask[2];
	struct emul_mov mov;
	bool known;
};

/**
 * struct vitro_emul - what a vCPU needs for MMIO
 * @ctx:	the emulator's
 * @movs:	by a hash of RIP
 * @mov:	the one that user space has to finish
 */
struct vitro_emul {
	struct emul_ctx ctx;
	struct vitro_mov movs[VITRO_MOVS];
	const struct emul_mov *mov;
};

int vitro_mmio_kernel_read(struct vitro_vcpu *vcpu, u64 gpa, unsigned int len, void *data);
int vitro_mmio_kernel_write(struct vitro_vcpu *vcpu, u64 gpa, unsigned int len,
			    const void *data);

/* Inner loop: vcpu->exit is a fault on a device. True if it is dealt with. */
bool vitro_mmio_mov_fast(struct vitro_vcpu *vcpu);
/* "exit" function, see insn.h: what vitro_mmio_mov_fast() has left to user space. */
int vitro_mmio_mov(struct vitro_vcpu *vcpu);

#endif /* VITRO_MMIO_H */
