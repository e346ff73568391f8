// SPDX-License-Identifier: GPL-2.0-only
#include "loader/image.h"
#include "core/util.h"
#include "loader/layout.h"

#include <string.h>

#define LOADER_UNDEFINED 0xff	/* type_of_loader: no number was assigned */

int linux_write_params(struct guest_mem *mem, const struct kernel_info *info,
		       const struct load_request *req, uint64_t initrd, uint64_t initrd_size)
{
	struct boot_params *bp = guest_mem_at(mem, BOOT_PARAMS, sizeof(*bp));

	if (!bp)
		return fail(ENOMEM, "guest memory is too small for boot_params; give more with --mem");
	memset(bp, 0, sizeof(*bp));
	bp->hdr = info->header;
	bp->hdr.type_of_loader = LOADER_UNDEFINED;
	bp->hdr.loadflags |= LOADED_HIGH;
	bp->hdr.code32_start = info->start;
	bp->hdr.cmd_line_ptr = BOOT_CMDLINE;
	bp->hdr.ramdisk_image = initrd;
	bp->hdr.ramdisk_size = initrd_size;
	bp->ext_ramdisk_image = initrd >> 32;
	bp->ext_ramdisk_size = initrd_size >> 32;
	bp->acpi_rsdp_addr = req->rsdp;
	bp->e820_entries = e820_build(mem, bp->e820_table);
	return 0;
}
