// SPDX-License-Identifier: GPL-2.0-only
/* Hypercalls between vCPUs: KVM_HC_SEND_IPI and KVM_HC_KICK_CPU. */
#include <linux/kvm_para.h>
#include <string.h>

#include "apic.h"
#include "vm.h"

#define V		0x40
#define FAR_ID		130	/* of a vCPU that runs nothing */
#define FEATURES	(1U << KVM_FEATURE_PV_UNHALT | 1U << KVM_FEATURE_PV_SEND_IPI)

static uint64_t amd;
static volatile uint64_t stage;

static uint64_t send(uint64_t low, uint64_t high, uint64_t first, uint64_t icr)
{
	return guest_hypercall(amd, KVM_HC_SEND_IPI, low, high, first, icr);
}

static uint64_t kick(uint64_t id)
{
	return guest_hypercall(amd, KVM_HC_KICK_CPU, 0, id, 0, 0);
}

/* With interrupts off: only a kick ends it. */
static void halt(void)
{
	asm volatile("hlt" : : : "memory");
}

static struct vm *vm_for_calls(void)
{
	struct kvm_cpuid_entry2 *leaf = cpuid_find(kvm_supported_cpuid(), KVM_CPUID_FEATURES, 0);
	struct vm *vm = vm_new(VM_IRQCHIP);

	REQUIRE(leaf && (leaf->eax & FEATURES) == FEATURES, "CPUID has not the features");
	GUEST_VAR(vm, amd) = host_is_amd();
	return vm;
}

static void receiver(uint64_t arg)
{
	(void)arg;
	apic_enable();
	guest_handlers[V] = guest_eoi;
	stage = 1;
	guest_wait_hlt(V, 1);
	stage = 2;
	guest_wait_hlt(V, 2);
}

static void sender(uint64_t arg)
{
	struct guest_cpu *me = guest_cpu();

	(void)arg;
	apic_enable();
	guest_handlers[V] = guest_eoi;
	while (stage != 1)
		cpu_relax();
	/* To both, then to one's self. */
	G_CHECK_EQ(send(3, 0, 0, V), 2);
	guest_wait(V, 1);
	G_CHECK_EQ(send(1, 0, 0, V), 1);
	guest_wait(V, 2);
	/* APIC IDs do not wrap, nobody is there, an ICR that has a destination of its own. */
	G_CHECK_EQ(send(2, 0, 0xffffffff, V), 0);
	G_CHECK_EQ(send(~3ULL, ~0ULL, 0, V), 0);
	G_CHECK_EQ(send(3, 0, 0, V | APIC_ICR_LOGICAL), (uint64_t)-KVM_EINVAL);
	G_CHECK_EQ(send(3, 0, 0, V | APIC_ICR_SELF), (uint64_t)-KVM_EINVAL);
	G_CHECK_EQ(send(3, 0, 0, V | APIC_ICR_OTHERS), (uint64_t)-KVM_EINVAL);
	take_interrupts();
	G_CHECK_EQ(me->taken[V], 2);
	guest_sync(1, 0);
	/* The last bit of the second word, and one that the map does not reach. */
	G_CHECK_EQ(send(0, 1ULL << 63, FAR_ID - 127, V), 1);
	guest_sync(2, 0);
	G_CHECK_EQ(send(0, ~0ULL, FAR_ID - 128, V), 0);
	/* Two requests that wait are one. */
	while (stage != 2)
		cpu_relax();
	G_CHECK_EQ(send(2, 0, 0, V), 1);
}

TEST(send_ipi)
{
	struct vm *vm = vm_for_calls();
	struct vcpu *vcpu[2] = { vcpu_new(vm, 0, sender), vcpu_new(vm, 1, receiver) };
	struct vcpu *far = vcpu_bare(vm, FAR_ID);

	vcpu_apic_enable(far);
	vcpu_runnable(vcpu[1]);
	vcpu_start(vcpu[1]);
	EXPECT_SYNC(vcpu[0], 1);
	CHECK(!vcpu_apic_bit(far, APIC_IRR, V), "the IPI has reached a vCPU that is not in the map");
	EXPECT_SYNC(vcpu[0], 2);
	CHECK(vcpu_apic_bit(far, APIC_IRR, V), "the IPI has not reached the last vCPU of the map");
	EXPECT_DONE(vcpu[0]);
	vcpu_join(vcpu[1]);
	CHECK_EQ(vcpu_cpu(vcpu[1])->taken[V], 2);
}

static void user_apic_guest(uint64_t arg)
{
	(void)arg;
	G_CHECK_EQ(send(1, 0, 0, V), (uint64_t)-KVM_EOPNOTSUPP);
	G_CHECK_EQ(kick(0), 0);
}

TEST(no_irqchip)
{
	struct vm *vm = vm_new(0);

	GUEST_VAR(vm, amd) = host_is_amd();
	EXPECT_DONE(vcpu_new(vm, 0, user_apic_guest));
}

static void halted(uint64_t arg)
{
	(void)arg;
	while (stage < 100) {
		stage++;
		halt();
	}
}

static void kicker(uint64_t arg)
{
	uint64_t i;

	(void)arg;
	/* Either before or after the other has halted. */
	for (i = 1; i <= 100; i++) {
		while (stage < i)
			cpu_relax();
		G_CHECK_EQ(kick(1), 0);
	}
	/* Others need not exist. */
	G_CHECK_EQ(kick(77), 0);
	G_CHECK_EQ(kick(0x100), 0);
	G_CHECK_EQ(kick(-1ULL), 0);
}

TEST_LIMIT(kick, 120)
{
	struct vm *vm = vm_for_calls();
	struct vcpu *vcpu[2] = { vcpu_new(vm, 0, kicker), vcpu_new(vm, 1, halted) };

	vcpu_runnable(vcpu[1]);
	vcpu_start(vcpu[1]);
	EXPECT_DONE(vcpu[0]);
	vcpu_join(vcpu[1]);
}

static void remember_guest(uint64_t arg)
{
	(void)arg;
	/* Two kicks are one. */
	kick(0);
	kick(0);
	halt();
	guest_sync(1, 0);
	halt();
}

static void kick_first(uint64_t arg)
{
	(void)arg;
	kick(0);
}

/* A vCPU that is not halted remembers the kick until it is, once. */
TEST(remembered)
{
	struct vm *vm = vm_for_calls();
	struct vcpu *vcpu = vcpu_new(vm, 0, remember_guest), *other = vcpu_new(vm, 1, kick_first);

	vcpu_runnable(other);
	EXPECT_SYNC(vcpu, 1);
	EXPECT_HALTED(vcpu);
	EXPECT_DONE(other);
	CHECK_EQ(vcpu_mp_state(vcpu), KVM_MP_STATE_RUNNABLE);
	EXPECT_DONE(vcpu);
}

static void hidden_guest(uint64_t arg)
{
	(void)arg;
	apic_enable();
	G_CHECK_EQ(send(1, 0, 0, V), (uint64_t)-KVM_ENOSYS);
	G_CHECK_EQ(kick(0), (uint64_t)-KVM_ENOSYS);
	guest_sync(1, 0);
	halt();
}

/* KVM_CAP_ENFORCE_PV_FEATURE_CPUID: what CPUID does not name is not there. */
TEST(hidden)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_ENFORCE_PV_FEATURE_CPUID, .args[0] = 1,
	};
	struct vm *vm = vm_for_calls();
	struct vcpu *vcpu = vcpu_new(vm, 0, hidden_guest);
	struct kvm_cpuid2 *cpuid = kvm_supported_cpuid();

	NEED_CAP(KVM_CAP_ENFORCE_PV_FEATURE_CPUID);
	cpuid_find(cpuid, KVM_CPUID_FEATURES, 0)->eax &= ~FEATURES;
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid));
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_ENABLE_CAP, &cap));
	EXPECT_SYNC(vcpu, 1);
	EXPECT_HALTED(vcpu);
}
