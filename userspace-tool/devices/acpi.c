// SPDX-License-Identifier: GPL-2.0-only
#include "devices/acpi.h"
#include "core/irq.h"
#include "core/ports.h"
#include "core/util.h"
#include "devices/aml.h"

#include <string.h>

struct table_header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} __attribute__((packed));

struct rsdp {
	char signature[8];
	uint8_t checksum;	/* of the first 20 bytes */
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} __attribute__((packed));

struct generic_address {
	uint8_t space;
	uint8_t bits;
	uint8_t bit_offset;
	uint8_t access;		/* 1: byte, 2: word, 3: dword */
	uint64_t address;
} __attribute__((packed));

#define SPACE_IO	1

struct fadt {
	struct table_header h;
	uint32_t facs;
	uint32_t dsdt;
	uint8_t reserved0;
	uint8_t pm_profile;
	uint16_t sci;
	uint32_t smi_cmd;
	uint8_t acpi_enable, acpi_disable, s4bios_req, pstate_cnt;
	uint32_t pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt, pm_tmr, gpe0, gpe1;
	uint8_t pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len;
	uint8_t gpe0_len, gpe1_len, gpe1_base, cst_cnt;
	uint16_t c2_latency, c3_latency, flush_size, flush_stride;
	uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
	uint16_t boot_arch;
	uint8_t reserved1;
	uint32_t flags;
	struct generic_address reset_reg;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor_revision;
	uint64_t x_facs, x_dsdt;
	struct generic_address x_pm1a_evt, x_pm1b_evt, x_pm1a_cnt, x_pm1b_cnt;
	struct generic_address x_pm2_cnt, x_pm_tmr, x_gpe0, x_gpe1;
	struct generic_address sleep_control, sleep_status;
	uint64_t hypervisor_id;
} __attribute__((packed));

#define BOOT_LEGACY_DEVICES	BIT(0)	/* and bit 1 clear: no keyboard controller */
#define BOOT_NO_VGA		BIT(2)
#define FADT_WBINVD		BIT(0)
#define FADT_C1			BIT(2)
#define FADT_NO_POWER_BUTTON	BIT(4)
#define FADT_NO_SLEEP_BUTTON	BIT(5)
#define FADT_NO_FIXED_RTC	BIT(6)
#define FADT_TIMER_32BIT	BIT(8)
#define FADT_RESET_REG		BIT(10)
#define FADT_HEADLESS		BIT(12)
#define LATENCY_NEVER		0xffff	/* too slow: the C-state is not there */

struct facs {
	char signature[4];
	uint32_t length;
	uint32_t hardware_signature;
	uint32_t waking_vector;
	uint32_t global_lock;
	uint32_t flags;
	uint64_t x_waking_vector;
	uint8_t version;
	uint8_t reserved[31];
} __attribute__((packed));

struct madt {
	struct table_header h;
	uint32_t lapic_addr;
	uint32_t flags;		/* bit 0: there are PICs as well */
} __attribute__((packed));

struct madt_lapic {
	uint8_t type, length, uid, apic_id;
	uint32_t flags;		/* bit 0: enabled */
} __attribute__((packed));

struct madt_ioapic {
	uint8_t type, length, id, reserved;
	uint32_t addr, gsi_base;
} __attribute__((packed));

struct madt_override {
	uint8_t type, length, bus, irq;
	uint32_t gsi;
	uint16_t flags;
} __attribute__((packed));

struct madt_nmi {
	uint8_t type, length, uid;
	uint16_t flags;
	uint8_t lint;
} __attribute__((packed));

#define OVERRIDE_AS_BUS		0
#define OVERRIDE_HIGH_LEVEL	0xd	/* active high, level-triggered */
#define ALL_PROCESSORS		0xff

/* The tables, one after the other in the buffer. */
struct builder {
	uint8_t *buf;
	size_t size;
	size_t used;
	uint64_t gpa;
	bool overflow;
};

static uint8_t checksum(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint8_t sum = 0;

	while (len--)
		sum += *p++;
	return -sum;
}

/* Appends a table; with @header its checksum is made. Returns its GPA. */
static uint64_t append(struct builder *b, void *table, size_t len, bool header)
{
	size_t at = ALIGN_UP(b->used, 64);	/* what the FACS asks for */

	if (at > b->size || len > b->size - at) {
		b->overflow = true;
		return 0;
	}
	if (header) {
		struct table_header *h = table;

		h->length = len;
		h->checksum = 0;
		h->checksum = checksum(table, len);
	}
	memcpy(b->buf + at, table, len);
	b->used = at + len;
	return b->gpa + at;
}

static struct table_header table_header(const char *signature, uint8_t revision)
{
	struct table_header h = {
		.revision = revision,
		.oem_id = "VITRO ",
		.oem_table_id = "VITRO   ",
		.oem_revision = 1,
		.creator_id = "VTRO",
		.creator_revision = 1,
	};

	memcpy(h.signature, signature, 4);
	return h;
}

static void isa_device(struct aml *aml, const char *name, const char *id)
{
	aml_device_begin(aml, name);
	aml_name_eisaid(aml, "_HID", id);
}

static void dsdt_devices(struct aml *aml)
{
	static const uint8_t s5[] = { ACPI_S5_TYPE, 0, 0, 0 };

	aml_scope_begin(aml, "\\_SB_");

	aml_device_begin(aml, "PCI0");
	aml_name_eisaid(aml, "_HID", "PNP0A03");
	aml_name_int(aml, "_UID", 0);
	aml_resources_begin(aml);
	aml_window(aml, AML_SPACE_BUS, 0, 1);
	aml_io(aml, PORT_PCI_ADDRESS, 8);
	aml_window(aml, AML_SPACE_IO, PCI_PORT_BASE, PCI_PORT_SIZE);
	aml_window(aml, AML_SPACE_MEMORY, PCI_MMIO_BASE, PCI_MMIO_SIZE);
	aml_resources_end(aml);
	aml_end(aml);

	isa_device(aml, "COM1", "PNP0501");
	aml_name_int(aml, "_UID", 1);
	aml_resources_begin(aml);
	aml_io(aml, PORT_COM1, 8);
	aml_irq(aml, IRQ_COM1);
	aml_resources_end(aml);
	aml_end(aml);

	isa_device(aml, "RTC0", "PNP0B00");
	aml_resources_begin(aml);
	aml_io(aml, PORT_RTC, 2);
	aml_resources_end(aml);
	aml_end(aml);

	/* The id that Linux's pvpanic driver knows. */
	aml_device_begin(aml, "PEVT");
	aml_name_string(aml, "_HID", "QEMU0001");
	aml_name_int(aml, "_STA", 0xf);
	aml_resources_begin(aml);
	aml_io(aml, PORT_PVPANIC, 1);
	aml_resources_end(aml);
	aml_end(aml);

	aml_end(aml);
	aml_name_package(aml, "\\_S5_", s5, sizeof(s5));
}

static uint64_t append_dsdt(struct builder *b)
{
	struct table_header h = table_header("DSDT", 2);
	uint8_t buf[1024];
	struct aml aml;

	aml_init(&aml, buf, sizeof(buf));
	aml_bytes(&aml, &h, sizeof(h));
	dsdt_devices(&aml);
	if (aml.overflow)
		b->overflow = true;
	return append(b, buf, aml.len, true);
}

static struct generic_address io_register(uint16_t port, unsigned int bytes)
{
	return (struct generic_address){
		.space = SPACE_IO,
		.bits = bytes * 8,
		.access = bytes == 4 ? 3 : bytes,
		.address = port,
	};
}

static uint64_t append_fadt(struct builder *b, uint64_t facs, uint64_t dsdt)
{
	struct fadt f = {
		.h = table_header("FACP", 6),
		.facs = facs,
		.dsdt = dsdt,
		.x_dsdt = dsdt,
		.sci = IRQ_SCI,
		.pm1a_evt = PORT_PM1_EVENT,
		.pm1_evt_len = 4,
		.x_pm1a_evt = io_register(PORT_PM1_EVENT, 4),
		.pm1a_cnt = PORT_PM1_CONTROL,
		.pm1_cnt_len = 2,
		.x_pm1a_cnt = io_register(PORT_PM1_CONTROL, 2),
		.pm_tmr = PORT_PM_TIMER,
		.pm_tmr_len = 4,
		.x_pm_tmr = io_register(PORT_PM_TIMER, 4),
		.c2_latency = LATENCY_NEVER,
		.c3_latency = LATENCY_NEVER,
		.century = 0x32,
		.boot_arch = BOOT_LEGACY_DEVICES | BOOT_NO_VGA,
		.flags = FADT_WBINVD | FADT_C1 | FADT_NO_POWER_BUTTON | FADT_NO_SLEEP_BUTTON |
			 FADT_NO_FIXED_RTC | FADT_TIMER_32BIT | FADT_RESET_REG | FADT_HEADLESS,
		.reset_reg = io_register(PORT_I8042_CMD, 1),
		.reset_value = I8042_RESET,
		.hypervisor_id = 0x6f72746976,		/* "vitro" */
	};

	return append(b, &f, sizeof(f), true);
}

static uint64_t append_madt(struct builder *b, unsigned int nr_cpus)
{
	struct table_header h = table_header("APIC", 4);
	uint8_t buf[4096];
	struct aml out;		/* no AML, but the same bounded appending */

	aml_init(&out, buf, sizeof(buf));
	aml_bytes(&out, &(struct madt){ .h = h, .lapic_addr = LAPIC_ADDR, .flags = 1 },
		  sizeof(struct madt));
	for (unsigned int i = 0; i < nr_cpus; i++)
		aml_bytes(&out, &(struct madt_lapic){ 0, sizeof(struct madt_lapic), i, i, 1 },
			  sizeof(struct madt_lapic));
	aml_bytes(&out, &(struct madt_ioapic){ 1, sizeof(struct madt_ioapic), 0, 0,
					       IOAPIC_ADDR, 0 }, sizeof(struct madt_ioapic));
	/* The timer is at pin 2; the SCI is a level, unlike other ISA interrupts. */
	aml_bytes(&out, &(struct madt_override){ 2, sizeof(struct madt_override), 0, 0, 2,
						 OVERRIDE_AS_BUS }, sizeof(struct madt_override));
	aml_bytes(&out, &(struct madt_override){ 2, sizeof(struct madt_override), 0, IRQ_SCI,
						 IRQ_SCI, OVERRIDE_HIGH_LEVEL },
		  sizeof(struct madt_override));
	aml_bytes(&out, &(struct madt_nmi){ 4, sizeof(struct madt_nmi), ALL_PROCESSORS, 0, 1 },
		  sizeof(struct madt_nmi));
	if (out.overflow)
		b->overflow = true;
	return append(b, buf, out.len, true);
}

static void write_rsdp(struct builder *b, uint64_t xsdt)
{
	struct rsdp r = {
		.oem_id = "VITRO ",
		.revision = 2,
		.length = sizeof(r),
		.xsdt = xsdt,
	};

	memcpy(r.signature, "RSD PTR ", 8);
	r.checksum = checksum(&r, 20);
	r.extended_checksum = checksum(&r, sizeof(r));
	memcpy(b->buf, &r, sizeof(r));
}

int acpi_build(uint8_t *buf, size_t size, uint64_t gpa, unsigned int nr_cpus)
{
	struct builder b = { .buf = buf, .size = size, .used = sizeof(struct rsdp), .gpa = gpa };
	struct facs facs = { .length = sizeof(facs), .version = 2 };
	struct {
		struct table_header h;
		uint64_t entry[2];
	} __attribute__((packed)) xsdt = { .h = table_header("XSDT", 1) };

	if (size < sizeof(struct rsdp))
		return -ENOSPC;
	memcpy(facs.signature, "FACS", 4);
	xsdt.entry[0] = append_fadt(&b, append(&b, &facs, sizeof(facs), false), append_dsdt(&b));
	xsdt.entry[1] = append_madt(&b, nr_cpus);
	write_rsdp(&b, append(&b, &xsdt, sizeof(xsdt), true));
	return b.overflow ? -ENOSPC : (int)b.used;
}
