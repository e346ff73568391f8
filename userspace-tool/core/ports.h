/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the devices are: the buses, the ACPI tables and the PCI bridge must
 * agree on these.
 */
#ifndef VITRO_PORTS_H
#define VITRO_PORTS_H

#define PORT_I8042_DATA		0x60
#define PORT_I8042_CMD		0x64
#define PORT_RTC		0x70
#define PORT_COM1		0x3f8
#define PORT_PVPANIC		0x505
#define PORT_PM1_EVENT		0x600	/* status, enable: 2 bytes each */
#define PORT_PM1_CONTROL	0x604
#define PORT_PM_TIMER		0x608
#define PORT_PM_SIZE		0x0c
#define PORT_PCI_ADDRESS	0xcf8
#define PORT_PCI_DATA		0xcfc

/* What the PCI host bridge hands out to BARs. */
#define PCI_PORT_BASE		0xc000
#define PCI_PORT_SIZE		0x1000
#define PCI_MMIO_BASE		0xd0000000U
#define PCI_MMIO_SIZE		0x10000000U

#define IOAPIC_ADDR		0xfec00000U
#define LAPIC_ADDR		0xfee00000U

/* Written to PORT_I8042_CMD it pulses the reset line. */
#define I8042_RESET		0xfe

/* SLP_TYP that the DSDT gives for S5. */
#define ACPI_S5_TYPE		5

#endif
