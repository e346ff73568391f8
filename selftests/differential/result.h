/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What came of a guest: a list of items, in the order in which they were seen. It is
 * written to a file by the pass on one hypervisor, and compared with the other's.
 */
#ifndef DIFFERENTIAL_RESULT_H
#define DIFFERENTIAL_RESULT_H

#include <stdio.h>

#include "guest.h"

/* X(enumerator, text). From STATE_FIRST on, each stands once for each index. */
#define ITEMS(X)					\
	X(SETUP, "setup call")				\
	X(EXIT, "exit")					\
	X(IO, "I/O (dir size port)")			\
	X(IO_DATA, "I/O data")				\
	X(MMIO, "MMIO address")				\
	X(MMIO_KIND, "MMIO (dir length)")		\
	X(MMIO_DATA, "MMIO data")			\
	X(DETAIL, "detail of the exit")			\
	X(TRAP, "vector")				\
	X(TRAP_ERROR, "error code")			\
	X(TRAP_IP, "IP of the frame")			\
	X(TRAP_CS, "CS of the frame")			\
	X(TRAP_FLAGS, "flags of the frame")		\
	X(TRAP_CR2, "CR2")				\
	X(TRAP_DR6, "DR6")				\
	X(RUN, "kvm_run (CR8, ready, IF)")		\
	X(RIP, "RIP")					\
	X(FLAGS, "RFLAGS")				\
	X(GPR, "general registers")			\
	X(SPECIAL, "special registers")			\
	X(INJECT, "injected")				\
	X(END, "end")					\
	X(STATE_REGS, "regs")				\
	X(STATE_SREGS, "sregs")				\
	X(STATE_FPU, "fpu")				\
	X(STATE_XSAVE, "xsave")				\
	X(STATE_XCR0, "XCR0")				\
	X(STATE_DEBUG, "debugregs")			\
	X(STATE_EVENTS, "vcpu_events")			\
	X(STATE_MP, "mp_state")				\
	X(STATE_MSR, "MSR")				\
	X(STATE_LAPIC, "local APIC")			\
	X(STATE_PIC, "PIC")				\
	X(STATE_IOAPIC, "I/O APIC")			\
	X(MEMORY, "memory")

enum item_key {
#define X(name, text) ITEM_##name,
	ITEMS(X)
#undef X
	NR_ITEM_KEYS
};

#define ITEM_STATE_FIRST	ITEM_STATE_REGS

/**
 * struct item - one thing seen
 * @key:   enum item_key
 * @slot:  slot in whose instructions the guest was
 * @index: which register, word or address
 * @value: what it was
 */
struct item {
	uint16_t key;
	uint16_t slot;
	uint32_t index;
	uint64_t value;
};

#define MAX_ITEMS	60000
#define NO_SLOT		0xffff

struct result {
	uint64_t seed;
	uint32_t count;
	uint16_t slot;		/* for the items to come */
	bool full;
	bool trace;		/* print each item when it is put */
	struct item items[MAX_ITEMS];
};

/* Head of a file; then the CPUID table, then for each guest its seed, count and items. */
#define RESULT_MAGIC	0x766974726f646966ULL
#define MAX_CPUID	128

struct result_head {
	uint64_t magic;
	uint64_t seed;
	uint32_t count;
	uint32_t stock;		/* made on stock KVM */
	uint32_t verbose;
	uint32_t nent;
};

extern const char *const item_names[NR_ITEM_KEYS];

void result_begin(struct result *r, uint64_t seed);
void result_put(struct result *r, enum item_key key, uint32_t index, uint64_t value);

/* Do two items tell the same, whatever slots they are of? */
bool result_same(const struct item *a, const struct item *b);

/* Continue a hash over @size bytes. */
uint64_t result_hash(uint64_t hash, const void *data, size_t size);

/**
 * result_name() - what an item is, in words
 * @item: the item
 * @buf:  receives the text
 * @size: its size in bytes
 */
const char *result_name(const struct item *item, char *buf, size_t size);

/* Print an item as a comment of KTAP. */
void result_print(FILE *file, const struct item *item);

/* The code of a slot, for a disassembler. */
void guest_print_slot(const struct guest *g, unsigned int slot);

/**
 * struct machine - the hypervisor under test
 * @kvm:     descriptor of its device
 * @stock:   it is Linux's own KVM
 * @cpuid:   the table for each vCPU
 * @verbose: record each register, not hashes of them
 * @unlike:  guests that vm_run_twice() has run more than twice
 */
struct machine {
	int kvm;
	bool stock;
	bool verbose;
	size_t run_size;
	struct kvm_cpuid2 *cpuid;
	uint8_t *mem;
	unsigned int unlike;
};

/* A guest that is running. */
struct vm {
	struct machine *machine;
	struct guest *guest;
	struct result *result;
	struct kvm_run *run;
	struct rng rng;		/* of what user space answers and injects */
	int fd, vcpu;
	unsigned int traps, steps;
	bool done;
	bool stepping;		/* TF was set at the last exit */
	bool on_ist;		/* a handler that the IST gives a stack has begun */
	bool broken;		/* the processor says that its state is undefined */
};

/**
 * vm_run() - run a guest and record what happens
 * @machine: the hypervisor
 * @g:       the guest
 * @result:  receives the record
 *
 * Return: 0, or -1 if it could not even be set up
 */
int vm_run(struct machine *machine, struct guest *g, struct result *result);

/**
 * vm_run_twice() - run a guest until it does the same as the time before
 * @machine: the hypervisor
 * @g:       the guest
 * @results: room for two records
 *
 * Return: the record of the last run; NULL as vm_run(), or if the guest never does the same
 */
struct result *vm_run_twice(struct machine *machine, struct guest *g, struct result *results);

/* Parts of it: setup.c, exits.c and dump.c. */
int vm_setup(struct vm *vm);
void vm_close(struct vm *vm);
void vm_exits(struct vm *vm);
void vm_dump(struct vm *vm);

/* RFLAGS without what the manuals leave undefined, or the emulator is wrong about. */
uint64_t defined_flags(const struct vm *vm, uint64_t flags);

/* Make two descriptions of the same segment alike. */
void normal_sregs(struct kvm_sregs *s);

/* ioctl() that returns its result, or a negative errno. */
long call(int fd, unsigned long request, void *arg);

/**
 * compare_files() - list where two files of results differ
 * @kvm:     file of stock KVM
 * @vitro:   file of vitro
 * @verbose: list all differences of a guest, not the first ones only
 *
 * Return: number of guests with a difference that has no known reason, or -1
 */
int compare_files(const char *kvm, const char *vitro, bool verbose);

/**
 * known_difference() - why two items of a guest may differ
 * @g: the guest
 * @a: stock KVM's item, or NULL if it has none there
 * @b: vitro's item, or NULL
 *
 * Return: the reason, or NULL if there is none
 */
const char *known_difference(const struct guest *g, const struct item *a,
			     const struct item *b);

#endif
