// SPDX-License-Identifier: GPL-2.0-only
/*
 * ELF64 kernels such as an uncompressed vmlinux. Two ways in: the address in
 * the PVH note, or the ELF header's entry, which on x86-64 Linux is a physical
 * address that follows the 64-bit boot protocol. A note is a promise about
 * what lies there and the bare entry is a guess that the file is Linux, so the
 * note is taken where there is one.
 */
#include "loader/image.h"
#include "core/util.h"
#include "loader/layout.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#define XEN_ELFNOTE_PHYS32_ENTRY 18	/* <xen/interface/elfnote.h>, not exported */
#define NOTES_MAX	(64 * KIB)
#define BOOT_FLAG	0xaa55
#define HDRS_MAGIC	0x53726448	/* "HdrS" */
#define PROTOCOL	0x20f

static int check_header(const struct image *img, const Elf64_Ehdr *eh)
{
	if (eh->e_ident[EI_CLASS] != ELFCLASS64 || eh->e_ident[EI_DATA] != ELFDATA2LSB ||
	    eh->e_machine != EM_X86_64)
		return fail(EINVAL, "%s is an ELF file, but not for x86-64", img->path);
	if (eh->e_type != ET_EXEC && eh->e_type != ET_DYN)
		return fail(EINVAL, "%s is an ELF file of type %u, not an executable; is it a module or object file?",
			    img->path, eh->e_type);
	if (!eh->e_phnum || eh->e_phentsize != sizeof(Elf64_Phdr))
		return fail(EINVAL, "%s is damaged: %u program headers of %u bytes",
			    img->path, eh->e_phnum, eh->e_phentsize);
	return 0;
}

static int load_segment(const struct image *img, struct guest_mem *mem,
			const Elf64_Phdr *ph, struct kernel_info *info)
{
	int ret;

	if (!ph->p_memsz)
		return 0;
	/* Boot tables are in the first MiB and must not be overwritten. */
	if (ph->p_paddr < BOOT_HIGH)
		return fail(EINVAL, "%s wants to be loaded at %#llx, below 1 MiB; kernels must be linked above",
			    img->path, (unsigned long long)ph->p_paddr);
	ret = image_load(img, ph->p_offset, mem, ph->p_paddr, ph->p_filesz, ph->p_memsz);
	if (ret)
		return ret;
	info->start = min_u64(info->start, ph->p_paddr);
	if (ph->p_paddr + ph->p_memsz > info->end)
		info->end = ph->p_paddr + ph->p_memsz;
	return 0;
}

/* Sets *@pvh if the segment has the note. Its contents are not trusted. */
static int scan_notes(const struct image *img, const Elf64_Phdr *ph, uint64_t *pvh)
{
	uint64_t pos = 0, len = ph->p_filesz;
	uint8_t *notes;
	int ret;

	if (len > NOTES_MAX)
		return fail(EINVAL, "%s is damaged: %llu bytes of notes", img->path,
			    (unsigned long long)len);
	notes = calloc(1, len + 1);
	if (!notes)
		return fail(ENOMEM, "no memory for the notes of %s", img->path);
	ret = image_read(img, ph->p_offset, notes, len);
	while (!ret && len - pos >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr nh;
		uint64_t name, desc;

		memcpy(&nh, notes + pos, sizeof(nh));
		name = pos + sizeof(nh);
		desc = name + ALIGN_UP((uint64_t)nh.n_namesz, 4);
		pos = desc + ALIGN_UP((uint64_t)nh.n_descsz, 4);
		if (pos > len)
			break;
		if (nh.n_type == XEN_ELFNOTE_PHYS32_ENTRY && nh.n_namesz == 4 &&
		    !memcmp(notes + name, "Xen", 4) && nh.n_descsz >= 4) {
			*pvh = 0;
			memcpy(pvh, notes + desc, min_u64(nh.n_descsz, 8));
		}
	}
	free(notes);
	return ret;
}

static int choose_entry(const struct image *img, enum boot_protocol wish,
			uint64_t pvh, uint64_t elf, struct boot_entry *entry)
{
	if (wish == BOOT_PVH && !pvh)
		return fail(EINVAL, "%s has no PVH entry (XEN_ELFNOTE_PHYS32_ENTRY note); try --boot linux64",
			    img->path);
	if (pvh && wish != BOOT_LINUX64)
		*entry = (struct boot_entry){ BOOT_PVH, pvh, BOOT_PVH_INFO };
	else
		*entry = (struct boot_entry){ BOOT_LINUX64, elf, BOOT_PARAMS };
	return 0;
}

/* An ELF file has no setup header; Linux wants to see one in boot_params. */
static void make_header(struct kernel_info *info)
{
	info->header.boot_flag = BOOT_FLAG;
	info->header.header = HDRS_MAGIC;
	info->header.version = PROTOCOL;
	info->header.kernel_alignment = 2 * MIB;
	info->initrd_max = 0x7fffffff;
	info->cmdline_max = 2047;
}

int elf_load(const struct image *img, struct guest_mem *mem, enum boot_protocol wish,
	     struct kernel_info *info, struct boot_entry *entry)
{
	Elf64_Ehdr eh;
	uint64_t pvh = 0;
	int ret;

	memset(info, 0, sizeof(*info));
	info->start = ~0ULL;
	ret = image_read(img, 0, &eh, sizeof(eh));
	if (!ret)
		ret = check_header(img, &eh);
	for (unsigned int i = 0; !ret && i < eh.e_phnum; i++) {
		Elf64_Phdr ph;

		ret = image_read(img, eh.e_phoff + (uint64_t)i * sizeof(ph), &ph, sizeof(ph));
		if (!ret && ph.p_type == PT_LOAD)
			ret = load_segment(img, mem, &ph, info);
		else if (!ret && ph.p_type == PT_NOTE)
			ret = scan_notes(img, &ph, &pvh);
	}
	if (ret)
		return ret;
	if (!info->end)
		return fail(EINVAL, "%s is damaged: it has nothing to load", img->path);
	ret = choose_entry(img, wish, pvh, eh.e_entry, entry);
	if (ret)
		return ret;
	if (entry->rip < info->start || entry->rip >= info->end)
		return fail(EINVAL, "%s is no kernel that can be started: its entry %#llx is outside what it loads (%#llx to %#llx)",
			    img->path, (unsigned long long)entry->rip,
			    (unsigned long long)info->start, (unsigned long long)info->end);
	make_header(info);
	return 0;
}
