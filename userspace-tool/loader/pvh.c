// SPDX-License-Identifier: GPL-2.0-only
/*
 * PVH: the kernel starts in 32-bit protected mode without paging and finds
 * hvm_start_info through EBX (Xen, "x86/HVM direct boot ABI"). The structures
 * are laid out as that document says; no kernel header exports them.
 */
#include "loader/image.h"
#include "core/util.h"
#include "loader/layout.h"

#include <string.h>

#define PVH_MAGIC	0x336ec578
#define PVH_VERSION	1		/* the first with a memory map */

struct hvm_start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t nr_modules;
	uint64_t modlist;
	uint64_t cmdline;
	uint64_t rsdp;
	uint64_t memmap;
	uint32_t memmap_entries;
	uint32_t reserved;
};

struct hvm_module {
	uint64_t addr;
	uint64_t size;
	uint64_t cmdline;
	uint64_t reserved;
};

struct hvm_memmap {
	uint64_t addr;
	uint64_t size;
	uint32_t type;			/* numbered as in E820 */
	uint32_t reserved;
};

struct pvh_page {
	struct hvm_start_info info;
	struct hvm_module module;
	struct hvm_memmap memmap[E820_MAX];
};

int pvh_write_info(struct guest_mem *mem, const struct load_request *req,
		   uint64_t initrd, uint64_t initrd_size)
{
	struct pvh_page *page = guest_mem_at(mem, BOOT_PVH_INFO, sizeof(*page));
	struct boot_e820_entry map[E820_MAX];
	unsigned int nr = e820_build(mem, map);

	if (!page)
		return fail(ENOMEM, "guest memory is too small for the start information; give more with --mem");
	memset(page, 0, sizeof(*page));
	page->info = (struct hvm_start_info){
		.magic = PVH_MAGIC,
		.version = PVH_VERSION,
		.cmdline = BOOT_CMDLINE,
		.rsdp = req->rsdp,
		.memmap = BOOT_PVH_INFO + offsetof(struct pvh_page, memmap),
		.memmap_entries = nr,
	};
	if (initrd_size) {
		page->info.nr_modules = 1;
		page->info.modlist = BOOT_PVH_INFO + offsetof(struct pvh_page, module);
		page->module.addr = initrd;
		page->module.size = initrd_size;
	}
	for (unsigned int i = 0; i < nr; i++)
		page->memmap[i] = (struct hvm_memmap){
			.addr = map[i].addr,
			.size = map[i].size,
			.type = map[i].type,
		};
	return 0;
}
