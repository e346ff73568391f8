// SPDX-License-Identifier: GPL-2.0-only
/*
 * The decoder: lengths and operands (SDM, Instruction Format).
 */
#include <linux/slab.h>

#include "../emul/emul.h"
#include "fixture.h"

#define BYTES(...)	{ __VA_ARGS__ }, sizeof((u8 []){ __VA_ARGS__ })
#define NONE		(-1)

static const struct length_case {
	const char *name;
	enum emul_mode mode;
	u8 bytes[16];
	u8 given;
	int len;		/* or -errno */
	u16 id;
} lengths[] = {
	{ "hlt", EMUL_LONG64, BYTES(0xf4), 1, 0xf4 },
	{ "cpuid", EMUL_LONG64, BYTES(0x0f, 0xa2), 2, 0x0fa2 },
	{ "rdmsr", EMUL_REAL, BYTES(0x0f, 0x32), 2, 0x0f32 },
	{ "vmmcall", EMUL_LONG64, BYTES(0x0f, 0x01, 0xd9), 3, 0x0f01 },
	{ "xsetbv", EMUL_LONG64, BYTES(0x0f, 0x01, 0xd1), 3, 0x0f01 },
	{ "pause", EMUL_LONG64, BYTES(0xf3, 0x90), 2, 0x90 },
	{ "mov r, cr0", EMUL_LONG64, BYTES(0x0f, 0x20, 0xc0), 3, 0x0f20 },
	/* mod is ignored: never a displacement */
	{ "mov r, cr0 with mod 0", EMUL_LONG64, BYTES(0x0f, 0x20, 0x05), 3, 0x0f20 },
	{ "in al, imm8", EMUL_LONG64, BYTES(0xe4, 0x60), 2, 0xe4 },
	{ "rep outsb", EMUL_LONG64, BYTES(0xf3, 0x6e), 2, 0x6e },
	{ "mov r/m8, imm8", EMUL_LONG64, BYTES(0xc6, 0x00, 0x12), 3, 0xc6 },
	{ "mov r/m, imm32", EMUL_LONG64, BYTES(0xc7, 0x00, 1, 2, 3, 4), 6, 0xc7 },
	{ "mov r/m, imm16", EMUL_LONG64, BYTES(0x66, 0xc7, 0x00, 1, 2), 5, 0xc7 },
	{ "mov r/m64, imm32", EMUL_LONG64, BYTES(0x48, 0xc7, 0x00, 1, 2, 3, 4), 7, 0xc7 },
	{ "66 does not shorten with REX.W", EMUL_LONG64,
	  BYTES(0x66, 0x48, 0xc7, 0x00, 1, 2, 3, 4), 8, 0xc7 },
	{ "mov r64, imm64", EMUL_LONG64, BYTES(0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8), 10, 0xb8 },
	{ "mov r32, imm32", EMUL_LONG64, BYTES(0xb8, 1, 2, 3, 4), 5, 0xb8 },
	{ "mov al, moffs64", EMUL_LONG64, BYTES(0xa0, 1, 2, 3, 4, 5, 6, 7, 8), 9, 0xa0 },
	{ "mov al, moffs32", EMUL_LONG64, BYTES(0x67, 0xa0, 1, 2, 3, 4), 6, 0xa0 },
	{ "mov al, moffs16", EMUL_REAL, BYTES(0xa0, 1, 2), 3, 0xa0 },
	{ "mov al, moffs32 in 16 bits", EMUL_REAL, BYTES(0x67, 0xa0, 1, 2, 3, 4), 6, 0xa0 },
	{ "disp8", EMUL_LONG64, BYTES(0x8b, 0x40, 0x10), 3, 0x8b },
	{ "disp32", EMUL_LONG64, BYTES(0x8b, 0x80, 1, 2, 3, 4), 6, 0x8b },
	{ "SIB", EMUL_LONG64, BYTES(0x8b, 0x04, 0x88), 3, 0x8b },
	{ "SIB, disp8", EMUL_LONG64, BYTES(0x8b, 0x44, 0x88, 0x10), 4, 0x8b },
	{ "SIB without base", EMUL_LONG64, BYTES(0x8b, 0x04, 0x8d, 1, 2, 3, 4), 7, 0x8b },
	{ "RIP-relative", EMUL_LONG64, BYTES(0x8b, 0x05, 1, 2, 3, 4), 6, 0x8b },
	{ "16-bit disp16", EMUL_REAL, BYTES(0x8b, 0x06, 1, 2), 4, 0x8b },
	{ "16-bit disp8", EMUL_REAL, BYTES(0x8b, 0x47, 0x10), 3, 0x8b },
	{ "16-bit addresses in 32-bit mode", EMUL_PROT32, BYTES(0x67, 0x8b, 0x07), 3, 0x8b },
	{ "32-bit operands in 16-bit mode", EMUL_PROT16, BYTES(0x66, 0xb8, 1, 2, 3, 4), 6, 0xb8 },
	{ "enter", EMUL_LONG64, BYTES(0xc8, 1, 2, 3), 4, 0xc8 },
	{ "far pointer, 32 bits", EMUL_PROT32, BYTES(0xea, 1, 2, 3, 4, 5, 6), 7, 0xea },
	{ "far pointer, 16 bits", EMUL_REAL, BYTES(0xea, 1, 2, 3, 4), 5, 0xea },
	{ "test r/m, imm", EMUL_LONG64, BYTES(0xf7, 0x00, 1, 2, 3, 4), 6, 0xf7 },
	{ "not r/m: no immediate", EMUL_LONG64, BYTES(0xf7, 0x10), 2, 0xf7 },
	{ "0f38: movbe", EMUL_LONG64, BYTES(0x0f, 0x38, 0xf0, 0x00), 4, 0x38f0 },
	{ "0f3a: palignr", EMUL_LONG64, BYTES(0x66, 0x0f, 0x3a, 0x0f, 0xc1, 0x04), 6, 0x3a0f },
	{ "40: REX", EMUL_LONG64, BYTES(0x40, 0x90), 2, 0x90 },
	{ "40: INC in 32-bit mode", EMUL_PROT32, BYTES(0x40, 0x90), 1, 0x40 },
	{ "REX before another prefix is dropped", EMUL_LONG64,
	  BYTES(0x48, 0x66, 0xb8, 1, 2), 5, 0xb8 },
	{ "all prefixes", EMUL_LONG64,
	  BYTES(0xf0, 0xf3, 0x2e, 0x66, 0x67, 0x64, 0x48, 0x8b, 0x00), 9, 0x8b },
	{ "VEX2: vmovups", EMUL_LONG64, BYTES(0xc5, 0xf8, 0x10, 0x00), 4, 0x0f10 },
	{ "VEX3: vmovups", EMUL_LONG64, BYTES(0xc4, 0xe1, 0x78, 0x10, 0x00), 5, 0x0f10 },
	{ "LES in 32-bit mode", EMUL_PROT32, BYTES(0xc4, 0x00), 2, 0xc4 },
	{ "LDS in real mode", EMUL_REAL, BYTES(0xc5, 0x07), 2, 0xc5 },
	{ "BOUND in 32-bit mode", EMUL_PROT32, BYTES(0x62, 0x00), 2, 0x62 },
	{ "15 bytes", EMUL_LONG64,
	  BYTES(0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
		0x66, 0x90), 15, 0x90 },
	{ "16 bytes", EMUL_LONG64,
	  BYTES(0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
		0x66, 0x66, 0x90), -E2BIG, 0 },
	{ "prefixes without end", EMUL_LONG64,
	  BYTES(0xf3, 0xf3, 0xf3, 0xf3, 0xf3, 0xf3, 0xf3, 0xf3, 0xf3, 0xf3, 0xf3, 0xf3, 0xf3,
		0xf3, 0xf3, 0xf3), -E2BIG, 0 },
	{ "15 bytes and an immediate", EMUL_LONG64,
	  BYTES(0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
		0x66, 0xe4, 0x60), -E2BIG, 0 },
	{ "cut off in the opcode", EMUL_LONG64, BYTES(0x0f), -ENODATA, 0 },
	{ "cut off before ModRM", EMUL_LONG64, BYTES(0x8b), -ENODATA, 0 },
	{ "cut off before SIB", EMUL_LONG64, BYTES(0x8b, 0x04), -ENODATA, 0 },
	{ "cut off in the displacement", EMUL_LONG64, BYTES(0x8b, 0x80, 1, 2, 3), -ENODATA, 0 },
	{ "cut off in the immediate", EMUL_LONG64, BYTES(0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7),
	  -ENODATA, 0 },
	{ "EVEX", EMUL_LONG64, BYTES(0x62, 0xf1, 0x7c, 0x48, 0x10, 0x00), -EINVAL, 0 },
	{ "VEX map 0", EMUL_LONG64, BYTES(0xc4, 0xe0, 0x78, 0x10, 0x00), -EINVAL, 0 },
	{ "PUSH ES in 64-bit mode", EMUL_LONG64, BYTES(0x06), -EINVAL, 0 },
	{ "PUSH ES in 32-bit mode", EMUL_PROT32, BYTES(0x06), 1, 0x06 },
	{ "AAM in 64-bit mode", EMUL_LONG64, BYTES(0xd4, 0x0a), -EINVAL, 0 },
};
TEST_PARAMS(lengths);

static void length(struct kunit *test)
{
	const struct length_case *p = test->param_value;
	struct emul_insn *insn = kunit_kzalloc(test, sizeof(*insn), GFP_KERNEL);
	u8 *exact;
	int n;

	KUNIT_ASSERT_NOT_NULL(test, insn);
	/* In a buffer that ends with the bytes, so that KASAN sees who reads on. */
	exact = kmalloc(p->given, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, exact);
	memcpy(exact, p->bytes, p->given);
	KUNIT_EXPECT_EQ(test, emul_insn_length(insn, p->mode, exact, p->given), p->len);
	if (p->len > 0) {
		KUNIT_EXPECT_EQ(test, emul_insn_id(insn), p->id);
		/* One byte less is not enough. */
		for (n = 1; n < p->len; n++)
			KUNIT_EXPECT_EQ(test, emul_insn_length(insn, p->mode, exact, n), -ENODATA);
	}
	kfree(exact);
}

static const struct operand_case {
	const char *name;
	enum emul_mode mode;
	u8 bytes[16];
	u8 given;
	u8 op_bytes, addr_bytes;
	int base, index, scale;
	s64 disp;
	u64 imm;
	int segment;
	bool rip_relative;
} operands[] = {
	{ "[rax]", EMUL_LONG64, BYTES(0x8b, 0x00), 4, 8, EMUL_RAX, NONE, 0, 0, 0, NONE },
	{ "[r8]", EMUL_LONG64, BYTES(0x41, 0x8b, 0x00), 4, 8, EMUL_R8, NONE, 0, 0, 0, NONE },
	{ "64 bits", EMUL_LONG64, BYTES(0x48, 0x8b, 0x00), 8, 8, EMUL_RAX, NONE, 0, 0, 0, NONE },
	{ "16 bits", EMUL_LONG64, BYTES(0x66, 0x8b, 0x00), 2, 8, EMUL_RAX, NONE, 0, 0, 0, NONE },
	{ "[eax] in 64-bit mode", EMUL_LONG64, BYTES(0x67, 0x8b, 0x00), 4, 4, EMUL_RAX, NONE, 0,
	  0, 0, NONE },
	{ "disp8 is signed", EMUL_LONG64, BYTES(0x8b, 0x43, 0x80), 4, 8, EMUL_RBX, NONE, 0, -128,
	  0, NONE },
	{ "disp32 is signed", EMUL_LONG64, BYTES(0x8b, 0x83, 0, 0, 0, 0x80), 4, 8, EMUL_RBX, NONE,
	  0, S32_MIN, 0, NONE },
	{ "RIP", EMUL_LONG64, BYTES(0x8b, 0x05, 0xfe, 0xff, 0xff, 0xff), 4, 8, NONE, NONE, 0, -2,
	  0, NONE, true },
	{ "disp32 alone in 32-bit mode", EMUL_PROT32, BYTES(0x8b, 0x05, 4, 3, 2, 1), 4, 4, NONE,
	  NONE, 0, 0x01020304, 0, NONE },
	{ "[rsp]", EMUL_LONG64, BYTES(0x8b, 0x04, 0x24), 4, 8, EMUL_RSP, NONE, 0, 0, 0, NONE },
	{ "[r12]", EMUL_LONG64, BYTES(0x41, 0x8b, 0x04, 0x24), 4, 8, EMUL_R12, NONE, 0, 0, 0,
	  NONE },
	{ "[rcx + 4*rdx]", EMUL_LONG64, BYTES(0x8b, 0x04, 0x91), 4, 8, EMUL_RCX, EMUL_RDX, 2, 0,
	  0, NONE },
	{ "[rcx + 8*r12]", EMUL_LONG64, BYTES(0x42, 0x8b, 0x04, 0xe1), 4, 8, EMUL_RCX, EMUL_R12, 3,
	  0, 0, NONE },
	{ "no base, no index", EMUL_LONG64, BYTES(0x8b, 0x04, 0x25, 0x78, 0x56, 0x34, 0x12), 4, 8,
	  NONE, NONE, 0, 0x12345678, 0, NONE },
	{ "[rbp + disp8]", EMUL_LONG64, BYTES(0x8b, 0x45, 0x08), 4, 8, EMUL_RBP, NONE, 0, 8, 0,
	  NONE },
	{ "[r13 + disp8]", EMUL_LONG64, BYTES(0x41, 0x8b, 0x45, 0x08), 4, 8, EMUL_R13, NONE, 0, 8,
	  0, NONE },
	{ "[bx + si]", EMUL_REAL, BYTES(0x8b, 0x00), 2, 2, EMUL_RBX, EMUL_RSI, 0, 0, 0, NONE },
	{ "[bp + di]", EMUL_REAL, BYTES(0x8b, 0x03), 2, 2, EMUL_RBP, EMUL_RDI, 0, 0, 0, NONE },
	{ "[bp + disp16]", EMUL_REAL, BYTES(0x8b, 0x86, 0, 0x80), 2, 2, EMUL_RBP, NONE, 0, -0x8000,
	  0, NONE },
	{ "[disp16]", EMUL_REAL, BYTES(0x8b, 0x06, 0x34, 0x12), 2, 2, NONE, NONE, 0, 0x1234, 0,
	  NONE },
	{ "FS in 64-bit mode", EMUL_LONG64, BYTES(0x64, 0x8b, 0x00), 4, 8, EMUL_RAX, NONE, 0, 0, 0,
	  EMUL_FS },
	{ "DS in 64-bit mode does not count", EMUL_LONG64, BYTES(0x3e, 0x8b, 0x00), 4, 8, EMUL_RAX,
	  NONE, 0, 0, 0, NONE },
	{ "FS, then CS, in 64-bit mode", EMUL_LONG64, BYTES(0x64, 0x2e, 0x8b, 0x00), 4, 8, EMUL_RAX,
	  NONE, 0, 0, 0, EMUL_FS },
	{ "the last segment counts", EMUL_PROT32, BYTES(0x26, 0x2e, 0x8b, 0x00), 4, 4, EMUL_RAX,
	  NONE, 0, 0, 0, EMUL_CS },
	{ "imm8 is sign-extended", EMUL_LONG64, BYTES(0x83, 0x00, 0xff), 4, 8, EMUL_RAX, NONE, 0,
	  0, ~0ULL, NONE },
	{ "imm32 is sign-extended", EMUL_LONG64, BYTES(0x48, 0x81, 0x00, 0, 0, 0, 0x80), 8, 8,
	  EMUL_RAX, NONE, 0, 0, 0xffffffff80000000, NONE },
	{ "imm64", EMUL_LONG64, BYTES(0x48, 0xb8, 8, 7, 6, 5, 4, 3, 2, 1), 8, 8, NONE, NONE, 0, 0,
	  0x0102030405060708, NONE },
	{ "moffs64", EMUL_LONG64, BYTES(0xa1, 8, 7, 6, 5, 4, 3, 2, 0xff), 4, 8, NONE, NONE, 0,
	  (s64)0xff02030405060708, 0, NONE },
	{ "PUSH has 64 bits", EMUL_LONG64, BYTES(0x50), 8, 8, NONE, NONE, 0, 0, 0, NONE },
	{ "PUSH with 66 has 16", EMUL_LONG64, BYTES(0x66, 0x50), 2, 8, NONE, NONE, 0, 0, 0, NONE },
	{ "near branch has 64 bits", EMUL_LONG64, BYTES(0xe8, 4, 0, 0, 0), 8, 8, NONE, NONE, 0, 0,
	  4, NONE },
};
TEST_PARAMS(operands);

static void operand(struct kunit *test)
{
	const struct operand_case *p = test->param_value;
	struct emul_insn *insn = kunit_kzalloc(test, sizeof(*insn), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, insn);
	KUNIT_ASSERT_EQ(test, emul_insn_length(insn, p->mode, p->bytes, p->given), p->given);
	KUNIT_EXPECT_EQ(test, insn->op_bytes, p->op_bytes);
	KUNIT_EXPECT_EQ(test, insn->addr_bytes, p->addr_bytes);
	KUNIT_EXPECT_EQ(test, insn->base, p->base);
	KUNIT_EXPECT_EQ(test, insn->index, p->index);
	KUNIT_EXPECT_EQ(test, insn->scale, p->scale);
	KUNIT_EXPECT_EQ(test, insn->disp, p->disp);
	KUNIT_EXPECT_EQ(test, insn->imm, p->imm);
	KUNIT_EXPECT_EQ(test, insn->segment, p->segment);
	KUNIT_EXPECT_EQ(test, insn->rip_relative, p->rip_relative);
}

/* What emul_plain_mov() makes of it; nothing of those at the end. */
static const struct mov_case {
	const char *name;
	u8 bytes[16];
	u8 given;
	struct emul_mov want;
} movs[] = {
	{ "mov [rdi], eax", BYTES(0x89, 0x07),
	  { .bytes = 4, .store = true, .reg_bytes = 4, .base = EMUL_RDI, .index = NONE } },
	{ "mov r13, [r12 + 8]", BYTES(0x4d, 0x8b, 0x6c, 0x24, 0x08),
	  { .bytes = 8, .reg = EMUL_R13, .reg_bytes = 8, .base = EMUL_R12, .index = NONE,
	    .disp = 8 } },
	{ "mov [rax + 4*rcx - 1], dh", BYTES(0x88, 0x74, 0x88, 0xff),
	  { .bytes = 1, .store = true, .reg = EMUL_RDX, .reg_bytes = 1, .reg_shift = 8,
	    .base = EMUL_RAX, .index = EMUL_RCX, .scale = 2, .disp = -1 } },
	{ "mov sil, [rip]", BYTES(0x40, 0x8a, 0x35, 0, 0, 0, 0),
	  { .bytes = 1, .reg = EMUL_RSI, .reg_bytes = 1, .base = NONE, .index = NONE,
	    .rip_relative = true } },
	{ "mov qword [rbx], -2", BYTES(0x48, 0xc7, 0x03, 0xfe, 0xff, 0xff, 0xff),
	  { .bytes = 8, .store = true, .has_imm = true, .reg_bytes = 8, .base = EMUL_RBX,
	    .index = NONE, .imm = -2 } },
	{ "mov byte [rbx], 0x80", BYTES(0xc6, 0x03, 0x80),
	  { .bytes = 1, .store = true, .has_imm = true, .reg_bytes = 1, .base = EMUL_RBX,
	    .index = NONE, .imm = -128 } },
	{ "movzx ax, byte [rbx]", BYTES(0x66, 0x0f, 0xb6, 0x03),
	  { .bytes = 1, .reg_bytes = 2, .base = EMUL_RBX, .index = NONE } },
	{ "movzx rax, word [rbx]", BYTES(0x48, 0x0f, 0xb7, 0x03),
	  { .bytes = 2, .reg_bytes = 8, .base = EMUL_RBX, .index = NONE } },
	{ "movsx eax, byte [rbx]", BYTES(0x0f, 0xbe, 0x03),
	  { .bytes = 1, .sign = true, .reg_bytes = 4, .base = EMUL_RBX, .index = NONE } },
	{ "movsxd rax, [rbx]", BYTES(0x48, 0x63, 0x03),
	  { .bytes = 4, .sign = true, .reg_bytes = 8, .base = EMUL_RBX, .index = NONE } },
	{ "movnti [rbx], eax", BYTES(0x0f, 0xc3, 0x03),
	  { .bytes = 4, .store = true, .reg_bytes = 4, .base = EMUL_RBX, .index = NONE } },
	/* Not plain. */
	{ "mov rax, rbx", BYTES(0x48, 0x89, 0xd8) },
	{ "mov fs:[rax], eax", BYTES(0x64, 0x89, 0x00) },
	{ "mov [eax], eax", BYTES(0x67, 0x89, 0x00) },
	{ "lock mov [rax], eax", BYTES(0xf0, 0x89, 0x00) },
	{ "xrelease mov [rax], eax", BYTES(0xf3, 0x89, 0x00) },
	{ "mov [rax], ds", BYTES(0x8c, 0x18) },
	{ "mov eax, moffs", BYTES(0xa1, 1, 2, 3, 4, 5, 6, 7, 8) },
	{ "movbe eax, [rax]", BYTES(0x0f, 0x38, 0xf0, 0x00) },
	{ "lea eax, [rax]", BYTES(0x8d, 0x00) },
	{ "add [rax], eax", BYTES(0x01, 0x00) },
	{ "xchg [rax], eax", BYTES(0x87, 0x00) },
	{ "push [rax]", BYTES(0xff, 0x30) },
	{ "movups xmm0, [rax]", BYTES(0x0f, 0x10, 0x00) },
	{ "mov cr3, rax", BYTES(0x0f, 0x22, 0x18) },
};
TEST_PARAMS(movs);

static void mov(struct kunit *test)
{
	const struct mov_case *p = test->param_value;
	struct emul_insn *insn = kunit_kzalloc(test, sizeof(*insn), GFP_KERNEL);
	struct emul_mov want = p->want, got;

	KUNIT_ASSERT_NOT_NULL(test, insn);
	want.len = want.bytes ? p->given : 0;
	KUNIT_ASSERT_EQ(test, emul_insn_length(insn, EMUL_LONG64, p->bytes, p->given), p->given);
	KUNIT_EXPECT_EQ(test, emul_plain_mov(insn, &got), want.len > 0);
	KUNIT_EXPECT_EQ(test, memcmp(&got, &want, sizeof(got)), 0);
}

/* Every byte as the first, second and third of an instruction: no crash, no wild length. */
static void any_bytes(struct kunit *test)
{
	struct emul_insn *insn = kunit_kzalloc(test, sizeof(*insn), GFP_KERNEL);
	u8 bytes[EMUL_MAX_INSN] = { };
	unsigned int i, mode;
	int len, bad = 0;

	KUNIT_ASSERT_NOT_NULL(test, insn);
	for (mode = EMUL_REAL; mode <= EMUL_LONG64; mode++) {
		for (i = 0; i < 0x10000; i++) {
			bytes[0] = i >> 8;
			bytes[1] = i;
			bytes[2] = i * 7;
			len = emul_insn_length(insn, mode, bytes, sizeof(bytes));
			if (len > EMUL_MAX_INSN || !len ||
			    (len < 0 && len != -EINVAL && len != -E2BIG && len != -ENODATA))
				bad++;
		}
		cond_resched();
	}
	KUNIT_EXPECT_EQ(test, bad, 0);
}

static struct kunit_case decode_cases[] = {
	KUNIT_CASE_PARAM(length, lengths_gen_params),
	KUNIT_CASE_PARAM(operand, operands_gen_params),
	KUNIT_CASE_PARAM(mov, movs_gen_params),
	KUNIT_CASE(any_bytes),
	{}
};

TEST_BARE_SUITE(decode, NULL);
