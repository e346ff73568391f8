/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where instructions have exited, to find them again without a walk of the guest's tables.
 */
#ifndef VITRO_INSN_SITE_H
#define VITRO_INSN_SITE_H

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/uaccess.h>

#include "walk.h"

#define VITRO_INSN_SITES	4	/* a power of two */
#define VITRO_SITE_MOV		BIT(30)	/* without bit 31, which each cs_key has */

/**
 * struct vitro_site_path - how the guest's tables lead to an instruction
 * @cr3:	the guest's
 * @generation:	of the memory slots, which user addresses come from
 * @from:	user addresses of the guest's page-table entries, all of them used: a shorter
 *		walk's first is there more than once
 * @value:	what they hold
 *
 * Like struct vitro_walk_entry it is compared with the guest's memory at each use. The
 * control registers are not: vitro_forget_sites() is called when they change.
 */
struct vitro_site_path {
	u64 cr3;
	u64 generation;
	const u64 __user *from[VITRO_WALK_LEVELS];
	u64 value[VITRO_WALK_LEVELS];
};

/**
 * struct vitro_insn_site - an instruction that has exited before, and how long it is
 * @rip:	where
 * @cs_key:	vcpu->exit.cs_key at the exit; 0: unused; for mmio_mov.c, which has no need of
 *		@bytes and @len, VITRO_SITE_MOV and the access that the fetch is
 * @path:	to @bytes
 * @bytes:	the first bytes
 * @len:	length; at most that of @bytes
 * @code:	user address of @bytes
 */
struct vitro_insn_site {
	u64 rip;
	u64 cs_key;
	struct vitro_site_path path;
	u32 bytes;
	u8 len;
	const u32 __user *code;
};

/* Keeps a walk of entries with 8 bytes. */
static inline void vitro_keep_path(struct vitro_site_path *path, const struct vitro_walk_entry *e)
{
	int i;

	path->cr3 = e->cr3;
	path->generation = e->generation;
	for (i = 0; i < VITRO_WALK_LEVELS; i++) {
		path->from[i] = e->from[i < e->nr ? i : 0];
		path->value[i] = e->value[i < e->nr ? i : 0];
	}
}

/*
 * Do the guest's tables still lead there? Straight through, without a loop: this is what every
 * exit costs on a processor without NRIP save. All addresses lie within slots, which were
 * checked to be user memory. Page faults disabled, user access begun.
 */
static __always_inline bool vitro_path_unchanged(const struct vitro_site_path *path)
{
	u64 a, b, c, d;

	BUILD_BUG_ON(VITRO_WALK_LEVELS != 4);
	unsafe_get_user(a, path->from[0], failed);
	unsafe_get_user(b, path->from[1], failed);
	unsafe_get_user(c, path->from[2], failed);
	unsafe_get_user(d, path->from[3], failed);
	return a == path->value[0] && b == path->value[1] && c == path->value[2] &&
	       d == path->value[3];
failed:
	return false;
}

#endif /* VITRO_INSN_SITE_H */
