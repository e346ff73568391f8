// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nested page tables made by hand, for what faults cannot bring about: 1 GiB
 * leaves, and addresses without memory behind them.
 */
#include "fake_backend.h"
#include "tree.h"

/**
 * tree_plant() - put a leaf into the tree
 * @test:  the case
 * @gfn:   guest frame, a multiple of what the leaf covers
 * @level: 1 to 3
 *
 * The leaf is readable, writable, accessed and dirty. Nothing is accessed
 * through it: its frame number is @gfn.
 *
 * Return: the entry.
 */
u64 *tree_plant(struct kunit *test, u64 gfn, int level)
{
	const struct vitro_tdp_format *fmt = &fake_backend.tdp;
	struct vitro_vm *vm = test_vm(test);
	u64 *p, *table;
	int at;

	for (;;) {
		p = tdp_find(vm, gfn, &at);
		KUNIT_ASSERT_EQ(test, *p, 0ULL);
		if (at <= level)
			break;
		table = (u64 *)get_zeroed_page(GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, table);
		atomic_long_inc(&vm->tdp.nr_tables);
		*p = tdp_link(table);
	}
	KUNIT_ASSERT_EQ(test, at, level);
	*p = gfn << PAGE_SHIFT | fmt->leaf | fmt->read | fmt->write | fmt->exec | fmt->user |
	     fmt->accessed | fmt->dirty | (level > 1 ? fmt->large : 0);
	tdp_count(vm, level, 1);
	return p;
}

/**
 * tree_entry() - what the tree says about a frame
 * @test:  the case
 * @gfn:   guest frame
 * @level: receives the level of the entry that decides, or NULL
 *
 * Return: the entry, 0 if nothing is mapped.
 */
u64 tree_entry(struct kunit *test, u64 gfn, int *level)
{
	int at;
	u64 entry = *tdp_find(test_vm(test), gfn, &at);

	if (level)
		*level = at;
	return entry;
}
