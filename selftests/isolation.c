// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registers of guest and host survive each other: each side poisons what it
 * has, runs against competitors that do the same, and looks again.
 */
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cpus.h"
#include "vm.h"

#define XSAVE_SIZE	4096
#define XSAVE_HEADER	512
/* x87, SSE, AVX, and the three components of AVX-512. */
#define XFEATURES	0xe7ULL
#define MSR_KERNEL_GS_BASE	0xc0000102
#define MSR_LSTAR		0xc0000082

static void sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

struct xsave_area {
	uint8_t bytes[XSAVE_SIZE];
} __attribute__((aligned(64)));

static inline void xrstor(struct xsave_area *area, uint64_t features)
{
	asm volatile("xrstor64 %0" : : "m"(*area), "a"((uint32_t)features),
		     "d"((uint32_t)(features >> 32)) : "memory");
}

static inline void xsave(struct xsave_area *area, uint64_t features)
{
	asm volatile("xsave64 %0" : "+m"(*area) : "a"((uint32_t)features),
		     "d"((uint32_t)(features >> 32)) : "memory");
}

static inline uint64_t xgetbv(void)
{
	uint32_t low, high;

	asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return low | (uint64_t)high << 32;
}

/* Where a component lies in the standard format: offset and size. */
static void component(int i, uint32_t *offset, uint32_t *size)
{
	uint32_t regs[4];

	if (i == 0) {
		*offset = 32;		/* ST0 to ST7 */
		*size = 128;
	} else if (i == 1) {
		*offset = 160;
		*size = 256;
	} else {
		cpuid(0xd, i, regs);
		*size = regs[0];
		*offset = regs[1];
	}
}

static inline void fill_bytes(uint8_t *p, uint32_t n, uint8_t seed)
{
	while (n--)
		*(volatile uint8_t *)p++ = seed += 7;
}

/* Runs in guest and host alike: no libc. */
static void poison(struct xsave_area *area, uint64_t features, uint8_t seed)
{
	volatile uint8_t *p = area->bytes;
	uint32_t offset, size, i;

	for (i = 0; i < XSAVE_SIZE; i++)
		p[i] = 0;
	*(volatile uint16_t *)p = 0x37f;
	*(volatile uint16_t *)(p + 2) = 0x4100;		/* C3 C0 */
	p[4] = 0xff;
	*(volatile uint32_t *)(p + 24) = 0x1f80 | (seed & 0x3f);
	for (i = 0; i < 8; i++) {
		if (!(features >> i & 1))
			continue;
		component(i, &offset, &size);
		fill_bytes(area->bytes + offset, size, seed + i);
	}
	/* ST registers hold 80 bits each. */
	for (i = 0; i < 8 * 16; i++)
		if (i % 16 >= 10)
			p[32 + i] = 0;
	*(volatile uint64_t *)(p + XSAVE_HEADER) = features;
}

/* Number of bytes that differ, with the place of the first. */
static uint32_t differences(const struct xsave_area *a,
			    const struct xsave_area *b, uint64_t features,
			    uint32_t *where)
{
	uint32_t offset, size, i, j, n = 0;

	for (i = 0; i < 8; i++) {
		if (!(features >> i & 1))
			continue;
		component(i, &offset, &size);
		for (j = offset; j < offset + size; j++)
			if (a->bytes[j] != b->bytes[j] && !n++)
				*where = j;
	}
	/* Control, status and tag words, MXCSR. */
	for (j = 0; j < 5; j++)
		if (a->bytes[j] != b->bytes[j] && !n++)
			*where = j;
	for (j = 24; j < 28; j++)
		if (a->bytes[j] != b->bytes[j] && !n++)
			*where = j;
	return n;
}

static volatile uint64_t stop;
static struct xsave_area wanted, found;

/* Spins with poisoned registers; exits of several kinds in between. */
static void vector_guest(uint64_t seed)
{
	uint64_t features, rounds = 0;
	uint32_t where = 0, regs[4], n;

	write_cr4(read_cr4() | 1 << 18);
	cpuid(0xd, 0, regs);
	features = regs[0] & XFEATURES;
	poison(&wanted, features, seed);
	xrstor(&wanted, features);
	do {
		switch (rounds++ % 4) {
		case 0:
			asm volatile("cpuid" : : "a"(0), "c"(0)
				     : "rbx", "rdx", "memory");
			break;
		case 1:
			guest_sync(1, rounds);
			break;
		default:
			for (n = 0; n < 20000; n++)
				cpu_relax();
		}
		xsave(&found, features);
		n = differences(&wanted, &found, features, &where);
		if (n) {
			guest_check(__FILE__, __LINE__, "offset that differs",
				    where, ~0ULL);
			xrstor(&wanted, features);
		}
	} while (!stop || rounds <= 4);
	G_CHECK_EQ(xgetbv(), features);
	guest_sync(2, rounds);
}

static bool has_xsave(void)
{
	struct kvm_cpuid2 *table = kvm_supported_cpuid();
	uint32_t regs[4];

	cpuid(1, 0, regs);
	return cpuid_find(table, 1, 0)->ecx & 1 << 26 &&
	       cpuid_find(table, 0xd, 0) && regs[2] & 1 << 27;
}

/*
 * For the guest: an XSETBV of its own would be lost on TCG, which does not tell
 * the hypervisor, if that is one that does not look.
 */
static void set_xcr0(struct vcpu *vcpu)
{
	struct kvm_cpuid_entry2 *leaf;
	struct kvm_xcrs xcrs = { .nr_xcrs = 1 };

	leaf = cpuid_find(kvm_supported_cpuid(), 0xd, 0);
	if (!has_xsave())
		return;
	xcrs.xcrs[0].value = leaf->eax & XFEATURES;
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_SET_XCRS, &xcrs));
}

static void *vector_thread(void *arg)
{
	struct vcpu *vcpu = arg;

	do {
		if (vcpu_run(vcpu) != EVENT_SYNC) {
			test_fail(__FILE__, __LINE__,
				  "expected sync, got exit reason %u",
				  vcpu->run->exit_reason);
			return NULL;
		}
	} while (vcpu->call.a == 1);
	return NULL;
}

static volatile bool host_stop;

static void *busy_thread(void *arg)
{
	struct xsave_area area, after;
	uint64_t features = xgetbv() & XFEATURES;
	uint32_t i, where = 0;

	poison(&area, features, (uintptr_t)arg);
	while (!host_stop) {
		xrstor(&area, features);
		for (i = 0; i < 50000; i++)
			cpu_relax();
		xsave(&after, features);
		CHECK(!differences(&area, &after, features, &where),
		      "host thread: offset %u differs", where);
	}
	return NULL;
}

/* Guests and host threads, more of them than CPUs. */
static void compete(void (*fn)(uint64_t arg), unsigned int ms)
{
	struct vcpu *vcpu[2];
	pthread_t guest[2], busy[2];
	int i;

	for (i = 0; i < 2; i++) {
		vcpu[i] = vcpu_new(vm_new(0), 0, fn);
		vcpu_arg(vcpu[i], 0x11 + 0x42 * i);
		set_xcr0(vcpu[i]);
		pthread_create(&guest[i], NULL, vector_thread, vcpu[i]);
		pthread_create(&busy[i], NULL, busy_thread,
			       (void *)(0x90L + i));
	}
	sleep_ms(ms);
	for (i = 0; i < 2; i++)
		GUEST_VAR(vcpu[i]->vm, stop) = 1;
	for (i = 0; i < 2; i++)
		pthread_join(guest[i], NULL);
	host_stop = true;
	for (i = 0; i < 2; i++)
		pthread_join(busy[i], NULL);
}

TEST(vector_registers)
{
	if (!has_xsave())
		test_skip("no XSAVE");
	compete(vector_guest, 1000);
}

/* KVM_RUN between XRSTOR and XSAVE, with nothing in between. */
static long run_between(int fd, struct xsave_area *before,
			struct xsave_area *after, uint64_t features)
{
	long ret = SYS_ioctl;

	asm volatile("xrstor64 (%[before])\n"
		     "movl %[features], %%ebx\n"
		     "movq %[nr], %%rax\n"
		     "xorl %%edx, %%edx\n"
		     "syscall\n"
		     "movq %%rax, %[nr]\n"
		     "movl %%ebx, %%eax\n"
		     "xorl %%edx, %%edx\n"
		     "xsave64 (%[after])\n"
		     : [nr] "+r"(ret)
		     : [before] "r"(before), [after] "r"(after),
		       [features] "r"((uint32_t)features), "D"((long)fd),
		       "S"(KVM_RUN), "a"((uint32_t)features), "d"(0)
		     : "rbx", "rcx", "r11", "memory");
	return ret;
}

static void clobber_guest(uint64_t arg)
{
	struct xsave_area area;
	uint32_t regs[4];

	write_cr4(read_cr4() | 1 << 18);
	cpuid(0xd, 0, regs);
	regs[0] &= XFEATURES;
	asm volatile("xsetbv" : : "a"(regs[0]), "d"(0), "c"(0));
	poison(&area, regs[0], arg);
	for (;;) {
		xrstor(&area, regs[0]);
		outb(0x80, 0);
		/* Another XCR0 than the host's. */
		asm volatile("xsetbv" : : "a"(1), "d"(0), "c"(0));
		outb(0x80, 0);
		asm volatile("xsetbv" : : "a"(regs[0]), "d"(0), "c"(0));
	}
}

TEST(host_vector_registers)
{
	static struct xsave_area before, after;
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, clobber_guest);
	uint64_t xcr0, features;
	uint32_t where = 0;
	int i;

	if (!has_xsave())
		test_skip("no XSAVE");
	xcr0 = xgetbv();
	features = xcr0 & XFEATURES;
	vcpu_arg(vcpu, 0x66);
	poison(&before, features, 0x21);
	for (i = 0; i < 50; i++) {
		memset(&after, 0, sizeof(after));
		REQUIRE(run_between(vcpu->fd, &before, &after, features) == 0,
			"KVM_RUN");
		REQUIRE_EQ(vcpu->run->exit_reason, KVM_EXIT_IO);
		CHECK(!differences(&before, &after, features, &where),
		      "offset %u differs", where);
		CHECK_EQ(xgetbv(), xcr0);
	}
}

/* General registers and flags, in a loop that no exit but time interrupts. */
void spin_registers(uint64_t *want, uint64_t *got, uint64_t rounds);
asm(".pushsection .text\n"
    "spin_registers:\n"
    "pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
    "pushq %rsi\n"
    "movq %rdx, %rcx\n"
    "movq 0(%rdi), %rax; movq 8(%rdi), %rbx; movq 16(%rdi), %rdx\n"
    "movq 24(%rdi), %rsi; movq 32(%rdi), %rbp; movq 40(%rdi), %r8\n"
    "movq 48(%rdi), %r9; movq 56(%rdi), %r10; movq 64(%rdi), %r11\n"
    "movq 72(%rdi), %r12; movq 80(%rdi), %r13; movq 88(%rdi), %r14\n"
    "movq 96(%rdi), %r15; movq 104(%rdi), %rdi\n"
    /* LOOP changes no flag: carry, parity, zero, sign, overflow stay. */
    "pushq $0x8d7; popfq\n"
    "1: loop 1b\n"
    "pushfq; popq %rcx\n"
    "xchgq %rdi, (%rsp)\n"
    "movq %rax, 0(%rdi); movq %rbx, 8(%rdi); movq %rdx, 16(%rdi)\n"
    "movq %rsi, 24(%rdi); movq %rbp, 32(%rdi); movq %r8, 40(%rdi)\n"
    "movq %r9, 48(%rdi); movq %r10, 56(%rdi); movq %r11, 64(%rdi)\n"
    "movq %r12, 72(%rdi); movq %r13, 80(%rdi); movq %r14, 88(%rdi)\n"
    "movq %r15, 96(%rdi); popq %rax; movq %rax, 104(%rdi)\n"
    "movq %rcx, 112(%rdi)\n"
    "cld; popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq %rbx\n"
    "ret\n"
    ".popsection");

/* A breakpoint on 4 bytes written, or none. */
#define DR7_ARMED	0xd0402
#define DR7_NONE	0x400

static uint64_t dr7 = DR7_ARMED;

/*
 * TCG keeps the breakpoints that a guest armed when it leaves the guest, and
 * stops altogether when another guest then arms its own: none are armed there.
 */
static void choose_dr7(void)
{
	if (host_is_tcg())
		dr7 = DR7_NONE;
}

static void general_guest(uint64_t seed)
{
	uint64_t want[15], got[15], rounds = 0;
	int i;

	for (i = 0; i < 14; i++)
		want[i] = seed * 0x0101010101010101ULL * (i + 3);
	want[14] = 0x8d7;
	write_dr0(seed);
	write_dr1(seed << 40);
	write_dr2(~seed);
	write_dr3(seed * 3);
	/* Armed for a word that nobody writes. */
	write_dr0(0x30000000 + seed * 8);
	write_dr7(dr7);
	wrmsr(MSR_KERNEL_GS_BASE, seed << 32);
	wrmsr(MSR_LSTAR, seed << 20);
	do {
		spin_registers(want, got, 100000);
		for (i = 0; i < 15; i++)
			if (got[i] != want[i])
				guest_check(__FILE__, __LINE__, "register",
					    got[i], want[i]);
		G_CHECK_EQ(read_dr0(), 0x30000000 + seed * 8);
		G_CHECK_EQ(read_dr1(), seed << 40);
		G_CHECK_EQ(read_dr2(), ~seed);
		G_CHECK_EQ(read_dr3(), seed * 3);
		G_CHECK_EQ(read_dr7(), dr7);
		G_CHECK_EQ(rdmsr(MSR_KERNEL_GS_BASE), seed << 32);
		G_CHECK_EQ(rdmsr(MSR_LSTAR), seed << 20);
		if (++rounds % 4 == 0)
			guest_sync(1, 0);
	} while (!stop);
	guest_sync(2, rounds);
}

static void *spin_thread(void *arg)
{
	uint64_t want[15], got[15];
	int i;

	for (i = 0; i < 14; i++)
		want[i] = 0x7777000011112222ULL * (i + (uintptr_t)arg);
	want[14] = 0xad7;		/* with IF, which POPF cannot clear */
	while (!host_stop) {
		spin_registers(want, got, 100000);
		for (i = 0; i < 15; i++)
			CHECK(got[i] == want[i],
			      "host register %d: expected %#llx, got %#llx", i,
			      (unsigned long long)want[i],
			      (unsigned long long)got[i]);
	}
	return NULL;
}

TEST(general_and_debug_registers)
{
	struct vcpu *vcpu[2];
	pthread_t guest[2], busy;
	int i;

	choose_dr7();
	for (i = 0; i < 2; i++) {
		vcpu[i] = vcpu_new(vm_new(0), 0, general_guest);
		vcpu_arg(vcpu[i], 0x13 + 0x21 * i);
		pthread_create(&guest[i], NULL, vector_thread, vcpu[i]);
	}
	pthread_create(&busy, NULL, spin_thread, (void *)5L);
	sleep_ms(1000);
	for (i = 0; i < 2; i++)
		GUEST_VAR(vcpu[i]->vm, stop) = 1;
	for (i = 0; i < 2; i++)
		pthread_join(guest[i], NULL);
	host_stop = true;
	pthread_join(busy, NULL);
}

static volatile uint32_t watched;

static int watch(volatile uint32_t *p)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT, .size = sizeof(attr),
		.bp_type = HW_BREAKPOINT_W, .bp_addr = (uintptr_t)p,
		.bp_len = HW_BREAKPOINT_LEN_4, .exclude_kernel = 1,
		.exclude_hv = 1,
	};

	return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

static uint64_t hits(int fd)
{
	uint64_t n = 0;

	if (read(fd, &n, sizeof(n)) != sizeof(n))
		test_fail(__FILE__, __LINE__, "read: %s", strerror(errno));
	return n;
}

static void watched_guest(uint64_t arg)
{
	(void)arg;
	write_dr7(DR7_NONE);
	guest_sync(1, 0);
	/* The same address as the host's breakpoint, which is not ours. */
	watched = 1;
	write_dr0(0x12345678);
	write_dr7(dr7);
	guest_sync(2, 0);
	watched = 2;
	G_CHECK_EQ(read_dr0(), 0x12345678);
	G_CHECK_EQ(guest_cpu()->taken[1], 0);
}

/* The host's own breakpoints hold after each run, and stay the host's. */
TEST(host_debug_registers)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, watched_guest);
	int fd = watch(&watched);

	choose_dr7();
	GUEST_VAR(vcpu->vm, dr7) = dr7;
	if (fd < 0)
		test_skip("no hardware breakpoints: %s", strerror(errno));
	watched = 1;
	CHECK_EQ(hits(fd), 1);
	EXPECT_SYNC(vcpu, 1);
	watched = 2;
	CHECK_EQ(hits(fd), 2);
	EXPECT_SYNC(vcpu, 2);
	watched = 3;
	CHECK_EQ(hits(fd), 3);
	EXPECT_DONE(vcpu);
	watched = 4;
	CHECK_EQ(hits(fd), 4);
}

static uint64_t read_base(int which)
{
	uint64_t base;

	syscall(SYS_arch_prctl, which, &base);
	return base;
}

static void bases_guest(uint64_t arg)
{
	(void)arg;
	wrmsr(0xc0000100, 0x1111000);
	wrmsr(MSR_KERNEL_GS_BASE, 0x2222000);
	asm volatile("movl %0, %%ds; movl %0, %%es" : : "r"(GUEST_SEL_DATA));
}

/* FS and GS with their bases, data segments, and the flags after a call. */
TEST(host_segments)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, bases_guest);
	uint64_t fs = read_base(0x1003), gs;
	uint32_t before[4], after[4];

	/* Not zero, so that a loss shows. */
	syscall(SYS_arch_prctl, 0x1001, 0x123456789000);
	gs = read_base(0x1004);
	CHECK_EQ(gs, 0x123456789000);
	asm volatile("movl %%ds, %0; movl %%es, %1; movl %%fs, %2; movl %%gs, %3"
		     : "=r"(before[0]), "=r"(before[1]), "=r"(before[2]),
		       "=r"(before[3]));
	EXPECT_DONE(vcpu);
	asm volatile("movl %%ds, %0; movl %%es, %1; movl %%fs, %2; movl %%gs, %3"
		     : "=r"(after[0]), "=r"(after[1]), "=r"(after[2]),
		       "=r"(after[3]));
	CHECK(!memcmp(before, after, sizeof(before)), "selectors differ");
	CHECK_EQ(read_base(0x1003), fs);
	CHECK_EQ(read_base(0x1004), gs);
}

static volatile pid_t guest_tid;

static void *migrating_thread(void *arg)
{
	guest_tid = gettid();
	return vector_thread(arg);
}

static void migrate(void (*fn)(uint64_t arg))
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, fn);
	cpu_set_t cpus = cpus_allowed(), set;
	pthread_t guest;
	int i;

	if (CPU_COUNT(&cpus) < 2)
		test_skip("one CPU only");
	vcpu_arg(vcpu, 0x35);
	set_xcr0(vcpu);
	pthread_create(&guest, NULL, migrating_thread, vcpu);
	while (!guest_tid)
		sched_yield();
	for (i = 0; i < 300; i++) {
		set = cpus_one(cpus_nth(&cpus, i));
		REQUIRE(!sched_setaffinity(guest_tid, sizeof(set), &set),
			"sched_setaffinity: %s", strerror(errno));
		sleep_ms(2);
	}
	GUEST_VAR(vcpu->vm, stop) = 1;
	pthread_join(guest, NULL);
}

TEST(migration_vector_registers)
{
	if (!has_xsave())
		test_skip("no XSAVE");
	migrate(vector_guest);
}

TEST(migration_other_registers)
{
	choose_dr7();
	migrate(general_guest);
}
