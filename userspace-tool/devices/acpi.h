/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ACPI tables. They were chosen over MP tables because they also carry what
 * those cannot: how to power off, where the PCI bridge is and how to reset.
 * The hardware described is the fixed kind with PM1 registers. The reduced
 * kind would make Linux leave the PIC, PIT and ISA interrupts alone.
 */
#ifndef VITRO_ACPI_H
#define VITRO_ACPI_H

#include <stddef.h>
#include <stdint.h>

/**
 * acpi_build() - write RSDP, XSDT, FADT, FACS, DSDT and MADT
 * @buf: destination, zeroed
 * @size: its size in bytes
 * @gpa: where @buf is in the guest, below 4 GiB, a multiple of 64
 * @nr_cpus: vCPUs, with APIC ids from 0 on, at most 254
 *
 * The RSDP is at the start.
 *
 * Return: bytes used, or -ENOSPC.
 */
int acpi_build(uint8_t *buf, size_t size, uint64_t gpa, unsigned int nr_cpus);

#endif
