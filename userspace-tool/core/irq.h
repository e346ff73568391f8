/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interrupts into the guest. The PIC, IOAPIC, PIT and local APICs are in the
 * kernel; here is the routing of global interrupt numbers (GSIs) to their pins
 * and to message-signalled interrupts.
 */
#ifndef VITRO_IRQ_H
#define VITRO_IRQ_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct vm;

#define IRQ_COM1	4
#define IRQ_SCI		9	/* the ACPI interrupt */
#define IRQ_IOAPIC_PINS	24
#define IRQ_MAX_MSI	64
#define IRQ_MAX_ROUTES	(16 + IRQ_IOAPIC_PINS + IRQ_MAX_MSI)

struct irq_router {
	pthread_mutex_t lock;		/* guards the fields below */
	unsigned int nr_fixed;		/* routes of the pins, first in the table */
	unsigned int nr_msi;		/* GSIs given out by irq_alloc_msi() */
	bool msi_used[IRQ_MAX_MSI];
	struct kvm_irq_routing_entry msi[IRQ_MAX_MSI];
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry[IRQ_MAX_ROUTES];
	} table;
};

/**
 * irq_init() - create the interrupt controllers and the PC's fixed routes
 * @vm: the VM, before its first vCPU exists
 *
 * Return: 0 or a negative errno, which has been reported.
 */
int irq_init(struct vm *vm);

/**
 * irq_destroy() - free what irq_init() made
 * @vm: the VM
 */
void irq_destroy(struct vm *vm);

/**
 * irq_set_line() - drive an interrupt pin
 * @vm: the VM
 * @gsi: below IRQ_IOAPIC_PINS
 * @level: whether it is asserted
 */
void irq_set_line(struct vm *vm, unsigned int gsi, bool level);

/**
 * irq_alloc_msi() - get a GSI which can be routed to a message
 * @vm: the VM
 *
 * Return: the GSI, or -ENOSPC.
 */
int irq_alloc_msi(struct vm *vm);

/**
 * irq_route_msi() - say which message a GSI sends
 * @vm: the VM
 * @gsi: from irq_alloc_msi()
 * @address: message address
 * @data: message data
 *
 * Return: 0 or a negative errno.
 */
int irq_route_msi(struct vm *vm, unsigned int gsi, uint64_t address, uint32_t data);

/**
 * irq_send_msi() - send a message at once, without a route
 * @vm: the VM
 * @address: message address
 * @data: message data
 */
void irq_send_msi(struct vm *vm, uint64_t address, uint32_t data);

#endif
