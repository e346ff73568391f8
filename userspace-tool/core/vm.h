/* SPDX-License-Identifier: GPL-2.0-only */
/* One virtual machine: its file descriptors, memory, buses and vCPUs. */
#ifndef VITRO_VM_H
#define VITRO_VM_H

#include <linux/kvm.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/bus.h"
#include "core/guest-mem.h"
#include "core/irq.h"

struct vcpu;

/* How a run ended. The values are the exit statuses that vitro.1 promises. */
enum vm_end {
	VM_RUNNING	= -1,
	VM_POWER_OFF	= 0,
	VM_HOST_ERROR	= 1,
	VM_USAGE	= 2,
	VM_REBOOT	= 3,
	VM_PANIC	= 4,
	VM_TRIPLE_FAULT	= 5,
	VM_VCPU_ERROR	= 6,
	VM_TIMEOUT	= 7,
	VM_USER_QUIT	= 8,
	VM_SIGNAL	= 128,		/* plus the signal's number */
};

struct vm {
	const char *dev_path;
	int dev_fd;
	int vm_fd;
	int stop_fd;			/* eventfd, readable once the run has ended */
	atomic_int end;			/* enum vm_end */
	size_t run_size;		/* bytes of a vCPU's shared mapping */
	struct guest_mem mem;
	struct bus pio;
	struct bus mmio;
	struct irq_router irq;
	unsigned int nr_vcpus;
	struct vcpu *vcpus;
};

/**
 * vm_create() - make a VM with memory, interrupt controllers and buses
 * @vm: filled in
 * @dev_path: /dev/vitro or another device that speaks the KVM API
 * @mem_size: bytes of RAM, a multiple of the page size
 *
 * Reports what fails. On failure nothing is left behind.
 *
 * Return: 0 or a negative errno.
 */
int vm_create(struct vm *vm, const char *dev_path, uint64_t mem_size);

/**
 * vm_destroy() - free what vm_create() made
 * @vm: a VM without vCPUs
 */
void vm_destroy(struct vm *vm);

/**
 * vm_cap() - what the hypervisor says about a capability
 * @vm: the VM
 * @cap: KVM_CAP_*
 *
 * Return: the capability's value, 0 when it is missing.
 */
int vm_cap(const struct vm *vm, int cap);

/**
 * vm_stop() - end the run
 * @vm: the VM
 * @end: why; the first caller's reason stays
 *
 * Any thread may call it, and it never blocks.
 *
 * Return: true if @end is now the reason.
 */
bool vm_stop(struct vm *vm, enum vm_end end);

static inline bool vm_stopping(struct vm *vm)
{
	return atomic_load_explicit(&vm->end, memory_order_relaxed) != VM_RUNNING;
}

#endif
