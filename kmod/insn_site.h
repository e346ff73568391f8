/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where instructions have exited, for processors that do not report their length.
 */
#ifndef VITRO_INSN_SITE_H
#define VITRO_INSN_SITE_H

#include "walk.h"

#define VITRO_INSN_SITES	4	/* a power of two */

/**
 * struct vitro_insn_site - an instruction that has exited before, and how long it is
 * @rip:	where
 * @cs_key:	vcpu->exit.cs_key at the exit; 0: unused
 * @cr3:	the guest's
 * @generation:	of the memory slots, which @from and @code come from
 * @bytes:	the first bytes
 * @len:	length; at most that of @bytes
 * @from:	user addresses of the guest's page-table entries that lead there, all of
 *		them used: a shorter walk's first is there more than once
 * @value:	what they hold
 * @code:	user address of @bytes
 *
 * For processors that do not report the length. Like struct vitro_walk_entry
 * it is compared with the guest's memory at each use. The control registers
 * are not compared: vitro_forget_sites() is called when they change.
 */
struct vitro_insn_site {
	u64 rip;
	u64 cs_key;
	u64 cr3;
	u64 generation;
	u32 bytes;
	u8 len;
	const u64 __user *from[VITRO_WALK_LEVELS];
	u64 value[VITRO_WALK_LEVELS];
	const u32 __user *code;
};

#endif /* VITRO_INSN_SITE_H */
