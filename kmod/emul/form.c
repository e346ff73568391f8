// SPDX-License-Identifier: GPL-2.0-only
/* Which operands and immediates each form has. */

#include "internal.h"

#define DST(place, size) .dst = AT_##place, .dst_size = SZ_##size
#define SRC(place, size) .src = AT_##place, .src_size = SZ_##size
#define MODRM .modrm = MODRM_FULL
#define IMM(kind) .imm = IMM_##kind

const struct emul_form_desc emul_forms[F_COUNT] = {
	[F_MODRM] = { MODRM },
	[F_MODRM_IB] = { MODRM, IMM(B) },
	[F_MODRM_IW] = { MODRM, IMM(W) },
	[F_MODRM_REG] = { .modrm = MODRM_REG },
	[F_IB] = { IMM(B) },
	[F_IW] = { IMM(W) },
	[F_IZ] = { IMM(Z) },
	[F_IW_IB] = { IMM(WB) },
	[F_JB] = { IMM(B) },
	[F_JZ] = { IMM(Z) },
	[F_FAR] = { IMM(FAR) },

	[F_EB_GB] = { MODRM, DST(E, B), SRC(G, B) },
	[F_EV_GV] = { MODRM, DST(E, V), SRC(G, V) },
	[F_GB_EB] = { MODRM, DST(G, B), SRC(E, B) },
	[F_GV_EV] = { MODRM, DST(G, V), SRC(E, V) },
	[F_AB_IB] = { DST(A, B), SRC(I, B), IMM(B) },
	[F_AV_IZ] = { DST(A, V), SRC(I, V), IMM(Z) },
	[F_EB_IB] = { MODRM, DST(E, B), SRC(I, B), IMM(B) },
	[F_EV_IZ] = { MODRM, DST(E, V), SRC(I, V), IMM(Z) },
	[F_EV_IB] = { MODRM, DST(E, V), SRC(I, V), IMM(B) },

	[F_EB] = { MODRM, DST(E, B) },
	[F_EV] = { MODRM, DST(E, V) },
	[F_EV_STACK] = { MODRM, DST(E, V), SRC(STACK, V) },
	[F_ZV_STACK] = { DST(Z, V), SRC(STACK, V) },
	[F_SRC_EB] = { MODRM, SRC(E, B) },
	[F_SRC_EV] = { MODRM, SRC(E, V) },
	[F_EB_1] = { MODRM, DST(E, B), SRC(1, B) },
	[F_EV_1] = { MODRM, DST(E, V), SRC(1, B) },
	[F_EB_CL] = { MODRM, DST(E, B), SRC(CL, B) },
	[F_EV_CL] = { MODRM, DST(E, V), SRC(CL, B) },

	[F_GV_EB] = { MODRM, DST(G, V), SRC(E, B) },
	[F_GV_EW] = { MODRM, DST(G, V), SRC(E, W) },
	[F_GV_ED] = { MODRM, DST(G, V), SRC(E, D) },
	[F_GV_EV_IZ] = { MODRM, DST(G, V), SRC(E, V), IMM(Z) },
	[F_GV_EV_IB] = { MODRM, DST(G, V), SRC(E, V), IMM(B) },
	[F_EV_GV_IB] = { MODRM, DST(E, V), SRC(G, V), IMM(B) },
	[F_EV_GV_CL] = { MODRM, DST(E, V), SRC(G, V) },

	[F_AB_OB] = { DST(A, B), SRC(O, B), IMM(O) },
	[F_AV_OV] = { DST(A, V), SRC(O, V), IMM(O) },
	[F_OB_AB] = { DST(O, B), SRC(A, B), IMM(O) },
	[F_OV_AV] = { DST(O, V), SRC(A, V), IMM(O) },
	[F_ZB_IB] = { DST(Z, B), SRC(I, B), IMM(B) },
	[F_ZV_IV] = { DST(Z, V), SRC(I, V), IMM(V) },
	[F_ZV] = { DST(Z, V) },
	[F_SRC_ZV] = { SRC(Z, V) },
	[F_ZV_AV] = { DST(Z, V), SRC(A, V) },
	[F_SRC_IZ] = { SRC(I, V), IMM(Z) },
	[F_SRC_IB] = { SRC(I, V), IMM(B) },

	[F_EV_SW] = { MODRM, DST(E, V), SRC(S, W) },
	[F_GV_M] = { MODRM, DST(G, V), SRC(ADDRESS, V) },
	[F_MV_GV] = { MODRM, DST(M, V), SRC(G, V) },
	[F_GV_MV] = { MODRM, DST(G, V), SRC(M, V) },
	[F_MY_GY] = { MODRM, DST(M, Y), SRC(G, Y) },
	[F_MB] = { MODRM, SRC(M, B) },
	[F_M8B] = { MODRM, SRC(ADDRESS, V) },

	[F_B] = { DST(NONE, B) },
	[F_V] = { DST(NONE, V) },
	[F_B_IB] = { DST(NONE, B), IMM(B) },
	[F_V_IB] = { DST(NONE, V), IMM(B) },

	[F_VX_WX] = { MODRM, DST(NONE, X) },
	[F_VQ_WQ] = { MODRM, DST(NONE, Q) },
	[F_VD_WD] = { MODRM, DST(NONE, D) },
	[F_VY_EY] = { MODRM, DST(NONE, Y) },
};
