// SPDX-License-Identifier: GPL-2.0-only
/*
 * scale [--device PATH] VCPUS [WORD]: what operations cost that so many vCPUs do at once,
 * each on a CPU of its own. One line per operation: how many, its name, ticks and waits,
 * with tabs between.
 * WORD measures only the operations that have it in their names.
 *
 * The ticks are those from the start of a round, which is one operation of each vCPU, to
 * its end. On a processor, and on a machine whose CPUs run at once, they are what an operation
 * takes. Where one counter counts the instructions of all CPUs, they are what so many
 * operations take together.
 *
 * The waits are the instructions with which the vCPUs, all together, have waited for one
 * another in the round: inside their guests, because the operation is so.
 */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apic.h"
#include "bench.h"

#define MAX_BUSY	8
#define SCALE_ROUNDS	64
#define VECTOR		0x40
#define CACHE_LINE	64

/* Each vCPU's part of the slot: a page for each round, and tables of its own. */
#define SLOT		1
#define SLOT_GPA	0x40000000ULL
#define PART		(12ULL << 20)
#define RING_ENTRIES	4096U
#define RING_BYTES	(RING_ENTRIES * sizeof(struct kvm_dirty_gfn))

_Static_assert(BATCHES * SCALE_ROUNDS * PAGE_SIZE <= PART, "a part has a page for each round");
_Static_assert(BATCHES * SCALE_ROUNDS < RING_ENTRIES - 512, "a ring has room for a part");

typedef void op_fn(unsigned int me, unsigned int round);

enum op_flags {
	OP_IRQCHIP = 1,
	OP_PAGES = 2,		/* the slot, whose pages the host has */
	OP_LOG = 4,		/* which are mapped, and write-protected for the dirty log */
	OP_RING = 8,		/* with dirty rings */
	OP_OTHERS = 16,		/* needs two vCPUs */
};

struct op {
	const char *name;
	op_fn *run;
	unsigned int flags;
};

/* Each vCPU's own, not in one cache line with another's. */
struct mail {
	volatile uint32_t sent;		/* IPIs to the next vCPU */
	volatile uint32_t seen;		/* of the former vCPU's */
	uint64_t waits;			/* instructions */
	uint64_t random;
} __attribute__((aligned(CACHE_LINE)));

/* The guest's copies count. */
static uint64_t ticks[BATCHES], waits[BATCHES];
static struct mail mail[MAX_BUSY];
static volatile uint32_t nr_busy;
static volatile uint32_t waiting __attribute__((aligned(CACHE_LINE)));
static volatile uint32_t started __attribute__((aligned(CACHE_LINE)));
static volatile uint32_t finished __attribute__((aligned(CACHE_LINE)));

/* PAUSE is what makes a machine with one thread for all CPUs go on with the next one. */
static void relax(void)
{
	asm volatile("pause" : : : "memory");
}

/* Returns how many instructions it took. */
static uint64_t await(volatile uint32_t *variable, uint32_t value)
{
	uint64_t turns = 0;

	asm volatile("1:\n\t"
		     "incq %0\n\t"
		     "pause\n\t"
		     "cmpl %2, %1\n\t"
		     "jne 1b"
		     : "+r"(turns) : "m"(*variable), "r"(value) : "cc", "memory");
	return 4 * turns;
}

/*
 * Each vCPU for another time, or they keep in step: then it is chance whether an IPI comes
 * when its vCPU is out of the guest anyway, and stays so. Returns the instructions.
 */
static uint64_t dawdle(unsigned int me)
{
	uint64_t turns;

	mail[me].random = mail[me].random * 6364136223846793005ULL + 2 * me + 1;
	turns = 1 + (mail[me].random >> 54);
	asm volatile("1:\n\t"
		     "decq %0\n\t"
		     "jnz 1b"
		     : "+r"(turns) : : "cc");
	return 2 * (1 + (mail[me].random >> 54));
}

static uint64_t waited(void)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < nr_busy; i++)
		sum += mail[i].waits;
	return sum;
}

static void nothing(unsigned int me, unsigned int round)
{
	(void)me;
	(void)round;
}

static void touch(unsigned int me, unsigned int round)
{
	*(volatile uint8_t *)(SLOT_GPA + me * PART + round * PAGE_SIZE) = 1;
}

/* To the next one in the ring, which has taken it and written EOI at the end of the round. */
static void send_ipi(unsigned int me, unsigned int round)
{
	unsigned int next = (me + 1) % nr_busy;

	(void)round;
	mail[me].waits += dawdle(me);
	mail[me].sent++;
	wrmsr(MSR_X2APIC(APIC_ICR), (uint64_t)next << 32 | APIC_ICR_ASSERT | VECTOR);
	mail[me].waits += await(&mail[next].seen, mail[me].sent);
}

/* TCG may take an interrupt twice, see docs/machines.md: counting here would be wrong. */
static void take_ipi(struct guest_regs *regs)
{
	unsigned int me = guest_cpu()->id;

	(void)regs;
	wrmsr(MSR_X2APIC(APIC_EOI), 0);
	mail[me].seen = mail[(me + nr_busy - 1) % nr_busy].sent;
}

static const struct op ops[] = {
	{ "nested-page fault, host page present", touch, OP_PAGES },
	{ "write to a write-protected page, dirty bitmap", touch, OP_PAGES | OP_LOG },
	{ "write to a write-protected page, dirty ring", touch, OP_PAGES | OP_LOG | OP_RING },
	{ "IPI to the next vCPU, which runs, taken and EOI", send_ipi, OP_IRQCHIP | OP_OTHERS },
};

/*
 * All vCPUs run a batch. vCPU 0 starts when all others wait for it, and waits for them
 * in the end; what it returns is the time between. @turn counts the calls, from 1.
 */
static uint64_t together(op_fn *run, unsigned int me, unsigned int round, unsigned int turn)
{
	uint32_t others = turn * (nr_busy - 1);
	uint64_t start = 0;
	int i;

	if (me) {
		__atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
		while (started != turn)
			relax();
	} else {
		while (waiting != others)
			relax();
		start = rdtsc();
		started = turn;
	}
	for (i = 0; i < SCALE_ROUNDS; i++) {
		run(me, round + i);
		relax();
	}
	if (me) {
		__atomic_add_fetch(&finished, 1, __ATOMIC_SEQ_CST);
		return 0;
	}
	while (finished != others)
		relax();
	return rdtsc() - start;
}

static void busy(uint64_t index)
{
	const struct op *op = &ops[index];
	unsigned int me = guest_cpu()->id, turn = 0, i;
	uint64_t full, empty, before;

	if (op->flags & OP_IRQCHIP) {
		wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
		wrmsr(MSR_X2APIC(APIC_SVR), APIC_SVR_ENABLE | 0xff);
		guest_handlers[VECTOR] = take_ipi;
		sti();
	}
	if (op->flags & OP_LOG) {
		/* Each page is mapped, before the program has them all write-protected. */
		for (i = 0; i < BATCHES * SCALE_ROUNDS; i++)
			touch(me, i);
		guest_sync(0, 0);
	}
	for (i = 0; i < BATCHES; i++) {
		before = waited();
		full = together(op->run, me, i * SCALE_ROUNDS, ++turn);
		empty = together(nothing, me, 0, ++turn);
		if (me)
			continue;
		ticks[i] = full - empty;
		waits[i] = waited() - before;
	}
	cli();
}

static void add_pages(struct vm *vm, bool log)
{
	unsigned int nr = GUEST_VAR(vm, nr_busy);
	char *pages = bench_map(nr * PART, MADV_NOHUGEPAGE);

	memset(pages, 1, nr * PART);
	REQUIRE_OK(vm_slot(vm, SLOT, log ? KVM_MEM_LOG_DIRTY_PAGES : 0, SLOT_GPA, nr * PART, pages));
}

/* Takes all out of the vCPU's dirty ring. */
static void empty_ring(struct vcpu *vcpu)
{
	struct kvm_dirty_gfn *entries = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
					     vcpu->fd, KVM_DIRTY_LOG_PAGE_OFFSET * PAGE_SIZE);
	unsigned int i;

	REQUIRE(entries != MAP_FAILED, "mmap: %s", strerror(errno));
	for (i = 0; i < RING_ENTRIES && entries[i].flags == KVM_DIRTY_GFN_F_DIRTY; i++)
		entries[i].flags = KVM_DIRTY_GFN_F_RESET;
	REQUIRE(i >= BATCHES * SCALE_ROUNDS, "%u entries in the ring", i);
}

/* Each page of the slot is write-protected, as the guests have written to each. */
static void write_protect(struct vm *vm, struct vcpu **vcpu, unsigned int flags)
{
	struct kvm_dirty_log log = { .slot = SLOT };
	unsigned int i;

	if (flags & OP_RING) {
		for (i = 0; i < GUEST_VAR(vm, nr_busy); i++)
			empty_ring(vcpu[i]);
		REQUIRE_OK(sys_ioctl(vm->fd, KVM_RESET_DIRTY_RINGS, NULL));
		return;
	}
	log.dirty_bitmap = calloc(MAX_BUSY * PART / PAGE_SIZE, 1);
	REQUIRE_OK(sys_ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log));
}

/* This thread, and those that it makes later, on the nth CPU that the program may use. */
static void use_cpu(const cpu_set_t *allowed, unsigned int n)
{
	cpu_set_t set;
	int cpu;

	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, allowed) && !n--)
			break;
	REQUIRE(cpu < CPU_SETSIZE, "not enough CPUs");
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	REQUIRE(!sched_setaffinity(0, sizeof(set), &set), "sched_setaffinity: %s", strerror(errno));
}

static unsigned long long median(volatile uint64_t (*batches)[BATCHES])
{
	uint64_t copy[BATCHES];

	memcpy(copy, (void *)batches, sizeof(copy));
	return bench_median(copy, BATCHES, SCALE_ROUNDS);
}

static void measure(const struct op *op, unsigned int nr)
{
	struct vm *vm = vm_new(op->flags & OP_IRQCHIP ? VM_IRQCHIP : 0);
	struct vcpu *vcpu[MAX_BUSY];
	cpu_set_t allowed;
	unsigned int i;

	REQUIRE(!sched_getaffinity(0, sizeof(allowed), &allowed), "%s", strerror(errno));
	GUEST_VAR(vm, nr_busy) = nr;
	/* Who waits with PAUSE would leave its guest for that. */
	REQUIRE_OK(vm_enable_cap(vm, KVM_CAP_X86_DISABLE_EXITS, KVM_X86_DISABLE_EXITS_PAUSE));
	if (op->flags & OP_RING)
		REQUIRE_OK(vm_enable_cap(vm, KVM_CAP_DIRTY_LOG_RING, RING_BYTES));
	if (op->flags & OP_PAGES)
		add_pages(vm, op->flags & OP_LOG);
	for (i = 0; i < nr; i++) {
		use_cpu(&allowed, i);
		vcpu[i] = vcpu_new(vm, i, busy);
		vcpu_arg(vcpu[i], op - ops);
		if (i && op->flags & OP_IRQCHIP)
			vcpu_runnable(vcpu[i]);
		if (op->flags & OP_LOG)
			EXPECT_SYNC(vcpu[i], 0);
	}
	if (op->flags & OP_LOG)
		write_protect(vm, vcpu, op->flags);
	for (i = 1; i < nr; i++) {
		use_cpu(&allowed, i);
		vcpu_start(vcpu[i]);
	}
	use_cpu(&allowed, 0);
	EXPECT_DONE(vcpu[0]);
	for (i = 1; i < nr; i++)
		vcpu_join(vcpu[i]);
	printf("%u\t%s\t%llu\t%llu\n", nr, op->name, median(&GUEST_VAR(vm, ticks)),
	       median(&GUEST_VAR(vm, waits)));
}

int main(int argc, char **argv)
{
	unsigned int nr, i;
	int status;

	if (argc > 2 && !strcmp(argv[1], "--device")) {
		setenv("VITRO_DEVICE", argv[2], 1);
		argv += 2;
		argc -= 2;
	}
	nr = argc > 1 ? atoi(argv[1]) : 0;
	if (argc < 2 || argc > 3 || !nr || nr > MAX_BUSY) {
		fprintf(stderr, "usage: scale [--device PATH] VCPUS [WORD]\n");
		return 2;
	}
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		if ((nr < 2 && ops[i].flags & OP_OTHERS) || !strstr(ops[i].name, argv[2] ?: ""))
			continue;
		fflush(stdout);
		/* A process for each, which leaves nothing behind for the next one. */
		if (!fork()) {
			measure(&ops[i], nr);
			exit(0);
		}
		if (wait(&status) < 0 || status) {
			fprintf(stderr, "scale: no figure for: %s\n", ops[i].name);
			return 1;
		}
	}
	return 0;
}
