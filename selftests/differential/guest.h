/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A generated guest: its memory, its first state and the code that it runs.
 *
 * All of it follows from the seed and the CPUID table, so that two hypervisors get
 * the same guest and a difference can be looked at again.
 *
 * The code is a row of slots of equal size. Whatever an instruction of a slot does,
 * the next slot follows: it jumps there, and after an exception the host sends the
 * guest's handler there. So every guest comes to its end.
 */
#ifndef DIFFERENTIAL_GUEST_H
#define DIFFERENTIAL_GUEST_H

#include <linux/kvm.h>

#include "rng.h"

/* Guest-physical memory. From HOLE_BASE on there is none. */
#define TABLES_BASE	0x00000		/* IVT, GDT, IDT, TSS, page tables, stacks */
#define GDT_BASE	0x01000
#define LDT_BASE	0x01200
#define IDT_BASE	0x01800
#define TSS_BASE	0x02000
#define TSS_LIMIT	0x00fff
#define TOP_TABLE	0x04000		/* PML4, or page directory of 32-bit paging */
#define PDPT_TABLE	0x05000
#define PD_TABLE	0x06000
#define LOW_TABLE	0x07000		/* maps the lowest addresses one to one */
#define ODD_TABLE	0x08000		/* maps in every possible way */
#define HIGH_TABLE	0x09000		/* for 0xc0000000 and above */
#define KERNEL_STACK	0x0d000		/* tops of stacks */
#define IST_STACK	0x0e000
#define STACK_BASE	0x0e000
#define STACK_TOP	0x0ff00
#define CODE_BASE	0x10000		/* read-only: a write is an MMIO exit */
#define CODE_SIZE	0x10000
#define STUBS		0x0f000		/* offset of the handlers in the code */
#define STUB_SIZE	16
#define DATA_BASE	0x20000
#define READONLY_BASE	0x28000
#define HOLE_BASE	0x2c000
#define WINDOW_SIZE	0x10000		/* data, read-only data and hole */
#define MEM_SIZE	HOLE_BASE

#define SLOT_SIZE	128
#define MAX_SLOTS	48
#define NR_VECTORS	64		/* of the IDT */

/* Ports: the handlers', the slots', and those below STRING_PORT are read as they come. */
#define TRAP_PORT	0xc0		/* plus the vector */
#define SYNC_PORT	0xbf
#define DONE_PORT	0xbe
#define STRING_PORT	0x300

enum mode {
	MODE_REAL,
	MODE_PROT16,
	MODE_PROT32,
	MODE_PAGED32,
	MODE_PAE,
	MODE_LONG,
	MODE_COMPAT,
	MODE_V86,
	NR_MODES
};

extern const char *const mode_names[NR_MODES];

/* What a slot does, for the table of known differences. */
enum step_kind {
	STEP_NONE,
	STEP_PLAIN,
	STEP_MEMORY,
	STEP_VECTOR,
	STEP_STRING,
	STEP_STACK,
	STEP_BRANCH,
	STEP_PORT,
	STEP_STRING_PORT,
	STEP_CPUID,
	STEP_RDMSR,
	STEP_WRMSR,
	STEP_CR_READ,
	STEP_CR_WRITE,
	STEP_DR,
	STEP_LMSW,
	STEP_INVLPG,
	STEP_TSC,
	STEP_XSETBV,
	STEP_HYPERCALL,
	STEP_HINT,
	STEP_OTHER,
	STEP_EVENT,
	STEP_SEGMENT,
	STEP_TABLES,
	STEP_APIC,
	NR_STEPS
};

extern const char *const step_names[NR_STEPS];

/* The argument of a STEP_EVENT that is STI, NOP. */
#define EVENT_STI	5

struct step {
	uint8_t kind;
	/* The arithmetic flags are not defined after it. */
	bool undefined_flags;
	uint32_t arg;		/* MSR, leaf, port, register, hypercall or opcode */
	uint64_t value;		/* written to a control register or MSR; 1: OUT to a PIC */
};

/* The memory operand's segment and what can be reached through it. */
struct guest {
	uint64_t seed;
	struct rng rng;
	const struct kvm_cpuid2 *cpuid;

	enum mode mode;
	bool user;		/* CPL 3 */
	bool irqchip;
	bool complete;		/* complete each exit, then look at the registers */
	bool sync;		/* an exit after each slot */
	unsigned int gate_size;	/* bytes of what a gate pushes */
	unsigned int inject_one_in;	/* 0: no events from outside */

	unsigned int nr_slots;
	struct step steps[MAX_SLOTS];

	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_xsave xsave;
	struct kvm_debugregs debugregs;
	struct kvm_vcpu_events events;
	uint64_t xcr0;

	uint8_t mem[MEM_SIZE];
};

/* Selectors in the GDT. */
enum {
	SEL_CODE32	= 0x08,
	SEL_DATA32	= 0x10,
	SEL_CODE16	= 0x18,
	SEL_DATA16	= 0x20,
	SEL_STACK16	= 0x28,
	SEL_CODE64	= 0x30,
	SEL_USER_CODE32	= 0x3b,
	SEL_USER_DATA32	= 0x43,
	SEL_USER_CODE64	= 0x4b,
	SEL_USER_CODE16	= 0x53,
	SEL_USER_DATA16	= 0x5b,
	SEL_USER_STACK16 = 0x63,
	SEL_TSS		= 0x68,
	SEL_LDT		= 0x78,
	SEL_READONLY	= 0x88,
	SEL_EXPAND_DOWN	= 0x90,
	SEL_ABSENT	= 0x98,
	SEL_CONFORMING	= 0xa0,
	SEL_SMALL	= 0xa8,
	SEL_CALL_GATE	= 0xb0,
	SEL_EXECUTE_ONLY = 0xc0,
	GDT_SIZE	= 0xc8,
};

/* Order of struct kvm_sregs. */
enum { SEG_CS, SEG_DS, SEG_ES, SEG_FS, SEG_GS, SEG_SS, NR_SEGS };

static inline const struct kvm_segment *guest_segment(const struct guest *g, unsigned int seg)
{
	return &g->sregs.cs + seg;
}

/* Bits of an instruction's default operand: 16, 32 or 64. */
static inline unsigned int guest_bits(const struct guest *g)
{
	switch (g->mode) {
	case MODE_REAL:
	case MODE_PROT16:
	case MODE_V86:
		return 16;
	case MODE_LONG:
		return 64;
	default:
		return g->sregs.cs.db ? 32 : 16;
	}
}

static inline bool guest_paging(const struct guest *g)
{
	return g->sregs.cr0 >> 31 & 1;
}

/*
 * Whether the machine is QEMU's AMD one, whose bugs some guests must not meet: they end
 * QEMU, or L1's kernel, whatever the hypervisor.
 */
bool guest_on_amd(const struct guest *g);

/* Whether a bit of CPUID is set; reg: 0 EAX to 3 EDX. */
bool guest_has(const struct guest *g, uint32_t leaf, unsigned int reg, unsigned int bit);

/**
 * guest_generate() - make a guest
 * @g:     to be filled
 * @seed:  what it is made from
 * @cpuid: the table that its vCPU will have
 */
void guest_generate(struct guest *g, uint64_t seed, const struct kvm_cpuid2 *cpuid);

/* Its parts: state.c, tables.c and code.c. */
void guest_state(struct guest *g);
void guest_tables(struct guest *g);
void guest_code(struct guest *g);

/* A linear address that something interesting may be at. */
uint64_t guest_address(struct guest *g);

#endif
