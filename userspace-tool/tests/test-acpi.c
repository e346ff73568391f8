// SPDX-License-Identifier: GPL-2.0-only
/* ACPI tables: found as an operating system finds them, and consistent. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../selftests/lib/ktap.h"
#include "core/ports.h"
#include "devices/acpi.h"
#include "devices/aml.h"

#define GPA	0xe0000u
#define AREA	0x20000

static uint8_t area[AREA];
static int used;

static uint64_t get(uint64_t gpa, unsigned int len)
{
	uint64_t value = 0;

	REQUIRE(gpa >= GPA && gpa + len <= GPA + (unsigned int)used, "%#llx is outside the tables",
		(unsigned long long)gpa);
	memcpy(&value, area + (gpa - GPA), len);
	return value;
}

static uint8_t sum(uint64_t gpa, uint64_t len)
{
	uint8_t total = 0;

	for (uint64_t i = 0; i < len; i++)
		total += get(gpa + i, 1);
	return total;
}

static bool is(uint64_t gpa, const char *signature)
{
	return !memcmp(area + (gpa - GPA), signature, strlen(signature));
}

static void build(unsigned int cpus)
{
	memset(area, 0, sizeof(area));
	used = acpi_build(area, sizeof(area), GPA, cpus);
	REQUIRE(used > 0, "acpi_build() returned %d", used);
}

/* The GPA of a table by way of RSDP and XSDT; its checksum is checked. */
static uint64_t find(const char *signature)
{
	uint64_t xsdt = get(GPA + 24, 8), table;

	for (uint64_t at = xsdt + 36; at < xsdt + get(xsdt + 4, 4); at += 8) {
		table = get(at, 8);
		CHECK_EQ(sum(table, get(table + 4, 4)), 0);
		if (is(table, signature))
			return table;
	}
	test_fail(__FILE__, __LINE__, "expected a %s, found none", signature);
	test_abort();
}

TEST(root)
{
	uint64_t xsdt;

	build(2);
	CHECK(is(GPA, "RSD PTR "), "no signature");
	CHECK_EQ(sum(GPA, 20), 0);
	CHECK_EQ(sum(GPA, 36), 0);
	CHECK_EQ(get(GPA + 15, 1), 2);
	xsdt = get(GPA + 24, 8);
	CHECK(is(xsdt, "XSDT"), "no signature");
	CHECK_EQ(sum(xsdt, get(xsdt + 4, 4)), 0);
}

TEST(fadt)
{
	uint64_t fadt, dsdt, facs;

	build(1);
	fadt = find("FACP");
	CHECK_EQ(get(fadt + 4, 4), 276);		/* of revision 6 */
	CHECK_EQ(get(fadt + 46, 2), 9);
	CHECK_EQ(get(fadt + 56, 4), PORT_PM1_EVENT);
	CHECK_EQ(get(fadt + 64, 4), PORT_PM1_CONTROL);
	CHECK_EQ(get(fadt + 76, 4), PORT_PM_TIMER);
	CHECK_EQ(get(fadt + 88, 1), 4);
	CHECK_EQ(get(fadt + 89, 1), 2);
	CHECK_EQ(get(fadt + 91, 1), 4);
	CHECK_EQ(get(fadt + 116, 1), 1);		/* reset register: a port */
	CHECK_EQ(get(fadt + 120, 8), PORT_I8042_CMD);
	CHECK_EQ(get(fadt + 128, 1), I8042_RESET);
	facs = get(fadt + 36, 4);
	CHECK(is(facs, "FACS"), "no signature");
	CHECK_EQ(facs % 64, 0);
	dsdt = get(fadt + 40, 4);
	CHECK(is(dsdt, "DSDT"), "no signature");
	CHECK_EQ(get(fadt + 140, 8), dsdt);
	CHECK_EQ(sum(dsdt, get(dsdt + 4, 4)), 0);
}

/* Counts LAPICs with the ids that are expected, and walks every entry. */
static void check_madt(unsigned int cpus)
{
	unsigned int lapics = 0, ioapics = 0;
	uint64_t madt, end;

	build(cpus);
	madt = find("APIC");
	end = madt + get(madt + 4, 4);
	CHECK_EQ(get(madt + 36, 4), LAPIC_ADDR);
	for (uint64_t at = madt + 44; at < end; at += get(at + 1, 1)) {
		REQUIRE(get(at + 1, 1) >= 6, "an entry of %u bytes", (unsigned int)get(at + 1, 1));
		if (get(at, 1) == 0) {
			CHECK_EQ(get(at + 3, 1), lapics);
			CHECK_EQ(get(at + 4, 4), 1);
			lapics++;
		} else if (get(at, 1) == 1) {
			CHECK_EQ(get(at + 4, 4), IOAPIC_ADDR);
			ioapics++;
		}
	}
	CHECK_EQ(lapics, cpus);
	CHECK_EQ(ioapics, 1);
}

TEST(madt)
{
	check_madt(1);
	check_madt(2);
	check_madt(254);
}

TEST(no_room)
{
	int full;

	build(4);
	full = used;
	for (int size = 0; size < full; size++)
		CHECK_ERR(acpi_build(area, size, GPA, 4), ENOSPC);
	CHECK_RET(acpi_build(area, full, GPA, 4), full);
}

TEST(aml_overflow)
{
	uint8_t buf[64];
	struct aml aml;

	for (size_t size = 0; size < 30; size++) {
		memset(buf, 0xee, sizeof(buf));
		aml_init(&aml, buf, size);
		aml_device_begin(&aml, "TEST");
		aml_resources_begin(&aml);
		aml_io(&aml, 1, 1);
		aml_resources_end(&aml);
		aml_end(&aml);
		CHECK(aml.overflow, "in %zu bytes", size);
		CHECK_EQ(buf[size], 0xee);
	}
}

/* What another implementation makes of the DSDT. */
TEST(dsdt_disassembles)
{
	char dir[] = "/tmp/vitro-acpi.XXXXXX", command[1024];
	uint64_t dsdt;
	FILE *f;
	int ret;

	if (system("command -v iasl >/dev/null") != 0)
		test_skip("iasl (package acpica-tools) is not installed");
	build(2);
	dsdt = get(find("FACP") + 40, 4);
	REQUIRE(mkdtemp(dir), "no temporary directory");
	snprintf(command, sizeof(command), "%s/dsdt.aml", dir);
	f = fopen(command, "w");
	REQUIRE(f, "cannot write %s", command);
	fwrite(area + (dsdt - GPA), 1, get(dsdt + 4, 4), f);
	fclose(f);
	snprintf(command, sizeof(command), "cd %s && %s; ret=$?; [ $ret = 0 ] || sed 's/^/# /' log; "
		 "rm -rf %s; exit $ret", dir,
		 "iasl -d dsdt.aml >log 2>&1 && iasl -tc dsdt.dsl >>log 2>&1 && "
		 "for word in PNP0A03 WordBusNumber DWordMemory DWordIO PNP0501 _S5; do "
		 "grep -q $word dsdt.dsl || { cat dsdt.dsl >>log; echo no $word >>log; exit 1; }; done",
		 dir);
	ret = system(command);
	CHECK_EQ(ret, 0);
}
