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

static int add_virtio(struct board *board, const struct run_options *opts)
{
	int ret = 0;

	for (unsigned int i = 0; i < opts->nr_disks && !ret; i++) {
		board->nr_disks++;
		ret = virtio_blk_init(&board->disk[i], board->vm, &board->pci,
				      opts->disks[i].path, opts->disks[i].read_only, i);
	}
	return ret ? ret : virtio_rng_init(&board->rng, board->vm, &board->pci);
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
	if (!ret)
		ret = pci_bus_init(&board->pci, vm);
	if (ret)
		return fail(-ret, "two devices claim one port: %s", strerror(-ret));
	ret = add_virtio(board, opts);
	return ret ? ret : add_tables(vm, opts->cpus);
}

void board_destroy(struct board *board)
{
	for (unsigned int i = 0; i < board->nr_disks; i++)
		virtio_blk_destroy(&board->disk[i]);
	board->nr_disks = 0;
	virtio_destroy(&board->rng.dev);
}
