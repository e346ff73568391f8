/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Arithmetic runs on the host's processor with the guest's arithmetic flags, so that results and
 * flags are exact, also the undefined ones. Flags travel in AX: AH as LAHF and SAHF have them, AL
 * the overflow flag. That leaves the stack and the interrupt flag alone.
 */
#ifndef VITRO_EMUL_FLAGS_H
#define VITRO_EMUL_FLAGS_H

#include "internal.h"

/* 1 + 0x7f overflows, 0 + 0x7f does not; SAHF keeps OF. */
#define LOAD_FLAGS "addb $0x7f, %%al\n\tsahf\n\t"
#define SAVE_FLAGS "\n\tlahf\n\tseto %%al"

static inline u16 emul_flags_to_ax(u64 rflags)
{
	return (rflags & 0xff) << 8 | (rflags & X86_EFLAGS_OF ? 1 : 0);
}

static inline void emul_flags_from_ax(struct emul_ctx *ctx, u16 ax)
{
	ctx->rflags = (ctx->rflags & ~(u64)FLAGS_ARITH) | (ax >> 8 & FLAGS_ARITH) |
		      (ax & 1 ? X86_EFLAGS_OF : 0);
}

#endif
