/* SPDX-License-Identifier: GPL-2.0-only */
/* A VM without a hypervisor: memory and buses for devices under test. */
#ifndef VITRO_FAKE_VM_H
#define VITRO_FAKE_VM_H

#include <string.h>
#include <sys/eventfd.h>

#include "core/vm.h"

static inline int fake_vm_init(struct vm *vm, uint64_t mem_size)
{
	memset(vm, 0, sizeof(*vm));
	vm->dev_path = "none";
	vm->dev_fd = vm->vm_fd = -1;
	vm->end = VM_RUNNING;
	vm->stop_fd = eventfd(0, EFD_NONBLOCK);
	pthread_mutex_init(&vm->irq.lock, NULL);
	bus_init(&vm->pio);
	bus_init(&vm->mmio);
	return guest_mem_init(&vm->mem, mem_size);
}

#endif
