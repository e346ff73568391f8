// SPDX-License-Identifier: GPL-2.0-only
#include "core/ports.h"
#include "core/util.h"
#include "core/vm.h"
#include "devices/devices.h"

#define PVPANIC_PANICKED	BIT(0)
#define PVPANIC_CRASH_LOADED	BIT(1)	/* a crash kernel takes over */

static uint64_t pvpanic_read(void *dev, uint64_t offset, unsigned int len)
{
	return PVPANIC_PANICKED | PVPANIC_CRASH_LOADED;		/* what is supported */
}

static void pvpanic_write(void *dev, uint64_t offset, unsigned int len, uint64_t value)
{
	if (value & PVPANIC_PANICKED)
		vm_stop(dev, VM_PANIC);
}

static const struct bus_ops pvpanic_ops = { .read = pvpanic_read, .write = pvpanic_write };

int pvpanic_init(struct vm *vm)
{
	return bus_add(&vm->pio, PORT_PVPANIC, 1, &pvpanic_ops, vm);
}
