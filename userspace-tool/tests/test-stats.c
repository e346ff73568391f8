// SPDX-License-Identifier: GPL-2.0-only
/* Binary statistics: read, summed and printed; and files that are none. */
#include <linux/kvm.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../selftests/lib/ktap.h"
#include "core/stats.h"

#define NAME_SIZE	48
#define MAX_DESC	8

struct file_desc {
	struct kvm_stats_desc d;
	char name[NAME_SIZE];
};

struct stats_file {
	struct kvm_stats_header h;
	char id[NAME_SIZE];
	struct file_desc desc[MAX_DESC];
	uint64_t data[MAX_DESC];
};

static struct stats_file file;
static struct stats_table table;

static void add(const char *name, uint32_t flags, int exponent, uint64_t value)
{
	struct file_desc *desc = &file.desc[file.h.num_desc];

	desc->d.flags = flags;
	desc->d.exponent = exponent;
	desc->d.size = 1;
	desc->d.offset = file.h.num_desc * 8;
	strcpy(desc->name, name);
	file.data[file.h.num_desc++] = value;
}

#define COUNT	(KVM_STATS_TYPE_CUMULATIVE | KVM_STATS_UNIT_NONE | KVM_STATS_BASE_POW10)
#define NS	(KVM_STATS_TYPE_CUMULATIVE | KVM_STATS_UNIT_SECONDS | KVM_STATS_BASE_POW10)
#define INSTANT	(KVM_STATS_TYPE_INSTANT | KVM_STATS_UNIT_NONE)

static void start(void)
{
	memset(&file, 0, sizeof(file));
	file.h.name_size = NAME_SIZE;
	file.h.id_offset = offsetof(struct stats_file, id);
	file.h.desc_offset = offsetof(struct stats_file, desc);
	file.h.data_offset = offsetof(struct stats_file, data);
}

/* Reads the first @len bytes of the file, followed by zeroes up to @size. */
static int load_padded(size_t len, size_t size)
{
	int fd = memfd_create("stats", 0), ret;

	REQUIRE(fd >= 0 && write(fd, &file, len) == (ssize_t)len, "cannot make a file");
	REQUIRE_OK(ftruncate(fd, size));
	ret = stats_add(&table, fd);
	close(fd);
	return ret;
}

static int load(size_t len)
{
	return load_padded(len, len);
}

static const struct stats_row *row(const char *name)
{
	for (unsigned int i = 0; i < table.nr; i++) {
		if (!strcmp(table.row[i].name, name))
			return &table.row[i];
	}
	test_fail(__FILE__, __LINE__, "expected a row %s, found none", name);
	test_abort();
}

static char text[4096];

static void print(const struct stats_table *before)
{
	FILE *f = fmemopen(text, sizeof(text), "w");

	REQUIRE(f, "no memory");
	stats_print(f, &table, before, 500000000);
	fclose(f);
}

static void vitro_file(void)
{
	start();
	add("exits", COUNT, 0, 110);
	add("exits_hlt", COUNT, 0, 10);
	add("time_hlt", NS, -9, 5000);
	add("exits_cpuid", COUNT, 0, 100);
	add("time_cpuid", NS, -9, 70000);
	add("exits_nmi", COUNT, 0, 0);
	add("mapped", INSTANT, 0, 77);
}

TEST(exits_and_times)
{
	vitro_file();
	REQUIRE_OK(load(sizeof(file)));
	REQUIRE_OK(load(sizeof(file)));			/* a second vCPU */
	stats_sort(&table);
	CHECK(!strcmp(table.row[0].name, "cpuid"), "first is %s", table.row[0].name);
	CHECK_EQ(row("cpuid")->count, 200);
	CHECK_EQ(row("cpuid")->time_ns, 140000);
	CHECK_EQ(row("cpuid")->is_exit, true);
	CHECK_EQ(row("hlt")->count, 20);
	CHECK_EQ(row("exits")->is_exit, false);
	for (unsigned int i = 0; i < table.nr; i++)
		CHECK(strcmp(table.row[i].name, "mapped"), "it does not count up");
}

TEST(printed)
{
	vitro_file();
	REQUIRE_OK(load(sizeof(file)));
	stats_sort(&table);
	print(NULL);
	CHECK(strstr(text, "exits by reason"), "got %s", text);
	CHECK(strstr(text, "cpuid                                 100   90.9%"), "got %s", text);
	CHECK(strstr(text, "total                                 110  100.0%"), "got %s", text);
	CHECK(strstr(text, "700 ns"), "got %s", text);
	CHECK(!strstr(text, "nmi"), "zero is shown: %s", text);
	CHECK(strstr(text, "cpuid") < strstr(text, "hlt"), "order: %s", text);
}

TEST(printed_with_rates)
{
	static struct stats_table before;

	vitro_file();
	REQUIRE_OK(load(sizeof(file)));
	before = table;
	file.data[3] += 40;				/* exits_cpuid */
	memset(&table, 0, sizeof(table));
	REQUIRE_OK(load(sizeof(file)));
	stats_sort(&table);
	print(&before);
	CHECK(strstr(text, "per s"), "got %s", text);
	CHECK(strstr(text, "        80\n"), "40 in half a second: %s", text);
}

TEST(nothing_counted)
{
	start();
	add("exits_hlt", COUNT, 0, 0);
	REQUIRE_OK(load(sizeof(file)));
	print(NULL);
	CHECK(!strcmp(text, "nothing has been counted yet\n"), "got %s", text);
}

TEST(other_hypervisors)
{
	start();
	add("io_exits", COUNT, 0, 5);
	add("halt_wait_ns", NS, -9, 1234567);
	add("slow_time", NS, -3, 2);
	REQUIRE_OK(load(sizeof(file)));
	CHECK_EQ(row("io_exits")->count, 5);
	CHECK_EQ(row("halt_wait_ns")->time_ns, 1234567);
	CHECK_EQ(row("slow_time")->time_ns, 2000000);
}

TEST(json)
{
	FILE *f = fmemopen(text, sizeof(text), "w");

	start();
	add("exits_hlt", COUNT, 0, 3);
	add("time_hlt", NS, -9, 9);
	add("io", COUNT, 0, 1);
	REQUIRE_OK(load(sizeof(file)));
	stats_print_json(f, &table);
	fclose(f);
	CHECK(!strcmp(text, "\"exits\": {\"hlt\": {\"count\": 3, \"time_ns\": 9}}, "
		      "\"other\": {\"io\": {\"count\": 1}}"), "got %s", text);
}

TEST(not_statistics)
{
	size_t whole;

	start();
	add("exits_hlt", COUNT, 0, 3);
	whole = file.h.data_offset + 8;
	for (size_t len = 0; len < whole; len++)
		CHECK_ERR(load(len), EPROTO);
	CHECK_RET(load(whole), 0);
	file.h.name_size = 0;
	CHECK_ERR(load(sizeof(file)), EPROTO);
	file.h.name_size = 0xffffffff;
	CHECK_ERR(load(sizeof(file)), EPROTO);
	start();
	file.h.num_desc = 0xffffffff;
	CHECK_ERR(load(sizeof(file)), EPROTO);
	start();
	file.h.num_desc = 1 << 20;			/* too many, though they are there */
	CHECK_ERR(load_padded(sizeof(file), 1 << 28), EPROTO);
	start();
	add("x", COUNT, 0, 1);
	file.h.data_offset = 0xffffffff;
	CHECK_ERR(load(sizeof(file)), EPROTO);
}

TEST(hostile_names)
{
	start();
	add("\033[2Jevil\n", COUNT, 0, 1);
	memset(file.desc[0].name + 20, 'a', NAME_SIZE - 20);	/* no NUL */
	REQUIRE_OK(load(sizeof(file)));
	CHECK(!strcmp(table.row[0].name, "??2Jevil?"), "got %s", table.row[0].name);
	for (unsigned int i = 0; i < 2 * STATS_ROWS_MAX; i++) {
		start();
		add("", COUNT, 0, 1);
		snprintf(file.desc[0].name, NAME_SIZE, "n%u", i);
		REQUIRE_OK(load(sizeof(file)));
	}
	CHECK_EQ(table.nr, STATS_ROWS_MAX);
}
