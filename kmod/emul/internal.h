/* SPDX-License-Identifier: GPL-2.0-only */
/* What the emulator's files share with each other and with nobody else. */
#ifndef VITRO_EMUL_INTERNAL_H
#define VITRO_EMUL_INTERNAL_H

#include "emul.h"

/* Bits of a REX prefix. */
#define REX_B 1
#define REX_X 2
#define REX_R 4
#define REX_W 8
#define REX_PRESENT 0x40

/* The flags that arithmetic changes. */
#define FLAGS_ARITH (X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | \
		     X86_EFLAGS_ZF | X86_EFLAGS_SF | X86_EFLAGS_OF)

/* Operations. The order within the first two lines is that of the encodings. */
enum emul_op {
	OP_NONE,	/* known length, not emulated */
	OP_UNDEFINED,	/* raises #UD on every processor */
	OP_ADD, OP_OR, OP_ADC, OP_SBB, OP_AND, OP_SUB, OP_XOR, OP_CMP,
	OP_ROL, OP_ROR, OP_RCL, OP_RCR, OP_SHL, OP_SHR, OP_SAL, OP_SAR,
	OP_TEST, OP_INC, OP_DEC, OP_NOT, OP_NEG,
	OP_MUL, OP_IMUL, OP_DIV, OP_IDIV, OP_IMUL_TRUNC,
	OP_BT, OP_BTS, OP_BTR, OP_BTC, OP_BSF, OP_BSR, OP_TZCNT, OP_LZCNT,
	OP_SHLD, OP_SHRD,
	OP_MOV, OP_MOVSX, OP_MOVBE, OP_BSWAP, OP_LEA, OP_XLAT, OP_SETCC, OP_CMOVCC,
	OP_XCHG, OP_XADD, OP_CMPXCHG, OP_CMPXCHG8B,
	OP_PUSH, OP_POP, OP_CALL, OP_JMP, OP_NOP, OP_CLFLUSH,
	OP_MOVS, OP_CMPS, OP_STOS, OP_LODS, OP_SCAS, OP_INS, OP_OUTS, OP_IN, OP_OUT,
	OP_VLOAD, OP_VSTORE, OP_VFROM, OP_VTO,
	OP_STORE_SELECTOR, OP_STORE_TABLE, OP_STORE_MSW,
	OP_COUNT,
};

/*
 * Forms: operands in the notation of the manuals' opcode maps. E: ModRM register or memory, M:
 * memory only, G: ModRM reg, Z: register in the opcode, A: accumulator, O: absolute offset, S:
 * segment register, I: immediate, J: branch displacement, V/W: vector register/vector register or
 * memory. b, w, d, q: 1, 2, 4, 8 bytes; v: operand size; y: 4, or 8 with REX.W; x: 16 or 32.
 */
enum emul_form {
	F_UNKNOWN,	/* the decoder does not know the encoding */
	F_NONE, F_MODRM, F_MODRM_IB, F_MODRM_IW, F_MODRM_REG, F_IB, F_IW, F_IZ, F_IW_IB,
	F_JB, F_JZ, F_FAR,
	F_EB_GB, F_EV_GV, F_GB_EB, F_GV_EV, F_AB_IB, F_AV_IZ, F_EB_IB, F_EV_IZ, F_EV_IB,
	F_EB, F_EV, F_EV_STACK, F_ZV_STACK, F_SRC_EB, F_SRC_EV, F_EB_1, F_EV_1, F_EB_CL, F_EV_CL,
	F_GV_EB, F_GV_EW, F_GV_ED, F_GV_EV_IZ, F_GV_EV_IB, F_EV_GV_IB, F_EV_GV_CL,
	F_AB_OB, F_AV_OV, F_OB_AB, F_OV_AV, F_ZB_IB, F_ZV_IV, F_ZV, F_SRC_ZV, F_ZV_AV,
	F_SRC_IZ, F_SRC_IB, F_EV_SW, F_GV_M, F_MV_GV, F_GV_MV, F_MY_GY, F_MB, F_M8B,
	F_B, F_V, F_B_IB, F_V_IB,
	F_VX_WX, F_VQ_WQ, F_VD_WD, F_VY_EY,
	F_COUNT,
};

/* Where an operand is. */
enum emul_place {
	AT_NONE,
	AT_E,		/* ModRM register or memory */
	AT_M,		/* memory, resolved and loaded as AT_E; #UD for a register */
	AT_ADDRESS,	/* memory, only its offset is wanted; #UD for a register */
	AT_G,		/* ModRM reg field */
	AT_Z,		/* low opcode bits */
	AT_A,		/* accumulator */
	AT_O,		/* memory at an absolute offset */
	AT_S,		/* segment register in ModRM reg */
	AT_I,		/* immediate */
	AT_STACK,	/* memory at SS:rSP */
	AT_1,		/* the number 1 */
	AT_CL,		/* CL */
};

/* How many bytes an operand has. */
enum emul_size {
	SZ_V,		/* the operand size */
	SZ_B = 1,
	SZ_W = 2,
	SZ_Y = 3,	/* 4, or 8 with REX.W */
	SZ_D = 4,
	SZ_Q = 8,
	SZ_X = 16,	/* 16, or 32 with VEX.L */
};

enum emul_imm {
	IMM_NONE,
	IMM_B,		/* 8 bits, sign-extended */
	IMM_W,		/* 16 bits */
	IMM_Z,		/* operand size, at most 32 bits, sign-extended */
	IMM_V,		/* operand size, up to 64 bits */
	IMM_O,		/* address size */
	IMM_WB,		/* 16 bits, then 8 */
	IMM_FAR,	/* offset of operand size, then a selector */
};

enum emul_modrm {
	MODRM_NONE,
	MODRM_FULL,
	MODRM_REG,	/* mod is ignored, r/m is always a register */
};

struct emul_form_desc {
	u8 modrm;
	u8 imm;
	u8 dst;
	u8 dst_size;
	u8 src;
	u8 src_size;
};

/* Properties of an opcode. */
#define OPC_BY_REG BIT(0)	/* continue in next[8] by ModRM reg */
#define OPC_BY_PREFIX BIT(1)	/* continue in next[4]: none, 66, F3, F2 */
#define OPC_BY_MOD BIT(2)	/* continue in next[2]: memory, register */
#define OPC_ADD_REG BIT(3)	/* the operation is op + ModRM reg */
#define OPC_NO64 BIT(4)		/* #UD in 64-bit mode */
#define OPC_ONLY64 BIT(5)	/* another instruction outside 64-bit mode */
#define OPC_D64 BIT(6)		/* 64-bit mode: operand size is 8, or 2 with 66 */
#define OPC_NEAR BIT(7)		/* 64-bit mode: near branch, operand size is 8 */
#define OPC_ALIGNED BIT(8)	/* memory operand must be aligned */
#define OPC_MERGE BIT(9)	/* register form keeps the upper part */
#define OPC_VEX BIT(10)		/* VEX form does the same */
#define OPC_VEX256 BIT(11)	/* as OPC_VEX, also with 256 bits */

struct emul_opcode {
	u8 op;
	u8 form;
	u16 flags;
	const struct emul_opcode *next;
};

extern const struct emul_opcode *const emul_maps[4];
extern const struct emul_form_desc emul_forms[F_COUNT];

enum emul_operand_kind {
	OPERAND_NONE,
	OPERAND_REG,
	OPERAND_MEM,
	OPERAND_VALUE,
};

/*
 * An operand. @value is what was loaded, and for the destination afterwards what will be stored.
 * @old keeps what a read-modify-write destination held.
 */
struct emul_operand {
	enum emul_operand_kind kind;
	u8 bytes;
	u8 reg;
	u8 shift;
	u64 linear;
	u64 value;
	u64 old;
};

/*
 * The operands of the instruction at hand. @locked: the destination is stored atomically. @again:
 * RIP does not advance, the instruction has more to do.
 */
struct emul_args {
	struct emul_operand dst;
	struct emul_operand src;
	bool locked;
	bool again;
};

/*
 * Functions that return int return &enum emul_result unless said otherwise; EMUL_FAULT means that
 * &emul_ctx.fault is filled in. None of them sleeps or locks.
 */

/* decode.c */

/**
 * emul_decode() - fetch and decode the instruction at CS:RIP into &emul_ctx.insn
 * @ctx: Context; &emul_insn.fetched bytes are taken as they are.
 *
 * Return: 0; -EINVAL for an unknown encoding, with &emul_insn.op = %OP_UNDEFINED if it raises #UD;
 * -E2BIG for more than 15 bytes; or what the fetch operation returned.
 */
int emul_decode(struct emul_ctx *ctx);

/* operand.c */

/** emul_ud() - record #UD. Return: EMUL_FAULT. */
int emul_ud(struct emul_ctx *ctx);
/** emul_gp() - record #GP(0). Return: EMUL_FAULT. */
int emul_gp(struct emul_ctx *ctx);
/** emul_mask() - the bits of a number of @bytes (1 to 8) bytes */
u64 emul_mask(unsigned int bytes);
/** emul_get_gpr() - the low @bytes of register @reg; AH and its kind are the caller's to shift */
u64 emul_get_gpr(const struct emul_ctx *ctx, unsigned int reg, unsigned int bytes);
/** emul_set_gpr() - write register @reg: 4 bytes clear the upper half, 1 or 2 keep the rest */
void emul_set_gpr(struct emul_ctx *ctx, unsigned int reg, unsigned int bytes, u64 value);

/**
 * emul_address() - the offset of the ModRM or absolute memory operand
 * @ctx: Context; RIP already points to the next instruction.
 * @extra: Bytes to add before the sum is wrapped to the address size.
 *
 * Return: the offset in its segment.
 */
u64 emul_address(const struct emul_ctx *ctx, s64 extra);

/** emul_default_segment() - &enum emul_seg_reg of the ModRM or absolute memory operand */
int emul_default_segment(const struct emul_ctx *ctx);

/** emul_segment() - a segment register, fetched if the caller has left it out */
const struct emul_seg *emul_segment(struct emul_ctx *ctx, unsigned int seg);

/**
 * emul_linearise() - check an access against its segment and find its linear address
 * @ctx: Context.
 * @seg: &enum emul_seg_reg.
 * @offset: In the segment, already wrapped to the address size.
 * @len: Bytes.
 * @access: EMUL_READ and EMUL_WRITE, or 0 for a fetch or a branch target.
 * @linear: Receives the address, also if the check fails.
 *
 * Return: EMUL_DONE or EMUL_FAULT.
 */
int emul_linearise(struct emul_ctx *ctx, int seg, u64 offset, unsigned int len,
		   unsigned int access, u64 *linear);

/**
 * emul_locate() - find both operands of the decoded instruction, as its form says
 * @ctx: Context.
 * @a: Receives them; values only of immediates and the like.
 * @access: What the instruction does with the destination.
 *
 * Return: EMUL_DONE or EMUL_FAULT.
 */
int emul_locate(struct emul_ctx *ctx, struct emul_args *a, unsigned int access);

/**
 * emul_load() - read an operand into its value and old
 * @ctx: Context.
 * @o: Operand that emul_locate() found.
 * @access: As for emul_ops.read.
 *
 * Return: what emul_ops.read returned, or EMUL_DONE.
 */
int emul_load(struct emul_ctx *ctx, struct emul_operand *o, unsigned int access);

/**
 * emul_store() - write an operand's value
 * @ctx: Context.
 * @o: Operand that emul_locate() found.
 * @locked: Atomically replace its old value if it is memory.
 *
 * Return: what the operation returned, or EMUL_DONE.
 */
int emul_store(struct emul_ctx *ctx, struct emul_operand *o, bool locked);

/** emul_stack_bytes() - width of the stack pointer in bytes (stack.c) */
unsigned int emul_stack_bytes(struct emul_ctx *ctx);
/** emul_compare() - set the flags as CMP of two numbers of @bytes bytes does (alu.c) */
void emul_compare(struct emul_ctx *ctx, u64 dst, u64 src, unsigned int bytes);

/*
 * Operations. Operands are loaded before and the destination is stored after them, as the table in
 * execute.c says. They may change general registers, flags and RIP: emul_step() puts them back if
 * anything fails later.
 */

/* alu.c */
int emul_run_binary(struct emul_ctx *ctx, struct emul_args *a);
int emul_run_unary(struct emul_ctx *ctx, struct emul_args *a);
int emul_run_shift(struct emul_ctx *ctx, struct emul_args *a);
int emul_run_double_shift(struct emul_ctx *ctx, struct emul_args *a);
int emul_run_bit(struct emul_ctx *ctx, struct emul_args *a);
int emul_run_scan(struct emul_ctx *ctx, struct emul_args *a);

/* multiply.c */
int emul_run_multiply(struct emul_ctx *ctx, struct emul_args *a);
int emul_run_imul_trunc(struct emul_ctx *ctx, struct emul_args *a);
int emul_run_divide(struct emul_ctx *ctx, struct emul_args *a);

/* exchange.c */
int emul_run_xchg(struct emul_ctx *ctx, struct emul_args *a);
int emul_run_xadd(struct emul_ctx *ctx, struct emul_args *a);
int emul_run_cmpxchg(struct emul_ctx *ctx, struct emul_args *a);
int emul_run_cmpxchg8b(struct emul_ctx *ctx, struct emul_args *a);

/* stack.c */
int emul_run_push(struct emul_ctx *ctx, struct emul_args *a);
int emul_run_pop(struct emul_ctx *ctx, struct emul_args *a);
int emul_run_branch(struct emul_ctx *ctx, struct emul_args *a);

/* string.c and portio.c; these commit each iteration and are not put back. */
int emul_run_string(struct emul_ctx *ctx, struct emul_args *a);
int emul_run_port_string(struct emul_ctx *ctx, struct emul_args *a);
int emul_run_port(struct emul_ctx *ctx, struct emul_args *a);

/* vector.c */
int emul_run_vector(struct emul_ctx *ctx, struct emul_args *a);

/* system.c */
int emul_run_store_system(struct emul_ctx *ctx, struct emul_args *a);

#endif
