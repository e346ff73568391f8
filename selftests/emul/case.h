/* SPDX-License-Identifier: GPL-2.0-only */
/* Random instructions with the state that they start from. */
#ifndef VITRO_SELFTEST_EMUL_CASE_H
#define VITRO_SELFTEST_EMUL_CASE_H

#include "internal.h"
#include "native.h"

/** One pseudo-random sequence (SplitMix64). */
struct rng {
	u64 state;
};

u64 rng_next(struct rng *rng);
/** True in one of @n cases. */
bool rng_one_in(struct rng *rng, unsigned int n);
unsigned int rng_below(struct rng *rng, unsigned int n);

/** What to generate: an opcode of a map, with VEX or legacy prefixes. */
struct pattern {
	enum emul_mode mode;
	u8 map;
	u8 opcode;
	u8 reg;
	bool vex;
};

/**
 * struct test_case - an instruction and the state before it
 * @insn: Decoded.
 * @before: Registers; RIP is where @insn.bytes are to be put, relative to CS.
 * @fill: Offsets in the data area that get random or related contents before execution.
 * @value: Contents: 64 bytes at each of @fill.
 * @pending: Every read first asks for user space.
 */
struct test_case {
	struct emul_insn insn;
	struct machine before;
	u32 fill[4];
	u8 value[4][64];
	bool pending;
};

/**
 * generate() - make a test case
 * @c: Receives it.
 * @p: What to make.
 * @seg: The mode's segments.
 * @rng: Randomness.
 *
 * Return: false if the bytes are not the wanted instruction in this mode.
 */
bool generate(struct test_case *c, const struct pattern *p, const struct emul_seg *seg,
	      struct rng *rng);

#endif
