// SPDX-License-Identifier: GPL-2.0-only
#include "core/ports.h"
#include "core/vm.h"
#include "devices/devices.h"

static uint64_t i8042_read(void *dev, uint64_t offset, unsigned int len)
{
	return 0;	/* status: both buffers are empty; data: none */
}

static void i8042_write_command(void *dev, uint64_t offset, unsigned int len, uint64_t value)
{
	if ((value & 0xff) == I8042_RESET)
		vm_stop(dev, VM_REBOOT);
}

static void i8042_write_data(void *dev, uint64_t offset, unsigned int len, uint64_t value)
{
}

static const struct bus_ops command_ops = { .read = i8042_read, .write = i8042_write_command };
static const struct bus_ops data_ops = { .read = i8042_read, .write = i8042_write_data };

int i8042_init(struct vm *vm)
{
	int ret = bus_add(&vm->pio, PORT_I8042_CMD, 1, &command_ops, vm);

	if (!ret)
		ret = bus_add(&vm->pio, PORT_I8042_DATA, 1, &data_ops, vm);
	return ret;
}
