/* SPDX-License-Identifier: GPL-2.0-only */
/* Writing machine code. */
#ifndef DIFFERENTIAL_EMIT_H
#define DIFFERENTIAL_EMIT_H

#include "guest.h"

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI };

/* One slot that is being filled. */
struct emit {
	struct guest *g;
	struct rng *rng;
	struct step *step;
	unsigned int bits;	/* the mode's: 16, 32 or 64 */
	uint8_t bytes[SLOT_SIZE];
	unsigned int n;
};

/* ModRM operand in memory, chosen before the registers that it needs are loaded. */
struct operand {
	uint8_t bytes[6];	/* ModRM, SIB, displacement */
	unsigned int n;
	uint8_t rex;		/* X and B */
	uint8_t segment;	/* override prefix, or 0 */
	bool address_size;	/* prefix 67 */
	bool rip_relative;
	uint64_t target;	/* offset in the segment */
};

void emit8(struct emit *e, uint8_t byte);
void emit16(struct emit *e, uint16_t value);
void emit32(struct emit *e, uint32_t value);
void emit64(struct emit *e, uint64_t value);

/* Bytes of an instruction: EMIT(e, 0x0f, 0xa2). */
#define EMIT(e, ...)							\
	do {								\
		static const uint8_t bytes_[] = { __VA_ARGS__ };	\
		unsigned int i_;					\
									\
		for (i_ = 0; i_ < sizeof(bytes_); i_++)			\
			emit8(e, bytes_[i_]);				\
	} while (0)

/**
 * emit_load() - MOV of an immediate value to a general register
 * @e:     the slot
 * @reg:   RAX to RDI, in 64-bit mode up to 15
 * @value: 32 bits of it unless the mode is 64-bit
 */
void emit_load(struct emit *e, unsigned int reg, uint64_t value);

/* The same with any value, for any register but the stack pointer. */
void emit_load_any(struct emit *e);

/**
 * emit_operand() - choose a memory operand and load its registers
 * @e:       the slot
 * @op:      receives it
 * @address: linear address of the operand
 * @spare:   registers that must not be used for it, as bits
 *
 * Return: the registers that it uses, as bits
 */
uint32_t emit_operand(struct emit *e, struct operand *op, uint64_t address, uint32_t spare);

/**
 * emit_modrm() - prefixes, opcode and operand of an instruction
 * @e:      the slot
 * @op:     memory operand, or NULL: a register
 * @prefix: 66, F2, F3 or F0, or 0
 * @rex_w:  with REX.W
 * @opcode: one to three bytes, the first one highest
 * @reg:    the other operand or part of the opcode
 * @rm:     register if there is no @op
 * @imm:    bytes of immediate that follow, for RIP-relative operands
 */
void emit_modrm(struct emit *e, const struct operand *op, uint8_t prefix, bool rex_w,
		uint32_t opcode, unsigned int reg, unsigned int rm, unsigned int imm);

/* A step of each kind: insns.c, steps.c. */
void step_plain(struct emit *e);
void step_memory(struct emit *e);
void step_vector(struct emit *e);
void step_string(struct emit *e);
void step_stack(struct emit *e);
void step_branch(struct emit *e);
void step_port(struct emit *e);
void step_string_port(struct emit *e);
void step_cpuid(struct emit *e);
void step_rdmsr(struct emit *e);
void step_wrmsr(struct emit *e);
void step_cr_read(struct emit *e);
void step_cr_write(struct emit *e);
void step_dr(struct emit *e);
void step_lmsw(struct emit *e);
void step_invlpg(struct emit *e);
void step_tsc(struct emit *e);
void step_xsetbv(struct emit *e);
void step_hypercall(struct emit *e);
void step_hint(struct emit *e);
void step_other(struct emit *e);
void step_event(struct emit *e);
void step_segment(struct emit *e);
void step_tables(struct emit *e);
void step_apic(struct emit *e);

#endif
