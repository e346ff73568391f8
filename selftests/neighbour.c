// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest that looks at itself all the time: registers, SSE, MSRs of SYSCALL, TSC_AUX,
 * KERNEL_GS_BASE, memory, timer interrupts. Of several that share CPUs, on one hypervisor or
 * on two, each must see nothing but itself.
 *
 * By itself it does some rounds. With NEIGHBOUR_UNTIL=FILE it goes on until there is such
 * a file; machines/check.d/76-intel-shared lets it run beside other tests so.
 */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "apic.h"
#include "vm.h"

#define ROUNDS		30
#define LIMIT_S		1500
#define WORDS		2048
#define TIMER_VECTOR	0x40

#define MSR_EFER		0xc0000080
#define MSR_STAR		0xc0000081
#define MSR_LSTAR		0xc0000082
#define MSR_SFMASK		0xc0000084
#define MSR_KERNEL_GS_BASE	0xc0000102
#define MSR_TSC_AUX		0xc0000103

static uint64_t memory[WORDS];
static volatile uint64_t syscalls[2];
static bool has_rdtscp;

/* SYSCALL at CPL 0 comes here: two places, so that neighbours have different ones. */
extern const char syscall_entry_0[], syscall_entry_1[];
asm(".pushsection .text\n"
    "syscall_entry_0: incq syscalls(%rip); jmp *%rcx\n"
    "syscall_entry_1: incq 8 + syscalls(%rip); jmp *%rcx\n"
    ".popsection");

static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	return x ^ x >> 29;
}

static void on_timer(struct guest_regs *regs)
{
	(void)regs;
	apic_eoi();
}

/*
 * Spins with known values in the registers that nothing else needs; interrupts of
 * the host, and other threads, come meanwhile. Returns the sum of what is left.
 */
static uint64_t spin_with_registers(uint64_t seed, uint64_t loops)
{
	uint64_t sum = seed;

	asm volatile("push %%rbp\n"
		     "lea 1(%0), %%r8\n lea 2(%0), %%r9\n lea 3(%0), %%r10\n"
		     "lea 4(%0), %%r11\n lea 5(%0), %%r12\n lea 6(%0), %%r13\n"
		     "lea 7(%0), %%r14\n lea 8(%0), %%r15\n lea 9(%0), %%rbx\n"
		     "lea 10(%0), %%rbp\n lea 11(%0), %%rsi\n lea 12(%0), %%rdi\n"
		     "movq %0, %%xmm0\n movq %%r8, %%xmm7\n movq %%r15, %%xmm15\n"
		     "1: dec %1\n jnz 1b\n"
		     "movq %%xmm0, %%rcx\n add %%rcx, %0\n"
		     "movq %%xmm7, %%rcx\n add %%rcx, %0\n"
		     "movq %%xmm15, %%rcx\n add %%rcx, %0\n"
		     "add %%r8, %0\n add %%r9, %0\n add %%r10, %0\n"
		     "add %%r11, %0\n add %%r12, %0\n add %%r13, %0\n"
		     "add %%r14, %0\n add %%r15, %0\n add %%rbx, %0\n"
		     "add %%rbp, %0\n add %%rsi, %0\n add %%rdi, %0\n"
		     "pop %%rbp"
		     : "+a"(sum), "+c"(loops)
		     : : "rdx", "rbx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
			 "r14", "r15", "memory", "cc");
	return sum;
}

static void set_up(uint64_t seed)
{
	uint32_t regs[4];
	unsigned int i;

	cpuid(0x80000001, 0, regs);
	has_rdtscp = regs[3] >> 27 & 1;
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | 1);
	wrmsr(MSR_STAR, (uint64_t)GUEST_SEL_CODE << 32 | seed << 51);
	wrmsr(MSR_LSTAR, (uintptr_t)(seed & 1 ? syscall_entry_1 : syscall_entry_0));
	wrmsr(MSR_SFMASK, 0x100 | (seed & 1) << 10);
	wrmsr(MSR_KERNEL_GS_BASE, mix(seed) >> 20);
	if (has_rdtscp)
		wrmsr(MSR_TSC_AUX, seed);
	for (i = 0; i < WORDS; i++)
		memory[i] = mix(seed + i);
	guest_handlers[TIMER_VECTOR] = on_timer;
	apic_enable();
	apic_write(APIC_LVTT, TIMER_VECTOR);
	apic_write(APIC_TDCR, 0xb);
}

static void look_at_msrs(uint64_t seed, uint64_t round)
{
	uint64_t gs = (uintptr_t)guest_cpu(), kernel_gs;
	uint32_t aux = seed;

	asm volatile("syscall" : : : "rcx", "r11", "memory", "cc");
	G_CHECK_EQ(syscalls[seed & 1], round + 1);
	G_CHECK_EQ(syscalls[!(seed & 1)], 0);
	/* The address of the area is in GS; what SWAPGS brings must be ours, too. */
	asm volatile("swapgs" : : : "memory");
	kernel_gs = rdmsr(0xc0000101);
	asm volatile("swapgs" : : : "memory");
	G_CHECK_EQ(kernel_gs, mix(seed) >> 20);
	G_CHECK_EQ((uintptr_t)guest_cpu(), gs);
	if (has_rdtscp)
		asm volatile("rdtscp" : "=c"(aux) : : "rax", "rdx");
	G_CHECK_EQ(aux, (uint32_t)seed);
}

static void guest(uint64_t seed)
{
	uint64_t round, value, wrong;
	uint32_t taken;
	unsigned int i;

	set_up(seed);
	for (round = 0;; round++) {
		value = mix(seed + round) >> 8;
		G_CHECK_EQ(spin_with_registers(value, 200000), 16 * value + 1 + 8 + 78);
		look_at_msrs(seed, round);

		for (i = 0, wrong = 0; i < WORDS; i++)
			wrong += memory[i] != mix(seed + i);
		G_CHECK_EQ(wrong, 0);

		/* More than one may come: TCG delivers some twice, see docs/machines.md. */
		taken = guest_cpu()->taken[TIMER_VECTOR];
		apic_write(APIC_TMICT, 1000);
		while (guest_cpu()->taken[TIMER_VECTOR] == taken)
			sti_hlt();
		cli();
		guest_sync(round, value);
	}
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ULL + t.tv_nsec / 1000000;
}

static void run_rounds(struct vcpu *vcpu, uint64_t seed, uint64_t first, uint64_t rounds)
{
	struct kvm_sregs sregs;
	uint64_t i, efer;

	for (i = first; i < first + rounds; i++) {
		EXPECT_SYNC(vcpu, i);
		REQUIRE_EQ(vcpu->call.b, mix(seed + i) >> 8);
	}
	vcpu_get_sregs(vcpu, &sregs);
	CHECK_EQ(sregs.cs.selector, GUEST_SEL_CODE);
	REQUIRE_OK(vcpu_get_msr(vcpu, MSR_EFER, &efer));
	CHECK_EQ(efer, sregs.efer);
}

static struct vcpu *neighbour(uint64_t seed)
{
	struct vcpu *vcpu = vcpu_new(vm_new(VM_IRQCHIP), 0, guest);

	vcpu_arg(vcpu, seed);
	return vcpu;
}

static bool go_on(void)
{
	const char *until = getenv("NEIGHBOUR_UNTIL");

	return until && access(until, F_OK);
}

TEST_LIMIT(stays, LIMIT_S)
{
	uint64_t seed = getpid(), first = 0, start = now_ms();
	struct vcpu *vcpu = neighbour(seed);

	do {
		run_rounds(vcpu, seed, first, ROUNDS);
		first += ROUNDS;
	} while (go_on());
	test_note("%llu rounds in %llu ms", (unsigned long long)first,
		  (unsigned long long)(now_ms() - start));
}

TEST_LIMIT(comes_and_goes, LIMIT_S)
{
	uint64_t seed = getpid(), times = 0;
	struct vcpu *vcpu;
	struct vm *vm;

	do {
		vcpu = neighbour(++seed);
		vm = vcpu->vm;
		run_rounds(vcpu, seed, 0, 3);
		vcpu_free(vcpu);
		vm_free(vm);
		times++;
	} while (go_on() || times < 3);
	test_note("%llu VMs", (unsigned long long)times);
}
