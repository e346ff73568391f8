// SPDX-License-Identifier: GPL-2.0-only
#include "devices/board.h"
#include "core/util.h"
#include "core/vm.h"
#include "devices/acpi.h"
#include "loader/layout.h"

#include <string.h>
#include <unistd.h>

static int add_tables(struct vm *vm, unsigned int nr_cpus)
{
	uint8_t *area = guest_mem_at(&vm->mem, BOOT_ACPI, BOOT_ACPI_SIZE);
	int ret = -ENOMEM;

	if (area)
		ret = acpi_build(area, BOOT_ACPI_SIZE, BOOT_ACPI, nr_cpus);
	if (ret < 0)
		return fail(-ret, "cannot place the ACPI tables: %s", strerror(-ret));
	return 0;
}

int board_init(struct board *board, struct vm *vm, const struct run_options *opts)
{
	int ret;

	memset(board, 0, sizeof(*board));
	board->vm = vm;
	ret = uart_init(&board->uart, vm, STDOUT_FILENO);
	if (!ret)
		ret = rtc_init(&board->rtc, vm);
	if (!ret)
		ret = acpi_pm_init(&board->pm, vm);
	if (!ret)
		ret = i8042_init(vm);
	if (!ret)
		ret = pvpanic_init(vm);
	if (ret)
		return fail(-ret, "two devices claim one port: %s", strerror(-ret));
	return add_tables(vm, opts->cpus);
}

void board_destroy(struct board *board)
{
}
