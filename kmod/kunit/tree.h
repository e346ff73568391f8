/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Nested page tables made by hand.
 */
#ifndef VITRO_KUNIT_TREE_H
#define VITRO_KUNIT_TREE_H

#include "../tdp_internal.h"
#include "fixture.h"

u64 *tree_plant(struct kunit *test, u64 gfn, int level);
u64 tree_entry(struct kunit *test, u64 gfn, int *level);

#endif /* VITRO_KUNIT_TREE_H */
