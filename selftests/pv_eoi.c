// SPDX-License-Identifier: GPL-2.0-only
/*
 * MSR_KVM_PV_EOI_EN: interrupts that end without an exit.
 *
 * An interrupt of the host's may take the bit back at any time, so that a guest finds it set is
 * looked for in many tries, and that it is not set, in each.
 */
#include <linux/kvm_para.h>
#include <string.h>
#include <sys/mman.h>

#include "apic.h"
#include "vm.h"

#define VECTOR_GP	13
#define LOW		0x40
#define HIGH		0x60
#define TRIES		200
#define WORD		GPA_FREE
#define MSR_SELF_IPI	0x83f

static volatile uint32_t offered, *word = (void *)WORD;
static bool x2apic;	/* no access to the APIC but for what is tried */

static uint32_t reg(uint32_t offset)
{
	return x2apic ? rdmsr(MSR_X2APIC(offset)) : apic_read(offset);
}

static bool in_service(uint32_t vector)
{
	return reg(APIC_ISR + vector / 32 * 16) >> vector % 32 & 1;
}

static void eoi(void)
{
	if (x2apic)
		wrmsr(MSR_X2APIC(APIC_EOI), 0);
	else
		apic_eoi();
}

/*
 * By one instruction, as the hypervisor may take the bit back between any two. Returns whether
 * the bit was set, and there is no need to write to the register.
 */
static bool take_bit(void)
{
	bool set;

	asm volatile("btrl $0, %0" : "+m"(*word), "=@ccc"(set) : : "memory");
	return set;
}

static bool end(void)
{
	if (take_bit()) {
		offered++;
		return true;
	}
	eoi();
	return false;
}

static void handle(struct guest_regs *regs)
{
	(void)regs;
	end();
}

static void self_ipi(uint32_t vector)
{
	if (x2apic)
		wrmsr(MSR_SELF_IPI, vector);
	else
		apic_icr(0, APIC_ICR_SELF | APIC_ICR_ASSERT | vector);
}

static void begin(bool mode)
{
	guest_handlers[LOW] = handle;
	guest_handlers[HIGH] = handle;
	apic_enable();
	x2apic = mode;
	if (mode)
		wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_X2APIC);
	wrmsr(MSR_KVM_PV_EOI_EN, WORD | KVM_MSR_ENABLED);
}

static struct vm *vm_for_pv_eoi(void)
{
	struct kvm_cpuid_entry2 *leaf = cpuid_find(kvm_supported_cpuid(), KVM_CPUID_FEATURES, 0);

	REQUIRE(leaf && leaf->eax & 1U << KVM_FEATURE_PV_EOI, "CPUID has not the feature");
	return vm_new(VM_IRQCHIP);
}

static void msr_guest(uint64_t arg)
{
	uint64_t value;

	(void)arg;
	G_CHECK_EQ(rdmsr(MSR_KVM_PV_EOI_EN), 0);
	G_CHECK_EQ(wrmsr_try(MSR_KVM_PV_EOI_EN, WORD + 2), VECTOR_GP);
	G_CHECK_EQ(wrmsr_try(MSR_KVM_PV_EOI_EN, (WORD + 2) | KVM_MSR_ENABLED), VECTOR_GP);
	G_CHECK_EQ(wrmsr_try(MSR_KVM_PV_EOI_EN, (WORD + 4) | KVM_MSR_ENABLED), GUEST_NO_TRAP);
	G_CHECK_EQ(rdmsr_try(MSR_KVM_PV_EOI_EN, &value), GUEST_NO_TRAP);
	G_CHECK_EQ(value, (WORD + 4) | KVM_MSR_ENABLED);
}

TEST(msr)
{
	struct vcpu *vcpu = vcpu_new(vm_for_pv_eoi(), 0, msr_guest);
	uint64_t value;

	EXPECT_DONE(vcpu);
	REQUIRE_OK(vcpu_get_msr(vcpu, MSR_KVM_PV_EOI_EN, &value));
	CHECK_EQ(value, (WORD + 4) | KVM_MSR_ENABLED);
	/* Where the APIC is user space's the MSR is nobody's, but user space sets it all the same. */
	EXPECT_DONE(vcpu_new(vm_new(0), 0, msr_guest));
}

static void ends_guest(uint64_t mode)
{
	uint32_t i;

	begin(mode);
	for (i = 1; i <= TRIES; i++) {
		self_ipi(LOW);
		guest_wait(LOW, i);
		G_CHECK(!in_service(LOW));
		G_CHECK_EQ(reg(APIC_PPR), 0);
	}
	G_CHECK(offered > TRIES / 2);
	/* Disabled, the guest is asked to do it itself. */
	wrmsr(MSR_KVM_PV_EOI_EN, WORD);
	offered = 0;
	for (; i <= TRIES + 10; i++) {
		self_ipi(LOW);
		guest_wait(LOW, i);
	}
	G_CHECK_EQ(offered, 0);
}

TEST(ends)
{
	struct vcpu *vcpu = vcpu_new(vm_for_pv_eoi(), 0, ends_guest);

	EXPECT_DONE(vcpu);
	vcpu = vcpu_new(vm_for_pv_eoi(), 0, ends_guest);
	vcpu_arg(vcpu, true);
	EXPECT_DONE(vcpu);
}

static void exits_guest(uint64_t with)
{
	uint32_t i;

	begin(true);
	if (!with)
		wrmsr(MSR_KVM_PV_EOI_EN, 0);
	for (i = 1; i <= TRIES; i++) {
		self_ipi(LOW);
		guest_wait(LOW, i);
	}
}

static int64_t exits(uint64_t with)
{
	struct vcpu *vcpu = vcpu_new(vm_for_pv_eoi(), 0, exits_guest);

	vcpu_arg(vcpu, with);
	EXPECT_DONE(vcpu);
	return vcpu_counter(vcpu, "exits_wrmsr");
}

TEST(fewer_exits)
{
	int64_t without, with;

	if (kvm_is_stock())
		test_skip("it does not count such exits");
	without = exits(0);
	with = exits(1);
	CHECK(without >= 2 * TRIES, "%lld writes without", (long long)without);
	CHECK(with < without - TRIES / 2, "%lld writes with, %lld without", (long long)with,
	      (long long)without);
}

static void first_of_two(struct guest_regs *regs)
{
	(void)regs;
	/* Another one waits for the end of this. */
	G_CHECK(!end());
}

static void waiting_guest(uint64_t arg)
{
	uint32_t i;

	(void)arg;
	begin(true);
	guest_handlers[HIGH] = first_of_two;
	for (i = 1; i <= TRIES; i++) {
		self_ipi(LOW);
		self_ipi(HIGH);
		guest_wait(LOW, i);
		G_CHECK(guest_cpu()->taken[HIGH] >= i);
	}
	G_CHECK(offered > 0);
}

TEST(another_waits)
{
	EXPECT_DONE(vcpu_new(vm_for_pv_eoi(), 0, waiting_guest));
}

static void higher_comes(uint32_t times)
{
	self_ipi(HIGH);
	sti();
	while (guest_cpu()->taken[HIGH] < times)
		cpu_relax();
	cli();
}

/* The same again has to wait for this one's end, and another one comes at once. */
static void interrupted(struct guest_regs *regs)
{
	(void)regs;
	self_ipi(LOW);
	G_CHECK_EQ(*word, 0);
	higher_comes(guest_cpu()->taken[HIGH] + 1);
	G_CHECK_EQ(*word, 0);
	G_CHECK(!in_service(HIGH));
	G_CHECK(in_service(LOW));
	guest_handlers[LOW] = handle;
	eoi();
}

/* The APIC has not heard of the end of the one that came when this one ends. */
static void interrupted_once(struct guest_regs *regs)
{
	(void)regs;
	higher_comes(guest_cpu()->taken[HIGH] + 1);
	G_CHECK(!end());
}

static void nested_guest(uint64_t arg)
{
	uint32_t i;

	(void)arg;
	begin(true);
	for (i = 0; i < TRIES; i++) {
		guest_handlers[LOW] = interrupted_once;
		self_ipi(LOW);
		guest_wait(LOW, 3 * i + 1);
		G_CHECK(!in_service(LOW));
		guest_handlers[LOW] = interrupted;
		self_ipi(LOW);
		guest_wait(LOW, 3 * i + 3);
		G_CHECK(!in_service(LOW));
	}
	G_CHECK(offered > TRIES);
}

TEST(nested)
{
	EXPECT_DONE(vcpu_new(vm_for_pv_eoi(), 0, nested_guest));
}

static void level_guest(uint64_t arg)
{
	(void)arg;
	begin(false);
	guest_handlers[LOW] = first_of_two;
	/* The same line leads to the PIC. */
	apic_write(APIC_LVT0, APIC_LVT_MASKED);
	ioapic_route(11, LOW | IOAPIC_LEVEL, 0);
	guest_sync(1, 0);
	guest_wait(LOW, 2);
	guest_sync(2, 0);
	guest_wait(LOW, 3);
	ioapic_route(11, LOW | IOAPIC_LEVEL | IOAPIC_MASKED, 0);
}

/* Its end has to reach the IOAPIC, which delivers it again. */
TEST(level_triggered)
{
	struct vm *vm = vm_for_pv_eoi();
	struct vcpu *vcpu = vcpu_new(vm, 0, level_guest);
	struct kvm_irq_level line = { .irq = 11, .level = 1 };

	EXPECT_SYNC(vcpu, 1);
	REQUIRE_OK(sys_ioctl(vm->fd, KVM_IRQ_LINE, &line));
	EXPECT_SYNC(vcpu, 2);
	EXPECT_DONE(vcpu);
}

static void exit_and_end(struct guest_regs *regs)
{
	(void)regs;
	if (*word & KVM_PV_EOI_ENABLED)
		offered++;
	guest_sync(1, 0);
	/* User space has seen the interrupt in service, so the bit does not count any more. */
	G_CHECK(!end());
}

static void end_and_exit(struct guest_regs *regs)
{
	(void)regs;
	end();
	guest_sync(2, 0);
}

static void seen_guest(uint64_t arg)
{
	uint32_t i;

	(void)arg;
	begin(false);
	for (i = 1; i <= TRIES; i++) {
		guest_handlers[LOW] = i & 1 ? exit_and_end : end_and_exit;
		self_ipi(LOW);
		guest_wait(LOW, i);
	}
	G_CHECK(offered > 0);
}

/* What is saved and restored: the APIC and the word agree. */
TEST(seen_by_user_space)
{
	struct vm *vm = vm_for_pv_eoi();
	struct vcpu *vcpu = vcpu_new(vm, 0, seen_guest);
	volatile uint32_t *bit = vm_ptr(vm, WORD);
	unsigned int i;

	for (i = 0; i < TRIES / 2; i++) {
		EXPECT_SYNC(vcpu, 1);
		CHECK_EQ(*bit, 0);
		CHECK(vcpu_apic_bit(vcpu, APIC_ISR, LOW), "not in service");
		EXPECT_SYNC(vcpu, 2);
		CHECK_EQ(*bit, 0);
		CHECK(!vcpu_apic_bit(vcpu, APIC_ISR, LOW), "still in service");
	}
	EXPECT_DONE(vcpu);
}

static volatile uint32_t turn;

static void sleeper(uint64_t arg)
{
	uint32_t i;

	(void)arg;
	begin(false);
	for (i = 1; i <= TRIES; i++) {
		turn = i;
		guest_wait_hlt(LOW, i);
	}
	turn = TRIES + 1;
	G_CHECK(offered > 0);
}

static void waker(uint64_t arg)
{
	uint32_t i;

	(void)arg;
	apic_enable();
	for (i = 1; i <= TRIES; i++) {
		while (turn < i)
			cpu_relax();
		apic_icr(1, APIC_ICR_ASSERT | LOW);
	}
}

/* An interrupt that the vCPU has ended unnoticed must not keep the next one from waking it. */
TEST(wakes)
{
	struct vm *vm = vm_for_pv_eoi();
	struct vcpu *vcpu[2] = { vcpu_new(vm, 0, waker), vcpu_new(vm, 1, sleeper) };

	vcpu_runnable(vcpu[1]);
	vcpu_start(vcpu[1]);
	EXPECT_DONE(vcpu[0]);
	vcpu_join(vcpu[1]);
}

static void nowhere_guest(uint64_t arg)
{
	uint32_t i;

	(void)arg;
	begin(false);
	guest_handlers[LOW] = guest_eoi;
	wrmsr(MSR_KVM_PV_EOI_EN, GPA_MMIO | KVM_MSR_ENABLED);
	for (i = 1; i <= 10; i++) {
		self_ipi(LOW);
		guest_wait(LOW, i);
	}
	/* Who writes to the register all the same ends one interrupt with each write. */
	wrmsr(MSR_KVM_PV_EOI_EN, WORD | KVM_MSR_ENABLED);
	for (; i <= 20; i++) {
		self_ipi(LOW);
		guest_wait(LOW, i);
		G_CHECK(!in_service(LOW));
	}
}

TEST(no_memory)
{
	EXPECT_DONE(vcpu_new(vm_for_pv_eoi(), 0, nowhere_guest));
}

static void taken_away_guest(uint64_t arg)
{
	uint32_t i;

	(void)arg;
	begin(false);
	guest_handlers[LOW] = guest_eoi;
	for (i = 1;; i++) {
		self_ipi(LOW);
		guest_wait(LOW, i);
		guest_sync(i, 0);
	}
}

/* The page comes and goes in the host: each interrupt ends, whether or not it can be told how. */
TEST(page_taken_away)
{
	struct vm *vm = vm_for_pv_eoi();
	struct vcpu *vcpu = vcpu_new(vm, 0, taken_away_guest);
	unsigned int i;

	for (i = 1; i <= 20; i++) {
		EXPECT_SYNC(vcpu, i);
		if (i % 4 == 0)
			REQUIRE_OK(madvise(vm_ptr(vm, WORD), 0x1000, MADV_DONTNEED));
		REQUIRE_OK(mprotect(vm_ptr(vm, WORD), 0x1000,
				    i & 1 ? PROT_NONE : PROT_READ | PROT_WRITE));
	}
}
