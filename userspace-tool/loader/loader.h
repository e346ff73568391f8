/* SPDX-License-Identifier: GPL-2.0-only */
/* Puts a kernel into guest memory and says how to start it. */
#ifndef VITRO_LOADER_H
#define VITRO_LOADER_H

#include <stdint.h>

#include "core/guest-mem.h"

/* How the kernel is entered. */
enum boot_protocol {
	BOOT_AUTO,	/* PVH when the image has its note, else Linux 64-bit */
	BOOT_LINUX64,	/* Linux/x86 boot protocol, 64-bit entry */
	BOOT_PVH,	/* Xen's PVH protocol, 32-bit entry */
};

struct boot_entry {
	enum boot_protocol protocol;	/* BOOT_LINUX64 or BOOT_PVH */
	uint64_t rip;
	uint64_t info;			/* GPA of boot_params or hvm_start_info */
};

struct load_request {
	const char *kernel;
	const char *initrd;		/* NULL: none */
	const char *cmdline;
	enum boot_protocol protocol;
	uint64_t rsdp;			/* GPA of the ACPI tables' root */
};

/**
 * load_guest() - load kernel, initial RAM disk and command line
 * @req: what to load
 * @mem: guest memory
 * @entry: filled in
 *
 * Files are not trusted: whatever they say is checked against their size and
 * the guest's memory.
 *
 * Return: 0 or a negative errno, which has been reported.
 */
int load_guest(const struct load_request *req, struct guest_mem *mem, struct boot_entry *entry);

#endif
