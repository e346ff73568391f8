// SPDX-License-Identifier: GPL-2.0-only
#include "loader/image.h"
#include "loader/layout.h"

static unsigned int add(struct boot_e820_entry *map, unsigned int nr,
			uint64_t start, uint64_t end, uint32_t type)
{
	if (start >= end)
		return nr;
	map[nr] = (struct boot_e820_entry){ .addr = start, .size = end - start, .type = type };
	return nr + 1;
}

unsigned int e820_build(const struct guest_mem *mem, struct boot_e820_entry map[E820_MAX])
{
	uint64_t low_end = mem->region[0].size;
	unsigned int nr = 0;

	nr = add(map, nr, 0, BOOT_EBDA, E820_RAM);
	/* The ACPI tables are in the BIOS area, which stays reserved. */
	nr = add(map, nr, BOOT_EBDA, 0xa0000, E820_RESERVED);
	nr = add(map, nr, BOOT_ACPI, BOOT_HIGH, E820_RESERVED);
	nr = add(map, nr, BOOT_HIGH, low_end, E820_RAM);
	if (mem->nr_regions > 1)
		nr = add(map, nr, mem->region[1].gpa,
			 mem->region[1].gpa + mem->region[1].size, E820_RAM);
	return nr;
}
