// SPDX-License-Identifier: GPL-2.0-only
#include "core/irq.h"
#include "core/util.h"
#include "core/vm.h"

#include <string.h>
#include <sys/ioctl.h>

static void add_pin(struct irq_router *r, unsigned int gsi, unsigned int chip, unsigned int pin)
{
	r->table.entry[r->nr_fixed++] = (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = { .irqchip = chip, .pin = pin },
	};
}

/*
 * The wiring of a PC: ISA interrupts reach the PICs and the IOAPIC, the timer
 * comes in at pin 2 of the IOAPIC (the MADT says so too), and pin 2 of the
 * first PIC is the second one's cascade.
 */
static void add_fixed_routes(struct irq_router *r)
{
	for (unsigned int gsi = 0; gsi < 16; gsi++) {
		if (gsi == 2)
			continue;
		if (gsi < 8)
			add_pin(r, gsi, KVM_IRQCHIP_PIC_MASTER, gsi);
		else
			add_pin(r, gsi, KVM_IRQCHIP_PIC_SLAVE, gsi - 8);
	}
	for (unsigned int gsi = 0; gsi < IRQ_IOAPIC_PINS; gsi++) {
		if (gsi != 2)
			add_pin(r, gsi, KVM_IRQCHIP_IOAPIC, gsi == 0 ? 2 : gsi);
	}
}

/* Called with r->lock held, or before other threads exist. */
static int install_routes(struct vm *vm)
{
	struct irq_router *r = &vm->irq;
	unsigned int nr = r->nr_fixed;

	for (unsigned int i = 0; i < r->nr_msi; i++) {
		if (r->msi_used[i])
			r->table.entry[nr++] = r->msi[i];
	}
	r->table.head.nr = nr;
	return ioctl(vm->vm_fd, KVM_SET_GSI_ROUTING, &r->table) < 0 ? -errno : 0;
}

int irq_init(struct vm *vm)
{
	struct irq_router *r = &vm->irq;
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	int ret;

	pthread_mutex_init(&r->lock, NULL);
	if (ioctl(vm->vm_fd, KVM_CREATE_IRQCHIP, 0) < 0)
		return fail(errno, "cannot create the interrupt controllers: KVM_CREATE_IRQCHIP: %s",
			    strerror(errno));
	if (ioctl(vm->vm_fd, KVM_CREATE_PIT2, &pit) < 0)
		return fail(errno, "cannot create the interval timer: KVM_CREATE_PIT2: %s",
			    strerror(errno));
	add_fixed_routes(r);
	ret = install_routes(vm);
	if (ret)
		return fail(-ret, "cannot wire the interrupts: KVM_SET_GSI_ROUTING: %s", strerror(-ret));
	return 0;
}

void irq_destroy(struct vm *vm)
{
	pthread_mutex_destroy(&vm->irq.lock);
}

void irq_set_line(struct vm *vm, unsigned int gsi, bool level)
{
	struct kvm_irq_level line = { .irq = gsi, .level = level };

	if (ioctl(vm->vm_fd, KVM_IRQ_LINE, &line) < 0 && vm_stop(vm, VM_HOST_ERROR))
		note("cannot drive interrupt %u: KVM_IRQ_LINE: %s", gsi, strerror(errno));
}

int irq_alloc_msi(struct vm *vm)
{
	struct irq_router *r = &vm->irq;
	int gsi = -ENOSPC;

	pthread_mutex_lock(&r->lock);
	if (r->nr_msi < IRQ_MAX_MSI)
		gsi = IRQ_IOAPIC_PINS + r->nr_msi++;
	pthread_mutex_unlock(&r->lock);
	return gsi;
}

int irq_route_msi(struct vm *vm, unsigned int gsi, uint64_t address, uint32_t data)
{
	struct irq_router *r = &vm->irq;
	unsigned int i = gsi - IRQ_IOAPIC_PINS;
	int ret;

	pthread_mutex_lock(&r->lock);
	r->msi_used[i] = true;
	r->msi[i] = (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi = {
			.address_lo = address,
			.address_hi = address >> 32,
			.data = data,
		},
	};
	ret = install_routes(vm);
	pthread_mutex_unlock(&r->lock);
	return ret;
}

void irq_send_msi(struct vm *vm, uint64_t address, uint32_t data)
{
	struct kvm_msi msi = {
		.address_lo = address,
		.address_hi = address >> 32,
		.data = data,
	};

	if (ioctl(vm->vm_fd, KVM_SIGNAL_MSI, &msi) < 0 && vm_stop(vm, VM_HOST_ERROR))
		note("cannot send an interrupt message: KVM_SIGNAL_MSI: %s", strerror(errno));
}
