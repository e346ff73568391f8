/* SPDX-License-Identifier: GPL-2.0-only */
/* What the loader's files share. */
#ifndef VITRO_IMAGE_H
#define VITRO_IMAGE_H

#include <asm/bootparam.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/guest-mem.h"
#include "loader/loader.h"

/* A file that is read piece by piece, straight into guest memory. */
struct image {
	const char *path;
	int fd;
	uint64_t size;
};

/* What a kernel format's loader finds out, for initrd and boot_params. */
struct kernel_info {
	struct setup_header header;	/* for boot_params; made up for an ELF file */
	uint64_t start;			/* first byte that the kernel uses */
	uint64_t end;			/* one past the last */
	uint64_t initrd_max;		/* highest address an initrd may have */
	uint32_t cmdline_max;		/* bytes without the NUL */
};

#define E820_RAM	1
#define E820_RESERVED	2
#define E820_MAX	8

/**
 * image_open() - open a file that is to be loaded
 * @img: filled in
 * @path: its name
 * @what: what it is, for messages: "kernel", "initrd"
 *
 * Return: 0 or a negative errno, which has been reported. An empty file or
 * anything but a regular one is an error.
 */
int image_open(struct image *img, const char *path, const char *what);

/**
 * image_close() - close it
 * @img: the file
 */
void image_close(struct image *img);

/**
 * image_read() - read from the file
 * @img: the file
 * @offset: where in the file
 * @buf: destination
 * @len: bytes
 *
 * Return: 0, or a negative errno which has been reported; the file may be
 * shorter than its headers say.
 */
int image_read(const struct image *img, uint64_t offset, void *buf, uint64_t len);

/**
 * image_load() - read from the file into guest memory
 * @img: the file
 * @offset: where in the file
 * @mem: guest memory
 * @gpa: destination
 * @len: bytes read from the file
 * @room: bytes that must be RAM at @gpa, at least @len; the rest stays zero
 *
 * Return: 0, or a negative errno which has been reported.
 */
int image_load(const struct image *img, uint64_t offset, struct guest_mem *mem,
	       uint64_t gpa, uint64_t len, uint64_t room);

/**
 * e820_build() - describe guest memory as firmware does
 * @mem: guest memory
 * @map: filled in
 *
 * Return: entries used, at most E820_MAX.
 */
unsigned int e820_build(const struct guest_mem *mem, struct boot_e820_entry map[E820_MAX]);

/**
 * bzimage_load() - load a Linux bzImage
 * @img: the file
 * @mem: guest memory
 * @info: filled in
 * @entry: filled in
 *
 * Return: 0, or a negative errno which has been reported.
 */
int bzimage_load(const struct image *img, struct guest_mem *mem,
		 struct kernel_info *info, struct boot_entry *entry);

/**
 * elf_load() - load an ELF64 kernel
 * @img: the file
 * @mem: guest memory
 * @wish: BOOT_AUTO, or the entry that the user insists on
 * @info: filled in
 * @entry: filled in
 *
 * Return: 0, or a negative errno which has been reported.
 */
int elf_load(const struct image *img, struct guest_mem *mem, enum boot_protocol wish,
	     struct kernel_info *info, struct boot_entry *entry);

/**
 * linux_write_params() - write Linux's boot_params
 * @mem: guest memory
 * @info: from the kernel's loader
 * @req: what is loaded
 * @initrd: GPA of the initial RAM disk
 * @initrd_size: its size in bytes, 0 for none
 *
 * Return: 0, or a negative errno which has been reported.
 */
int linux_write_params(struct guest_mem *mem, const struct kernel_info *info,
		       const struct load_request *req, uint64_t initrd, uint64_t initrd_size);

/**
 * pvh_write_info() - write PVH's hvm_start_info
 * @mem: guest memory
 * @req: what is loaded
 * @initrd: GPA of the initial RAM disk
 * @initrd_size: its size in bytes, 0 for none
 *
 * Return: 0, or a negative errno which has been reported.
 */
int pvh_write_info(struct guest_mem *mem, const struct load_request *req,
		   uint64_t initrd, uint64_t initrd_size);

#endif
