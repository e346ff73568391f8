/* SPDX-License-Identifier: GPL-2.0-only */
/* Where things lie in the guest's low memory before its kernel runs. */
#ifndef VITRO_LAYOUT_H
#define VITRO_LAYOUT_H

#define BOOT_GDT	0x1000ULL	/* one page each */
#define BOOT_PML4	0x2000ULL
#define BOOT_PDPT	0x3000ULL
#define BOOT_PD		0x4000ULL	/* four pages: 4 GiB in 2 MiB leaves */
#define BOOT_PARAMS	0x8000ULL	/* Linux's zero page */
#define BOOT_PVH_INFO	0x9000ULL	/* hvm_start_info and what it points to */
#define BOOT_CMDLINE	0x20000ULL
#define BOOT_CMDLINE_MAX 0x10000ULL
#define BOOT_EBDA	0x9fc00ULL	/* end of conventional memory */
#define BOOT_ACPI	0xe0000ULL	/* in the BIOS area, where RSDP is looked for */
#define BOOT_ACPI_SIZE	0x20000ULL
#define BOOT_HIGH	0x100000ULL	/* kernels go above 1 MiB */

/* Selectors that the Linux/x86 boot protocol prescribes. */
#define BOOT_CS		0x10
#define BOOT_DS		0x18
#define BOOT_TSS	0x20

#endif
