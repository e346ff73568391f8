// SPDX-License-Identifier: GPL-2.0-only
/*
 * The walk of the guest's page tables (SDM, Paging; Access Rights;
 * Page-Fault Exceptions).
 */
#include <asm/processor-flags.h>
#include <asm/trap_pf.h>

#include "../walk.h"
#include "fake_backend.h"
#include "fixture.h"

#define P	BIT_ULL(0)
#define W	BIT_ULL(1)
#define U	BIT_ULL(2)
#define A	BIT_ULL(5)
#define D	BIT_ULL(6)
#define PS	BIT_ULL(7)
#define NX	BIT_ULL(63)

/* Tables in guest memory, one page each; index 1 of each is used. */
#define ROOT	0x1000ULL
#define LEVEL_3	0x2000ULL
#define LEVEL_2	0x3000ULL
#define LEVEL_1	0x4000ULL
#define PAGE	0x5000ULL

#define GVA_64	(BIT_ULL(39) | BIT_ULL(30) | BIT_ULL(21) | BIT_ULL(12))
#define GVA_PAE	(BIT_ULL(30) | BIT_ULL(21) | BIT_ULL(12))
#define GVA_32	(BIT_ULL(22) | BIT_ULL(12))

#define R	VITRO_ACC_READ
#define WR	VITRO_ACC_WRITE
#define X	VITRO_ACC_EXEC
#define USER	VITRO_ACC_USER

enum paging { OFF, LONG, PAE, LEGACY };

static void set_up(struct kunit *test, enum paging paging)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);

	test_memory(test);
	vcpu->maxphyaddr = 40;
	vcpu->guest_features = 0;
	vcpu->cr0 = X86_CR0_PE | (paging == OFF ? 0 : X86_CR0_PG | X86_CR0_WP);
	vcpu->cr3 = ROOT;
	vcpu->cr4 = paging == LEGACY ? X86_CR4_PSE : X86_CR4_PAE;
	vcpu->efer = EFER_NX | (paging == LONG ? EFER_LME | EFER_LMA : 0);
}

static int walk(struct kunit *test, u64 gva, u32 access, struct vitro_walk *result)
{
	struct vitro_vm *vm = test_vm(test);
	int idx = srcu_read_lock(&vm->srcu);
	int r;

	memset(result, 0, sizeof(*result));
	r = vitro_walk_gva(test_vcpu(test), gva, access, false, result);
	srcu_read_unlock(&vm->srcu, idx);
	return r;
}

static const struct walk_case {
	const char *name;
	u64 entry[4];		/* flags from the root down */
	u32 access;
	u64 cr0_off, cr4_on, efer_off, rflags;
	int result;
	u32 error_code;
	u64 gpa;
} walks[] = {
	{ "read", { P, P, P, P }, R, .gpa = PAGE },
	{ "write", { P | W, P | W, P | W, P | W }, WR, .gpa = PAGE },
	{ "fetch", { P, P, P, P }, X, .gpa = PAGE },
	{ "user read", { P | U, P | U, P | U, P | U }, R | USER, .gpa = PAGE },
	{ "not present at level 4", { 0, P, P, P }, R, .result = -EFAULT, .error_code = 0 },
	{ "not present at level 1", { P, P, P, 0 }, R, .result = -EFAULT, .error_code = 0 },
	{ "write, not present", { P, P, P, 0 }, WR, .result = -EFAULT, .error_code = 2 },
	{ "user write, not present", { P, P, P, 0 }, WR | USER, .result = -EFAULT,
	  .error_code = 6 },
	{ "fetch, not present", { P, P, P, 0 }, X, .result = -EFAULT, .error_code = 0x10 },
	{ "user access to a supervisor page", { P | U, P | U, P | U, P }, R | USER,
	  .result = -EFAULT, .error_code = 5 },
	{ "user access, supervisor at level 3", { P | U, P, P | U, P | U }, R | USER,
	  .result = -EFAULT, .error_code = 5 },
	{ "user write to a read-only page", { P | U | W, P | U | W, P | U | W, P | U },
	  WR | USER, .result = -EFAULT, .error_code = 7 },
	{ "write, read-only at level 4", { P, P | W, P | W, P | W }, WR, .result = -EFAULT,
	  .error_code = 3 },
	{ "supervisor write, CR0.WP clear", { P, P, P, P }, WR, .cr0_off = X86_CR0_WP,
	  .gpa = PAGE },
	{ "user write, CR0.WP clear", { P | U, P | U, P | U, P | U }, WR | USER,
	  .cr0_off = X86_CR0_WP, .result = -EFAULT, .error_code = 7 },
	{ "fetch from NX", { P, P, P, P | NX }, X, .result = -EFAULT, .error_code = 0x11 },
	{ "fetch, NX at level 3", { P, P | NX, P, P }, X, .result = -EFAULT, .error_code = 0x11 },
	{ "read from NX", { P, P, P, P | NX }, R, .gpa = PAGE },
	{ "NX without EFER.NXE is reserved", { P, P, P, P | NX }, R, .efer_off = EFER_NX,
	  .result = -EFAULT, .error_code = 9 },
	{ "reserved address bit", { P, P, P, P | BIT_ULL(40) }, R, .result = -EFAULT,
	  .error_code = 9 },
	{ "reserved address bit at level 4", { P | BIT_ULL(51), P, P, P }, WR, .result = -EFAULT,
	  .error_code = 0xb },
	{ "ignored bits", { P | BIT_ULL(52), P | BIT_ULL(62), P, P | BIT_ULL(58) }, R,
	  .gpa = PAGE },
	{ "PS at level 4 is reserved", { P | PS, P, P, P }, R, .result = -EFAULT, .error_code = 9 },
	{ "PS at level 3 without GiB pages is reserved", { P, P | PS, P, P }, R,
	  .result = -EFAULT, .error_code = 9 },
	{ "SMEP: supervisor fetch from a user page", { P | U, P | U, P | U, P | U }, X,
	  .cr4_on = X86_CR4_SMEP, .result = -EFAULT, .error_code = 0x11 },
	{ "SMEP: from a supervisor page", { P | U, P | U, P | U, P }, X, .cr4_on = X86_CR4_SMEP,
	  .gpa = PAGE },
	{ "SMAP: supervisor read of a user page", { P | U, P | U, P | U, P | U }, R,
	  .cr4_on = X86_CR4_SMAP, .result = -EFAULT, .error_code = 1 },
	{ "SMAP with RFLAGS.AC", { P | U, P | U, P | U, P | U }, R, .cr4_on = X86_CR4_SMAP,
	  .rflags = X86_EFLAGS_AC, .gpa = PAGE },
	{ "SMAP: user read", { P | U, P | U, P | U, P | U }, R | USER, .cr4_on = X86_CR4_SMAP,
	  .gpa = PAGE },
};
TEST_PARAMS(walks);

static void four_levels(struct kunit *test)
{
	static const u64 tables[] = { ROOT, LEVEL_3, LEVEL_2, LEVEL_1, PAGE };
	const struct walk_case *p = test->param_value;
	struct vitro_vcpu *vcpu = test_vcpu(test);
	struct vitro_walk result;
	int i;

	set_up(test, LONG);
	for (i = 0; i < 4; i++)
		test_write_u64(test, tables[i] + 8, tables[i + 1] | p->entry[i]);
	vcpu->cr0 &= ~p->cr0_off;
	vcpu->cr4 |= p->cr4_on;
	vcpu->efer &= ~p->efer_off;
	vcpu->rflags = X86_EFLAGS_FIXED | p->rflags;
	to_fake(vcpu)->level = p->access & USER ? 3 : 0;
	KUNIT_EXPECT_EQ(test, walk(test, GVA_64 + 0x123, p->access, &result), p->result);
	if (p->result) {
		KUNIT_EXPECT_EQ(test, result.error_code, p->error_code);
		/* A fault leaves the tables alone. */
		KUNIT_EXPECT_EQ(test, test_read_u64(test, LEVEL_1 + 8) & (A | D), 0ULL);
		return;
	}
	KUNIT_EXPECT_EQ(test, result.gpa, p->gpa + 0x123);
	/* Accessed all the way, dirty in the last entry only, and only for a write. */
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, test_read_u64(test, tables[i] + 8),
				tables[i + 1] | p->entry[i] | A |
				(i == 3 && p->access & WR ? D : 0));
	/* Once more, by what has been kept. */
	KUNIT_EXPECT_EQ(test, walk(test, GVA_64 + 0xfff, p->access, &result), 0);
	KUNIT_EXPECT_EQ(test, result.gpa, p->gpa + 0xfff);
}

static void large_pages(struct kunit *test)
{
	struct vitro_walk result;

	set_up(test, LONG);
	test_write_u64(test, ROOT + 8, LEVEL_3 | P);
	test_write_u64(test, LEVEL_3 + 8, LEVEL_2 | P);
	test_write_u64(test, LEVEL_2 + 8, 0x40000000 | P | PS);
	KUNIT_EXPECT_EQ(test, walk(test, GVA_64 + 0x345, R, &result), 0);
	KUNIT_EXPECT_EQ(test, result.gpa, 0x40000000ULL + 0x1000 + 0x345);
	/* Bits 20 to 13 of a large page are reserved, bit 12 is PAT. */
	test_write_u64(test, LEVEL_2 + 8, 0x40001000 | P | PS);
	KUNIT_EXPECT_EQ(test, walk(test, GVA_64, R, &result), 0);
	KUNIT_EXPECT_EQ(test, result.gpa, 0x40000000ULL + 0x1000);
	test_write_u64(test, LEVEL_2 + 8, 0x40002000 | P | PS);
	KUNIT_EXPECT_EQ(test, walk(test, GVA_64, R, &result), -EFAULT);
	KUNIT_EXPECT_EQ(test, result.error_code, 9U);
	test_vcpu(test)->guest_features = VITRO_GF_GBPAGES;
	test_write_u64(test, LEVEL_3 + 8, 0x80000000 | P | PS);
	KUNIT_EXPECT_EQ(test, walk(test, GVA_64 + 0x345, R, &result), 0);
	KUNIT_EXPECT_EQ(test, result.gpa, 0x80000000ULL + BIT(21) + 0x1000 + 0x345);
}

static void pae(struct kunit *test)
{
	struct vitro_walk result;

	set_up(test, PAE);
	/* Pointers have no rights and no accessed bit; CR3 is aligned to 32 bytes. */
	test_vcpu(test)->cr3 = ROOT + 0x20;
	test_write_u64(test, ROOT + 0x28, LEVEL_2 | P);
	test_write_u64(test, LEVEL_2 + 8, LEVEL_1 | P | W);
	test_write_u64(test, LEVEL_1 + 8, PAGE | P | W);
	KUNIT_EXPECT_EQ(test, walk(test, GVA_PAE + 9, WR, &result), 0);
	KUNIT_EXPECT_EQ(test, result.gpa, PAGE + 9);
	KUNIT_EXPECT_EQ(test, test_read_u64(test, ROOT + 0x28), LEVEL_2 | P);
	KUNIT_EXPECT_EQ(test, test_read_u64(test, LEVEL_2 + 8), LEVEL_1 | P | W | A);
	/* The upper half of the address does not count. */
	KUNIT_EXPECT_EQ(test, walk(test, GVA_PAE | BIT_ULL(40), R, &result), 0);
	KUNIT_EXPECT_EQ(test, result.gpa, PAGE);
	/* Bit 62 is reserved here; in 4-level paging it is ignored. */
	test_write_u64(test, LEVEL_1 + 8, PAGE | P | BIT_ULL(62));
	KUNIT_EXPECT_EQ(test, walk(test, GVA_PAE, R, &result), -EFAULT);
	KUNIT_EXPECT_EQ(test, result.error_code, 9U);
	test_write_u64(test, ROOT + 0x28, LEVEL_2 | P | W);
	KUNIT_EXPECT_EQ(test, walk(test, GVA_PAE, R, &result), -EFAULT);
	KUNIT_EXPECT_EQ(test, result.error_code, 9U);
}

static void write_u32(struct kunit *test, u64 gpa, u32 value)
{
	test_write(test, gpa, &value, sizeof(value));
}

static void legacy(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);
	struct vitro_walk result;

	set_up(test, LEGACY);
	write_u32(test, ROOT + 4, LEVEL_1 | P | W | U);
	write_u32(test, LEVEL_1 + 4, PAGE | P | W | U);
	KUNIT_EXPECT_EQ(test, walk(test, GVA_32 + 7, WR | USER, &result), 0);
	KUNIT_EXPECT_EQ(test, result.gpa, PAGE + 7);
	/* 4 MiB pages; PSE-36 has address bits from 32 in bits 13 and up. */
	write_u32(test, ROOT + 4, 0x00800000 | P | PS);
	KUNIT_EXPECT_EQ(test, walk(test, GVA_32 + 7, R, &result), 0);
	KUNIT_EXPECT_EQ(test, result.gpa, 0x00801007ULL);
	write_u32(test, ROOT + 4, 0x00800000 | BIT(13) | P | PS);
	KUNIT_EXPECT_EQ(test, walk(test, GVA_32 + 7, R, &result), 0);
	KUNIT_EXPECT_EQ(test, result.gpa, 0x100801007ULL);
	write_u32(test, ROOT + 4, 0x00800000 | BIT(21) | P | PS);
	KUNIT_EXPECT_EQ(test, walk(test, GVA_32 + 7, R, &result), -EFAULT);
	KUNIT_EXPECT_EQ(test, result.error_code, 9U);
	/* Without CR4.PSE the bit means nothing. */
	vcpu->cr4 = 0;
	write_u32(test, ROOT + 4, LEVEL_1 | P | PS);
	KUNIT_EXPECT_EQ(test, walk(test, GVA_32, R, &result), 0);
	KUNIT_EXPECT_EQ(test, result.gpa, PAGE);
	/* A fetch is not told apart without NX and SMEP. */
	write_u32(test, LEVEL_1 + 4, 0);
	KUNIT_EXPECT_EQ(test, walk(test, GVA_32, X, &result), -EFAULT);
	KUNIT_EXPECT_EQ(test, result.error_code, 0U);
}

static void paging_off(struct kunit *test)
{
	struct vitro_walk result;

	set_up(test, OFF);
	KUNIT_EXPECT_EQ(test, walk(test, 0x123456789, WR, &result), 0);
	KUNIT_EXPECT_EQ(test, result.gpa, 0x23456789ULL);
}

static void tables_outside_memory(struct kunit *test)
{
	struct vitro_walk result;

	set_up(test, LONG);
	test_write_u64(test, ROOT + 8, 0x100000 | P);
	KUNIT_EXPECT_EQ(test, walk(test, GVA_64, R, &result), -ENXIO);
	test_vcpu(test)->cr3 = 0x100000;
	KUNIT_EXPECT_EQ(test, walk(test, GVA_64, R, &result), -ENXIO);
}

/* What has been kept must not outlive what it was made from. */
static void stale_results(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);
	struct vitro_walk result;

	set_up(test, LONG);
	test_write_u64(test, ROOT + 8, LEVEL_3 | P | W | U);
	test_write_u64(test, LEVEL_3 + 8, LEVEL_2 | P | W | U);
	test_write_u64(test, LEVEL_2 + 8, LEVEL_1 | P | W | U);
	test_write_u64(test, LEVEL_1 + 8, PAGE | P | W | U);
	KUNIT_EXPECT_EQ(test, walk(test, GVA_64, R, &result), 0);
	/* The guest changes an entry, without telling anybody. */
	test_write_u64(test, LEVEL_1 + 8, (PAGE + 0x1000) | P | W);
	KUNIT_EXPECT_EQ(test, walk(test, GVA_64, R, &result), 0);
	KUNIT_EXPECT_EQ(test, result.gpa, PAGE + 0x1000);
	/* Another kind of access has rights of its own. */
	KUNIT_EXPECT_EQ(test, walk(test, GVA_64, R | USER, &result), -EFAULT);
	KUNIT_EXPECT_EQ(test, walk(test, GVA_64, WR, &result), 0);
	KUNIT_EXPECT_NE(test, test_read_u64(test, LEVEL_1 + 8) & D, 0ULL);
	/* Another mode. */
	test_write_u64(test, LEVEL_1 + 8, PAGE | P | W | U);
	KUNIT_EXPECT_EQ(test, walk(test, GVA_64, R, &result), 0);
	vcpu->cr4 |= X86_CR4_SMAP;
	KUNIT_EXPECT_EQ(test, walk(test, GVA_64, R, &result), -EFAULT);
	vcpu->cr4 &= ~(u64)X86_CR4_SMAP;
	/* Another root, which leads nowhere. */
	vcpu->cr3 = PAGE + 0x2000;
	KUNIT_EXPECT_EQ(test, walk(test, GVA_64, R, &result), -EFAULT);
	vcpu->cr3 = ROOT;
	/* The memory itself goes. */
	KUNIT_EXPECT_EQ(test, walk(test, GVA_64, R, &result), 0);
	KUNIT_EXPECT_EQ(test, test_slot(test, 0, 0, 0, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, walk(test, GVA_64, R, &result), -ENXIO);
}

static struct kunit_case walk_cases[] = {
	KUNIT_CASE_PARAM(four_levels, walks_gen_params),
	KUNIT_CASE(large_pages),
	KUNIT_CASE(pae),
	KUNIT_CASE(legacy),
	KUNIT_CASE(paging_off),
	KUNIT_CASE(tables_outside_memory),
	KUNIT_CASE(stale_results),
	{}
};

TEST_SUITE(walk, test_init_vcpu);
