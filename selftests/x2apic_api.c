// SPDX-License-Identifier: GPL-2.0-only
/* KVM_CAP_X2APIC_API: APIC IDs of 32 bits between user space and the local APICs. */
#include <errno.h>
#include <string.h>

#include "apic.h"
#include "vm.h"

#define V		0x51
#define X2APIC_ID	1
#define XAPIC_ID	2
#define LAST_ID		255	/* the broadcast address of xAPICs */

static struct vm *vm;
static struct vcpu *x2apic, *xapic, *last;

static struct kvm_lapic_state get(struct vcpu *vcpu)
{
	struct kvm_lapic_state state;

	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_LAPIC, &state));
	return state;
}

static uint32_t reg(const struct kvm_lapic_state *state, uint32_t offset)
{
	uint32_t value;

	memcpy(&value, state->regs + offset, sizeof(value));
	return value;
}

static void set_reg(struct kvm_lapic_state *state, uint32_t offset, uint32_t value)
{
	memcpy(state->regs + offset, &value, sizeof(value));
}

static struct vcpu *new_vcpu(int id, bool is_x2apic)
{
	struct vcpu *vcpu = vcpu_bare(vm, id);
	struct kvm_sregs sregs;

	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_SET_CPUID2, kvm_supported_cpuid()));
	vcpu_get_sregs(vcpu, &sregs);
	if (is_x2apic)
		sregs.apic_base |= APIC_BASE_X2APIC;
	REQUIRE_OK(vcpu_set_sregs(vcpu, &sregs));
	vcpu_apic_enable(vcpu);
	return vcpu;
}

/* A VM with APICs that are on: the first and the last one in x2APIC mode. */
static void set_up(uint64_t flags)
{
	struct kvm_cpuid_entry2 *leaf = cpuid_find(kvm_supported_cpuid(), 1, 0);

	NEED_CAP(KVM_CAP_X2APIC_API);
	if (!(leaf->ecx & 1 << 21))
		test_skip("no x2APIC");
	vm = vm_new(VM_IRQCHIP);
	if (flags)
		REQUIRE_OK(vm_enable_cap(vm, KVM_CAP_X2APIC_API, flags));
	x2apic = new_vcpu(X2APIC_ID, true);
	xapic = new_vcpu(XAPIC_ID, false);
	last = new_vcpu(LAST_ID, true);
}

static long signal_msi(uint32_t address_lo, uint32_t address_hi, uint32_t vector)
{
	struct kvm_msi msi = {
		.address_lo = address_lo, .address_hi = address_hi, .data = vector,
	};

	return sys_ioctl(vm->fd, KVM_SIGNAL_MSI, &msi);
}

/* Which APICs have a request for the vector: bits x2apic, xapic, last. */
static unsigned int reached(uint32_t vector)
{
	return vcpu_apic_bit(x2apic, APIC_IRR, vector) |
	       vcpu_apic_bit(xapic, APIC_IRR, vector) << 1 |
	       vcpu_apic_bit(last, APIC_IRR, vector) << 2;
}

/* An interrupt to an APIC ID; bits of the upper half are those of a 32-bit ID. */
#define LO(id)	(0xfee00000 | ((id) & 0xff) << 12)
#define HI(id)	((id) & 0xffffff00)

TEST(enable)
{
	struct vm *plain = vm_new(0);

	NEED_CAP(KVM_CAP_X2APIC_API);
	CHECK_RET(kvm_has(KVM_CAP_X2APIC_API), KVM_X2APIC_API_USE_32BIT_IDS |
		  KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK);
	CHECK_ERR(vm_enable_cap(plain, KVM_CAP_X2APIC_API, 4), EINVAL);
	CHECK_ERR(vm_enable_cap(plain, KVM_CAP_X2APIC_API, 1ULL << 32), EINVAL);
	CHECK_OK(vm_enable_cap(plain, KVM_CAP_X2APIC_API, 0));
	CHECK_OK(vm_enable_cap(plain, KVM_CAP_X2APIC_API, KVM_X2APIC_API_USE_32BIT_IDS));
	CHECK_OK(vm_enable_cap(plain, KVM_CAP_X2APIC_API,
			       KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK));
}

/* The ID in the state of an APIC: in the top byte, or whole in x2APIC mode. */
TEST(id_in_the_state)
{
	struct kvm_lapic_state state;

	set_up(0);
	state = get(x2apic);
	CHECK_EQ(reg(&state, APIC_ID), X2APIC_ID << 24);
	/* What is on stays on. */
	REQUIRE_OK(vm_enable_cap(vm, KVM_CAP_X2APIC_API, KVM_X2APIC_API_USE_32BIT_IDS));
	REQUIRE_OK(vm_enable_cap(vm, KVM_CAP_X2APIC_API, 0));
	state = get(x2apic);
	CHECK_EQ(reg(&state, APIC_ID), X2APIC_ID);
	CHECK_OK(sys_ioctl(x2apic->fd, KVM_SET_LAPIC, &state));
	set_reg(&state, APIC_TPR, 0x30);
	set_reg(&state, APIC_ID, X2APIC_ID << 24);
	CHECK_ERR(sys_ioctl(x2apic->fd, KVM_SET_LAPIC, &state), EINVAL);
	state = get(x2apic);
	CHECK_EQ(reg(&state, APIC_TPR), 0);

	state = get(xapic);
	CHECK_EQ(reg(&state, APIC_ID), XAPIC_ID << 24);
	CHECK_OK(sys_ioctl(xapic->fd, KVM_SET_LAPIC, &state));
}

TEST(upper_bits_of_an_msi)
{
	set_up(0);
	/* Not looked at. */
	CHECK_RET(signal_msi(LO(X2APIC_ID), 0x12345678, V), 1);
	CHECK_EQ(reached(V), 1);

	REQUIRE_OK(vm_enable_cap(vm, KVM_CAP_X2APIC_API, KVM_X2APIC_API_USE_32BIT_IDS));
	CHECK_RET(signal_msi(LO(X2APIC_ID), HI(0x100), V + 1), 0);
	CHECK_RET(signal_msi(LO(X2APIC_ID), HI(0x80000000), V + 1), 0);
	CHECK_EQ(reached(V + 1), 0);
	CHECK_RET(signal_msi(LO(X2APIC_ID), 0, V + 1), 1);
	CHECK_EQ(reached(V + 1), 1);
	CHECK_RET(signal_msi(LO(XAPIC_ID), 0, V + 2), 1);
	CHECK_EQ(reached(V + 2), 2);
	/* No bits of an ID. */
	CHECK_ERR(signal_msi(LO(X2APIC_ID), 1, V + 3), EINVAL);
	CHECK_ERR(signal_msi(LO(X2APIC_ID), 0x80, V + 3), EINVAL);
	CHECK_EQ(reached(V + 3), 0);
}

TEST(upper_bits_of_a_route)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} routing = { .head.nr = 1, .entry.type = KVM_IRQ_ROUTING_MSI, .entry.gsi = 40 };
	struct kvm_irq_level line = { .irq = 40, .level = 1 };

	set_up(KVM_X2APIC_API_USE_32BIT_IDS);
	routing.entry.u.msi.address_lo = LO(X2APIC_ID);
	routing.entry.u.msi.address_hi = 1;
	routing.entry.u.msi.data = V;
	CHECK_ERR(sys_ioctl(vm->fd, KVM_SET_GSI_ROUTING, &routing), EINVAL);
	routing.entry.u.msi.address_hi = HI(0x100);
	CHECK_OK(sys_ioctl(vm->fd, KVM_SET_GSI_ROUTING, &routing));
	CHECK_OK(sys_ioctl(vm->fd, KVM_IRQ_LINE, &line));
	CHECK_EQ(reached(V), 0);
	routing.entry.u.msi.address_hi = 0;
	CHECK_OK(sys_ioctl(vm->fd, KVM_SET_GSI_ROUTING, &routing));
	CHECK_OK(sys_ioctl(vm->fd, KVM_IRQ_LINE, &line));
	CHECK_EQ(reached(V), 1);
}

/* 0xff is all of them, until user space says that it knows better. */
TEST(broadcast)
{
	set_up(0);
	CHECK_RET(signal_msi(LO(0xff), 0, V), 3);
	CHECK_EQ(reached(V), 7);

	REQUIRE_OK(vm_enable_cap(vm, KVM_CAP_X2APIC_API, KVM_X2APIC_API_USE_32BIT_IDS));
	CHECK_RET(signal_msi(LO(0xff), 0, V + 1), 3);
	CHECK_EQ(reached(V + 1), 7);

	REQUIRE_OK(vm_enable_cap(vm, KVM_CAP_X2APIC_API,
				 KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK));
	CHECK_RET(signal_msi(LO(0xff), 0, V + 2), 1);
	CHECK_EQ(reached(V + 2), 4);
	CHECK(signal_msi(LO(0xffffffff), HI(0xffffffff), V + 3) >= 2, "too few");
	/* Whether an APIC in xAPIC mode feels addressed is nobody's business. */
	CHECK_EQ(reached(V + 3) & 5, 5);
}

/* The IOAPIC's destinations have eight bits. */
TEST(broadcast_of_the_ioapic)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };
	struct kvm_irq_level line = { .irq = 20, .level = 1 };

	set_up(KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK);
	REQUIRE_OK(sys_ioctl(vm->fd, KVM_GET_IRQCHIP, &chip));
	chip.chip.ioapic.redirtbl[20].bits = (uint64_t)0xff << 56 | V;
	REQUIRE_OK(sys_ioctl(vm->fd, KVM_SET_IRQCHIP, &chip));
	CHECK_OK(sys_ioctl(vm->fd, KVM_IRQ_LINE, &line));
	CHECK_EQ(reached(V), 4);
}
