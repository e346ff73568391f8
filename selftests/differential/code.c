// SPDX-License-Identifier: GPL-2.0-only
/* The slots of a guest's code, and its handlers. */
#include <asm/processor-flags.h>
#include <string.h>

#include "emit.h"

/* Vectors that push an error code outside of real mode. */
#define ERROR_CODES	0x00227d00U

static const struct {
	void (*emit)(struct emit *e);
	unsigned int weight;
} steps[NR_STEPS] = {
	[STEP_PLAIN]	   = { step_plain, 10 },
	[STEP_MEMORY]	   = { step_memory, 34 },
	[STEP_VECTOR]	   = { step_vector, 6 },
	[STEP_STRING]	   = { step_string, 8 },
	[STEP_STACK]	   = { step_stack, 6 },
	[STEP_BRANCH]	   = { step_branch, 3 },
	[STEP_PORT]	   = { step_port, 8 },
	[STEP_STRING_PORT] = { step_string_port, 5 },
	[STEP_CPUID]	   = { step_cpuid, 3 },
	[STEP_RDMSR]	   = { step_rdmsr, 4 },
	[STEP_WRMSR]	   = { step_wrmsr, 4 },
	[STEP_CR_READ]	   = { step_cr_read, 3 },
	[STEP_CR_WRITE]	   = { step_cr_write, 5 },
	[STEP_DR]	   = { step_dr, 3 },
	[STEP_LMSW]	   = { step_lmsw, 2 },
	[STEP_INVLPG]	   = { step_invlpg, 1 },
	[STEP_TSC]	   = { step_tsc, 1 },
	[STEP_XSETBV]	   = { step_xsetbv, 2 },
	[STEP_HYPERCALL]   = { step_hypercall, 2 },
	[STEP_HINT]	   = { step_hint, 3 },
	[STEP_OTHER]	   = { step_other, 4 },
	[STEP_EVENT]	   = { step_event, 7 },
	[STEP_SEGMENT]	   = { step_segment, 3 },
	[STEP_TABLES]	   = { step_tables, 2 },
	[STEP_APIC]	   = { step_apic, 4 },
};

static unsigned int choose_step(struct rng *rng)
{
	unsigned int i, total = 0, n;

	for (i = 0; i < NR_STEPS; i++)
		total += steps[i].weight;
	n = rng_below(rng, total);
	for (i = 0; n >= steps[i].weight; i++)
		n -= steps[i].weight;
	return i;
}

/* Ends with a jump to the next slot. */
static void fill_slot(struct guest *g, unsigned int slot)
{
	struct emit e = {
		.g = g, .rng = &g->rng, .step = &g->steps[slot], .bits = guest_bits(g),
	};
	uint8_t *at = g->mem + CODE_BASE + slot * SLOT_SIZE;
	unsigned int i;

	for (i = rng_below(e.rng, 3); i; i--)
		emit_load_any(&e);
	e.step->kind = choose_step(e.rng);
	steps[e.step->kind].emit(&e);
	/* CMP AL, AL: all arithmetic flags have a value again. */
	if (e.step->undefined_flags)
		EMIT(&e, 0x38, 0xc0);
	if (g->sync)
		EMIT(&e, 0xe6, SYNC_PORT);
	if (e.n <= SLOT_SIZE - 2) {
		emit8(&e, 0xeb);
		emit8(&e, SLOT_SIZE - 1 - e.n);
	}
	memcpy(at, e.bytes, e.n);
}

/* Tells the host the vector, drops the error code, returns. */
static void fill_stub(struct guest *g, unsigned int vector)
{
	bool code = vector < 32 && ERROR_CODES >> vector & 1 && g->mode != MODE_REAL;
	uint8_t *at = g->mem + CODE_BASE + STUBS + vector * STUB_SIZE;

	*at++ = 0xe6;
	*at++ = TRAP_PORT + vector;
	if (code) {
		if (g->gate_size == 8)
			*at++ = 0x48;
		*at++ = 0x83;
		*at++ = 0xc4;
		*at++ = g->gate_size;
	}
	/* IRET of the gate's size, which need not be that of the handler's code. */
	if (g->gate_size == 8)
		*at++ = 0x48;
	else if (g->mode == MODE_PROT16 && g->gate_size == 4)
		*at++ = 0x66;
	*at++ = 0xcf;
}

void guest_code(struct guest *g)
{
	unsigned int i;

	/* Whoever gets astray here ends: OUT DONE_PORT, whether decoded from an even byte
	 * or as MOV ESI from an odd one.
	 */
	for (i = 0; i < CODE_SIZE; i += 2) {
		g->mem[CODE_BASE + i] = 0xe6;
		g->mem[CODE_BASE + i + 1] = DONE_PORT;
	}
	g->nr_slots = 8 + rng_below(&g->rng, MAX_SLOTS - 8);
	for (i = 0; i < g->nr_slots; i++)
		fill_slot(g, i);
	for (i = 0; i < NR_VECTORS; i++)
		fill_stub(g, i);
}
