/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fuzzer of what a guest can do. A program is bytes that are read as
 * decisions: about the state that the guest starts in, about what happens to it from
 * outside, and about its code.
 */
#ifndef FUZZ_GUEST_H
#define FUZZ_GUEST_H

#include <linux/kvm.h>
#include <stdint.h>

#include "fuzz.h"

/* Parts of a program, so that a change in one does not shift the others. */
#define STATE_BYTES	128
#define EVENT_BYTES	128
#define CODE_BYTES	512
#define GUEST_PROGRAM	(STATE_BYTES + EVENT_BYTES + CODE_BYTES)

/* Decisions: bytes of the program, and behind their end random ones. */
struct stream {
	const uint8_t *at, *end;
	struct rng rng;
};

static inline uint8_t take8(struct stream *s)
{
	return s->at < s->end ? *s->at++ : rng_next(&s->rng);
}

static inline uint64_t take(struct stream *s, unsigned int bytes)
{
	uint64_t value = 0;

	while (bytes--)
		value = value << 8 | take8(s);
	return value;
}

static inline bool one_in(struct stream *s, unsigned int n)
{
	return take8(s) % n == 0;
}

/* A number below @n, which fits 16 bits. */
static inline unsigned int below(struct stream *s, unsigned int n)
{
	return n ? (n > 256 ? take(s, 2) : take8(s)) % n : 0;
}

/* As rng_interesting(), of decisions. */
static inline uint64_t interesting(struct stream *s)
{
	struct rng rng = { take(s, 4) };

	return rng_interesting(&rng);
}

#define pick(s, array) ((array)[below(s, ARRAY_SIZE(array))])

/* Modes that guests start in. */
enum mode {
	MODE_REAL,
	MODE_UNREAL,	/* real, segments of 4 GiB */
	MODE_PROT16,
	MODE_PROT32,	/* without paging */
	MODE_PAGED32,
	MODE_PAE,
	MODE_VM86,
	MODE_LONG,
	MODE_COMPAT,
	NR_MODES,
};

/* Guest memory: slot 0 at GPA 0, and a read-only slot. */
#define RAM_SIZE	(4UL << 20)
#define ROM_GPA		(6UL << 20)
#define ROM_SIZE	0x4000UL
#define TABLES		0x1000UL	/* page tables, to IDT */
#define IDT		0x8000UL
#define GDT		0x9000UL
#define TSS		0xa000UL
#define CODE		0x10000UL
#define CODE_SIZE	0x4000UL
#define DATA		0x20000UL
#define STACK		0x30000UL
#define HEALTH		0x40000UL	/* code of the last check */
#define DEVICE		0xd0000000UL	/* no memory */
#define APIC_MMIO	0xfee00000UL
#define IOAPIC_MMIO	0xfec00000UL

#define NR_VCPUS 2

struct vcpu {
	int fd;
	struct kvm_run *run;
	struct kvm_regs regs;		/* that it starts with */
	struct kvm_sregs sregs;
};

struct machine {
	int kvm, vm;
	bool irqchip;
	unsigned int nr_vcpus;
	enum mode mode;
	uint8_t *ram, *rom;
	struct vcpu vcpu[NR_VCPUS];
};

/* A system call that may fail: its result, or a negative errno. */
long call(int fd, unsigned long request, const void *argument);

/**
 * machine_make() - a VM in the state that the decisions ask for
 * @m: filled in
 * @s: decisions
 *
 * Return: false if it cannot be had, which has been told by fuzz_fail().
 */
bool machine_make(struct machine *m, struct stream *s);

/**
 * machine_start() - give a vCPU the registers that it starts with
 * @m: machine
 * @i: number of the vCPU
 */
void machine_start(struct machine *m, unsigned int i);

/* KVM_SET_USER_MEMORY_REGION */
long set_slot(struct machine *m, uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t size,
	      void *hva);

/**
 * state_make() - registers, descriptor tables and page tables
 * @m: machine, with memory
 * @s: decisions
 */
void state_make(struct machine *m, struct stream *s);

/**
 * code_make() - instructions
 * @to: where to
 * @size: bytes of it to fill
 * @mode: that they run in
 * @s: decisions
 */
void code_make(uint8_t *to, unsigned int size, enum mode mode, struct stream *s);

/* Things that happen to a running guest, and answers to its exits. */
void event_happens(struct machine *m, struct vcpu *vcpu, struct stream *s);
void exit_answer(struct vcpu *vcpu, struct stream *s);

/**
 * host_open() - note the state of this computer that guests must not change
 * @watch: with a hardware breakpoint of ours in force all the time
 */
void host_open(bool watch);

/**
 * host_run() - KVM_RUN between two looks at the vector registers
 * @fd: of the vCPU
 *
 * Return: its result, or a negative errno.
 */
long host_run(int fd);

/**
 * host_check() - fuzz_fail() unless all is as it was at host_open()
 */
void host_check(void);

/* A value for an MSR and which, as guests write them. */
uint32_t msr_index(struct stream *s);

#endif
