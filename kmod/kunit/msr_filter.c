// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an MSR filter lets pass.
 */
#include <linux/kvm.h>

#include "../msr_filter.h"
#include "fixture.h"

#define R	KVM_MSR_FILTER_READ
#define W	KVM_MSR_FILTER_WRITE
#define LAST	0xfffffff0

static unsigned long none, all = ~0UL, second = BIT(1);

/* Of a few ranges, overlapping ones among them, and one at the end of all numbers. */
static const struct vitro_msr_filter filter = {
	.nr = 5,
	.ranges = {
		{ 0x100, 64, R, &second },
		{ 0x100, 1, W, &none },
		{ 0x101, 2, R | W, &none },
		{ LAST, 16, W, &none },
		{ 0x7f0, 0x40, R | W, &none },
	},
};

static const struct access_case {
	const char *name;
	u32 msr;
	u32 access;
	bool allowed;		/* by default, if not otherwise */
	bool decided;		/* ... or whatever the default */
} accesses[] = {
	{ "bit clear", 0x100, R, false, true },
	{ "bit set", 0x101, R, true, true },
	{ "the first range decides", 0x102, R, false, true },
	{ "last of a range", 0x13f, R, false, true },
	{ "behind a range", 0x140, R, true, false },
	{ "before a range", 0xff, R, true, false },
	{ "another kind of access", 0x100, W, false, true },
	{ "a later range for this kind", 0x101, W, false, true },
	{ "no range for this kind", 0x103, W, true, false },
	{ "the last MSR of all", U32_MAX, W, false, true },
	{ "behind it comes none", 0, W, true, false },
	{ "in front of the x2APIC", 0x7ff, R, false, true },
	{ "the x2APIC is not filtered", 0x800, R, true, true },
	{ "nor its end", 0x8ff, W, true, true },
};


TEST_PARAMS(accesses);

static void access(struct kunit *test)
{
	const struct access_case *c = test->param_value;
	struct vitro_msr_filter deny = filter;

	deny.deny = true;
	KUNIT_EXPECT_EQ(test, vitro_msr_allowed(&filter, c->msr, c->access), c->allowed);
	KUNIT_EXPECT_EQ(test, vitro_msr_allowed(&deny, c->msr, c->access),
			c->decided ? c->allowed : false);
}

static void large_bitmap(struct kunit *test)
{
	unsigned long words[4] = { 0, all, 0, BIT(63) };
	const struct vitro_msr_filter wide = {
		.nr = 1, .ranges = { { 0xc0000000, 256, R, words } },
	};

	KUNIT_EXPECT_FALSE(test, vitro_msr_allowed(&wide, 0xc000003f, R));
	KUNIT_EXPECT_TRUE(test, vitro_msr_allowed(&wide, 0xc0000040, R));
	KUNIT_EXPECT_FALSE(test, vitro_msr_allowed(&wide, 0xc0000080, R));
	KUNIT_EXPECT_TRUE(test, vitro_msr_allowed(&wide, 0xc00000ff, R));
}

static struct kunit_case msr_filter_cases[] = {
	KUNIT_CASE_PARAM(access, accesses_gen_params),
	KUNIT_CASE(large_bitmap),
	{}
};

TEST_BARE_SUITE(msr_filter, NULL);
