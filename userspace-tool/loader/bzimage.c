// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux bzImage, by the boot protocol's 64-bit entry: the protected-mode part
 * is loaded, entered 0x200 bytes after its start in long mode, and finds
 * boot_params through RSI ("The Linux/x86 Boot Protocol", 64-bit Boot
 * Protocol). The real-mode part is read for its header alone.
 */
#include "loader/image.h"
#include "core/util.h"
#include "loader/layout.h"

#include <string.h>

#define SETUP_HEADER	0x1f1		/* offset in the file */
#define SECTOR		512
#define SETUP_SECTS_OLD	4		/* what 0 stands for */
#define PROTOCOL_MIN	0x20c		/* first with xloadflags */
#define ENTRY_64	0x200

static int check_header(const struct image *img, const struct setup_header *h)
{
	if (h->version < PROTOCOL_MIN)
		return fail(EINVAL, "%s speaks boot protocol %u.%02u, too old for the 64-bit entry; 2.12 (Linux 3.8) is the first that will do",
			    img->path, h->version >> 8, h->version & 0xff);
	if (!(h->loadflags & LOADED_HIGH))
		return fail(EINVAL, "%s is a zImage, which loads below 1 MiB; use a bzImage", img->path);
	if (!(h->xloadflags & XLF_KERNEL_64))
		return fail(EINVAL, "%s has no 64-bit entry: it is a 32-bit kernel; use an x86-64 one", img->path);
	return 0;
}

int bzimage_load(const struct image *img, struct guest_mem *mem,
		 struct kernel_info *info, struct boot_entry *entry)
{
	struct setup_header *h = &info->header;
	uint64_t offset, size, start;
	unsigned int header_len;
	int ret;

	memset(info, 0, sizeof(*info));
	ret = image_read(img, SETUP_HEADER, h, sizeof(*h));
	if (!ret)
		ret = check_header(img, h);
	if (ret)
		return ret;

	/* The header's end is told by the jump over it; nothing after counts. */
	header_len = 0x202 - SETUP_HEADER + (h->jump >> 8);
	if (header_len < sizeof(*h))
		memset((char *)h + header_len, 0, sizeof(*h) - header_len);

	offset = ((h->setup_sects ? h->setup_sects : SETUP_SECTS_OLD) + 1) * SECTOR;
	/* syssize is in paragraphs; a signature may follow in the file. */
	size = (uint64_t)h->syssize * 16;
	if (!size || offset >= img->size)
		return fail(EINVAL, "%s is truncated: it has no kernel after its setup code", img->path);
	start = h->pref_address;
	if (start < BOOT_HIGH || start % 4096)
		return fail(EINVAL, "%s is damaged: it wants to be loaded at %#llx",
			    img->path, (unsigned long long)start);
	info->start = start;
	info->end = start + (h->init_size > size ? h->init_size : size);
	/* The last paragraph may be partly missing: syssize is rounded up. */
	if (size > img->size - offset && size - (img->size - offset) < 16)
		size = img->size - offset;
	ret = image_load(img, offset, mem, start, size, info->end - start);
	if (ret)
		return ret;

	info->initrd_max = h->initrd_addr_max;
	info->cmdline_max = h->cmdline_size;
	entry->protocol = BOOT_LINUX64;
	entry->rip = start + ENTRY_64;
	entry->info = BOOT_PARAMS;
	return 0;
}
