// SPDX-License-Identifier: GPL-2.0-only
/*
 * The opcode maps, after "Opcode Map" in the SDM and "Opcode and Operand Encodings" in the APM.
 * OP(NONE, form) is an instruction whose length is known, but which is not emulated. What is absent
 * is unknown to the decoder.
 */

#include "internal.h"

#define OP(operation, operands) .op = OP_##operation, .form = F_##operands
#define BY_REG(table) .flags = OPC_BY_REG, .next = (table)
#define BY_PREFIX(table) .flags = OPC_BY_PREFIX, .next = (table)
#define BY_MOD(table) .flags = OPC_BY_MOD, .next = (table)

/* 8F: other values of reg begin an XOP prefix. */
static const struct emul_opcode group_8f[8] = {
	[0] = { OP(POP, EV_STACK), .flags = OPC_D64 },
};

static const struct emul_opcode group_c6[8] = {
	[0] = { OP(MOV, EB_IB) },
	[1 ... 6] = { OP(UNDEFINED, MODRM_IB) },
	[7] = { OP(NONE, MODRM_IB) },
};

static const struct emul_opcode group_c7[8] = {
	[0] = { OP(MOV, EV_IZ) },
	[1 ... 6] = { OP(UNDEFINED, EV_IZ) },
	[7] = { OP(NONE, EV_IZ) },
};

static const struct emul_opcode group_f6[8] = {
	[0 ... 1] = { OP(TEST, EB_IB) },
	[2] = { OP(NOT, EB) },
	[3] = { OP(NEG, EB) },
	[4] = { OP(MUL, SRC_EB) },
	[5] = { OP(IMUL, SRC_EB) },
	[6] = { OP(DIV, SRC_EB) },
	[7] = { OP(IDIV, SRC_EB) },
};

static const struct emul_opcode group_f7[8] = {
	[0 ... 1] = { OP(TEST, EV_IZ) },
	[2] = { OP(NOT, EV) },
	[3] = { OP(NEG, EV) },
	[4] = { OP(MUL, SRC_EV) },
	[5] = { OP(IMUL, SRC_EV) },
	[6] = { OP(DIV, SRC_EV) },
	[7] = { OP(IDIV, SRC_EV) },
};

static const struct emul_opcode group_fe[8] = {
	[0] = { OP(INC, EB) },
	[1] = { OP(DEC, EB) },
	[2 ... 7] = { OP(UNDEFINED, MODRM) },
};

static const struct emul_opcode group_ff[8] = {
	[0] = { OP(INC, EV) },
	[1] = { OP(DEC, EV) },
	[2] = { OP(CALL, SRC_EV), .flags = OPC_NEAR },
	[3] = { OP(NONE, MODRM) },
	[4] = { OP(JMP, SRC_EV), .flags = OPC_NEAR },
	[5] = { OP(NONE, MODRM) },
	[6] = { OP(PUSH, SRC_EV), .flags = OPC_D64 },
	[7] = { OP(UNDEFINED, MODRM) },
};

static const struct emul_opcode map_one_byte[256] = {
	[0x00] = { OP(ADD, EB_GB) },
	[0x01] = { OP(ADD, EV_GV) },
	[0x02] = { OP(ADD, GB_EB) },
	[0x03] = { OP(ADD, GV_EV) },
	[0x04] = { OP(ADD, AB_IB) },
	[0x05] = { OP(ADD, AV_IZ) },
	[0x06 ... 0x07] = { OP(NONE, NONE), .flags = OPC_NO64 },
	[0x08] = { OP(OR, EB_GB) },
	[0x09] = { OP(OR, EV_GV) },
	[0x0a] = { OP(OR, GB_EB) },
	[0x0b] = { OP(OR, GV_EV) },
	[0x0c] = { OP(OR, AB_IB) },
	[0x0d] = { OP(OR, AV_IZ) },
	[0x0e] = { OP(NONE, NONE), .flags = OPC_NO64 },
	[0x10] = { OP(ADC, EB_GB) },
	[0x11] = { OP(ADC, EV_GV) },
	[0x12] = { OP(ADC, GB_EB) },
	[0x13] = { OP(ADC, GV_EV) },
	[0x14] = { OP(ADC, AB_IB) },
	[0x15] = { OP(ADC, AV_IZ) },
	[0x16 ... 0x17] = { OP(NONE, NONE), .flags = OPC_NO64 },
	[0x18] = { OP(SBB, EB_GB) },
	[0x19] = { OP(SBB, EV_GV) },
	[0x1a] = { OP(SBB, GB_EB) },
	[0x1b] = { OP(SBB, GV_EV) },
	[0x1c] = { OP(SBB, AB_IB) },
	[0x1d] = { OP(SBB, AV_IZ) },
	[0x1e ... 0x1f] = { OP(NONE, NONE), .flags = OPC_NO64 },
	[0x20] = { OP(AND, EB_GB) },
	[0x21] = { OP(AND, EV_GV) },
	[0x22] = { OP(AND, GB_EB) },
	[0x23] = { OP(AND, GV_EV) },
	[0x24] = { OP(AND, AB_IB) },
	[0x25] = { OP(AND, AV_IZ) },
	[0x27] = { OP(NONE, NONE), .flags = OPC_NO64 },
	[0x28] = { OP(SUB, EB_GB) },
	[0x29] = { OP(SUB, EV_GV) },
	[0x2a] = { OP(SUB, GB_EB) },
	[0x2b] = { OP(SUB, GV_EV) },
	[0x2c] = { OP(SUB, AB_IB) },
	[0x2d] = { OP(SUB, AV_IZ) },
	[0x2f] = { OP(NONE, NONE), .flags = OPC_NO64 },
	[0x30] = { OP(XOR, EB_GB) },
	[0x31] = { OP(XOR, EV_GV) },
	[0x32] = { OP(XOR, GB_EB) },
	[0x33] = { OP(XOR, GV_EV) },
	[0x34] = { OP(XOR, AB_IB) },
	[0x35] = { OP(XOR, AV_IZ) },
	[0x37] = { OP(NONE, NONE), .flags = OPC_NO64 },
	[0x38] = { OP(CMP, EB_GB) },
	[0x39] = { OP(CMP, EV_GV) },
	[0x3a] = { OP(CMP, GB_EB) },
	[0x3b] = { OP(CMP, GV_EV) },
	[0x3c] = { OP(CMP, AB_IB) },
	[0x3d] = { OP(CMP, AV_IZ) },
	[0x3f] = { OP(NONE, NONE), .flags = OPC_NO64 },
	[0x40 ... 0x47] = { OP(INC, ZV) },
	[0x48 ... 0x4f] = { OP(DEC, ZV) },
	[0x50 ... 0x57] = { OP(PUSH, SRC_ZV), .flags = OPC_D64 },
	[0x58 ... 0x5f] = { OP(POP, ZV_STACK), .flags = OPC_D64 },
	[0x60 ... 0x61] = { OP(NONE, NONE), .flags = OPC_NO64 },
	[0x62] = { OP(NONE, MODRM), .flags = OPC_NO64 },
	[0x63] = { OP(MOVSX, GV_ED), .flags = OPC_ONLY64 },
	[0x68] = { OP(PUSH, SRC_IZ), .flags = OPC_D64 },
	[0x69] = { OP(IMUL_TRUNC, GV_EV_IZ) },
	[0x6a] = { OP(PUSH, SRC_IB), .flags = OPC_D64 },
	[0x6b] = { OP(IMUL_TRUNC, GV_EV_IB) },
	[0x6c] = { OP(INS, B) },
	[0x6d] = { OP(INS, V) },
	[0x6e] = { OP(OUTS, B) },
	[0x6f] = { OP(OUTS, V) },
	[0x70 ... 0x7f] = { OP(NONE, JB), .flags = OPC_NEAR },
	[0x80] = { OP(ADD, EB_IB), .flags = OPC_ADD_REG },
	[0x81] = { OP(ADD, EV_IZ), .flags = OPC_ADD_REG },
	[0x82] = { OP(ADD, EB_IB), .flags = OPC_ADD_REG | OPC_NO64 },
	[0x83] = { OP(ADD, EV_IB), .flags = OPC_ADD_REG },
	[0x84] = { OP(TEST, EB_GB) },
	[0x85] = { OP(TEST, EV_GV) },
	[0x86] = { OP(XCHG, EB_GB) },
	[0x87] = { OP(XCHG, EV_GV) },
	[0x88] = { OP(MOV, EB_GB) },
	[0x89] = { OP(MOV, EV_GV) },
	[0x8a] = { OP(MOV, GB_EB) },
	[0x8b] = { OP(MOV, GV_EV) },
	[0x8c] = { OP(MOV, EV_SW) },
	[0x8d] = { OP(LEA, GV_M) },
	[0x8e] = { OP(NONE, MODRM) },
	[0x8f] = { BY_REG(group_8f) },
	[0x90] = { OP(NONE, NONE) },
	[0x91 ... 0x97] = { OP(XCHG, ZV_AV) },
	[0x98 ... 0x99] = { OP(NONE, NONE) },
	[0x9a] = { OP(NONE, FAR), .flags = OPC_NO64 },
	[0x9b] = { OP(NONE, NONE) },
	[0x9c ... 0x9d] = { OP(NONE, NONE), .flags = OPC_D64 },
	[0x9e ... 0x9f] = { OP(NONE, NONE) },
	[0xa0] = { OP(MOV, AB_OB) },
	[0xa1] = { OP(MOV, AV_OV) },
	[0xa2] = { OP(MOV, OB_AB) },
	[0xa3] = { OP(MOV, OV_AV) },
	[0xa4] = { OP(MOVS, B) },
	[0xa5] = { OP(MOVS, V) },
	[0xa6] = { OP(CMPS, B) },
	[0xa7] = { OP(CMPS, V) },
	[0xa8] = { OP(TEST, AB_IB) },
	[0xa9] = { OP(TEST, AV_IZ) },
	[0xaa] = { OP(STOS, B) },
	[0xab] = { OP(STOS, V) },
	[0xac] = { OP(LODS, B) },
	[0xad] = { OP(LODS, V) },
	[0xae] = { OP(SCAS, B) },
	[0xaf] = { OP(SCAS, V) },
	[0xb0 ... 0xb7] = { OP(MOV, ZB_IB) },
	[0xb8 ... 0xbf] = { OP(MOV, ZV_IV) },
	[0xc0] = { OP(ROL, EB_IB), .flags = OPC_ADD_REG },
	[0xc1] = { OP(ROL, EV_IB), .flags = OPC_ADD_REG },
	[0xc2] = { OP(NONE, IW), .flags = OPC_NEAR },
	[0xc3] = { OP(NONE, NONE), .flags = OPC_NEAR },
	[0xc4 ... 0xc5] = { OP(NONE, MODRM), .flags = OPC_NO64 },
	[0xc6] = { BY_REG(group_c6) },
	[0xc7] = { BY_REG(group_c7) },
	[0xc8] = { OP(NONE, IW_IB), .flags = OPC_D64 },
	[0xc9] = { OP(NONE, NONE), .flags = OPC_D64 },
	[0xca] = { OP(NONE, IW) },
	[0xcb ... 0xcc] = { OP(NONE, NONE) },
	[0xcd] = { OP(NONE, IB) },
	[0xce] = { OP(NONE, NONE), .flags = OPC_NO64 },
	[0xcf] = { OP(NONE, NONE) },
	[0xd0] = { OP(ROL, EB_1), .flags = OPC_ADD_REG },
	[0xd1] = { OP(ROL, EV_1), .flags = OPC_ADD_REG },
	[0xd2] = { OP(ROL, EB_CL), .flags = OPC_ADD_REG },
	[0xd3] = { OP(ROL, EV_CL), .flags = OPC_ADD_REG },
	[0xd4 ... 0xd5] = { OP(NONE, IB), .flags = OPC_NO64 },
	[0xd6] = { OP(NONE, NONE), .flags = OPC_NO64 },
	[0xd7] = { OP(XLAT, NONE) },
	[0xd8 ... 0xdf] = { OP(NONE, MODRM) },
	[0xe0 ... 0xe3] = { OP(NONE, JB), .flags = OPC_NEAR },
	[0xe4] = { OP(IN, B_IB) },
	[0xe5] = { OP(IN, V_IB) },
	[0xe6] = { OP(OUT, B_IB) },
	[0xe7] = { OP(OUT, V_IB) },
	[0xe8 ... 0xe9] = { OP(NONE, JZ), .flags = OPC_NEAR },
	[0xea] = { OP(NONE, FAR), .flags = OPC_NO64 },
	[0xeb] = { OP(NONE, JB), .flags = OPC_NEAR },
	[0xec] = { OP(IN, B) },
	[0xed] = { OP(IN, V) },
	[0xee] = { OP(OUT, B) },
	[0xef] = { OP(OUT, V) },
	[0xf1] = { OP(NONE, NONE) },
	[0xf4 ... 0xf5] = { OP(NONE, NONE) },
	[0xf6] = { BY_REG(group_f6) },
	[0xf7] = { BY_REG(group_f7) },
	[0xf8 ... 0xfd] = { OP(NONE, NONE) },
	[0xfe] = { BY_REG(group_fe) },
	[0xff] = { BY_REG(group_ff) },
};

/* The tables by prefix are ordered: no prefix, 66, F3, F2. */

static const struct emul_opcode vector_10[4] = {
	[0 ... 1] = { OP(VLOAD, VX_WX), .flags = OPC_VEX256 },
	[2] = { OP(VLOAD, VD_WD), .flags = OPC_VEX | OPC_MERGE },
	[3] = { OP(VLOAD, VQ_WQ), .flags = OPC_VEX | OPC_MERGE },
};

static const struct emul_opcode vector_11[4] = {
	[0 ... 1] = { OP(VSTORE, VX_WX), .flags = OPC_VEX256 },
	[2] = { OP(VSTORE, VD_WD), .flags = OPC_VEX | OPC_MERGE },
	[3] = { OP(VSTORE, VQ_WQ), .flags = OPC_VEX | OPC_MERGE },
};

static const struct emul_opcode vector_28[4] = {
	[0 ... 1] = { OP(VLOAD, VX_WX), .flags = OPC_VEX256 | OPC_ALIGNED },
	[2 ... 3] = { OP(NONE, MODRM) },
};

static const struct emul_opcode vector_29[4] = {
	[0 ... 1] = { OP(VSTORE, VX_WX), .flags = OPC_VEX256 | OPC_ALIGNED },
	[2 ... 3] = { OP(NONE, MODRM) },
};

static const struct emul_opcode vector_2b_memory[2] = {
	[0] = { OP(VSTORE, VX_WX), .flags = OPC_VEX256 | OPC_ALIGNED },
	[1] = { OP(UNDEFINED, MODRM) },
};

static const struct emul_opcode vector_2b[4] = {
	[0 ... 1] = { BY_MOD(vector_2b_memory) },
	[2 ... 3] = { OP(NONE, MODRM) },
};

static const struct emul_opcode vector_6e[4] = {
	[0] = { OP(NONE, MODRM) },
	[1] = { OP(VFROM, VY_EY), .flags = OPC_VEX },
	[2 ... 3] = { OP(NONE, MODRM) },
};

static const struct emul_opcode vector_6f[4] = {
	[0] = { OP(NONE, MODRM) },
	[1] = { OP(VLOAD, VX_WX), .flags = OPC_VEX256 | OPC_ALIGNED },
	[2] = { OP(VLOAD, VX_WX), .flags = OPC_VEX256 },
	[3] = { OP(NONE, MODRM) },
};

static const struct emul_opcode vector_7e[4] = {
	[0] = { OP(NONE, MODRM) },
	[1] = { OP(VTO, VY_EY), .flags = OPC_VEX },
	[2] = { OP(VLOAD, VQ_WQ), .flags = OPC_VEX },
	[3] = { OP(NONE, MODRM) },
};

static const struct emul_opcode vector_7f[4] = {
	[0] = { OP(NONE, MODRM) },
	[1] = { OP(VSTORE, VX_WX), .flags = OPC_VEX256 | OPC_ALIGNED },
	[2] = { OP(VSTORE, VX_WX), .flags = OPC_VEX256 },
	[3] = { OP(NONE, MODRM) },
};

static const struct emul_opcode vector_d6[4] = {
	[0] = { OP(NONE, MODRM) },
	[1] = { OP(VSTORE, VQ_WQ), .flags = OPC_VEX },
	[2 ... 3] = { OP(NONE, MODRM) },
};

static const struct emul_opcode vector_e7[4] = {
	[0] = { OP(NONE, MODRM) },
	[1] = { BY_MOD(vector_2b_memory) },
	[2 ... 3] = { OP(NONE, MODRM) },
};

static const struct emul_opcode vector_f0_memory[2] = {
	[0] = { OP(VLOAD, VX_WX), .flags = OPC_VEX256 },
	[1] = { OP(UNDEFINED, MODRM) },
};

static const struct emul_opcode vector_f0[4] = {
	[0 ... 2] = { OP(NONE, MODRM) },
	[3] = { BY_MOD(vector_f0_memory) },
};

/* EXTRQ and INSERTQ of SSE4a have two immediate bytes; without prefix it is VMREAD. */
static const struct emul_opcode prefix_78[4] = {
	[0] = { OP(NONE, MODRM) },
	[1] = { OP(NONE, MODRM_IW) },
	[2] = { OP(NONE, MODRM) },
	[3] = { OP(NONE, MODRM_IW) },
};

static const struct emul_opcode cache_line[2] = {
	[0] = { OP(CLFLUSH, MB) },
	[1] = { OP(NONE, MODRM) },
};

static const struct emul_opcode prefix_ae_6[4] = {
	[0] = { OP(NONE, MODRM) },
	[1] = { BY_MOD(cache_line) },
	[2 ... 3] = { OP(NONE, MODRM) },
};

static const struct emul_opcode prefix_ae_7[4] = {
	[0 ... 1] = { BY_MOD(cache_line) },
	[2 ... 3] = { OP(NONE, MODRM) },
};

static const struct emul_opcode group_ae[8] = {
	[0 ... 5] = { OP(NONE, MODRM) },
	[6] = { BY_PREFIX(prefix_ae_6) },
	[7] = { BY_PREFIX(prefix_ae_7) },
};

static const struct emul_opcode group_ba[8] = {
	[0 ... 3] = { OP(UNDEFINED, MODRM_IB) },
	[4] = { OP(BT, EV_IB) },
	[5] = { OP(BTS, EV_IB) },
	[6] = { OP(BTR, EV_IB) },
	[7] = { OP(BTC, EV_IB) },
};

/* TZCNT and LZCNT run as BSF and BSR where the processor lacks them. */
static const struct emul_opcode prefix_bc[4] = {
	[0 ... 1] = { OP(BSF, GV_EV) },
	[2] = { OP(TZCNT, GV_EV) },
	[3] = { OP(BSF, GV_EV) },
};

static const struct emul_opcode prefix_bd[4] = {
	[0 ... 1] = { OP(BSR, GV_EV) },
	[2] = { OP(LZCNT, GV_EV) },
	[3] = { OP(BSR, GV_EV) },
};

static const struct emul_opcode prefix_c3[4] = {
	[0] = { OP(MOV, MY_GY) },
	[1 ... 3] = { OP(UNDEFINED, MODRM) },
};

static const struct emul_opcode group_c7_0f[8] = {
	[0] = { OP(NONE, MODRM) },
	[1] = { OP(CMPXCHG8B, M8B) },
	[2 ... 7] = { OP(NONE, MODRM) },
};

static const struct emul_opcode memory_prefetch[2] = {
	[0] = { OP(NOP, MODRM) },
	[1] = { OP(NONE, MODRM) },
};

static const struct emul_opcode memory_selector[2] = {
	[0] = { OP(STORE_SELECTOR, MODRM) },
	[1] = { OP(NONE, MODRM) },
};

static const struct emul_opcode memory_table[2] = {
	[0] = { OP(STORE_TABLE, MODRM) },
	[1] = { OP(NONE, MODRM) },
};

static const struct emul_opcode memory_msw[2] = {
	[0] = { OP(STORE_MSW, MODRM) },
	[1] = { OP(NONE, MODRM) },
};

static const struct emul_opcode group_00_0f[8] = {
	[0 ... 1] = { BY_MOD(memory_selector) },
	[2 ... 7] = { OP(NONE, MODRM) },
};

static const struct emul_opcode group_01_0f[8] = {
	[0 ... 1] = { BY_MOD(memory_table) },
	[2 ... 3] = { OP(NONE, MODRM) },
	[4] = { BY_MOD(memory_msw) },
	[5 ... 7] = { OP(NONE, MODRM) },
};

static const struct emul_opcode map_0f[256] = {
	[0x00] = { BY_REG(group_00_0f) },
	[0x01] = { BY_REG(group_01_0f) },
	[0x02 ... 0x03] = { OP(NONE, MODRM) },
	[0x05 ... 0x09] = { OP(NONE, NONE) },
	[0x0b] = { OP(UNDEFINED, NONE) },
	[0x0d] = { BY_MOD(memory_prefetch) },
	[0x0e] = { OP(NONE, NONE) },
	[0x0f] = { OP(NONE, MODRM_IB) },
	[0x10] = { BY_PREFIX(vector_10) },
	[0x11] = { BY_PREFIX(vector_11) },
	[0x12 ... 0x17] = { OP(NONE, MODRM) },
	[0x18 ... 0x1f] = { OP(NOP, MODRM) },
	[0x20 ... 0x23] = { OP(NONE, MODRM_REG) },
	[0x28] = { BY_PREFIX(vector_28) },
	[0x29] = { BY_PREFIX(vector_29) },
	[0x2a] = { OP(NONE, MODRM) },
	[0x2b] = { BY_PREFIX(vector_2b) },
	[0x2c ... 0x2f] = { OP(NONE, MODRM) },
	[0x30 ... 0x35] = { OP(NONE, NONE) },
	[0x37] = { OP(NONE, NONE) },
	[0x40 ... 0x4f] = { OP(CMOVCC, GV_EV) },
	[0x50 ... 0x6d] = { OP(NONE, MODRM) },
	[0x6e] = { BY_PREFIX(vector_6e) },
	[0x6f] = { BY_PREFIX(vector_6f) },
	[0x70 ... 0x73] = { OP(NONE, MODRM_IB) },
	[0x74 ... 0x76] = { OP(NONE, MODRM) },
	[0x77] = { OP(NONE, NONE) },
	[0x78] = { BY_PREFIX(prefix_78) },
	[0x79] = { OP(NONE, MODRM) },
	[0x7c ... 0x7d] = { OP(NONE, MODRM) },
	[0x7e] = { BY_PREFIX(vector_7e) },
	[0x7f] = { BY_PREFIX(vector_7f) },
	[0x80 ... 0x8f] = { OP(NONE, JZ), .flags = OPC_NEAR },
	[0x90 ... 0x9f] = { OP(SETCC, EB) },
	[0xa0 ... 0xa1] = { OP(NONE, NONE), .flags = OPC_D64 },
	[0xa2] = { OP(NONE, NONE) },
	[0xa3] = { OP(BT, EV_GV) },
	[0xa4] = { OP(SHLD, EV_GV_IB) },
	[0xa5] = { OP(SHLD, EV_GV_CL) },
	[0xa8 ... 0xa9] = { OP(NONE, NONE), .flags = OPC_D64 },
	[0xaa] = { OP(NONE, NONE) },
	[0xab] = { OP(BTS, EV_GV) },
	[0xac] = { OP(SHRD, EV_GV_IB) },
	[0xad] = { OP(SHRD, EV_GV_CL) },
	[0xae] = { BY_REG(group_ae) },
	[0xaf] = { OP(IMUL_TRUNC, GV_EV) },
	[0xb0] = { OP(CMPXCHG, EB_GB) },
	[0xb1] = { OP(CMPXCHG, EV_GV) },
	[0xb2] = { OP(NONE, MODRM) },
	[0xb3] = { OP(BTR, EV_GV) },
	[0xb4 ... 0xb5] = { OP(NONE, MODRM) },
	[0xb6] = { OP(MOV, GV_EB) },
	[0xb7] = { OP(MOV, GV_EW) },
	[0xb8] = { OP(NONE, MODRM) },
	[0xb9] = { OP(UNDEFINED, MODRM) },
	[0xba] = { BY_REG(group_ba) },
	[0xbb] = { OP(BTC, EV_GV) },
	[0xbc] = { BY_PREFIX(prefix_bc) },
	[0xbd] = { BY_PREFIX(prefix_bd) },
	[0xbe] = { OP(MOVSX, GV_EB) },
	[0xbf] = { OP(MOVSX, GV_EW) },
	[0xc0] = { OP(XADD, EB_GB) },
	[0xc1] = { OP(XADD, EV_GV) },
	[0xc2] = { OP(NONE, MODRM_IB) },
	[0xc3] = { BY_PREFIX(prefix_c3) },
	[0xc4 ... 0xc6] = { OP(NONE, MODRM_IB) },
	[0xc7] = { BY_REG(group_c7_0f) },
	[0xc8 ... 0xcf] = { OP(BSWAP, ZV) },
	[0xd0 ... 0xd5] = { OP(NONE, MODRM) },
	[0xd6] = { BY_PREFIX(vector_d6) },
	[0xd7 ... 0xe6] = { OP(NONE, MODRM) },
	[0xe7] = { BY_PREFIX(vector_e7) },
	[0xe8 ... 0xef] = { OP(NONE, MODRM) },
	[0xf0] = { BY_PREFIX(vector_f0) },
	[0xf1 ... 0xfe] = { OP(NONE, MODRM) },
	[0xff] = { OP(UNDEFINED, MODRM) },
};

static const struct emul_opcode vector_38_2a_memory[2] = {
	[0] = { OP(VLOAD, VX_WX), .flags = OPC_VEX256 | OPC_ALIGNED },
	[1] = { OP(UNDEFINED, MODRM) },
};

static const struct emul_opcode vector_38_2a[4] = {
	[0] = { OP(NONE, MODRM) },
	[1] = { BY_MOD(vector_38_2a_memory) },
	[2 ... 3] = { OP(NONE, MODRM) },
};

/* With F2 it is CRC32. */
static const struct emul_opcode prefix_38_f0[4] = {
	[0 ... 1] = { OP(MOVBE, GV_MV) },
	[2 ... 3] = { OP(NONE, MODRM) },
};

static const struct emul_opcode prefix_38_f1[4] = {
	[0 ... 1] = { OP(MOVBE, MV_GV) },
	[2 ... 3] = { OP(NONE, MODRM) },
};

static const struct emul_opcode map_0f38[256] = {
	[0x00 ... 0x29] = { OP(NONE, MODRM) },
	[0x2a] = { BY_PREFIX(vector_38_2a) },
	[0x2b ... 0xef] = { OP(NONE, MODRM) },
	[0xf0] = { BY_PREFIX(prefix_38_f0) },
	[0xf1] = { BY_PREFIX(prefix_38_f1) },
	[0xf2 ... 0xff] = { OP(NONE, MODRM) },
};

static const struct emul_opcode map_0f3a[256] = {
	[0x00 ... 0xff] = { OP(NONE, MODRM_IB) },
};

const struct emul_opcode *const emul_maps[4] = {
	map_one_byte, map_0f, map_0f38, map_0f3a,
};
