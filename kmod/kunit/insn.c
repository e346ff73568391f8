// SPDX-License-Identifier: GPL-2.0-only
/*
 * The instruction at RIP: fetching it, and what the processor has not told of
 * the exit that it caused.
 */
#include <asm/processor-flags.h>

#include "../insn.h"
#include "../insn_mode.h"
#include "fake_backend.h"
#include "fixture.h"

#define CODE	0x1ff0ULL	/* an instruction fits, 16 bytes before the next page */

#define BYTES(...)	{ __VA_ARGS__ }, sizeof((u8 []){ __VA_ARGS__ })

static void set_mode(struct vitro_vcpu *vcpu, enum emul_mode mode)
{
	struct fake_vcpu *fake = to_fake(vcpu);

	vcpu->cr0 = mode == EMUL_REAL ? 0 : X86_CR0_PE;
	vcpu->efer = mode == EMUL_LONG64 ? EFER_LMA | EFER_LME : 0;
	vcpu->rflags = X86_EFLAGS_FIXED | (mode == EMUL_VM86 ? X86_EFLAGS_VM : 0);
	fake->long_mode = mode == EMUL_LONG64;
	fake->seg[VITRO_CS].base = 0;
	fake->seg[VITRO_CS].l = mode == EMUL_LONG64;
	fake->seg[VITRO_CS].db = mode == EMUL_PROT32;
}

static const struct mode_case {
	const char *name;
	enum emul_mode mode;
} modes[] = {
	{ "real", EMUL_REAL }, { "virtual-8086", EMUL_VM86 }, { "16 bits", EMUL_PROT16 },
	{ "32 bits", EMUL_PROT32 }, { "64 bits", EMUL_LONG64 },
};
TEST_PARAMS(modes);

static void mode(struct kunit *test)
{
	const struct mode_case *p = test->param_value;
	struct vitro_vcpu *vcpu = test_vcpu(test);

	set_mode(vcpu, p->mode);
	KUNIT_EXPECT_EQ(test, vitro_insn_mode(vcpu), p->mode);
	/* CS.L means nothing without long mode. */
	vcpu->efer = 0;
	to_fake(vcpu)->long_mode = true;
	KUNIT_EXPECT_NE(test, vitro_insn_mode(vcpu), EMUL_LONG64);
}

static bool find_length(struct kunit *test, u32 reason)
{
	struct vitro_vm *vm = test_vm(test);
	struct vitro_vcpu *vcpu = test_vcpu(test);
	int idx = srcu_read_lock(&vm->srcu);
	bool found;

	vcpu->exit.reason = reason;
	vcpu->exit.insn_len = 0;
	found = vitro_find_insn_len(vcpu);
	srcu_read_unlock(&vm->srcu, idx);
	return found;
}

static const struct length_case {
	const char *name;
	u32 reason;
	enum emul_mode mode;
	u8 code[16];
	u8 given;
	int len;		/* 0: not what has exited */
} lengths[] = {
	{ "cpuid", VITRO_EXIT_CPUID, EMUL_LONG64, BYTES(0x0f, 0xa2), 2 },
	{ "cpuid, real mode", VITRO_EXIT_CPUID, EMUL_REAL, BYTES(0x0f, 0xa2), 2 },
	{ "cpuid with prefixes", VITRO_EXIT_CPUID, EMUL_LONG64, BYTES(0x66, 0x48, 0x0f, 0xa2), 4 },
	{ "cpuid, as long as can be", VITRO_EXIT_CPUID, EMUL_LONG64,
	  BYTES(0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
		0x0f, 0xa2), 15 },
	{ "something else by now", VITRO_EXIT_CPUID, EMUL_LONG64, BYTES(0x90, 0x0f, 0xa2), 0 },
	{ "hlt", VITRO_EXIT_HLT, EMUL_PROT32, BYTES(0xf4), 1 },
	{ "rdmsr", VITRO_EXIT_RDMSR, EMUL_LONG64, BYTES(0x0f, 0x32), 2 },
	{ "wrmsr", VITRO_EXIT_WRMSR, EMUL_LONG64, BYTES(0x0f, 0x30), 2 },
	{ "wrmsr is not rdmsr", VITRO_EXIT_RDMSR, EMUL_LONG64, BYTES(0x0f, 0x30), 0 },
	{ "vmmcall", VITRO_EXIT_HYPERCALL, EMUL_LONG64, BYTES(0x0f, 0x01, 0xd9), 3 },
	{ "vmcall", VITRO_EXIT_HYPERCALL, EMUL_LONG64, BYTES(0x0f, 0x01, 0xc1), 3 },
	{ "vmrun is no hypercall", VITRO_EXIT_HYPERCALL, EMUL_LONG64, BYTES(0x0f, 0x01, 0xd8), 0 },
	{ "xsetbv", VITRO_EXIT_XSETBV, EMUL_LONG64, BYTES(0x0f, 0x01, 0xd1), 3 },
	{ "vmmcall is no xsetbv", VITRO_EXIT_XSETBV, EMUL_LONG64, BYTES(0x0f, 0x01, 0xd9), 0 },
	{ "wbinvd", VITRO_EXIT_CACHE, EMUL_LONG64, BYTES(0x0f, 0x09), 2 },
	{ "invd", VITRO_EXIT_CACHE, EMUL_LONG64, BYTES(0x0f, 0x08), 2 },
	{ "pause", VITRO_EXIT_PAUSE, EMUL_LONG64, BYTES(0xf3, 0x90), 2 },
	{ "mov to cr3", VITRO_EXIT_CR, EMUL_LONG64, BYTES(0x0f, 0x22, 0xd8), 3 },
	{ "mov from dr6", VITRO_EXIT_DR, EMUL_LONG64, BYTES(0x44, 0x0f, 0x21, 0xf0), 4 },
};
TEST_PARAMS(lengths);

static void length(struct kunit *test)
{
	const struct length_case *p = test->param_value;
	struct vitro_vcpu *vcpu = test_vcpu(test);
	int at;

	test_memory(test);
	set_mode(vcpu, p->mode);
	/* Within a page, and at every place over the end of one. */
	for (at = 0; at <= 16; at++) {
		test_write(test, CODE + at, p->code, p->given);
		vcpu->rip = CODE + at;
		if (p->reason == VITRO_EXIT_CR) {
			vcpu->exit.cr.op = VITRO_CR_WRITE;
			vcpu->exit.cr.cr = 3;
		} else if (p->reason == VITRO_EXIT_DR) {
			vcpu->exit.dr.write = false;
			vcpu->exit.dr.dr = 6;
		}
		KUNIT_EXPECT_EQ(test, find_length(test, p->reason), !!p->len);
		if (p->len)
			KUNIT_EXPECT_EQ(test, vcpu->exit.insn_len, p->len);
	}
}

static void segment_base(struct kunit *test)
{
	static const u8 code[] = { 0x0f, 0xa2 };
	struct vitro_vcpu *vcpu = test_vcpu(test);

	test_memory(test);
	set_mode(vcpu, EMUL_REAL);
	test_write(test, 0x1234, code, sizeof(code));
	to_fake(vcpu)->seg[VITRO_CS].base = 0x1200;
	vcpu->rip = 0x34;
	KUNIT_EXPECT_TRUE(test, find_length(test, VITRO_EXIT_CPUID));
	/* Outside 64-bit mode the sum wraps at 4 GiB, in it the base does not count. */
	to_fake(vcpu)->seg[VITRO_CS].base = 0xfffff000;
	vcpu->rip = 0x2234;
	KUNIT_EXPECT_TRUE(test, find_length(test, VITRO_EXIT_CPUID));
	set_mode(vcpu, EMUL_LONG64);
	to_fake(vcpu)->seg[VITRO_CS].base = 0xfffff000;
	vcpu->rip = 0x1234;
	KUNIT_EXPECT_TRUE(test, find_length(test, VITRO_EXIT_CPUID));
}

static void no_memory_there(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);
	static const u8 code[] = { 0x0f, 0xa2 };

	test_memory(test);
	set_mode(vcpu, EMUL_LONG64);
	vcpu->rip = TEST_RAM_SIZE;
	KUNIT_EXPECT_FALSE(test, find_length(test, VITRO_EXIT_CPUID));
	/* The last bytes of memory do, and nothing behind them is needed. */
	test_write(test, TEST_RAM_SIZE - 2, code, sizeof(code));
	vcpu->rip = TEST_RAM_SIZE - 2;
	KUNIT_EXPECT_TRUE(test, find_length(test, VITRO_EXIT_CPUID));
	KUNIT_EXPECT_EQ(test, vcpu->exit.insn_len, 2);
	vcpu->rip = TEST_RAM_SIZE - 1;
	KUNIT_EXPECT_FALSE(test, find_length(test, VITRO_EXIT_CPUID));
}

static const struct operand_case {
	const char *name;
	u8 code[8];
	u8 given;
	u8 cr, op;		/* as the processor reports them */
	u8 op_after, gpr;
	u16 value;
	bool complete;
} operands[] = {
	{ "mov %rax, %cr3", BYTES(0x0f, 0x22, 0xd8), 3, VITRO_CR_WRITE, VITRO_CR_WRITE, 0, 0, true },
	{ "mov %r15, %cr4", BYTES(0x41, 0x0f, 0x22, 0xe7), 4, VITRO_CR_WRITE, VITRO_CR_WRITE, 15, 0,
	  true },
	{ "mov %cr0, %rdx", BYTES(0x0f, 0x20, 0xc2), 0, VITRO_CR_READ, VITRO_CR_READ, 2, 0, true },
	{ "clts", BYTES(0x0f, 0x06), 0, VITRO_CR_WRITE, VITRO_CR_CLTS, 0xff, 0, true },
	{ "lmsw %bx", BYTES(0x0f, 0x01, 0xf3), 0, VITRO_CR_WRITE, VITRO_CR_LMSW, 0xff, 0x5678,
	  true },
	{ "lmsw (%rbx)", BYTES(0x0f, 0x01, 0x33), 0, VITRO_CR_WRITE, 0, 0, 0, false },
};
TEST_PARAMS(operands);

static void operand(struct kunit *test)
{
	const struct operand_case *p = test->param_value;
	struct vitro_vcpu *vcpu = test_vcpu(test);
	struct vitro_vm *vm = test_vm(test);
	bool complete;
	int idx, r = -1;

	test_memory(test);
	set_mode(vcpu, EMUL_LONG64);
	test_write(test, CODE, p->code, p->given);
	vcpu->rip = CODE;
	vcpu->gpr[VITRO_RBX] = 0x12345678;
	vcpu->exit = (struct vitro_exit) {
		.reason = VITRO_EXIT_CR,
		.cr = { .cr = p->cr, .op = p->op, .gpr = 0xff },
	};
	idx = srcu_read_lock(&vm->srcu);
	complete = vitro_complete_exit_decode(vcpu, &r);
	srcu_read_unlock(&vm->srcu, idx);
	KUNIT_EXPECT_EQ(test, complete, p->complete);
	if (!p->complete)
		return;
	KUNIT_EXPECT_EQ(test, vcpu->exit.insn_len, p->given);
	KUNIT_EXPECT_EQ(test, vcpu->exit.cr.op, p->op_after);
	KUNIT_EXPECT_EQ(test, vcpu->exit.cr.gpr, p->gpr);
	if (p->op_after == VITRO_CR_LMSW)
		KUNIT_EXPECT_EQ(test, vcpu->exit.cr.value, p->value);
}

static void skipping(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);

	vcpu->rip = 0x100;
	vcpu->exit.insn_len = 3;
	KUNIT_EXPECT_EQ(test, vitro_skip_insn(vcpu), 1);
	KUNIT_EXPECT_EQ(test, vcpu->rip, 0x103ULL);
	KUNIT_EXPECT_FALSE(test, vcpu->events.exception.pending);
	/* An instruction that completes with TF set traps. */
	vcpu->rflags |= X86_EFLAGS_TF;
	vitro_skip_insn(vcpu);
	KUNIT_EXPECT_TRUE(test, vcpu->events.exception.pending);
	KUNIT_EXPECT_EQ(test, vcpu->events.exception.vector, 1);
	KUNIT_EXPECT_EQ(test, vcpu->events.exception.payload, DR6_BS);
}

static struct kunit_case insn_cases[] = {
	KUNIT_CASE_PARAM(mode, modes_gen_params),
	KUNIT_CASE_PARAM(length, lengths_gen_params),
	KUNIT_CASE(segment_base),
	KUNIT_CASE(no_memory_there),
	KUNIT_CASE_PARAM(operand, operands_gen_params),
	KUNIT_CASE(skipping),
	{}
};

TEST_SUITE(insn, test_init_vcpu);
