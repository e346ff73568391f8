// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nested page tables as a whole: zapping, watching, ageing, on trees
 * made by hand in both formats.
 */
#include "fake_backend.h"
#include "tree.h"

#define GFN_2M		512ULL
#define GFN_1G		(512 * GFN_2M)
#define GFN_512G	(512 * GFN_1G)

static const struct format_case {
	const char *name;
	const struct vitro_backend *backend;
	bool log;
} formats[] = {
	{ "EPT", &vitro_vmx_backend },
	{ "EPT, page-modification logging", &vitro_vmx_backend, true },
	{ "NPT", &vitro_svm_backend },
};
TEST_PARAMS(formats);

static const struct vitro_tdp_format *choose_format(struct kunit *test)
{
	const struct format_case *p = test->param_value;

	fake_backend.tdp = p->backend->tdp;
	vitro_caps.tdp_log = p->log;
	return &fake_backend.tdp;
}

/* What a page loses when it is watched: a processor that logs lets it be written to. */
static u64 watched(struct kunit *test)
{
	const struct format_case *p = test->param_value;
	const struct vitro_tdp_format *fmt = &fake_backend.tdp;

	return p->log ? fmt->dirty : fmt->write | fmt->dirty;
}

/* Each format has what the code relies on. */
static void format(struct kunit *test)
{
	const struct vitro_tdp_format *fmt = choose_format(test);

	KUNIT_EXPECT_NE(test, fmt->present, 0ULL);
	KUNIT_EXPECT_NE(test, fmt->read, 0ULL);
	KUNIT_EXPECT_NE(test, fmt->write, 0ULL);
	KUNIT_EXPECT_NE(test, fmt->exec | fmt->no_exec, 0ULL);
	KUNIT_EXPECT_EQ(test, fmt->large, BIT_ULL(7));
	KUNIT_EXPECT_EQ(test, fmt->present & fmt->large, 0ULL);
	KUNIT_EXPECT_EQ(test, fmt->leaf & fmt->large, 0ULL);
	KUNIT_EXPECT_EQ(test, (fmt->present | fmt->leaf | fmt->read | fmt->write | fmt->exec |
			       fmt->no_exec | fmt->accessed | fmt->dirty | fmt->user) &
			      (TDP_ADDRESS | TDP_HOST_WRITABLE), 0ULL);
	/* An empty tree says nothing about any address. */
	KUNIT_EXPECT_EQ(test, tree_entry(test, 0, NULL), 0ULL);
	KUNIT_EXPECT_EQ(test, tree_entry(test, TDP_MAX_GFN - 1, NULL), 0ULL);
}

static void indices(struct kunit *test)
{
	u64 gfn = 3 * GFN_512G + 5 * GFN_1G + 7 * GFN_2M + 9;

	KUNIT_EXPECT_EQ(test, tdp_index(gfn, 4), 3U);
	KUNIT_EXPECT_EQ(test, tdp_index(gfn, 3), 5U);
	KUNIT_EXPECT_EQ(test, tdp_index(gfn, 2), 7U);
	KUNIT_EXPECT_EQ(test, tdp_index(gfn, 1), 9U);
	KUNIT_EXPECT_EQ(test, tdp_pages(1), 1ULL);
	KUNIT_EXPECT_EQ(test, tdp_pages(2), GFN_2M);
	KUNIT_EXPECT_EQ(test, tdp_pages(3), GFN_1G);
	KUNIT_EXPECT_EQ(test, tdp_index(TDP_MAX_GFN - 1, 4), 511U);
}

/* Leaves that each zap finds. */
static const struct {
	u64 gfn;
	int level;
} planted[] = {
	{ 0, 1 }, { 1, 1 }, { 511, 1 },			/* a table of its own */
	{ GFN_2M, 2 },
	{ 2 * GFN_2M, 1 },
	{ GFN_1G, 3 },
	{ 2 * GFN_1G, 2 }, { 2 * GFN_1G + GFN_2M, 2 },
	{ GFN_512G - 1, 1 },
	{ TDP_MAX_GFN - 1, 1 },
};

#define LEFT(a, b, c, d, e, f, g, h, i, j) \
	((a) | (b) << 1 | (c) << 2 | (d) << 3 | (e) << 4 | (f) << 5 | (g) << 6 | (h) << 7 | \
	 (i) << 8 | (j) << 9)

/*
 * Tables: the root; for the first 512 GiB a level 3, level 2 of its GiBs 0, 2 and 511, level 1
 * of frames 0, 1024 and the last; three for the last frame of all.
 */
#define NR_TABLES	11

static const struct zap_case {
	const char *name;
	u64 start, end;
	u32 left;		/* bits of planted[] */
	int tables;
} zaps[] = {
	{ "nothing", 5, 5, LEFT(1, 1, 1, 1, 1, 1, 1, 1, 1, 1), NR_TABLES },
	{ "a hole", 2, 511, LEFT(1, 1, 1, 1, 1, 1, 1, 1, 1, 1), NR_TABLES },
	{ "first page", 0, 1, LEFT(0, 1, 1, 1, 1, 1, 1, 1, 1, 1), NR_TABLES },
	{ "second page", 1, 2, LEFT(1, 0, 1, 1, 1, 1, 1, 1, 1, 1), NR_TABLES },
	{ "a table of pages", 0, GFN_2M, LEFT(0, 0, 0, 1, 1, 1, 1, 1, 1, 1), NR_TABLES - 1 },
	{ "a table but for its last", 0, GFN_2M - 1, LEFT(0, 0, 1, 1, 1, 1, 1, 1, 1, 1),
	  NR_TABLES },
	{ "one frame of a large page", GFN_2M + 100, GFN_2M + 101,
	  LEFT(1, 1, 1, 0, 1, 1, 1, 1, 1, 1), NR_TABLES },
	{ "the end of a large page", 2 * GFN_2M - 1, 2 * GFN_2M,
	  LEFT(1, 1, 1, 0, 1, 1, 1, 1, 1, 1), NR_TABLES },
	{ "right after a large page", 2 * GFN_2M, 2 * GFN_2M + 1,
	  LEFT(1, 1, 1, 1, 0, 1, 1, 1, 1, 1), NR_TABLES },
	{ "a frame of a huge page", GFN_1G + 12345, GFN_1G + 12346,
	  LEFT(1, 1, 1, 1, 1, 0, 1, 1, 1, 1), NR_TABLES },
	{ "a GiB with tables", 0, GFN_1G, LEFT(0, 0, 0, 0, 0, 1, 1, 1, 1, 1), NR_TABLES - 3 },
	{ "over two large pages", 2 * GFN_1G + 1, 2 * GFN_1G + GFN_2M + 1,
	  LEFT(1, 1, 1, 1, 1, 1, 0, 0, 1, 1), NR_TABLES },
	{ "over a GiB boundary", GFN_1G - 1, GFN_1G + 1, LEFT(1, 1, 1, 1, 1, 0, 1, 1, 1, 1),
	  NR_TABLES },
	{ "the first 512 GiB", 0, GFN_512G, LEFT(0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
	  NR_TABLES - 7 },
	{ "all but the last frame", 0, TDP_MAX_GFN - 1, LEFT(0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
	  NR_TABLES - 7 },
	{ "the last frame", TDP_MAX_GFN - 1, TDP_MAX_GFN, LEFT(1, 1, 1, 1, 1, 1, 1, 1, 1, 0),
	  NR_TABLES },
	{ "all", 0, TDP_MAX_GFN, 0, 1 },
	{ "more than all", 0, U64_MAX, 0, 1 },
	{ "beyond all", TDP_MAX_GFN, U64_MAX, LEFT(1, 1, 1, 1, 1, 1, 1, 1, 1, 1), NR_TABLES },
};
TEST_PARAMS(zaps);

static void plant_all(struct kunit *test)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(planted); i++)
		tree_plant(test, planted[i].gfn, planted[i].level);
	KUNIT_ASSERT_EQ(test, atomic_long_read(&test_vm(test)->tdp.nr_tables), (long)NR_TABLES);
}

static void zap(struct kunit *test)
{
	const struct zap_case *p = test->param_value;
	struct vitro_vm *vm = test_vm(test);
	u64 flushes = vm->stats.remote_tlb_flushes, zaps_before, leaves = 0;
	u32 left = 0;
	int i, level;

	plant_all(test);
	zaps_before = vm->stats.tdp_zaps;
	vitro_tdp_zap_gfns(vm, p->start, p->end);
	for (i = 0; i < ARRAY_SIZE(planted); i++) {
		if (!tree_entry(test, planted[i].gfn, &level))
			continue;
		KUNIT_EXPECT_EQ(test, level, planted[i].level);
		left |= BIT(i);
		leaves++;
	}
	KUNIT_EXPECT_EQ(test, left, p->left);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&vm->tdp.nr_tables), (long)p->tables);
	KUNIT_EXPECT_EQ(test, vm->stats.tdp_zaps - zaps_before, ARRAY_SIZE(planted) - leaves);
	KUNIT_EXPECT_EQ(test, vm->stats.tdp_pages_4k + vm->stats.tdp_pages_2m +
			      vm->stats.tdp_pages_1g, leaves);
	/* Processors are told if, and only if, something was there. */
	KUNIT_EXPECT_EQ(test, vm->stats.remote_tlb_flushes - flushes,
			(u64)(leaves < ARRAY_SIZE(planted)));
}

/* A host with five levels of page tables wants them of NPT, too. */
static void fifth_level(struct kunit *test)
{
	struct vitro_vm *vm = test_vm(test);
	bool five = fake_backend.tdp.host_levels && pgtable_l5_enabled();

	KUNIT_EXPECT_EQ(test, !!vm->tdp.top, five);
	KUNIT_EXPECT_EQ(test, vm->tdp.root_hpa,
			__sme_set(__pa(five ? vm->tdp.top : vm->tdp.root)));
}

static void watch_slot(struct kunit *test)
{
	const struct vitro_tdp_format *fmt = choose_format(test);
	struct vitro_memslot slot = { .base_gfn = 0, .npages = 4 * GFN_2M };
	struct vitro_vm *vm = test_vm(test);
	u64 before, *page;

	page = tree_plant(test, 3, 1);
	before = *page;
	tree_plant(test, GFN_2M, 2);
	tree_plant(test, 4 * GFN_2M, 2);
	vitro_tdp_watch_slot(vm, &slot);
	/* Pages become clean, large ones go, what is beyond stays. */
	KUNIT_EXPECT_EQ(test, *page, before & ~watched(test));
	KUNIT_EXPECT_EQ(test, tree_entry(test, GFN_2M, NULL), 0ULL);
	KUNIT_EXPECT_EQ(test, tree_entry(test, 4 * GFN_2M, NULL) & (fmt->write | fmt->dirty),
			fmt->write | fmt->dirty);
	KUNIT_EXPECT_EQ(test, vm->stats.remote_tlb_flushes, 1ULL);
	KUNIT_EXPECT_EQ(test, vm->stats.tdp_pages_2m, 1ULL);
	/* Nothing more to do: nobody is disturbed. */
	vitro_tdp_watch_slot(vm, &slot);
	KUNIT_EXPECT_EQ(test, vm->stats.remote_tlb_flushes, 1ULL);
}

static void watch_mask(struct kunit *test)
{
	const struct vitro_tdp_format *fmt = choose_format(test);
	const u64 bits = fmt->write | fmt->dirty;
	struct vitro_vm *vm = test_vm(test);
	const u64 base = 128;
	int i;

	for (i = 0; i < 64; i++)
		if (i != 10)
			tree_plant(test, base + i, 1);
	write_lock(&vm->mmu_lock);
	KUNIT_EXPECT_FALSE(test, vitro_tdp_watch_mask(vm, base, 0));
	KUNIT_EXPECT_FALSE(test, vitro_tdp_watch_mask(vm, base, BIT(10)));
	KUNIT_EXPECT_TRUE(test, vitro_tdp_watch_mask(vm, base, BIT(0) | BIT(10) | BIT(63)));
	KUNIT_EXPECT_FALSE(test, vitro_tdp_watch_mask(vm, base, BIT(0) | BIT(63)));
	write_unlock(&vm->mmu_lock);
	for (i = 0; i < 64; i++)
		KUNIT_EXPECT_EQ(test, tree_entry(test, base + i, NULL) & bits,
				i == 10 ? 0 : i && i != 63 ? bits : bits & ~watched(test));
}

static void ageing(struct kunit *test)
{
	const struct vitro_tdp_format *fmt = choose_format(test);
	struct vitro_vm *vm = test_vm(test);
	u64 *page = tree_plant(test, 7, 1), *large = tree_plant(test, GFN_2M, 2);

	KUNIT_EXPECT_FALSE(test, tdp_age(vm, 8, GFN_2M, false));
	KUNIT_EXPECT_TRUE(test, tdp_age(vm, 0, 8, false));
	KUNIT_EXPECT_TRUE(test, tdp_age(vm, 0, 8, false));
	if (!fmt->accessed)
		return;
	/* A new period begins: used once, then not until the processor says so again. */
	KUNIT_EXPECT_TRUE(test, tdp_age(vm, 0, U64_MAX, true));
	KUNIT_EXPECT_FALSE(test, tdp_age(vm, 0, U64_MAX, true));
	KUNIT_EXPECT_EQ(test, *page & fmt->accessed, 0ULL);
	KUNIT_EXPECT_EQ(test, *large & fmt->accessed, 0ULL);
	KUNIT_EXPECT_NE(test, *large & fmt->dirty, 0ULL);
	*large |= fmt->accessed;
	KUNIT_EXPECT_TRUE(test, tdp_age(vm, GFN_2M + 17, GFN_2M + 18, true));
	KUNIT_EXPECT_FALSE(test, tdp_age(vm, GFN_2M + 18, GFN_2M + 19, true));
}

static struct kunit_case tdp_cases[] = {
	KUNIT_CASE_PARAM(format, formats_gen_params),
	KUNIT_CASE(indices),
	KUNIT_CASE_PARAM(zap, zaps_gen_params),
	KUNIT_CASE(fifth_level),
	KUNIT_CASE_PARAM(watch_slot, formats_gen_params),
	KUNIT_CASE_PARAM(watch_mask, formats_gen_params),
	KUNIT_CASE_PARAM(ageing, formats_gen_params),
	{}
};

TEST_SUITE(tdp, test_init_vcpu);
