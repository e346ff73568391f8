// SPDX-License-Identifier: GPL-2.0-only
/* Exits without data: CPUID, MSRs, hypercalls, HLT, shutdown and the like. */
#include <linux/kvm_para.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "apic.h"
#include "vm.h"

#define VECTOR_UD	6
#define VECTOR_GP	13

static uint32_t cpuid_out[4];

static void cpuid_guest(uint64_t arg)
{
	uint32_t regs[4];

	cpuid(arg, arg >> 32, regs);
	cpuid_out[0] = regs[0];
	cpuid_out[1] = regs[1];
	cpuid_out[2] = regs[2];
	cpuid_out[3] = regs[3];
}

TEST(cpuid_as_set)
{
	struct kvm_cpuid2 *table = kvm_supported_cpuid();
	struct kvm_cpuid_entry2 *entry = cpuid_find(table, 0, 0);
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu;

	memcpy(&entry->ebx, "v", 1);
	/* A leaf and a subleaf that no processor has. */
	REQUIRE(table->nent <= 254, "no room");
	table->entries[table->nent++] = (struct kvm_cpuid_entry2) {
		.function = 0x40000123, .eax = 1, .ebx = 2, .ecx = 3, .edx = 4,
	};
	table->entries[table->nent++] = (struct kvm_cpuid_entry2) {
		.function = 0x40000124, .index = 7, .eax = 5, .ebx = 6,
		.ecx = 7, .edx = 8, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
	};
	vcpu = vcpu_new(vm, 0, cpuid_guest);
	EXPECT_DONE(vcpu);
	CHECK_EQ(GUEST_VAR(vm, cpuid_out)[0], entry->eax);
	CHECK_EQ(GUEST_VAR(vm, cpuid_out)[1], entry->ebx);
	CHECK_EQ(GUEST_VAR(vm, cpuid_out)[2], entry->ecx);
	CHECK_EQ(GUEST_VAR(vm, cpuid_out)[3], entry->edx);

	vcpu_free(vcpu);
	vcpu = vcpu_new(vm, 1, cpuid_guest);
	vcpu_arg(vcpu, 0x40000123 | 9ULL << 32);
	EXPECT_DONE(vcpu);
	CHECK_EQ(GUEST_VAR(vm, cpuid_out)[0], 1);
	CHECK_EQ(GUEST_VAR(vm, cpuid_out)[3], 4);

	vcpu_free(vcpu);
	vcpu = vcpu_new(vm, 2, cpuid_guest);
	vcpu_arg(vcpu, 0x40000124 | 7ULL << 32);
	EXPECT_DONE(vcpu);
	CHECK_EQ(GUEST_VAR(vm, cpuid_out)[0], 5);
	CHECK_EQ(GUEST_VAR(vm, cpuid_out)[3], 8);

	vcpu_free(vcpu);
	vcpu = vcpu_new(vm, 3, cpuid_guest);
	vcpu_arg(vcpu, 0x40000124 | 8ULL << 32);
	EXPECT_DONE(vcpu);
	CHECK_EQ(GUEST_VAR(vm, cpuid_out)[0], 0);
	CHECK_EQ(GUEST_VAR(vm, cpuid_out)[3], 0);
}

static void cpuid_state_guest(uint64_t has_xsave)
{
	uint64_t rax = ~0ULL, rbx = ~0ULL, rcx = ~0ULL << 32, rdx = ~0ULL;
	uint32_t regs[4];

	/* 32-bit results clear the upper halves. */
	rax = 0xffffffff00000000;
	asm volatile("cpuid" : "+a"(rax), "+b"(rbx), "+c"(rcx), "+d"(rdx));
	G_CHECK_EQ((rax | rbx | rcx | rdx) >> 32, 0);
	if (!has_xsave)
		return;
	cpuid(1, 0, regs);
	G_CHECK_EQ(regs[2] & 1 << 27, 0);	/* OSXSAVE follows CR4 */
	write_cr4(read_cr4() | 1 << 18);
	cpuid(1, 0, regs);
	G_CHECK_EQ(regs[2] & 1 << 27, 1 << 27);
	write_cr4(read_cr4() & ~(1ULL << 18));
	cpuid(1, 0, regs);
	G_CHECK_EQ(regs[2] & 1 << 27, 0);
}

TEST(cpuid_follows_state)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, cpuid_state_guest);

	vcpu_arg(vcpu, cpuid_find(kvm_supported_cpuid(), 1, 0)->ecx & 1 << 26);
	EXPECT_DONE(vcpu);
}

static void hypercall_guest(uint64_t amd)
{
	uint64_t rax = 0x7fffffff, rbx = 0x1111, rcx = 0x2222;

	if (amd)
		asm volatile("vmmcall" : "+a"(rax), "+b"(rbx), "+c"(rcx)
			     : : "memory");
	else
		asm volatile("vmcall" : "+a"(rax), "+b"(rbx), "+c"(rcx)
			     : : "memory");
	G_CHECK_EQ(rax, (uint64_t)-KVM_ENOSYS);
	G_CHECK_EQ(rbx, 0x1111);
	G_CHECK_EQ(rcx, 0x2222);
	G_CHECK_EQ(guest_hypercall(amd, KVM_HC_VAPIC_POLL_IRQ, 0, 0, 0, 0), 0);
}

TEST(hypercall)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, hypercall_guest);

	vcpu_arg(vcpu, host_is_amd());
	EXPECT_DONE(vcpu);
}

extern const uint8_t foreign_insn[];

/* The instruction that this processor does not have. */
static __attribute__((noinline, noclone)) uint64_t foreign_hypercall(uint64_t is_amd)
{
	volatile uint8_t *insn = (uint8_t *)foreign_insn;
	uint64_t rax = KVM_HC_VAPIC_POLL_IRQ;
	int vector;

	insn[2] = is_amd ? 0xc1 : 0xd9;
	vector = GUEST_TRY(".globl foreign_insn\nforeign_insn: .byte 0x0f, 0x01, 0xd9",
			   : "+a"(rax) : : "memory");
	return vector == GUEST_NO_TRAP ? rax : (uint64_t)vector << 32;
}

static void foreign_guest(uint64_t is_amd)
{
	G_CHECK_EQ(foreign_hypercall(is_amd), 0);
	/* It is the right one now. */
	G_CHECK_EQ(((volatile const uint8_t *)foreign_insn)[2], is_amd ? 0xd9 : 0xc1);
	guest_sync(1, 0);
	G_CHECK_EQ(foreign_hypercall(is_amd), (uint64_t)VECTOR_UD << 32);
	G_CHECK_EQ(((volatile const uint8_t *)foreign_insn)[2], is_amd ? 0xc1 : 0xd9);
}

TEST(foreign_hypercall)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, foreign_guest);
	struct kvm_enable_cap cap = { .cap = KVM_CAP_DISABLE_QUIRKS2 };

	if (!(kvm_has(KVM_CAP_DISABLE_QUIRKS2) & KVM_X86_QUIRK_FIX_HYPERCALL_INSN))
		test_skip("the quirk cannot be turned off");
	vcpu_arg(vcpu, host_is_amd());
	EXPECT_SYNC(vcpu, 1);
	cap.args[0] = 1ULL << 31;
	CHECK_ERR(sys_ioctl(vcpu->vm->fd, KVM_ENABLE_CAP, &cap), EINVAL);
	cap.args[0] = KVM_X86_QUIRK_FIX_HYPERCALL_INSN;
	CHECK_OK(sys_ioctl(vcpu->vm->fd, KVM_ENABLE_CAP, &cap));
	EXPECT_DONE(vcpu);
}

static uint64_t amd;

static uint64_t user_hypercall(void)
{
	return guest_hypercall(amd, KVM_HC_VAPIC_POLL_IRQ, 0, 0, 0, 0);
}

static void user_hypercall_guest(uint64_t is_amd)
{
	amd = is_amd;
	G_CHECK_EQ(guest_user(user_hypercall, GPA_FREE + 0x1000),
		   (uint64_t)-KVM_EPERM);
}

TEST(hypercall_from_user_mode)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, user_hypercall_guest);

	vcpu_arg(vcpu, host_is_amd());
	EXPECT_DONE(vcpu);
}

static void hlt_guest(uint64_t arg)
{
	(void)arg;
	hlt();
	guest_sync(1, 0);
	hlt();
}

/* Without an interrupt controller in the kernel, HLT is user space's. */
TEST(hlt_exit)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, hlt_guest);

	EXPECT_EXIT(vcpu, KVM_EXIT_HLT);
	EXPECT_SYNC(vcpu, 1);
	EXPECT_EXIT(vcpu, KVM_EXIT_HLT);
	EXPECT_DONE(vcpu);
}

static uint64_t user_hlt(void)
{
	return GUEST_TRY("hlt", : : : "memory");
}

static void user_hlt_guest(uint64_t arg)
{
	(void)arg;
	G_CHECK_EQ(guest_user(user_hlt, GPA_FREE + 0x1000), VECTOR_GP);
}

TEST(hlt_user_mode)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, user_hlt_guest);

	EXPECT_DONE(vcpu);
}

/* With one, HLT sleeps in the kernel, and a signal ends the call. */
TEST(hlt_blocks)
{
	struct vcpu *vcpu = vcpu_new(vm_new(VM_IRQCHIP), 0, hlt_guest);
	struct kvm_mp_state state;

	EXPECT_HALTED(vcpu);
	CHECK_EQ(vcpu->run->exit_reason, KVM_EXIT_INTR);
	/* Still asleep the next time. */
	alarm_ms(100);
	CHECK_ERR(vcpu_run_raw(vcpu), EINTR);
	alarm_ms(0);
	CHECK_EQ(vcpu_mp_state(vcpu), KVM_MP_STATE_HALTED);
	state.mp_state = KVM_MP_STATE_RUNNABLE;
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_SET_MP_STATE, &state));
	EXPECT_SYNC(vcpu, 1);
}

static void shutdown_guest(uint64_t arg)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) idt = { 0, 0 };

	(void)arg;
	asm volatile("lidt %0; ud2" : : "m"(idt));
}

TEST(shutdown)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, shutdown_guest);

	EXPECT_EXIT(vcpu, KVM_EXIT_SHUTDOWN);
	/* The VM goes on to exist. */
	vcpu_free(vcpu);
}

static void spin_guest(uint64_t arg)
{
	volatile uint64_t *counter = (uint64_t *)GPA_FREE;

	(void)arg;
	for (;;)
		++*counter;
}

TEST(immediate_exit)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, spin_guest);
	volatile uint64_t *counter = vm_ptr(vm, GPA_FREE);

	CHECK_ERR(vcpu_complete(vcpu), EINTR);
	CHECK_EQ(*counter, 0);
}

TEST(signal_interrupts)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, spin_guest);
	volatile uint64_t *counter = vm_ptr(vm, GPA_FREE);
	uint64_t before;
	int i;

	alarm_ms(30);
	for (i = 0; i < 5; i++) {
		before = *counter;
		/* A signal may come before the guest has had its turn. */
		do {
			REQUIRE_EQ(vcpu_run_raw(vcpu), -EINTR);
			CHECK_EQ(vcpu->run->exit_reason, KVM_EXIT_INTR);
		} while (*counter == before);
	}
}

/* A signal that is pending at the call keeps the guest from running. */
TEST(signal_pending_before)
{
	struct kvm_signal_mask *mask = calloc(1, sizeof(*mask) + 8);
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, spin_guest);
	volatile uint64_t *counter = vm_ptr(vm, GPA_FREE);
	sigset_t set;

	catch_sigusr1();
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	mask->len = 8;
	/* Nothing blocked during KVM_RUN. */
	if (sys_ioctl(vcpu->fd, KVM_SET_SIGNAL_MASK, mask) == -ENOTTY)
		test_skip("no KVM_SET_SIGNAL_MASK");
	CHECK_ERR(vcpu_run_raw(vcpu), EINTR);
	CHECK_EQ(*counter, 0);
	CHECK(!sigpending(&set) && sigismember(&set, SIGUSR1),
	      "the signal is no longer pending");
}

static void nops_guest(uint64_t arg)
{
	(void)arg;
	asm volatile("wbinvd" : : : "memory");
	guest_sync(1, 0);
	asm volatile("invd" : : : "memory");
	guest_sync(2, 0);
	asm volatile("invlpg (%0)" : : "r"(GPA_FREE) : "memory");
	asm volatile("pause");
	asm volatile("clts");
	guest_sync(3, 0);
}

TEST(cache_instructions)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, nops_guest);
	uint64_t *mem = vm_ptr(vm, GPA_FREE);

	EXPECT_SYNC(vcpu, 1);
	*mem = 0x1234;
	/* Must not lose what the host has in its caches. */
	EXPECT_SYNC(vcpu, 2);
	CHECK_EQ(*mem, 0x1234);
	EXPECT_SYNC(vcpu, 3);
	EXPECT_DONE(vcpu);
}

#define EXPECT_UD(insn)							\
	guest_check(__FILE__, __LINE__, insn,				\
		    GUEST_TRY(insn, : : "a"(0), "c"(0), "d"(0)		\
			      : "memory", "cc"), VECTOR_UD)

static void no_svm_guest(uint64_t arg)
{
	uint64_t efer;

	(void)arg;
	EXPECT_UD("vmrun %%rax");
	EXPECT_UD("vmload %%rax");
	EXPECT_UD("vmsave %%rax");
	EXPECT_UD("clgi");
	EXPECT_UD("stgi");
	EXPECT_UD("invlpga %%rax, %%ecx");
	G_CHECK_EQ(rdmsr_try(0xc0000080, &efer), GUEST_NO_TRAP);
	G_CHECK_EQ(wrmsr_try(0xc0000080, efer | 1 << 12), VECTOR_GP);
}

static void no_vmx_guest(uint64_t arg)
{
	(void)arg;
	EXPECT_UD("vmxoff");
	EXPECT_UD("vmlaunch");
	EXPECT_UD("vmresume");
	EXPECT_UD("vmxon (%%rsp)");
	EXPECT_UD("vmclear (%%rsp)");
	EXPECT_UD("vmptrld (%%rsp)");
	EXPECT_UD("vmread %%rax, %%rdx");
	EXPECT_UD("vmwrite %%rax, %%rdx");
	G_CHECK_EQ(GUEST_TRY("mov %0, %%cr4", : : "r"(read_cr4() | 1 << 13)
			     : "memory"), VECTOR_GP);
}

/* A guest whose CPUID has neither cannot turn either on. */
static void no_nested(void (*fn)(uint64_t arg))
{
	struct kvm_cpuid2 *table = kvm_supported_cpuid();

	cpuid_find(table, 1, 0)->ecx &= ~(1U << 5);
	cpuid_find(table, 0x80000001, 0)->ecx &= ~(1U << 2);
	EXPECT_DONE(vcpu_new(vm_new(0), 0, fn));
}

TEST(no_svm)
{
	no_nested(no_svm_guest);
}

TEST(no_vmx)
{
	no_nested(no_vmx_guest);
}

#define CPUID_MWAIT		(1U << 3)	/* leaf 1, ECX */
#define MSR_MISC_ENABLE		0x1a0
#define MISC_ENABLE_MWAIT	(1ULL << 18)

static void mwait_guest(uint64_t arg)
{
	uint64_t misc = rdmsr(MSR_MISC_ENABLE);
	uint32_t regs[4];
	int monitor, mwait, stage;

	(void)arg;
	for (stage = 1; ; stage++) {
		monitor = GUEST_TRY("monitor", : : "a"(GPA_FREE), "c"(0), "d"(0) : "memory");
		mwait = GUEST_TRY("mwait", : : "a"(0), "c"(0) : "memory");
		G_CHECK_EQ(monitor, mwait);
		cpuid(1, 0, regs);
		guest_sync(stage, (regs[2] & CPUID_MWAIT) << 8 | (mwait & 0xff));
		misc ^= MISC_ENABLE_MWAIT;
		G_CHECK_EQ(wrmsr_try(MSR_MISC_ENABLE, misc), GUEST_NO_TRAP);
		G_CHECK_EQ(rdmsr(MSR_MISC_ENABLE), misc);
	}
}

/* CPUID does not offer them. KVM has always let them pass as NOPs, which can be turned off. */
TEST(monitor_mwait)
{
	static const struct {
		uint64_t disabled;
		uint64_t is;		/* what the guest sees after it changed IA32_MISC_ENABLE */
	} steps[] = {
		{ KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS, VECTOR_UD },
		{ 0, 0xff },
		{ KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT, CPUID_MWAIT << 8 | 0xff },
		{ KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT, 0xff },
		{ KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT | KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS,
		  CPUID_MWAIT << 8 | 0xff },
		{ KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT | KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS,
		  VECTOR_UD },
		{ 0, 0xff },
	};
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, mwait_guest);
	struct kvm_enable_cap cap = { .cap = KVM_CAP_DISABLE_QUIRKS2 };
	unsigned int i;

	CHECK(kvm_has(KVM_CAP_DISABLE_QUIRKS2) & KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS,
	      "not offered");
	EXPECT_SYNC(vcpu, 1);
	CHECK_EQ(vcpu->call.b, 0xff);
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		cap.args[0] = steps[i].disabled;
		REQUIRE_OK(sys_ioctl(vcpu->vm->fd, KVM_ENABLE_CAP, &cap));
		EXPECT_SYNC(vcpu, i + 2);
		if (!CHECK_EQ(vcpu->call.b, steps[i].is))
			test_note("in step %u", i);
	}
}

static void no_sse3_guest(uint64_t arg)
{
	uint64_t misc = rdmsr(MSR_MISC_ENABLE);

	(void)arg;
	G_CHECK_EQ(wrmsr_try(MSR_MISC_ENABLE, misc ^ MISC_ENABLE_MWAIT), VECTOR_GP);
	G_CHECK_EQ(rdmsr(MSR_MISC_ENABLE), misc);
	guest_done();
}

/* SDM, IA32_MISC_ENABLE: setting the bit where there is no SSE3 raises #GP. */
TEST(mwait_needs_sse3)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_DISABLE_QUIRKS2 };
	struct vm *vm = vm_new(0);

	CHECK(kvm_has(KVM_CAP_DISABLE_QUIRKS2) & KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT,
	      "not offered");
	cap.args[0] = KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT;
	REQUIRE_OK(sys_ioctl(vm->fd, KVM_ENABLE_CAP, &cap));
	cpuid_find(kvm_supported_cpuid(), 1, 0)->ecx &= ~1U;
	EXPECT_DONE(vcpu_new(vm, 0, no_sse3_guest));
}

static void rdpmc_guest(uint64_t arg)
{
	(void)arg;
	guest_sync(1, GUEST_TRY("rdpmc", : : "c"(0x1234)
				: "rax", "rdx", "memory"));
}

TEST(rdpmc)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, rdpmc_guest);

	EXPECT_SYNC(vcpu, 1);
	if (vcpu->call.b == VECTOR_UD && host_is_tcg())
		test_skip("QEMU's TCG has no RDPMC");
	CHECK_EQ(vcpu->call.b, VECTOR_GP);
}

static void xsetbv_guest(uint64_t supported)
{
	uint32_t low, high;

	EXPECT_UD("xsetbv");
	EXPECT_UD("xgetbv");
	write_cr4(read_cr4() | 1 << 18);
	asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	G_CHECK_EQ(low, 1);
	G_CHECK_EQ(GUEST_TRY("xsetbv", : : "a"((uint32_t)supported),
			     "d"((uint32_t)(supported >> 32)), "c"(0)
			     : "memory"), GUEST_NO_TRAP);
	asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	G_CHECK_EQ(low | (uint64_t)high << 32, supported);
#define XSETBV_GP(xcr, value)						\
	G_CHECK_EQ(GUEST_TRY("xsetbv", : : "a"((uint32_t)(value)),	\
			     "d"((uint32_t)((uint64_t)(value) >> 32)),	\
			     "c"(xcr) : "memory"), VECTOR_GP)
	XSETBV_GP(0, supported & ~1ULL);
	XSETBV_GP(0, supported | 1ULL << 62);
	XSETBV_GP(1, supported);
	XSETBV_GP(0x1234, supported);
	if (supported & 4)
		XSETBV_GP(0, 5);
	asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	G_CHECK_EQ(low | (uint64_t)high << 32, supported);
}

TEST(xsetbv)
{
	struct kvm_cpuid2 *table = kvm_supported_cpuid();
	struct kvm_cpuid_entry2 *leaf = cpuid_find(table, 0xd, 0);
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, xsetbv_guest);

	if (!(cpuid_find(table, 1, 0)->ecx & 1 << 26) || !leaf)
		test_skip("no XSAVE");
	vcpu_arg(vcpu, leaf->eax | (uint64_t)leaf->edx << 32);
	EXPECT_DONE(vcpu);
}

/* CS both 64-bit and 32-bit: both vendors' entry checks refuse it. */
TEST(fail_entry)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, hlt_guest);
	struct kvm_sregs sregs, good;
	struct kvm_regs regs;
	long ret;

	vcpu_get_regs(vcpu, &regs);
	vcpu_get_sregs(vcpu, &good);
	sregs = good;
	sregs.cs.db = 1;
	ret = vcpu_set_sregs(vcpu, &sregs);
	if (ret < 0) {
		CHECK_RET(ret, -EINVAL);
		return;
	}
	CHECK_RET(vcpu_run_raw(vcpu), 0);
	CHECK_EQ(vcpu->run->exit_reason, KVM_EXIT_FAIL_ENTRY);
	CHECK(vcpu->run->fail_entry.hardware_entry_failure_reason != 0,
	      "no reason given");
	/* Once put right, it runs. */
	CHECK_OK(vcpu_set_sregs(vcpu, &good));
	vcpu_set_regs(vcpu, &regs);
	EXPECT_EXIT(vcpu, KVM_EXIT_HLT);
}

static void out_guest(uint64_t arg)
{
	(void)arg;
	outb(0x80, 1);
}

/* Completing an exit with immediate_exit keeps its reason: Linux's own selftests look then. */
TEST(immediate_exit_keeps_reason)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, out_guest);

	EXPECT_EXIT(vcpu, KVM_EXIT_IO);
	CHECK_ERR(vcpu_complete(vcpu), EINTR);
	CHECK_EQ(vcpu->run->exit_reason, KVM_EXIT_IO);
	EXPECT_DONE(vcpu);
}

/*
 * The same place, but not always the same instruction: whoever remembers how long it was has
 * to notice. One byte too few or too many, and INT3 is executed or an address not canonical.
 */
#define GVA_CODE	0x20000000ULL
#define GPA_CODE_SLOT	MEM_SIZE

static const uint8_t short_cpuid[] = { 0x0f, 0xa2, 0xc3, 0xcc };	/* cpuid; ret */
static const uint8_t long_cpuid[] = { 0x48, 0x0f, 0xa2, 0xc3 };	/* rex.w cpuid; ret */
static const uint8_t short_mov[] = { 0x89, 0x07, 0xc3, 0xcc };	/* mov %eax, (%rdi); ret */
static const uint8_t long_mov[] = { 0x40, 0x89, 0x37, 0xc3 };	/* rex mov %esi, (%rdi); ret */
static volatile uint64_t code_cr3;

static void same_place_cpuid(uint64_t arg)
{
	uint32_t a, b, c, d;
	int i, stage;

	(void)arg;
	for (stage = 0;; stage++) {
		/* Flushes, too. */
		write_cr3(code_cr3);
		for (i = 0; i < 3; i++) {
			a = 0;
			c = 0;
			asm volatile("call *%4"
				     : "+a"(a), "=&b"(b), "+c"(c), "=&d"(d)
				     : "r"(GVA_CODE) : "memory");
		}
		guest_sync(stage, b);
	}
}

/* An access to a device, which must come from the register that the instruction names now. */
static void same_place_mov(uint64_t arg)
{
	int i, stage;

	(void)arg;
	for (stage = 0;; stage++) {
		write_cr3(code_cr3);
		for (i = 0; i < 3; i++) {
			apic_write(APIC_LDR, 0);
			asm volatile("call *%1"
				     : : "a"(1 << 24), "r"(GVA_CODE), "S"(2 << 24),
				       "D"(APIC_BASE + APIC_LDR) : "memory");
			G_CHECK_EQ(apic_read(APIC_LDR) >> 24, 1 + stage % 2);
		}
		guest_sync(stage, 0);
	}
}

static void put_code(uint8_t *page, const uint8_t code[4])
{
	memset(page, 0xcc, PAGE_SIZE);
	memcpy(page, code, 4);
}

/* A second set of the tables that lead to GVA_CODE. Returns its CR3. */
static uint64_t copy_tables(struct vm *vm, uint64_t leaf)
{
	uint64_t from = GPA_PML4, root = vm_page(vm), to = root, *entry;
	int shift;

	for (shift = 39;; shift -= 9) {
		memcpy(vm_ptr(vm, to), vm_ptr(vm, from), PAGE_SIZE);
		entry = (uint64_t *)vm_ptr(vm, to) + (GVA_CODE >> shift & 511);
		if (shift == 12)
			break;
		from = *entry & ~0xfffULL;
		to = vm_page(vm);
		*entry = to | (*entry & 0xfff);
	}
	*entry = leaf;
	return root;
}

/* By turns @short_code and @long_code, which the guest at its stages expects. */
static void test_same_place(void (*guest)(uint64_t arg), const uint8_t *short_code,
			    const uint8_t *long_code)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct vcpu *vcpu = vcpu_new(vm, 0, guest);
	uint8_t *one = vm_ptr(vm, GPA_FREE), *other = vm_ptr(vm, GPA_FREE + PAGE_SIZE);
	static uint8_t slots[2][PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
	uint64_t *pte;

	vm_map(vm, GVA_CODE, GPA_FREE, PTE_P | PTE_W);
	pte = vm_pte(vm, GVA_CODE);
	GUEST_VAR(vm, code_cr3) = GPA_PML4;
	put_code(one, short_code);
	put_code(other, long_code);
	put_code(slots[0], short_code);
	put_code(slots[1], long_code);

	EXPECT_SYNC(vcpu, 0);
	put_code(one, long_code);
	EXPECT_SYNC(vcpu, 1);
	put_code(one, short_code);
	EXPECT_SYNC(vcpu, 2);
	/* Another page, by the guest's table ... */
	*pte = (GPA_FREE + PAGE_SIZE) | PTE_P | PTE_W;
	EXPECT_SYNC(vcpu, 3);
	/* ... by other tables ... */
	*pte = GPA_FREE | PTE_P | PTE_W;
	EXPECT_SYNC(vcpu, 4);
	GUEST_VAR(vm, code_cr3) = copy_tables(vm, (GPA_FREE + PAGE_SIZE) | PTE_P | PTE_W);
	EXPECT_SYNC(vcpu, 5);
	/* ... and by the slot. */
	GUEST_VAR(vm, code_cr3) = GPA_PML4;
	*pte = GPA_CODE_SLOT | PTE_P | PTE_W;
	REQUIRE_OK(vm_slot(vm, 1, 0, GPA_CODE_SLOT, PAGE_SIZE, slots[0]));
	EXPECT_SYNC(vcpu, 6);
	REQUIRE_OK(vm_slot(vm, 1, 0, GPA_CODE_SLOT, 0, slots[0]));
	REQUIRE_OK(vm_slot(vm, 1, 0, GPA_CODE_SLOT, PAGE_SIZE, slots[1]));
	EXPECT_SYNC(vcpu, 7);
}

TEST(same_place_other_length)
{
	test_same_place(same_place_cpuid, short_cpuid, long_cpuid);
}

TEST(same_place_other_register)
{
	test_same_place(same_place_mov, short_mov, long_mov);
}
