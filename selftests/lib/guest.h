/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What code that runs inside a guest may use.
 *
 * The test program's own image is copied into the guest at the address that it
 * was linked for, and guest memory is mapped one to one. A function of the test
 * can thus run as a guest as it is, and a static variable has one copy here and
 * one in each guest: the host reads a guest's with GUEST_VAR() of vm.h.
 * Guest code must not call libc.
 */
#ifndef SELFTESTS_GUEST_H
#define SELFTESTS_GUEST_H

#include <stdbool.h>
#include <stdint.h>

/* The interrupt flag in RFLAGS. */
#define FLAG_IF			0x200

/* Segment selectors of 64-bit guests. */
#define GUEST_SEL_CODE		0x08
#define GUEST_SEL_DATA		0x10
#define GUEST_SEL_USER_DATA	0x1b
#define GUEST_SEL_USER_CODE	0x23
#define GUEST_SEL_TSS		0x28

/* A 4-byte write of the address of a struct guest_call to this port. */
#define GUEST_CALL_PORT		0xc0de

enum guest_call_type {
	GUEST_SYNC,		/* a: stage, b: value */
	GUEST_DONE,
	GUEST_CHECK,		/* a check failed. a: got, b: expected */
	GUEST_TRAP,		/* unexpected exception. a: vector, b: error */
};

struct guest_call {
	uint32_t type;
	uint32_t line;
	const char *file;
	const char *what;
	uint64_t a, b;
	uint64_t rip, cr2;
};

/* Registers as the trap stubs push them. */
struct guest_regs {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rdi, rsi, rbp, rdx, rcx, rbx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

#define GUEST_NO_TRAP		(-1)

/* One per vCPU, at the base of GS. The host reads it with vcpu_cpu(). */
struct guest_cpu {
	struct guest_cpu *self;
	uint64_t kernel_rsp;	/* of guest_user(), used by vectors.S */
	uint32_t id;
	/* Last trap that GUEST_TRY() caught. */
	int vector;
	uint64_t error, cr2, rip;
	volatile uint32_t taken[256];	/* interrupts and traps, by vector */
};

typedef void (*guest_handler)(struct guest_regs *regs);

/* Handlers by vector; they return to the interrupted code. */
extern guest_handler guest_handlers[256];

/* First instruction of the stub of vector 0; one stub each 16 bytes. */
extern const char guest_trap_stubs[];

void guest_check(const char *file, int line, const char *what,
		 uint64_t got, uint64_t want);
void guest_sync(uint64_t stage, uint64_t value);
void guest_done(void);

#define G_CHECK_EQ(got, want)						\
	guest_check(__FILE__, __LINE__, #got, (uint64_t)(got),		\
		    (uint64_t)(want))
#define G_CHECK(cond)							\
	guest_check(__FILE__, __LINE__, #cond, !!(cond), 1)

/* Software interrupt by which user mode comes back. */
#define GUEST_USER_VECTOR	0x81

/**
 * guest_user() - call a function at CPL 3
 * @fn: the function
 * @stack: top of its stack
 *
 * Return: what the function returned
 */
uint64_t guest_user(uint64_t (*fn)(void), uint64_t stack);

static inline struct guest_cpu *guest_cpu(void)
{
	struct guest_cpu *cpu;

	asm volatile("mov %%gs:0, %0" : "=r"(cpu));
	return cpu;
}

/*
 * GUEST_TRY("insn", : outputs : inputs : clobbers) runs one instruction and
 * gives the vector of the fault that it raised, or GUEST_NO_TRAP. Error code,
 * CR2 and RIP of the fault are then in *guest_cpu().
 */
#define GUEST_TRY(insn, ...)						\
	({								\
		guest_cpu()->vector = GUEST_NO_TRAP;			\
		asm volatile("1:\t" insn "\n2:\n"			\
			     ".pushsection guest_extable, \"a\"\n"	\
			     ".quad 1b, 2b\n"				\
			     ".popsection" __VA_ARGS__);		\
		*(volatile int *)&guest_cpu()->vector;			\
	})

#define GUEST_IO(suffix, type, reg)					\
static inline void out##suffix(uint16_t port, type value)		\
{									\
	asm volatile("out" #suffix " %" reg "0, %w1"			\
		     : : "a"(value), "Nd"(port) : "memory");		\
}									\
static inline type in##suffix(uint16_t port)				\
{									\
	type value;							\
									\
	asm volatile("in" #suffix " %w1, %" reg "0"			\
		     : "=a"(value) : "Nd"(port) : "memory");		\
	return value;							\
}
GUEST_IO(b, uint8_t, "b")
GUEST_IO(w, uint16_t, "w")
GUEST_IO(l, uint32_t, "k")
#undef GUEST_IO

static inline uint64_t rdmsr(uint32_t index)
{
	uint32_t low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index) : "memory");
	return low | (uint64_t)high << 32;
}

static inline void wrmsr(uint32_t index, uint64_t value)
{
	asm volatile("wrmsr" : : "a"((uint32_t)value),
		     "d"((uint32_t)(value >> 32)), "c"(index) : "memory");
}

/* As rdmsr() and wrmsr(), giving the vector of a fault or GUEST_NO_TRAP. */
static inline int rdmsr_try(uint32_t index, uint64_t *value)
{
	uint32_t low = 0, high = 0;
	int vector;

	vector = GUEST_TRY("rdmsr", : "+a"(low), "+d"(high) : "c"(index)
			   : "memory");
	*value = low | (uint64_t)high << 32;
	return vector;
}

static inline int wrmsr_try(uint32_t index, uint64_t value)
{
	return GUEST_TRY("wrmsr", : : "a"((uint32_t)value),
			 "d"((uint32_t)(value >> 32)), "c"(index) : "memory");
}

static inline void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
	asm volatile("cpuid" : "=a"(regs[0]), "=b"(regs[1]), "=c"(regs[2]),
		     "=d"(regs[3]) : "a"(leaf), "c"(subleaf) : "memory");
}

static inline uint64_t rdtsc(void)
{
	uint32_t low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return low | (uint64_t)high << 32;
}

#define GUEST_REG(name)							\
static inline uint64_t read_##name(void)				\
{									\
	uint64_t value;							\
									\
	asm volatile("mov %%" #name ", %0" : "=r"(value) : : "memory");	\
	return value;							\
}									\
static inline void write_##name(uint64_t value)				\
{									\
	asm volatile("mov %0, %%" #name : : "r"(value) : "memory");	\
}
GUEST_REG(cr0)
GUEST_REG(cr2)
GUEST_REG(cr3)
GUEST_REG(cr4)
GUEST_REG(cr8)
GUEST_REG(dr0)
GUEST_REG(dr1)
GUEST_REG(dr2)
GUEST_REG(dr3)
GUEST_REG(dr6)
GUEST_REG(dr7)
#undef GUEST_REG

static inline uint64_t read_flags(void)
{
	uint64_t flags;

	asm volatile("pushfq; popq %0" : "=r"(flags) : : "memory");
	return flags;
}

static inline void sti(void)
{
	asm volatile("sti" : : : "memory");
}

static inline void cli(void)
{
	asm volatile("cli" : : : "memory");
}

/* Interrupts on and sleep in one go: none can slip in between. */
static inline void sti_hlt(void)
{
	asm volatile("sti; hlt" : : : "memory");
}

/*
 * Take what is pending. A NOP stands in the shadow of STI: TCG keeps the shadow
 * for longer if that is PAUSE. Two more, since on TCG an interrupt of the host's
 * delays the guest's by an instruction (docs/machines.md), which must not be CLI.
 */
static inline void take_interrupts(void)
{
	asm volatile("sti; nop; nop; nop; cli; pause" : : : "memory");
}

/* The instruction that the processor has for it: @amd is host_is_amd(). */
static inline uint64_t guest_hypercall(uint64_t amd, uint64_t nr, uint64_t a0, uint64_t a1,
				       uint64_t a2, uint64_t a3)
{
	if (amd)
		asm volatile("vmmcall" : "+a"(nr) : "b"(a0), "c"(a1), "d"(a2), "S"(a3) : "memory");
	else
		asm volatile("vmcall" : "+a"(nr) : "b"(a0), "c"(a1), "d"(a2), "S"(a3) : "memory");
	return nr;
}

static inline void hlt(void)
{
	asm volatile("hlt" : : : "memory");
}

static inline void cpu_relax(void)
{
	asm volatile("pause" : : : "memory");
}

static inline uint32_t mmio_read32(uint64_t addr)
{
	uint32_t value;

	asm volatile("movl (%1), %0" : "=r"(value) : "r"(addr) : "memory");
	return value;
}

static inline void mmio_write32(uint64_t addr, uint32_t value)
{
	asm volatile("movl %0, (%1)" : : "r"(value), "r"(addr) : "memory");
}

#endif
