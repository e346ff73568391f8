/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fuzzer of /dev/vitro's ioctls: what there is to call, how arguments are
 * made, and how programs look in memory.
 */
#ifndef FUZZ_IOCTL_H
#define FUZZ_IOCTL_H

#include <linux/kvm.h>
#include <setjmp.h>
#include <stdint.h>
#include <vitro.h>

#include "fuzz.h"

/* What a call is made on; each has its range of descriptors, so numbers in programs mean the same
 * in each run.
 */
enum object {
	OBJ_DEV,
	OBJ_VM,
	OBJ_VCPU,
	OBJ_EVENT,
	OBJ_STATS,
	OBJ_COPY,	/* made by dup() */
	NR_OBJECTS,
	OBJ_NONE,	/* not a call on a descriptor */
};

#define FD_FIRST	200
#define FD_PER_OBJECT	8
#define FD(object, i)	(FD_FIRST + (object) * FD_PER_OBJECT + (i) % FD_PER_OBJECT)

/* Memory for guests is always there, and so are the windows into vCPUs. */
#define ARENA		0x100000000000UL
#define ARENA_SIZE	(8UL << 20)
#define HUGE_AREA	(ARENA + (32UL << 20))	/* a huge page, if there is one */
#define HUGE_SIZE	(2UL << 20)
#define SHARED_AREA	(ARENA + (64UL << 20))	/* of a file in memory */
#define SHARED_SIZE	(1UL << 20)
#define RUN_AREA	(ARENA + (128UL << 20))	/* mmap() of vCPU i at i * RUN_STRIDE */
#define RUN_STRIDE	0x10000UL

/* Values of fields. The parameter's meaning is in the comment. */
enum kind {
	KIND_ANY,
	KIND_ZERO,	/* hardly anything else */
	KIND_BITS,	/* mask of bits that make sense */
	KIND_SMALL,	/* one more than the largest that makes sense */
	KIND_GPA,
	KIND_SIZE,	/* of memory */
	KIND_HVA,
	KIND_EVENTFD,
	KIND_FD,	/* any descriptor of ours */
	KIND_MSR,
	KIND_CR0,
	KIND_CR4,
	KIND_EFER,
	KIND_RFLAGS,
	KIND_PORT,
	KIND_CPUID,
	KIND_MSI_ADDRESS,
	KIND_SIGNALS,	/* mask of blocked signals */
	KIND_SWITCH,	/* 0 or the parameter */
};

/* An element of an argument, or an array of them. */
struct field {
	uint16_t offset;
	uint8_t size;
	uint8_t kind;
	uint16_t count, stride;
	uint64_t param;
};

struct call;
struct thread;

/**
 * struct call - one thing to do
 * @name: of the ioctl, or of what else it is
 * @cmd: its number
 * @object: what it is called on
 * @makes: it returns a descriptor of this; OBJ_DEV: of nothing
 * @weight: how often, beside others
 * @size: bytes of the argument's structure; 0: the argument is a number
 * @tail: bytes behind the structure, for those that have arrays there
 * @fields: of the structure, or what the number is; a field that stands there more than
 *	once has the first meaning mostly
 * @nr_fields: how many
 * @getter: ioctl that fills the structure with what is there already
 * @act: for what is no ioctl: @data is the argument's structure
 */
struct call {
	const char *name;
	unsigned long cmd;
	uint8_t object, makes, weight, nr_fields;
	uint16_t size, tail;
	const struct field *fields;
	unsigned long getter;
	long (*act)(struct thread *thread, const uint64_t *data, int fd);
};

/* In two files: ioctls, and actions beside them. */
extern const struct call ioctl_calls[], action_calls[];
extern const unsigned int nr_ioctl_calls, nr_action_calls;

/* Of both together; any number is one of them. */
const struct call *call_at(unsigned int i);
unsigned int call_count(void);

/* How the argument's structure begins, before patches. */
enum base {
	BASE_ZERO,
	BASE_RANDOM,
	BASE_GETTER,
	BASE_ONES,
	NR_BASES,
};

/* Where the structure lies. */
enum place {
	PLACE_GOOD,
	PLACE_SHARED,	/* all threads at once: changes while it is read */
	PLACE_NULL,
	PLACE_CUT,	/* its last bytes are not mapped */
	PLACE_READ_ONLY,
	PLACE_KERNEL,
	PLACE_GUEST,	/* in guest memory */
	NR_PLACES,
};

struct patch {
	uint16_t offset;
	uint8_t size;		/* 1, 2, 4, 8 */
	uint64_t value;
};

#define MAX_OPS		32
#define MAX_PATCHES	14

struct op {
	uint8_t call, thread, object, slot, base, place, nr_patches;
	uint64_t arg;		/* the number, or the seed of BASE_RANDOM */
	struct patch patches[MAX_PATCHES];
};

struct ops {
	uint8_t rounds;		/* each thread does its part so often */
	uint8_t nr;
	struct op op[MAX_OPS];
};

/* What a thread of a program has. */
struct thread {
	unsigned int number;
	bool forked;		/* this is a process of its own by now */
	uint8_t *window;	/* structures end where it ends */
	sigjmp_buf escape;	/* from an access to memory that is gone */
	volatile bool may_escape;
};

#define WINDOW_SIZE	(5 * 4096UL)

/**
 * field_value() - a value for a field
 * @rng: random numbers
 * @field: the field
 */
uint64_t field_value(struct rng *rng, const struct field *field);

/* Programs as bytes and back. Bytes may be any. */
void ops_pack(const struct ops *ops, struct program *program);
void ops_unpack(struct ops *ops, const struct program *program);

void ops_generate(struct rng *rng, struct program *program);
void ops_mutate(struct rng *rng, struct program *program, const struct program *other);
void ops_execute(const struct program *program);

/* Guests for KVM_RUN: writes one of the small ones to @to, returns its size. */
unsigned int guest_code(uint8_t *to, uint64_t which);

#endif
