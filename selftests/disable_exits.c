// SPDX-License-Identifier: GPL-2.0-only
/* KVM_CAP_X86_DISABLE_EXITS: guests that wait without an exit, and what still wakes them. */
#include <linux/kvm_para.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "apic.h"
#include "vm.h"

#define V		0x40
#define PIN		20		/* not one of the PICs' */
#define VECTOR_NMI	2
#define VECTOR_UD	6
#define VECTOR_GP	13
#define CPUID_MWAIT	(1U << 3)	/* leaf 1, ECX */
#define CPUID_ARAT	(1U << 2)	/* leaf 6, EAX */
#define ALL_EXITS	(KVM_X86_DISABLE_EXITS_MWAIT | KVM_X86_DISABLE_EXITS_HLT | \
			 KVM_X86_DISABLE_EXITS_PAUSE | KVM_X86_DISABLE_EXITS_CSTATE)

/* How long the core was in C1, C3, C6, C7. */
static const uint32_t cstate_msrs[] = { 0x660, 0x3fc, 0x3fd, 0x3fe };

static volatile uint64_t stage;
static volatile uint64_t watched __attribute__((aligned(64)));

static long disable(struct vm *vm, uint64_t exits)
{
	return vm_enable_cap(vm, KVM_CAP_X86_DISABLE_EXITS, exits);
}

static struct vm *vm_without(uint64_t exits, unsigned int flags)
{
	struct vm *vm = vm_new(flags);

	if ((kvm_has(KVM_CAP_X86_DISABLE_EXITS) & exits) != exits)
		test_skip("the exits %#lx are not offered", exits);
	REQUIRE_OK(disable(vm, exits));
	return vm;
}

static int64_t halts(struct vcpu *vcpu)
{
	return vcpu_counter(vcpu, kvm_is_stock() ? "halt_exits" : "exits_hlt");
}

TEST(offered)
{
	struct vm *vm = vm_new(0), *late = vm_new(0);
	long offered = kvm_has(KVM_CAP_X86_DISABLE_EXITS);
	uint32_t regs[4], timer[4];
	uint64_t bit;

	NEED_CAP(KVM_CAP_X86_DISABLE_EXITS);
	CHECK_RET(sys_ioctl_val(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_X86_DISABLE_EXITS), offered);
	CHECK(!(offered & ~ALL_EXITS), "%#lx", offered);
	CHECK(offered & KVM_X86_DISABLE_EXITS_PAUSE, "%#lx", offered);
	CHECK(offered & KVM_X86_DISABLE_EXITS_HLT, "%#lx", offered);
	cpuid(1, 0, regs);
	cpuid(6, 0, timer);
	CHECK_EQ(!!(offered & KVM_X86_DISABLE_EXITS_MWAIT),
		 regs[2] & CPUID_MWAIT && timer[0] & CPUID_ARAT);
	if (host_is_amd() && !kvm_is_stock())
		CHECK(!(offered & KVM_X86_DISABLE_EXITS_CSTATE), "%#lx", offered);

	CHECK_OK(disable(vm, 0));
	for (bit = 1; bit; bit <<= 1) {
		if (offered & bit)
			CHECK_OK(disable(vm, bit));
		else if (!(kvm_is_stock() && bit & ALL_EXITS))
			CHECK_ERR(disable(vm, bit), EINVAL);
	}
	CHECK_ERR(disable(vm, offered | 1ULL << 32), EINVAL);
	CHECK_OK(disable(vm, offered));
	/* vCPUs are made with it. */
	vcpu_bare(late, 0);
	if (!kvm_is_stock())
		CHECK_ERR(disable(late, KVM_X86_DISABLE_EXITS_PAUSE), EINVAL);
}

static uint32_t pv_features(struct vcpu *vcpu)
{
	struct kvm_cpuid2 *cpuid = kvm_supported_cpuid(), *copy;
	uint32_t features;

	copy = malloc(sizeof(*copy) + cpuid->nent * sizeof(copy->entries[0]));
	copy->nent = cpuid->nent;
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid));
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_CPUID2, copy));
	features = cpuid_find(copy, KVM_CPUID_FEATURES, 0)->eax;
	free(copy);
	return features;
}

/* Who is not seen halting cannot be kicked. */
TEST(no_kicks)
{
	uint32_t unhalt = 1U << KVM_FEATURE_PV_UNHALT, all, rest;

	all = pv_features(vcpu_bare(vm_new(VM_IRQCHIP), 0));
	CHECK(all & unhalt, "features %#x", all);
	rest = pv_features(vcpu_bare(vm_without(KVM_X86_DISABLE_EXITS_HLT, VM_IRQCHIP), 0));
	/* KVM 6.1 looks for its leaf before it knows where that is. */
	if (!kvm_is_stock())
		CHECK_EQ(rest, all & ~unhalt);
	rest = pv_features(vcpu_bare(vm_without(KVM_X86_DISABLE_EXITS_PAUSE, VM_IRQCHIP), 0));
	CHECK_EQ(rest, all);
}

static void start_timer(void)
{
	apic_enable();
	guest_handlers[V] = guest_eoi;
	apic_write(APIC_TDCR, 0xb);
	apic_write(APIC_LVTT, V | APIC_LVT_PERIODIC);
	apic_write(APIC_TMICT, 2000000);
}

static void timer_guest(uint64_t arg)
{
	start_timer();
	guest_wait_hlt(V, arg);
	apic_write(APIC_LVTT, APIC_LVT_MASKED);
}

static int64_t halts_for_timer(struct vm *vm)
{
	struct vcpu *vcpu = vcpu_new(vm, 0, timer_guest);

	vcpu_arg(vcpu, 20);
	EXPECT_DONE(vcpu);
	CHECK(vcpu_cpu(vcpu)->taken[V] >= 20, "%u interrupts", vcpu_cpu(vcpu)->taken[V]);
	return halts(vcpu);
}

TEST(hlt_timer)
{
	CHECK(halts_for_timer(vm_new(VM_IRQCHIP)) >= 15, "no HLT has exited by default");
	CHECK_EQ(halts_for_timer(vm_without(KVM_X86_DISABLE_EXITS_HLT, VM_IRQCHIP)), 0);
}

static void answer_guest(uint64_t arg)
{
	uint32_t me = guest_cpu()->id, i;

	apic_enable();
	guest_handlers[V] = guest_eoi;
	__atomic_fetch_add(&stage, 1, __ATOMIC_SEQ_CST);
	while (stage < 2)
		cpu_relax();
	for (i = 1; i <= arg; i++) {
		if (me == 0)
			apic_icr(1, V);
		guest_wait_hlt(V, i);
		if (me == 1)
			apic_icr(0, V);
	}
}

TEST_LIMIT(hlt_ipi, 120)
{
	struct vm *vm = vm_without(KVM_X86_DISABLE_EXITS_HLT, VM_IRQCHIP);
	struct vcpu *vcpu[2] = {
		vcpu_new(vm, 0, answer_guest), vcpu_new(vm, 1, answer_guest),
	};
	int i;

	vcpu_runnable(vcpu[1]);
	for (i = 0; i < 2; i++) {
		vcpu_arg(vcpu[i], 100);
		vcpu_start(vcpu[i]);
	}
	for (i = 0; i < 2; i++) {
		vcpu_join(vcpu[i]);
		CHECK_EQ(vcpu_cpu(vcpu[i])->taken[V], 100);
		CHECK_EQ(halts(vcpu[i]), 0);
	}
}

static void irqfd_guest(uint64_t arg)
{
	(void)arg;
	apic_enable();
	guest_handlers[V] = guest_eoi;
	ioapic_route(PIN, V, 0);
	stage = 1;
	guest_wait_hlt(V, 1);
}

TEST(hlt_irqfd)
{
	struct vcpu *vcpu = vcpu_new(vm_without(KVM_X86_DISABLE_EXITS_HLT, VM_IRQCHIP), 0,
				     irqfd_guest);
	struct kvm_irqfd irqfd = { .fd = eventfd(0, 0), .gsi = PIN };
	uint64_t one = 1;

	REQUIRE_OK(sys_ioctl(vcpu->vm->fd, KVM_IRQFD, &irqfd));
	vcpu_start(vcpu);
	while (!GUEST_VAR(vcpu->vm, stage))
		usleep(1000);
	usleep(300000);
	CHECK_EQ(vcpu_cpu(vcpu)->taken[V], 0);
	REQUIRE(write(irqfd.fd, &one, sizeof(one)) == sizeof(one), "eventfd");
	vcpu_join(vcpu);
	CHECK_EQ(vcpu_cpu(vcpu)->taken[V], 1);
	CHECK_EQ(halts(vcpu), 0);
}

static void nmi_guest(uint64_t arg)
{
	(void)arg;
	guest_handlers[VECTOR_NMI] = guest_ignore;
	cli();
	stage = 1;
	while (!guest_cpu()->taken[VECTOR_NMI])
		hlt();
}

static void nmi_sender(uint64_t arg)
{
	uint64_t i;

	(void)arg;
	apic_enable();
	while (stage != 1)
		cpu_relax();
	for (i = 0; i < 10000; i++)
		cpu_relax();
	apic_icr(1, APIC_DELIVERY_NMI);
}

TEST(hlt_nmi)
{
	struct vm *vm = vm_without(KVM_X86_DISABLE_EXITS_HLT, VM_IRQCHIP);
	struct vcpu *vcpu[2] = { vcpu_new(vm, 0, nmi_sender), vcpu_new(vm, 1, nmi_guest) };

	vcpu_runnable(vcpu[1]);
	vcpu_start(vcpu[1]);
	EXPECT_DONE(vcpu[0]);
	vcpu_join(vcpu[1]);
	CHECK_EQ(vcpu_cpu(vcpu[1])->taken[VECTOR_NMI], 1);
	CHECK_EQ(halts(vcpu[1]), 0);
}

extern const char disable_exits_hlt[], disable_exits_end[];

static void end_at_level_3(struct guest_regs *regs)
{
	G_CHECK_EQ(regs->cs, GUEST_SEL_USER_CODE);
	guest_done();
}

/*
 * Interrupts are off if @arg is 0. Where the processor does not go on halting after an exit,
 * the guest looks around then, and halts again.
 */
static void halting_guest(uint64_t arg)
{
	guest_handlers[V] = guest_ignore;
	guest_handlers[VECTOR_UD] = guest_ignore;
	guest_handlers[VECTOR_GP] = end_at_level_3;
	guest_sync(1, 0);
	if (arg)
		sti();
	asm volatile("disable_exits_hlt:\n"
		     "1:	hlt\n"
		     "	cmpq	$0, %0\n"
		     "	je	1b\n"
		     "disable_exits_end:\n" : : "m"(stage) : "memory", "cc");
	cli();
	guest_sync(2, 0);
}

/* A vCPU that a signal has taken out of its HLT. */
static struct vcpu *halted(uint64_t arg, unsigned int flags)
{
	struct vcpu *vcpu = vcpu_new(vm_without(KVM_X86_DISABLE_EXITS_HLT, flags), 0,
				     halting_guest);
	struct kvm_regs regs;

	vcpu_arg(vcpu, arg);
	EXPECT_SYNC(vcpu, 1);
	/* The first signal may come before the guest has got there. */
	alarm_ms(50);
	do {
		REQUIRE_EQ(vcpu_run_raw(vcpu), (long)-EINTR);
		CHECK_EQ(vcpu->run->exit_reason, KVM_EXIT_INTR);
		vcpu_get_regs(vcpu, &regs);
	} while (regs.rip <= (uint64_t)disable_exits_hlt || regs.rip >= (uint64_t)disable_exits_end);
	alarm_ms(0);
	CHECK_EQ(halts(vcpu), 0);
	GUEST_VAR(vcpu->vm, stage) = 1;
	return vcpu;
}

/* Its state is what comes after the HLT, and, given back, goes on there. */
TEST(hlt_signal)
{
	struct vcpu *vcpu = halted(0, VM_IRQCHIP);
	struct kvm_regs regs;

	CHECK_EQ(vcpu_mp_state(vcpu), KVM_MP_STATE_RUNNABLE);
	vcpu_get_regs(vcpu, &regs);
	vcpu_set_regs(vcpu, &regs);
	EXPECT_SYNC(vcpu, 2);
	EXPECT_DONE(vcpu);
}

TEST(hlt_interrupt)
{
	struct kvm_interrupt irq = { .irq = V };
	struct vcpu *vcpu = halted(1, 0);

	CHECK(vcpu->run->if_flag && vcpu->run->ready_for_interrupt_injection,
	      "not ready for an interrupt");
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_INTERRUPT, &irq));
	EXPECT_SYNC(vcpu, 2);
	CHECK_EQ(vcpu_cpu(vcpu)->taken[V], 1);
	EXPECT_DONE(vcpu);
}

/* An exception, which nothing that halts can raise. */
TEST(hlt_exception)
{
	struct vcpu *vcpu = halted(0, 0);
	struct kvm_vcpu_events events;

	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, &events));
	events.exception.injected = 1;
	events.exception.nr = VECTOR_UD;
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &events));
	EXPECT_SYNC(vcpu, 2);
	CHECK_EQ(vcpu_cpu(vcpu)->taken[VECTOR_UD], 1);
	EXPECT_DONE(vcpu);
}

static void user_guest(void)
{
	hlt();
}

/* Level 3, where no processor halts. */
TEST(hlt_level_3)
{
	struct vcpu *vcpu = halted(0, 0);
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	vcpu_get_regs(vcpu, &regs);
	vcpu_get_sregs(vcpu, &sregs);
	sregs.cs.selector = GUEST_SEL_USER_CODE;
	sregs.cs.dpl = 3;
	sregs.ss.selector = GUEST_SEL_USER_DATA;
	sregs.ss.dpl = 3;
	regs.rip = (uint64_t)user_guest;
	/* In this order, the latter has to end the HLT. */
	vcpu_set_regs(vcpu, &regs);
	REQUIRE_OK(vcpu_set_sregs(vcpu, &sregs));
	EXPECT_DONE(vcpu);
}

static void pause_guest(uint64_t arg)
{
	uint64_t i;

	for (i = 0; i < arg; i++)
		cpu_relax();
}

static int64_t pauses(struct vm *vm)
{
	struct vcpu *vcpu = vcpu_new(vm, 0, pause_guest);

	vcpu_arg(vcpu, 20000);
	EXPECT_DONE(vcpu);
	return vcpu_counter(vcpu, "exits_pause");
}

TEST(pause)
{
	int64_t without = pauses(vm_without(KVM_X86_DISABLE_EXITS_PAUSE, 0));

	if (without < 0)
		test_skip("nobody counts exits by PAUSE");
	CHECK_EQ(without, 0);
	if (!pauses(vm_new(0)))
		test_skip("no PAUSE exits on this processor");
}

static void mwait_guest(uint64_t arg)
{
	start_timer();
	sti();
	while (guest_cpu()->taken[V] < arg) {
		asm volatile("monitor" : : "a"(&watched), "c"(0), "d"(0) : "memory");
		asm volatile("mwait" : : "a"(0), "c"(0) : "memory");
	}
	cli();
	apic_write(APIC_LVTT, APIC_LVT_MASKED);
}

static int64_t mwaits(struct vm *vm)
{
	struct vcpu *vcpu = vcpu_new(vm, 0, mwait_guest);

	vcpu_arg(vcpu, 10);
	EXPECT_DONE(vcpu);
	CHECK(vcpu_cpu(vcpu)->taken[V] >= 10, "%u interrupts", vcpu_cpu(vcpu)->taken[V]);
	return vcpu_counter(vcpu, "exits_mwait");
}

TEST(mwait)
{
	int64_t without = mwaits(vm_without(KVM_X86_DISABLE_EXITS_MWAIT, VM_IRQCHIP));

	if (without < 0)
		test_skip("nobody counts exits by MWAIT");
	CHECK_EQ(without, 0);
	CHECK(mwaits(vm_new(VM_IRQCHIP)) > 0, "no MWAIT has exited by default");
}

static void waiting_guest(uint64_t arg)
{
	(void)arg;
	stage = 1;
	while (!watched) {
		asm volatile("monitor" : : "a"(&watched), "c"(0), "d"(0) : "memory");
		if (watched)
			break;
		asm volatile("mwait" : : "a"(0), "c"(0) : "memory");
	}
}

static void writing_guest(uint64_t arg)
{
	uint64_t i;

	(void)arg;
	while (stage != 1)
		cpu_relax();
	for (i = 0; i < 10000; i++)
		cpu_relax();
	watched = 1;
}

/* With interrupts off: what is watched has been written. */
TEST(mwait_write)
{
	struct vm *vm = vm_without(KVM_X86_DISABLE_EXITS_MWAIT, VM_IRQCHIP);
	struct vcpu *vcpu[2] = { vcpu_new(vm, 0, writing_guest), vcpu_new(vm, 1, waiting_guest) };

	vcpu_runnable(vcpu[1]);
	vcpu_start(vcpu[1]);
	EXPECT_DONE(vcpu[0]);
	vcpu_join(vcpu[1]);
	if (!kvm_is_stock())
		CHECK_EQ(vcpu_counter(vcpu[1], "exits_mwait"), 0);
}

/* A bit for each MSR that could be read. */
static void cstate_guest(uint64_t arg)
{
	uint64_t value, readable = 0;
	unsigned int i;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(cstate_msrs); i++) {
		if (rdmsr_try(cstate_msrs[i], &value) == GUEST_NO_TRAP)
			readable |= 1 << i;
		G_CHECK_EQ(wrmsr_try(cstate_msrs[i], 0), VECTOR_GP);
	}
	guest_sync(1, readable);
}

static uint64_t readable(struct vcpu *vcpu)
{
	EXPECT_SYNC(vcpu, 1);
	return vcpu->call.b;
}

TEST(cstate)
{
	struct vm *vm = vm_without(KVM_X86_DISABLE_EXITS_CSTATE, 0), *filtered;
	struct vcpu *vcpu = vcpu_new(vm, 0, cstate_guest);
	struct kvm_msr_filter filter = { .flags = 0 };
	uint64_t all, denied = 0;
	unsigned int i;

	if (kvm_is_stock() && host_is_amd())
		test_skip("offered, but these are Intel's MSRs");
	all = readable(vcpu);
	REQUIRE(all, "none can be read");
	if (!kvm_is_stock())
		CHECK_EQ(vcpu_counter(vcpu, "exits_rdmsr"), 0);
	CHECK_EQ(readable(vcpu_new(vm_new(0), 0, cstate_guest)), 0);

	/* One of them is forbidden by a filter: the others are read all the same. */
	for (i = 0; !(all >> i & 1); i++)
		;
	filtered = vm_without(KVM_X86_DISABLE_EXITS_CSTATE, 0);
	filter.ranges[0].flags = KVM_MSR_FILTER_READ;
	filter.ranges[0].base = cstate_msrs[i];
	filter.ranges[0].nmsrs = 1;
	filter.ranges[0].bitmap = (uint8_t *)&denied;
	REQUIRE_OK(sys_ioctl(filtered->fd, KVM_X86_SET_MSR_FILTER, &filter));
	CHECK_EQ(readable(vcpu_new(filtered, 0, cstate_guest)), all & ~(1ULL << i));
}
