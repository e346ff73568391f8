/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest's own page tables: linear to guest-physical addresses.
 */
#ifndef VITRO_WALK_H
#define VITRO_WALK_H

#include <linux/types.h>

struct kvm_translation;
struct vitro_vcpu;

#define VITRO_WALK_LEVELS	4
#define VITRO_WALK_CACHE	8	/* entries, a power of two */

/**
 * struct vitro_walk_entry - a translation that a vCPU has found before
 * @tag:	linear page, and the access in the low bits; 0: unused
 * @mode:	control bits that it depends on
 * @cr3:	the guest's
 * @generation:	of the memory slots, which @from comes from
 * @gpa:	guest-physical page
 * @nr:		entries of the guest's tables that it depends on
 * @wide:	these have 8 bytes, not 4
 * @from:	their user addresses ...
 * @value:	... and what they hold, accessed and dirty bits set as the access does
 *
 * It is no TLB, which the guest would have to flush: whoever uses it compares
 * the entries with what is in memory now.
 */
struct vitro_walk_entry {
	u64 tag;
	u64 mode;
	u64 cr3;
	u64 generation;
	u64 gpa;
	u8 nr;
	bool wide;
	const void __user *from[VITRO_WALK_LEVELS];
	u64 value[VITRO_WALK_LEVELS];
};

/**
 * struct vitro_walk - result of a guest page-table walk
 * @gpa:	guest-physical address of the byte asked for, if it succeeded
 * @error_code:	#PF error code, if it failed with -EFAULT
 */
struct vitro_walk {
	u64 gpa;
	u32 error_code;
};

int vitro_walk_gva(struct vitro_vcpu *vcpu, u64 gva, u32 access, bool atomic,
		   struct vitro_walk *walk);
int vitro_translate(struct vitro_vcpu *vcpu, struct kvm_translation *translation);
const struct vitro_walk_entry *vitro_walk_kept(struct vitro_vcpu *vcpu, u64 gva, u32 access,
					       u64 gpa);

#endif /* VITRO_WALK_H */
