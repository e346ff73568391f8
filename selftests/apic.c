// SPDX-License-Identifier: GPL-2.0-only
/* The local APIC of one vCPU: priorities, self IPIs, timers, x2APIC. */
#include <string.h>
#include <time.h>

#include "apic.h"
#include "vm.h"

#define GP	13
#define V	0x40	/* a vector, and the classes above it */

static uint32_t order[8];
static uint32_t taken;

static void note(struct guest_regs *regs)
{
	order[taken++ % 8] = regs->vector;
	apic_eoi();
}

static void self_ipi(uint32_t vector)
{
	apic_icr(0, APIC_ICR_SELF | APIC_ICR_ASSERT | vector);
}

static void registers_guest(uint64_t arg)
{
	(void)arg;
	G_CHECK_EQ(apic_read(APIC_ID), 0);
	G_CHECK_EQ(apic_read(APIC_VERSION) & 0xff, 0x14);
	G_CHECK(((apic_read(APIC_VERSION) >> 16) & 0xff) >= 5);
	G_CHECK_EQ(apic_read(APIC_SVR), 0xff);
	G_CHECK_EQ(apic_read(APIC_DFR), ~0U);
	G_CHECK(apic_read(APIC_LVTT) & APIC_LVT_MASKED);
	/* A disabled APIC keeps its LVTs masked. */
	apic_write(APIC_LVTT, V);
	G_CHECK(apic_read(APIC_LVTT) & APIC_LVT_MASKED);
	apic_enable();
	apic_write(APIC_LVTT, V);
	G_CHECK_EQ(apic_read(APIC_LVTT), V);
	apic_write(APIC_LVTT, APIC_LVT_MASKED);
	/* Hardware that keeps the TPR for the guest has its class only. */
	apic_write(APIC_TPR, 0x30);
	G_CHECK_EQ(apic_read(APIC_TPR), 0x30);
	G_CHECK_EQ(apic_read(APIC_PPR), 0x30);
	G_CHECK_EQ(read_cr8(), 3);
	write_cr8(5);
	G_CHECK_EQ(apic_read(APIC_TPR), 0x50);
	write_cr8(0);
	apic_write(APIC_LDR, 0xab000000);
	G_CHECK_EQ(apic_read(APIC_LDR), 0xab000000);
	apic_write(APIC_TDCR, 0xb);
	G_CHECK_EQ(apic_read(APIC_TDCR), 0xb);
}

TEST(registers)
{
	EXPECT_DONE(vcpu_new(vm_new(VM_IRQCHIP), 0, registers_guest));
}

static void priority_guest(uint64_t arg)
{
	int i;

	(void)arg;
	for (i = 0; i < 4; i++)
		guest_handlers[V + 16 * i] = note;
	apic_enable();
	/* Three wait in IRR; the highest comes first. */
	self_ipi(V + 16);
	self_ipi(V + 48);
	self_ipi(V);
	G_CHECK(apic_bit(APIC_IRR, V));
	G_CHECK(apic_bit(APIC_IRR, V + 16));
	G_CHECK(apic_bit(APIC_IRR, V + 48));
	G_CHECK(!apic_bit(APIC_ISR, V + 48));
	take_interrupts();
	G_CHECK_EQ(taken, 3);
	G_CHECK_EQ(order[0], V + 48);
	G_CHECK_EQ(order[1], V + 16);
	G_CHECK_EQ(order[2], V);
	G_CHECK(!apic_bit(APIC_IRR, V));
	G_CHECK(!apic_bit(APIC_ISR, V));
	/* TPR holds back its own class and those below. */
	write_cr8((V + 16) / 16);
	self_ipi(V);
	self_ipi(V + 16);
	self_ipi(V + 32);
	take_interrupts();
	G_CHECK_EQ(taken, 4);
	G_CHECK_EQ(order[3], V + 32);
	sti();
	write_cr8(V / 16);
	asm volatile("nop; nop; nop");
	G_CHECK_EQ(taken, 5);
	G_CHECK_EQ(order[4], V + 16);
	write_cr8(0);
	asm volatile("nop; nop; nop");
	cli();
	G_CHECK_EQ(taken, 6);
	G_CHECK_EQ(order[5], V);
}

TEST(priority)
{
	EXPECT_DONE(vcpu_new(vm_new(VM_IRQCHIP), 0, priority_guest));
}

static void window_guest(uint64_t arg)
{
	(void)arg;
	guest_handlers[V] = note;
	apic_enable();
	/* What waits for IF is held back by a CR8 that is written meanwhile. */
	self_ipi(V);
	write_cr8(15);
	G_CHECK_EQ(read_cr8(), 15);
	take_interrupts();
	G_CHECK_EQ(taken, 0);
	/* And comes when both allow it. */
	write_cr8(0);
	G_CHECK_EQ(taken, 0);
	take_interrupts();
	G_CHECK_EQ(taken, 1);
}

TEST(cr8_while_waiting)
{
	if (kvm_is_stock())
		test_skip("QEMU's TCG ends with a failed assertion");
	EXPECT_DONE(vcpu_new(vm_new(VM_IRQCHIP), 0, window_guest));
}

static uint64_t taken_at;

static void note_place(struct guest_regs *regs)
{
	taken_at = regs->rip;
	apic_eoi();
}

/*
 * An interrupt waits for STI, and SHADOWED follows at once. How far behind it is the interrupt
 * taken? FRESH is a page that no access has been to.
 */
#define TAKEN_AFTER(shadowed, fresh)					\
({									\
	uint64_t expected;						\
									\
	asm volatile("mov %[self], (%[icr])\n"				\
		     "sti\n"						\
		     shadowed "\n"					\
		     "1: nop; nop; nop\n"				\
		     "cli\n"						\
		     "lea 1b(%%rip), %[expected]"			\
		     : [expected] "=r" (expected)			\
		     : [self] "r" (APIC_ICR_SELF | APIC_ICR_ASSERT | V),	\
		       [icr] "r" (APIC_BASE + APIC_ICR), [page] "r" (fresh)	\
		     : "rax", "memory");					\
	taken_at - expected;						\
})

/* An interrupt of the host's may delay it on TCG (docs/machines.md), but not each time. */
static void shadow_guest(uint64_t arg)
{
	uint64_t late = 1, page;

	(void)arg;
	guest_handlers[V] = note_place;
	apic_enable();
	cli();
	/* STI is the first instruction after an exit. */
	for (page = GPA_FREE; late == 1 && page < GPA_FREE + 5 * PAGE_SIZE; page += PAGE_SIZE)
		late = TAKEN_AFTER("nop", page);
	G_CHECK_EQ(late, 0);
	/* Another exit comes in its shadow. */
	for (late = 1; late == 1 && page < GPA_FREE + 10 * PAGE_SIZE; page += PAGE_SIZE)
		late = TAKEN_AFTER("mov (%[page]), %%rax", page);
	G_CHECK_EQ(late, 0);
}

/* If the interrupt came before a HLT, that would have nothing to wake it. */
TEST(sti_shadow)
{
	EXPECT_DONE(vcpu_new(vm_new(VM_IRQCHIP), 0, shadow_guest));
}

static void halted_guest(uint64_t arg)
{
	(void)arg;
	guest_handlers[V] = note;
	apic_enable();
	self_ipi(V);
	guest_sync(1, 0);
	G_CHECK_EQ(taken, 1);
}

/* A snapshot of a processor in HLT is loaded where one was in STI's shadow. */
TEST(halted_after_shadow)
{
	struct vcpu *vcpu = vcpu_new(vm_new(VM_IRQCHIP), 0, halted_guest);
	struct kvm_mp_state state = { .mp_state = KVM_MP_STATE_HALTED };
	struct kvm_vcpu_events events;
	struct kvm_regs regs;

	if (kvm_is_stock())
		test_skip("it sleeps in the shadow that was there before");
	EXPECT_SYNC(vcpu, 1);
	vcpu_get_regs(vcpu, &regs);
	regs.rflags |= 1 << 9;	/* IF */
	vcpu_set_regs(vcpu, &regs);
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, &events));
	events.flags = KVM_VCPUEVENT_VALID_SHADOW;
	events.interrupt.shadow = KVM_X86_SHADOW_INT_STI;
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &events));
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_SET_MP_STATE, &state));
	EXPECT_DONE(vcpu);
}

static void nested_handler(struct guest_regs *regs)
{
	if (regs->vector == V + 16) {
		/* In service: PPR is its class, and a lower one must wait. */
		G_CHECK(apic_bit(APIC_ISR, V + 16));
		G_CHECK_EQ(apic_read(APIC_PPR), V + 16);
		self_ipi(V);
		self_ipi(V + 32);
		take_interrupts();
		G_CHECK_EQ(guest_cpu()->taken[V], 0);
		G_CHECK_EQ(guest_cpu()->taken[V + 32], 1);
	}
	apic_eoi();
}

static void nested_guest(uint64_t arg)
{
	(void)arg;
	guest_handlers[V] = nested_handler;
	guest_handlers[V + 16] = nested_handler;
	guest_handlers[V + 32] = nested_handler;
	apic_enable();
	self_ipi(V + 16);
	take_interrupts();
	G_CHECK_EQ(guest_cpu()->taken[V + 16], 1);
	G_CHECK_EQ(guest_cpu()->taken[V], 1);
	G_CHECK_EQ(apic_read(APIC_PPR), 0);
}

TEST(in_service)
{
	EXPECT_DONE(vcpu_new(vm_new(VM_IRQCHIP), 0, nested_guest));
}

static void disabled_guest(uint64_t arg)
{
	(void)arg;
	guest_handlers[V] = note;
	/* Software-disabled: an IPI is not accepted. */
	self_ipi(V);
	take_interrupts();
	G_CHECK_EQ(taken, 0);
	apic_enable();
	self_ipi(V);
	take_interrupts();
	G_CHECK_EQ(taken, 1);
	/* Vectors below 16 are errors. */
	apic_write(APIC_ESR, 0);
	self_ipi(5);
	apic_write(APIC_ESR, 0);
	guest_sync(1, apic_read(APIC_ESR));
}

TEST(software_disable)
{
	struct vcpu *vcpu = vcpu_new(vm_new(VM_IRQCHIP), 0, disabled_guest);

	EXPECT_SYNC(vcpu, 1);
	/* Stock KVM records no error. */
	if (!kvm_is_stock())
		CHECK(vcpu->call.b == 0 || vcpu->call.b & 0x60, "ESR %#llx",
		      (unsigned long long)vcpu->call.b);
	EXPECT_DONE(vcpu);
}

static void oneshot_guest(uint64_t arg)
{
	uint32_t first, second, count, ns = 1000000;

	(void)arg;
	guest_handlers[V] = guest_eoi;
	apic_enable();
	apic_write(APIC_TDCR, 0xa);		/* divide by 128: minutes */
	apic_write(APIC_LVTT, V);
	apic_write(APIC_TMICT, 0xf0000000);
	first = apic_read(APIC_TMCCT);
	second = apic_read(APIC_TMCCT);
	G_CHECK(first <= 0xf0000000 && first > 0);
	G_CHECK(second <= first);
	/* Zero stops it. */
	apic_write(APIC_TMICT, 0);
	G_CHECK_EQ(apic_read(APIC_TMCCT), 0);
	apic_write(APIC_TDCR, 0xb);		/* divide by one */
	apic_write(APIC_TMICT, 10000000);	/* 10 ms: 1 ns each */
	guest_wait_hlt(V, 1);
	G_CHECK_EQ(apic_read(APIC_TMCCT), 0);
	G_CHECK_EQ(guest_cpu()->taken[V], 1);
	/*
	 * Once is once, also when it is masked while it runs, which a busy machine may be too
	 * slow for at first.
	 */
	do {
		ns *= 2;
		apic_write(APIC_LVTT, V);
		apic_write(APIC_TMICT, ns);
		apic_write(APIC_LVTT, V | APIC_LVT_MASKED);
		take_interrupts();
		count = guest_cpu()->taken[V];
	} while (!apic_read(APIC_TMCCT));
	while (apic_read(APIC_TMCCT))
		cpu_relax();
	take_interrupts();
	G_CHECK_EQ(guest_cpu()->taken[V], count);
	/* By spinning, too: the timer interrupts a running guest. */
	apic_write(APIC_LVTT, V);
	apic_write(APIC_TMICT, 3000000);
	guest_wait(V, count + 1);
	/* It is this one's, not one that was masked and came late. */
	G_CHECK_EQ(apic_read(APIC_TMCCT), 0);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

TEST(timer_oneshot)
{
	struct vcpu *vcpu = vcpu_new(vm_new(VM_IRQCHIP), 0, oneshot_guest);
	uint64_t start = now_ns(), ns;

	EXPECT_DONE(vcpu);
	ns = now_ns() - start;
	/* 10 ms, 2 ms or more, and 3 ms, and no less. */
	CHECK(ns >= 15000000, "took %llu ns", (unsigned long long)ns);
}

static void periodic_guest(uint64_t arg)
{
	uint32_t count;

	(void)arg;
	guest_handlers[V] = guest_eoi;
	apic_enable();
	apic_write(APIC_TDCR, 0x0);		/* divide by two */
	apic_write(APIC_LVTT, V | APIC_LVT_PERIODIC);
	apic_write(APIC_TMICT, 1000000);	/* 2 ms */
	guest_wait_hlt(V, 10);
	apic_write(APIC_TMICT, 0);
	count = guest_cpu()->taken[V];
	take_interrupts();
	G_CHECK(guest_cpu()->taken[V] <= count + 1);
}

TEST(timer_periodic)
{
	struct vcpu *vcpu = vcpu_new(vm_new(VM_IRQCHIP), 0, periodic_guest);
	uint64_t start = now_ns(), ns;

	EXPECT_DONE(vcpu);
	ns = now_ns() - start;
	/* The first comes after 2 ms; late ones may be made up for. */
	CHECK(ns >= 10000000, "took %llu ns", (unsigned long long)ns);
}

static void deadline_guest(uint64_t khz)
{
	uint64_t start, value;

	guest_handlers[V] = guest_eoi;
	apic_enable();
	apic_write(APIC_LVTT, V | APIC_LVT_DEADLINE);
	start = rdtsc();
	wrmsr(MSR_TSC_DEADLINE, start + khz * 5);
	value = rdmsr(MSR_TSC_DEADLINE);
	/* It may have passed by now on a slow machine. */
	if (value || rdtsc() < start + khz * 5)
		G_CHECK_EQ(value, start + khz * 5);
	guest_wait_hlt(V, 1);
	G_CHECK(rdtsc() >= start + khz * 5);
	G_CHECK_EQ(rdmsr(MSR_TSC_DEADLINE), 0);
	/* One that has passed comes at once. */
	wrmsr(MSR_TSC_DEADLINE, 1);
	guest_wait(V, 2);
	/* Zero disarms. */
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + khz * 1000);
	wrmsr(MSR_TSC_DEADLINE, 0);
	G_CHECK_EQ(rdmsr(MSR_TSC_DEADLINE), 0);
	/* The count register is not used in this mode. */
	apic_write(APIC_TMICT, 1000);
	G_CHECK_EQ(apic_read(APIC_TMCCT), 0);
	/* While spinning. */
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + khz * 2);
	guest_wait(V, 3);
	/* In another mode the MSR does nothing. */
	apic_write(APIC_LVTT, V);
	wrmsr(MSR_TSC_DEADLINE, 1);
	G_CHECK_EQ(rdmsr(MSR_TSC_DEADLINE), 0);
	G_CHECK_EQ(guest_cpu()->taken[V], 3);
}

TEST(timer_tsc_deadline)
{
	struct kvm_cpuid2 *table = kvm_supported_cpuid();
	struct vcpu *vcpu;

	if (kvm_has(KVM_CAP_TSC_DEADLINE_TIMER) <= 0)
		test_skip("no TSC deadline timer");
	cpuid_find(table, 1, 0)->ecx |= 1 << 24;
	vcpu = vcpu_new(vm_new(VM_IRQCHIP), 0, deadline_guest);
	vcpu_arg(vcpu, sys_ioctl_val(vcpu->fd, KVM_GET_TSC_KHZ, 0));
	EXPECT_DONE(vcpu);
}

static void x2apic_guest(uint64_t is_stock)
{
	uint64_t base = rdmsr(MSR_APIC_BASE), value;

	guest_handlers[V] = guest_ignore;
	guest_handlers[V + 1] = guest_ignore;
	/* Before it is on, its MSRs are not there. */
	G_CHECK_EQ(rdmsr_try(MSR_X2APIC(APIC_ID), &value), GP);
	wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
	G_CHECK_EQ(rdmsr(MSR_APIC_BASE), base | APIC_BASE_X2APIC);
	G_CHECK_EQ(rdmsr(MSR_X2APIC(APIC_ID)), 2);
	G_CHECK_EQ(rdmsr(MSR_X2APIC(APIC_LDR)), 1 << 2);
	wrmsr(MSR_X2APIC(APIC_SVR), APIC_SVR_ENABLE | 0xff);
	wrmsr(MSR_X2APIC(APIC_TPR), 0x20);
	G_CHECK_EQ(rdmsr(MSR_X2APIC(APIC_TPR)), 0x20);
	G_CHECK_EQ(read_cr8(), 2);
	/* To itself by ICR, then by SELF IPI. */
	wrmsr(MSR_X2APIC(APIC_ICR), 2ULL << 32 | APIC_ICR_ASSERT | V);
	G_CHECK_EQ(rdmsr(MSR_X2APIC(APIC_IRR + V / 32 * 16)), 1 << V % 32);
	wrmsr(0x83f, V + 1);
	take_interrupts();
	G_CHECK_EQ(guest_cpu()->taken[V + 1], 1);
	G_CHECK_EQ(guest_cpu()->taken[V], 0);
	wrmsr(MSR_X2APIC(APIC_EOI), 0);
	take_interrupts();
	G_CHECK_EQ(guest_cpu()->taken[V], 1);
	wrmsr(MSR_X2APIC(APIC_EOI), 0);
	/* Bad ones: read-only, write-only, reserved bits, none at all. */
	G_CHECK_EQ(wrmsr_try(MSR_X2APIC(APIC_ID), 0), GP);
	G_CHECK_EQ(rdmsr_try(MSR_X2APIC(APIC_EOI), &value), GP);
	if (!is_stock)
		G_CHECK_EQ(wrmsr_try(MSR_X2APIC(APIC_EOI), 1), GP);
	G_CHECK_EQ(wrmsr_try(MSR_X2APIC(APIC_TPR), 1ULL << 32), GP);
	G_CHECK_EQ(rdmsr_try(MSR_X2APIC(APIC_DFR), &value), GP);
	G_CHECK_EQ(rdmsr_try(MSR_X2APIC(APIC_ICR2), &value), GP);
	G_CHECK_EQ(rdmsr_try(0x8ff, &value), GP);
	/* Not straight back to xAPIC; only by way of disabled. */
	G_CHECK_EQ(wrmsr_try(MSR_APIC_BASE, base), GP);
	wrmsr(MSR_APIC_BASE, base & ~(uint64_t)APIC_BASE_ENABLE);
	G_CHECK_EQ(wrmsr_try(MSR_APIC_BASE, (base & ~(uint64_t)APIC_BASE_ENABLE)
			     | APIC_BASE_X2APIC), GP);
	wrmsr(MSR_APIC_BASE, base);
	G_CHECK_EQ(apic_read(APIC_ID), 2 << 24);
}

TEST(x2apic)
{
	struct kvm_cpuid2 *table = kvm_supported_cpuid();
	struct kvm_cpuid_entry2 *leaf = cpuid_find(table, 1, 0);
	struct vcpu *vcpu;

	if (!(leaf->ecx & 1 << 21))
		test_skip("no x2APIC");
	vcpu = vcpu_new(vm_new(VM_IRQCHIP), 2, x2apic_guest);
	vcpu_runnable(vcpu);
	vcpu_arg(vcpu, kvm_is_stock());
	EXPECT_DONE(vcpu);
}

static void nmi_handler(struct guest_regs *regs)
{
	(void)regs;
}

static void nmi_guest(uint64_t arg)
{
	(void)arg;
	guest_handlers[2] = nmi_handler;
	apic_enable();
	apic_icr(0, APIC_DELIVERY_NMI | APIC_ICR_ASSERT);
	asm volatile("nop; nop");
	G_CHECK_EQ(guest_cpu()->taken[2], 1);
}

TEST(nmi_to_self)
{
	EXPECT_DONE(vcpu_new(vm_new(VM_IRQCHIP), 0, nmi_guest));
}

static void moved_guest(uint64_t arg)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);

	(void)arg;
	wrmsr(MSR_APIC_BASE, base & ~(uint64_t)APIC_BASE_ENABLE);
	guest_sync(1, 0);
	/* Nothing answers there now. */
	guest_sync(2, apic_read(APIC_VERSION));
	wrmsr(MSR_APIC_BASE, base);
	G_CHECK_EQ(apic_read(APIC_VERSION) & 0xff, 0x14);
}

TEST(hardware_disable)
{
	struct vcpu *vcpu = vcpu_new(vm_new(VM_IRQCHIP), 0, moved_guest);
	struct kvm_sregs sregs;

	EXPECT_SYNC(vcpu, 1);
	vcpu_get_sregs(vcpu, &sregs);
	CHECK_EQ(sregs.apic_base & APIC_BASE_ENABLE, 0);
	/* Stock KVM answers for the hole itself. */
	if (!kvm_is_stock()) {
		EXPECT_EXIT(vcpu, KVM_EXIT_MMIO);
		CHECK_EQ(vcpu->run->mmio.phys_addr, APIC_BASE + APIC_VERSION);
		memset(vcpu->run->mmio.data, 0xff, 4);
	}
	EXPECT_SYNC(vcpu, 2);
	CHECK_EQ(vcpu->call.b, 0xffffffff);
	EXPECT_DONE(vcpu);
}
