// SPDX-License-Identifier: GPL-2.0-only
/* Numbers, guest memory, buses, escape sequences and CPUID. */
#include <string.h>
#include <stdlib.h>
#include <linux/kvm.h>

#include "../../selftests/lib/ktap.h"
#include "cmd/vm-process.h"
#include "core/bus.h"
#include "core/guest-mem.h"
#include "core/terminal.h"
#include "core/util.h"
#include "core/vcpu.h"

TEST(sizes)
{
	static const struct {
		const char *text;
		int ret;
		uint64_t value;
	} cases[] = {
		{ "0", 0, 0 }, { "4096", 0, 4096 }, { "1k", 0, 1024 }, { "512M", 0, 512 << 20 },
		{ "3G", 0, 3ULL << 30 }, { "2t", 0, 2ULL << 40 }, { "0x10", 0, 16 },
		{ "16777215T", 0, 16777215ULL << 40 },
		{ "16777216T", -ERANGE, 0 }, { "99999999999999999999", -ERANGE, 0 },
		{ "", -EINVAL, 0 }, { "M", -EINVAL, 0 }, { "-1", -EINVAL, 0 }, { " 1", -EINVAL, 0 },
		{ "1MB", -EINVAL, 0 }, { "1.5G", -EINVAL, 0 }, { "+5", -EINVAL, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t value = 0;
		int ret = parse_size(cases[i].text, &value);

		CHECK(ret == cases[i].ret && value == cases[i].value,
		      "\"%s\": expected %d and %#llx, got %d and %#llx", cases[i].text,
		      cases[i].ret, (unsigned long long)cases[i].value, ret,
		      (unsigned long long)value);
	}
}

TEST(numbers)
{
	unsigned int value = 0;

	CHECK_RET(parse_uint("254", 254, &value), 0);
	CHECK_EQ(value, 254);
	CHECK_ERR(parse_uint("255", 254, &value), ERANGE);
	CHECK_ERR(parse_uint("99999999999999999999", 254, &value), ERANGE);
	CHECK_ERR(parse_uint("", 254, &value), EINVAL);
	CHECK_ERR(parse_uint("-1", 254, &value), EINVAL);
	CHECK_ERR(parse_uint("1x", 254, &value), EINVAL);
	CHECK_EQ(value, 254);
}

TEST(memory_below_the_hole)
{
	struct guest_mem m;

	REQUIRE_OK(guest_mem_init(&m, 1 << 20));
	CHECK_EQ(m.nr_regions, 1);
	CHECK(guest_mem_at(&m, 0, 1 << 20) == m.region[0].hva, "all of it");
	CHECK(guest_mem_at(&m, (1 << 20) - 1, 1) != NULL, "the last byte");
	CHECK(guest_mem_at(&m, (1 << 20) - 1, 2) == NULL, "one byte too many");
	CHECK(guest_mem_at(&m, 1 << 20, 1) == NULL, "the byte after");
	CHECK(guest_mem_at(&m, 16, ~0ULL) == NULL, "a length that wraps");
	CHECK(guest_mem_at(&m, ~0ULL, 2) == NULL, "an address that wraps");
	CHECK(guest_mem_at(&m, ~0ULL - 7, 16) == NULL, "an end that wraps");
	guest_mem_destroy(&m);
}

TEST(memory_around_the_hole)
{
	struct guest_mem m;

	REQUIRE_OK(guest_mem_init(&m, 5ULL << 30));
	CHECK_EQ(m.nr_regions, 2);
	CHECK_EQ(m.region[0].size, RAM_HOLE_START);
	CHECK_EQ(m.region[1].gpa, RAM_HOLE_END);
	CHECK_EQ(m.region[0].size + m.region[1].size, 5ULL << 30);
	CHECK(guest_mem_at(&m, RAM_HOLE_START - 1, 2) == NULL, "into the hole");
	CHECK(guest_mem_at(&m, RAM_HOLE_START, 1) == NULL, "in the hole");
	CHECK(guest_mem_at(&m, RAM_HOLE_END - 1, 2) == NULL, "out of the hole");
	CHECK(guest_mem_at(&m, RAM_HOLE_START - 8, RAM_HOLE_END - RAM_HOLE_START + 16) == NULL,
	      "across the hole");
	CHECK(guest_mem_at(&m, RAM_HOLE_END, 8) == m.region[1].hva, "above it");
	guest_mem_destroy(&m);
}

static uint64_t seen_offset, seen_value;
static unsigned int seen_len, calls;

static uint64_t spy_read(void *dev, uint64_t offset, unsigned int len)
{
	seen_offset = offset;
	seen_len = len;
	calls++;
	return (uintptr_t)dev;
}

static void spy_write(void *dev, uint64_t offset, unsigned int len, uint64_t value)
{
	seen_offset = offset;
	seen_len = len;
	seen_value = value;
	calls++;
}

static const struct bus_ops spy = { spy_read, spy_write };

TEST(bus_dispatch)
{
	static struct bus bus;

	bus_init(&bus);
	REQUIRE_OK(bus_add(&bus, 0x100, 8, &spy, (void *)1));
	REQUIRE_OK(bus_add(&bus, 0x108, 8, &spy, (void *)2));
	CHECK_EQ(bus_read(&bus, 0x107, 1), 1);
	CHECK_EQ(seen_offset, 7);
	CHECK_EQ(bus_read(&bus, 0x108, 4), 2);
	CHECK_EQ(seen_offset, 0);
	CHECK_EQ(seen_len, 4);
	bus_write(&bus, 0x10c, 2, 0x1234);
	CHECK_EQ(seen_value, 0x1234);
	calls = 0;
	CHECK_EQ(bus_read(&bus, 0x106, 4), ~0ULL);	/* crosses the end */
	CHECK_EQ(bus_read(&bus, 0xff, 1), ~0ULL);
	CHECK_EQ(bus_read(&bus, 0x110, 1), ~0ULL);
	bus_write(&bus, 0x110, 1, 0);
	CHECK_EQ(calls, 0);
}

TEST(bus_ranges)
{
	static struct bus bus;
	unsigned int n;

	bus_init(&bus);
	REQUIRE_OK(bus_add(&bus, 0x100, 8, &spy, (void *)1));
	CHECK_ERR(bus_add(&bus, 0x107, 1, &spy, NULL), EEXIST);
	CHECK_ERR(bus_add(&bus, 0xf0, 0x20, &spy, NULL), EEXIST);
	CHECK_ERR(bus_add(&bus, 0x102, 2, &spy, NULL), EEXIST);
	CHECK_ERR(bus_add(&bus, 0x200, 0, &spy, NULL), EINVAL);
	CHECK_ERR(bus_add(&bus, ~0ULL, 2, &spy, NULL), EINVAL);
	CHECK_RET(bus_add(&bus, ~0ULL, 1, &spy, NULL), 0);
	bus_remove(&bus, 0x100, (void *)2);		/* another's: stays */
	CHECK_EQ(bus_read(&bus, 0x100, 1), 1);
	bus_remove(&bus, 0x100, (void *)1);
	CHECK_EQ(bus_read(&bus, 0x100, 1), ~0ULL);
	for (n = 1; bus_add(&bus, 0x1000 * n, 1, &spy, NULL) == 0; n++)
		;
	CHECK_EQ(n, BUS_MAX_RANGES);
	CHECK_ERR(bus_add(&bus, 0, 1, &spy, NULL), ENOSPC);
}

static void check_escape(struct escape *e, const char *in, const char *out,
			 enum escape_action action)
{
	uint8_t buf[64];
	size_t len = strlen(in);

	memcpy(buf, in, len);
	CHECK_EQ(escape_filter(e, buf, &len), action);
	CHECK(len == strlen(out) && !memcmp(buf, out, len), "of \"%s\": expected \"%s\", got \"%.*s\"",
	      in, out, (int)len, buf);
}

TEST(escape_sequences)
{
	struct escape e = { false };

	check_escape(&e, "plain", "plain", ESCAPE_NONE);
	check_escape(&e, "a\001\001b", "a\001b", ESCAPE_NONE);
	check_escape(&e, "a\001ab", "a\001b", ESCAPE_NONE);
	check_escape(&e, "a\001hb", "ab", ESCAPE_HELP);
	check_escape(&e, "a\001", "a", ESCAPE_NONE);	/* split between reads */
	check_escape(&e, "xyz", "", ESCAPE_QUIT);
	check_escape(&e, "xyz", "xyz", ESCAPE_NONE);
}

TEST(fd_names)
{
	CHECK_EQ(vm_fd_kind("anon_inode:kvm-vcpu:0"), VM_FD_VCPU);
	CHECK_EQ(vm_fd_kind("anon_inode:vitro-vcpu:12"), VM_FD_VCPU);
	CHECK_EQ(vm_fd_kind("anon_inode:kvm-vcpu-stats:3"), VM_FD_VCPU_STATS);
	CHECK_EQ(vm_fd_kind("anon_inode:vitro-vcpu-stats:3"), VM_FD_VCPU_STATS);
	CHECK_EQ(vm_fd_kind("anon_inode:kvm-vcpu-stats"), VM_FD_VCPU_STATS);
	CHECK_EQ(vm_fd_kind("anon_inode:vitro-vm"), VM_FD_OTHER);
	CHECK_EQ(vm_fd_kind("anon_inode:vitro-vm-stats:1"), VM_FD_OTHER);
	CHECK_EQ(vm_fd_kind("anon_inode:[eventfd]"), VM_FD_OTHER);
	CHECK_EQ(vm_fd_kind("/tmp/kvm-vcpu:0"), VM_FD_OTHER);
	CHECK_EQ(vm_fd_kind(""), VM_FD_OTHER);
}

#define CPUID_ROOM 16

static struct kvm_cpuid2 *make_cpuid(const struct kvm_cpuid_entry2 *entries, unsigned int nr)
{
	struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + CPUID_ROOM * sizeof(c->entries[0]));

	REQUIRE(c, "no memory");
	memcpy(c->entries, entries, nr * sizeof(entries[0]));
	c->nent = nr;
	return c;
}

static const struct kvm_cpuid_entry2 *entry(const struct kvm_cpuid2 *c, uint32_t leaf,
					    uint32_t index)
{
	for (unsigned int i = 0; i < c->nent; i++) {
		if (c->entries[i].function == leaf && c->entries[i].index == index)
			return &c->entries[i];
	}
	test_fail(__FILE__, __LINE__, "expected CPUID leaf %#x.%u, found none", leaf, index);
	test_abort();
}

TEST(cpuid_topology)
{
	static const struct kvm_cpuid_entry2 host[] = {
		{ .function = 1, .ebx = 0xff080000, .edx = 1 },
		{ .function = 0xb, .index = 0, .eax = 1, .ebx = 2, .edx = 77 },
		{ .function = 0xb, .index = 1, .eax = 9, .ebx = 99, .edx = 77 },
		{ .function = 0x80000001 },
		{ .function = 0x80000008, .eax = 0x3030, .ecx = 0xf0ff },
		{ .function = 0x8000001e, .eax = 7, .ebx = 0x107, .ecx = 3 },
	};
	struct kvm_cpuid2 *c = make_cpuid(host, ARRAY_SIZE(host));

	REQUIRE_OK(cpuid_set_topology(c, CPUID_ROOM, 2, 3));
	CHECK_EQ(entry(c, 1, 0)->ebx, 2 << 24 | 4 << 16);	/* ids for 3 take 2 bits */
	CHECK_EQ(entry(c, 1, 0)->edx, 1 | 1 << 28);
	CHECK_EQ(entry(c, 1, 0)->ecx, 1u << 31);
	CHECK_EQ(entry(c, 0xb, 0)->eax, 0);
	CHECK_EQ(entry(c, 0xb, 0)->ecx, 1 << 8);
	CHECK_EQ(entry(c, 0xb, 1)->eax, 2);
	CHECK_EQ(entry(c, 0xb, 1)->ebx, 3);
	CHECK_EQ(entry(c, 0xb, 1)->ecx, 1 | 2 << 8);
	CHECK_EQ(entry(c, 0xb, 1)->edx, 2);
	CHECK_EQ(entry(c, 0xb, 2)->ecx, 2);
	CHECK_EQ(entry(c, 0x80000001, 0)->ecx, 2);
	CHECK_EQ(entry(c, 0x80000008, 0)->ecx, 2 << 12 | 2);
	CHECK_EQ(entry(c, 0x80000008, 0)->eax, 0x3030);
	CHECK_EQ(entry(c, 0x8000001e, 0)->eax, 2);
	free(c);
}

TEST(cpuid_of_one)
{
	static const struct kvm_cpuid_entry2 host[] = {
		{ .function = 1, .edx = 1 << 28 },
		{ .function = 0x80000001, .ecx = 2 },
	};
	struct kvm_cpuid2 *c = make_cpuid(host, ARRAY_SIZE(host));

	REQUIRE_OK(cpuid_set_topology(c, CPUID_ROOM, 0, 1));
	CHECK_EQ(entry(c, 1, 0)->edx, 0);
	CHECK_EQ(entry(c, 1, 0)->ebx, 1 << 16);
	CHECK_EQ(entry(c, 0x80000001, 0)->ecx, 0);
	CHECK_EQ(c->nent, 2);
	free(c);
}

TEST(cpuid_without_room)
{
	static const struct kvm_cpuid_entry2 host[] = { { .function = 0xb }, { .function = 1 } };
	struct kvm_cpuid2 *c = make_cpuid(host, ARRAY_SIZE(host));

	CHECK_ERR(cpuid_set_topology(c, 3, 0, 2), ENOSPC);
	free(c);
}
