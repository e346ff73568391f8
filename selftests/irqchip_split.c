// SPDX-License-Identifier: GPL-2.0-only
/* Local APICs in the kernel, PIC and IOAPIC in user space: KVM_CAP_SPLIT_IRQCHIP. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "apic.h"
#include "vm.h"

#define PINS		24
#define LEVEL_VECTOR	0x55
#define EDGE_VECTOR	0x56
#define LEVEL_GSI	5
#define EDGE_GSI	6
#define EXTINT_VECTOR	0x61
#define MSI_LEVEL	0xc000	/* trigger mode level, asserted */

static long split(struct vm *vm, uint64_t pins)
{
	return vm_enable_cap(vm, KVM_CAP_SPLIT_IRQCHIP, pins);
}

/* What user space's IOAPIC has told: a level-triggered and an edge-triggered pin. */
static void route(struct vm *vm)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entries[2];
	} routing = { .head.nr = 2 };

	routing.entries[0].gsi = LEVEL_GSI;
	routing.entries[0].type = KVM_IRQ_ROUTING_MSI;
	routing.entries[0].u.msi.address_lo = 0xfee00000;
	routing.entries[0].u.msi.data = LEVEL_VECTOR | MSI_LEVEL;
	routing.entries[1] = routing.entries[0];
	routing.entries[1].gsi = EDGE_GSI;
	routing.entries[1].u.msi.data = EDGE_VECTOR;
	REQUIRE_OK(sys_ioctl(vm->fd, KVM_SET_GSI_ROUTING, &routing));
}

static void raise(struct vm *vm, uint32_t gsi)
{
	struct kvm_irq_level line = { .irq = gsi, .level = 1 };

	CHECK_OK(sys_ioctl(vm->fd, KVM_IRQ_LINE, &line));
}

static struct vcpu *start(void (*fn)(uint64_t arg), uint64_t pins)
{
	struct vm *vm = vm_new(0);

	NEED_CAP(KVM_CAP_SPLIT_IRQCHIP);
	REQUIRE_OK(split(vm, pins));
	route(vm);
	return vcpu_new(vm, 0, fn);
}

static long interrupt(struct vcpu *vcpu, uint32_t vector)
{
	struct kvm_interrupt irq = { .irq = vector };

	return sys_ioctl(vcpu->fd, KVM_INTERRUPT, &irq);
}

TEST(enable)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { PINS } };
	struct vm *vm = vm_new(0), *full = vm_new(VM_IRQCHIP), *late = vm_new(0);

	NEED_CAP(KVM_CAP_SPLIT_IRQCHIP);
	CHECK(kvm_has(KVM_CAP_ENABLE_CAP_VM) > 0, "no KVM_CAP_ENABLE_CAP_VM");
	CHECK_ERR(sys_ioctl(vm->fd, KVM_ENABLE_CAP, BAD_PTR), EFAULT);
	cap.flags = 1;
	CHECK_ERR(sys_ioctl(vm->fd, KVM_ENABLE_CAP, &cap), EINVAL);
	cap.flags = 0;
	cap.cap = 0xffffff;
	CHECK_ERR(sys_ioctl(vm->fd, KVM_ENABLE_CAP, &cap), EINVAL);
	CHECK_ERR(split(vm, ~0ULL), EINVAL);
	CHECK_ERR(split(vm, 4097), EINVAL);
	CHECK_ERR(split(full, PINS), EEXIST);
	vcpu_bare(late, 0);
	CHECK_ERR(split(late, PINS), EEXIST);
	CHECK_OK(split(vm, 4096));
	CHECK_ERR(split(vm, PINS), EEXIST);
	CHECK_ERR(sys_ioctl_val(vm->fd, KVM_CREATE_IRQCHIP, 0), EEXIST);
}

TEST(what_user_space_has_itself)
{
	struct vm *vm = vm_new(0);
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };
	struct kvm_pit_config pit = { 0 };
	struct kvm_irqfd irqfd = { .gsi = LEVEL_GSI };
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} routing = { .head.nr = 1, .entry.type = KVM_IRQ_ROUTING_IRQCHIP };

	NEED_CAP(KVM_CAP_SPLIT_IRQCHIP);
	REQUIRE_OK(split(vm, PINS));
	CHECK_ERR(sys_ioctl(vm->fd, KVM_GET_IRQCHIP, &chip), ENXIO);
	CHECK_ERR(sys_ioctl(vm->fd, KVM_SET_IRQCHIP, &chip), ENXIO);
	CHECK_ERR(sys_ioctl(vm->fd, KVM_SET_GSI_ROUTING, &routing), EINVAL);
	if (!kvm_is_stock())
		CHECK_ERR(sys_ioctl(vm->fd, KVM_CREATE_PIT2, &pit), ENOENT);
	irqfd.fd = eventfd(0, EFD_CLOEXEC);
	irqfd.resamplefd = irqfd.fd;
	irqfd.flags = KVM_IRQFD_FLAG_RESAMPLE;
	CHECK_ERR(sys_ioctl(vm->fd, KVM_IRQFD, &irqfd), EINVAL);
	irqfd.flags = 0;
	CHECK_OK(sys_ioctl(vm->fd, KVM_IRQFD, &irqfd));
}

/* The guest takes a level-triggered interrupt and ends it; user space hears of that. */
static void expect_eoi(struct vcpu *vcpu)
{
	raise(vcpu->vm, LEVEL_GSI);
	EXPECT_EXIT(vcpu, KVM_EXIT_IOAPIC_EOI);
	CHECK_EQ(vcpu->run->eoi.vector, LEVEL_VECTOR);
}

static void eoi_guest(uint64_t arg)
{
	(void)arg;
	guest_handlers[LEVEL_VECTOR] = guest_eoi;
	guest_handlers[EDGE_VECTOR] = guest_eoi;
	apic_enable();
	guest_sync(1, 0);
	guest_wait(LEVEL_VECTOR, 1);
	guest_sync(2, 0);
	guest_wait(EDGE_VECTOR, 1);
	guest_sync(3, 0);
	guest_wait_hlt(LEVEL_VECTOR, 2);
}

TEST(eoi_of_level_triggered)
{
	struct vcpu *vcpu = start(eoi_guest, PINS);

	EXPECT_SYNC(vcpu, 1);
	expect_eoi(vcpu);
	EXPECT_SYNC(vcpu, 2);
	/* Of an edge nobody hears. */
	raise(vcpu->vm, EDGE_GSI);
	EXPECT_SYNC(vcpu, 3);
	expect_eoi(vcpu);
	EXPECT_DONE(vcpu);
}

TEST(eoi_without_pins)
{
	struct vcpu *vcpu = start(eoi_guest, 0);

	EXPECT_SYNC(vcpu, 1);
	raise(vcpu->vm, LEVEL_GSI);
	EXPECT_SYNC(vcpu, 2);
	raise(vcpu->vm, EDGE_GSI);
	EXPECT_SYNC(vcpu, 3);
	raise(vcpu->vm, LEVEL_GSI);
	EXPECT_DONE(vcpu);
}

static void eoi_by_msr(struct guest_regs *regs)
{
	(void)regs;
	wrmsr(MSR_X2APIC(APIC_EOI), 0);
}

static void x2apic_guest(uint64_t arg)
{
	(void)arg;
	guest_handlers[LEVEL_VECTOR] = eoi_by_msr;
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_X2APIC);
	wrmsr(MSR_X2APIC(APIC_SVR), APIC_SVR_ENABLE | 0xff);
	guest_sync(1, 0);
	guest_wait(LEVEL_VECTOR, 1);
}

TEST(eoi_in_x2apic_mode)
{
	struct vcpu *vcpu = start(x2apic_guest, PINS);

	EXPECT_SYNC(vcpu, 1);
	expect_eoi(vcpu);
	EXPECT_DONE(vcpu);
}

static void extint_guest(uint64_t arg)
{
	(void)arg;
	guest_handlers[EXTINT_VECTOR] = guest_ignore;
	guest_handlers[EXTINT_VECTOR + 1] = guest_ignore;
	apic_enable();
	apic_write(APIC_LVT0, APIC_DELIVERY_EXTINT);
	cli();
	guest_sync(1, 0);
	/* Its window: as soon as interrupts are on. */
	G_CHECK_EQ(guest_cpu()->taken[EXTINT_VECTOR], 0);
	take_interrupts();
	guest_wait(EXTINT_VECTOR, 1);
	guest_sync(2, 0);
	guest_wait_hlt(EXTINT_VECTOR + 1, 1);
}

TEST(extint_by_user_space)
{
	struct vcpu *vcpu = start(extint_guest, PINS);

	EXPECT_SYNC(vcpu, 1);
	CHECK_EQ(vcpu->run->ready_for_interrupt_injection, 0);
	vcpu->run->request_interrupt_window = 1;
	EXPECT_EXIT(vcpu, KVM_EXIT_IRQ_WINDOW_OPEN);
	CHECK_EQ(vcpu->run->ready_for_interrupt_injection, 1);
	vcpu->run->request_interrupt_window = 0;
	CHECK_ERR(interrupt(vcpu, 256), EINVAL);
	CHECK_OK(interrupt(vcpu, EXTINT_VECTOR));
	CHECK_ERR(interrupt(vcpu, EXTINT_VECTOR), EEXIST);
	EXPECT_SYNC(vcpu, 2);
	CHECK_OK(interrupt(vcpu, EXTINT_VECTOR + 1));
	EXPECT_DONE(vcpu);
}

static void masked_guest(uint64_t arg)
{
	(void)arg;
	guest_handlers[EXTINT_VECTOR] = guest_ignore;
	apic_enable();
	apic_write(APIC_LVT0, APIC_LVT_MASKED | APIC_DELIVERY_EXTINT);
	take_interrupts();
	guest_sync(1, 0);
	take_interrupts();
	guest_sync(2, 0);
	apic_write(APIC_LVT0, APIC_DELIVERY_EXTINT);
	guest_wait(EXTINT_VECTOR, 1);
}

/* No window while the processor's LINT0 does not take the PIC's interrupts. */
TEST(extint_masked)
{
	struct vcpu *vcpu = start(masked_guest, PINS);

	EXPECT_SYNC(vcpu, 1);
	CHECK_EQ(vcpu->run->ready_for_interrupt_injection, 0);
	vcpu->run->request_interrupt_window = 1;
	EXPECT_SYNC(vcpu, 2);
	EXPECT_EXIT(vcpu, KVM_EXIT_IRQ_WINDOW_OPEN);
	vcpu->run->request_interrupt_window = 0;
	CHECK_OK(interrupt(vcpu, EXTINT_VECTOR));
	EXPECT_DONE(vcpu);
}

static void waiting_guest(uint64_t arg)
{
	(void)arg;
	guest_handlers[EXTINT_VECTOR] = guest_ignore;
	apic_enable();
	apic_write(APIC_LVT0, APIC_LVT_MASKED | APIC_DELIVERY_EXTINT);
	guest_sync(1, 0);
	take_interrupts();
	G_CHECK_EQ(guest_cpu()->taken[EXTINT_VECTOR], 0);
	apic_write(APIC_LVT0, APIC_DELIVERY_EXTINT);
	guest_wait(EXTINT_VECTOR, 1);
}

/*
 * One that came in spite of it waits until LINT0 is unmasked. Until then it is not on its way:
 * who reads the vCPU's state and writes it back changes nothing.
 */
TEST(extint_waits)
{
	struct vcpu *vcpu = start(waiting_guest, PINS);
	struct kvm_vcpu_events events;
	struct kvm_sregs sregs;

	EXPECT_SYNC(vcpu, 1);
	CHECK_OK(interrupt(vcpu, EXTINT_VECTOR));
	CHECK_OK(sys_ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, &events));
	CHECK_EQ(events.interrupt.injected, 0);
	CHECK_OK(sys_ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &events));
	vcpu_get_sregs(vcpu, &sregs);
	CHECK_EQ(sregs.interrupt_bitmap[EXTINT_VECTOR / 64], 0);
	CHECK_OK(vcpu_set_sregs(vcpu, &sregs));
	EXPECT_DONE(vcpu);
}
