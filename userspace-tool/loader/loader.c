// SPDX-License-Identifier: GPL-2.0-only
#include "loader/loader.h"
#include "core/util.h"
#include "loader/image.h"
#include "loader/layout.h"

#include <elf.h>
#include <string.h>

#define BZIMAGE_MAGIC_OFFSET	0x202
#define PAGE			4096ULL

/* Says what a file that is no kernel looks like, if that is plain. */
static int reject(const struct image *img, const uint8_t *head)
{
	const char *guess = "";

	if (head[0] == 0x1f && head[1] == 0x8b)
		guess = "; it looks gzip-compressed: decompress it first";
	else if (!memcmp(head, "\3757zXZ", 5))
		guess = "; it looks xz-compressed: decompress it first";
	else if (!memcmp(head, "07070", 5))
		guess = "; it is a cpio archive: did you mean --initrd?";
	return fail(ENOEXEC, "%s is neither a bzImage nor an ELF kernel%s", img->path, guess);
}

static int load_kernel(const struct load_request *req, struct guest_mem *mem,
		       struct kernel_info *info, struct boot_entry *entry)
{
	uint8_t head[BZIMAGE_MAGIC_OFFSET + 4] = { 0 };
	struct image img;
	int ret = image_open(&img, req->kernel, "kernel");

	if (ret)
		return ret;
	ret = image_read(&img, 0, head, min_u64(sizeof(head), img.size));
	if (ret)
		goto out;
	if (!memcmp(head, ELFMAG, SELFMAG))
		ret = elf_load(&img, mem, req->protocol, info, entry);
	else if (memcmp(head + BZIMAGE_MAGIC_OFFSET, "HdrS", 4))
		ret = reject(&img, head);
	else if (req->protocol == BOOT_PVH)
		ret = fail(EINVAL, "%s is a bzImage, which has no PVH entry; use its vmlinux or --boot linux64",
			   img.path);
	else
		ret = bzimage_load(&img, mem, info, entry);
out:
	image_close(&img);
	return ret;
}

/* As high as it may be, out of the way of a kernel that unpacks itself. */
static int load_initrd(const struct load_request *req, struct guest_mem *mem,
		       const struct kernel_info *info, uint64_t *gpa, uint64_t *size)
{
	uint64_t top = min_u64(mem->region[0].size, info->initrd_max + 1);
	struct image img;
	int ret;

	*gpa = 0;
	*size = 0;
	if (!req->initrd)
		return 0;
	ret = image_open(&img, req->initrd, "initrd");
	if (ret)
		return ret;
	top = ALIGN_DOWN(top, PAGE);
	if (img.size > top || ALIGN_DOWN(top - img.size, PAGE) < info->end) {
		ret = fail(ENOMEM, "the initrd %s (%llu KiB) does not fit beside the kernel in %llu MiB; give more with --mem",
			   img.path, (unsigned long long)(img.size / KIB),
			   (unsigned long long)(mem->size / MIB));
	} else {
		*gpa = ALIGN_DOWN(top - img.size, PAGE);
		*size = img.size;
		ret = image_load(&img, 0, mem, *gpa, img.size, img.size);
	}
	image_close(&img);
	return ret;
}

static int write_cmdline(const struct load_request *req, struct guest_mem *mem,
			 const struct kernel_info *info)
{
	size_t len = strlen(req->cmdline);
	uint32_t max = min_u64(info->cmdline_max, BOOT_CMDLINE_MAX - 1);
	char *to = guest_mem_at(mem, BOOT_CMDLINE, BOOT_CMDLINE_MAX);

	if (!to)
		return fail(ENOMEM, "guest memory is too small for the command line; give more with --mem");
	if (len > max)
		return fail(E2BIG, "the kernel command line has %zu characters and this kernel takes %u; shorten --append",
			    len, max);
	memcpy(to, req->cmdline, len + 1);
	return 0;
}

int load_guest(const struct load_request *req, struct guest_mem *mem, struct boot_entry *entry)
{
	struct kernel_info info;
	uint64_t initrd, initrd_size;
	int ret;

	ret = load_kernel(req, mem, &info, entry);
	if (!ret)
		ret = write_cmdline(req, mem, &info);
	if (!ret)
		ret = load_initrd(req, mem, &info, &initrd, &initrd_size);
	if (ret)
		return ret;
	if (entry->protocol == BOOT_PVH)
		return pvh_write_info(mem, req, initrd, initrd_size);
	return linux_write_params(mem, &info, req, initrd, initrd_size);
}
