// SPDX-License-Identifier: GPL-2.0-only
/*
 * The emulator: arithmetic against this computer's processor, and what
 * instructions do with memory, segments, devices and faults.
 * selftests/emul has the long comparison, in user space.
 */
#include <linux/slab.h>

#include "../emul/emul.h"
#include "fixture.h"

#define CODE		0x1000ULL
#define DATA		0x3000ULL
#define DEVICE		0x5000ULL	/* this page is a device */
#define NOTHING		0x6000ULL	/* this one faults */
#define MEMORY		0x8000

#define FLAGS		(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | \
			 X86_EFLAGS_SF | X86_EFLAGS_OF)
#define LOGIC_FLAGS	(FLAGS & ~(u64)X86_EFLAGS_AF)

#define BYTES(...)	{ __VA_ARGS__ }, sizeof((u8 []){ __VA_ARGS__ })

/**
 * struct world - memory that wraps at 32 KiB, with a device and a hole
 * @ctx:	the emulator's
 * @pending:	the device has not answered yet
 * @writes:	to the device
 * @mem:	memory
 */
struct world {
	struct emul_ctx ctx;
	bool pending;
	int writes;
	u8 mem[MEMORY];
};

static struct world *world_of(struct emul_ctx *ctx)
{
	return ctx->opaque;
}

static int check(struct emul_ctx *ctx, u64 linear, unsigned int len, u32 error)
{
	unsigned int i;

	for (i = 0; i < len; i++)
		if ((emul_linear_add(ctx, linear, i) & ~0xfffULL) == NOTHING)
			return emul_page_fault(ctx, emul_linear_add(ctx, linear, i), error);
	return (linear & ~0xfffULL) == DEVICE ? EMUL_STOP : EMUL_DONE;
}

static u8 *byte_at(struct emul_ctx *ctx, u64 linear, unsigned int i)
{
	return &world_of(ctx)->mem[emul_linear_add(ctx, linear, i) % MEMORY];
}

static int op_fetch(struct emul_ctx *ctx, u64 linear, void *buf, unsigned int len)
{
	unsigned int i;

	for (i = 0; i < len; i++)
		((u8 *)buf)[i] = *byte_at(ctx, linear, i);
	return EMUL_DONE;
}

static int op_read(struct emul_ctx *ctx, u64 linear, void *buf, unsigned int len,
		   unsigned int access)
{
	int r = check(ctx, linear, len, access & EMUL_WRITE ? 2 : 0);

	if (r > EMUL_STOP)
		return r;
	if (r == EMUL_STOP && world_of(ctx)->pending)
		return EMUL_PENDING;
	op_fetch(ctx, linear, buf, len);
	return r;
}

static int op_write(struct emul_ctx *ctx, u64 linear, const void *buf, unsigned int len)
{
	int r = check(ctx, linear, len, 2);
	unsigned int i;

	if (r > EMUL_STOP)
		return r;
	if (r == EMUL_STOP)
		world_of(ctx)->writes++;
	for (i = 0; i < len; i++)
		*byte_at(ctx, linear, i) = ((const u8 *)buf)[i];
	return r;
}

static int op_compare_exchange(struct emul_ctx *ctx, u64 linear, const void *old,
			       const void *new, unsigned int len)
{
	u8 now[16];

	op_fetch(ctx, linear, now, len);
	return memcmp(now, old, len) ? EMUL_MISMATCH : op_write(ctx, linear, new, len);
}

static int op_probe(struct emul_ctx *ctx, u64 linear, unsigned int len, unsigned int access)
{
	return check(ctx, linear, len, access & EMUL_WRITE ? 2 : 0);
}

static void op_system(struct emul_ctx *ctx, struct emul_system *out)
{
	*out = (struct emul_system) {
		.gdt_base = 0x1122334455667788, .gdt_limit = 0x9abc,
		.idt_base = 0x0123456789abcdef, .idt_limit = 0x1234,
		.ldtr = 0x78, .tr = 0x68,
	};
}

static const struct emul_ops world_ops = {
	.system			= op_system,
	.fetch			= op_fetch,
	.read			= op_read,
	.write			= op_write,
	.compare_exchange	= op_compare_exchange,
	.probe			= op_probe,
};

static int init_world(struct kunit *test)
{
	struct world *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);

	test->priv = w;
	return w ? 0 : -ENOMEM;
}

static void begin(struct world *w, enum emul_mode mode, const u8 *code, unsigned int len)
{
	int i;

	memset(&w->ctx, 0, sizeof(w->ctx));
	w->ctx.ops = &world_ops;
	w->ctx.opaque = w;
	w->ctx.mode = mode;
	w->ctx.rip = CODE;
	w->ctx.rflags = X86_EFLAGS_FIXED;
	for (i = 0; i < EMUL_NR_SEG; i++)
		w->ctx.seg[i] = (struct emul_seg) {
			.limit = mode == EMUL_REAL ? 0xffff : 0xffffffff, .selector = 8,
			.type = i == EMUL_CS ? 11 : 3, .s = true, .present = true,
			.db = mode == EMUL_PROT32, .l = mode == EMUL_LONG64 && i == EMUL_CS,
		};
	memcpy(w->mem + CODE, code, len);
}

/* Arithmetic: op %rcx, %rax on this processor, with the carry as given. */
#define NATIVE(name, insn)						\
static u64 native_##name(u64 dst, u64 src, u64 *flags)			\
{									\
	u64 out;							\
									\
	asm volatile("bt $0, %[carry]\n"				\
		     insn "\n"						\
		     "pushfq\n"						\
		     "pop %[out]\n"					\
		     : "+a" (dst), [out] "=r" (out)			\
		     : "c" (src), [carry] "r" (*flags) : "cc", "rdx");	\
	*flags = out;							\
	return dst;							\
}

NATIVE(addq, "add %%rcx, %%rax")
NATIVE(addb, "add %%cl, %%al")
NATIVE(orl, "or %%ecx, %%eax")
NATIVE(adcq, "adc %%rcx, %%rax")
NATIVE(adcw, "adc %%cx, %%ax")
NATIVE(sbbq, "sbb %%rcx, %%rax")
NATIVE(sbbb, "sbb %%cl, %%al")
NATIVE(andq, "and %%rcx, %%rax")
NATIVE(subl, "sub %%ecx, %%eax")
NATIVE(xorq, "xor %%rcx, %%rax")
NATIVE(cmpq, "cmp %%rcx, %%rax")
NATIVE(testb, "test %%cl, %%al")
NATIVE(incq, "inc %%rax")
NATIVE(decb, "dec %%al")
NATIVE(negl, "neg %%eax")
NATIVE(notq, "not %%rax")
NATIVE(shlq1, "shl $1, %%rax")
NATIVE(shrl1, "shr $1, %%eax")
NATIVE(sarb1, "sar $1, %%al")
NATIVE(rolw1, "rol $1, %%ax")
NATIVE(rorq1, "ror $1, %%rax")
NATIVE(rclb1, "rcl $1, %%al")
NATIVE(rcrq1, "rcr $1, %%rax")
NATIVE(imul, "imul %%rcx, %%rax")
NATIVE(btq, "bt %%rcx, %%rax")
NATIVE(btsl, "bts %%ecx, %%eax")
NATIVE(btcq, "btc %%rcx, %%rax")
NATIVE(btrw, "btr %%cx, %%ax")
NATIVE(xaddl, "xadd %%eax, %%eax")
NATIVE(movsbq, "movsbq %%cl, %%rax")
NATIVE(movzwl, "movzwl %%cx, %%eax")
NATIVE(setc, "setc %%al")
NATIVE(cmovcq, "cmovc %%rcx, %%rax")
NATIVE(cmovncl, "cmovnc %%ecx, %%eax")
NATIVE(bswap, "bswap %%rax")

static const struct native_case {
	const char *name;
	u64 (*native)(u64 dst, u64 src, u64 *flags);
	u64 flags;		/* that are defined afterwards */
	u8 code[8];
	u8 len;
} natives[] = {
	{ "add %rcx, %rax", native_addq, FLAGS, BYTES(0x48, 0x01, 0xc8) },
	{ "add %cl, %al", native_addb, FLAGS, BYTES(0x00, 0xc8) },
	{ "or %ecx, %eax", native_orl, LOGIC_FLAGS, BYTES(0x09, 0xc8) },
	{ "adc %rcx, %rax", native_adcq, FLAGS, BYTES(0x48, 0x11, 0xc8) },
	{ "adc %cx, %ax", native_adcw, FLAGS, BYTES(0x66, 0x13, 0xc1) },
	{ "sbb %rcx, %rax", native_sbbq, FLAGS, BYTES(0x48, 0x19, 0xc8) },
	{ "sbb %cl, %al", native_sbbb, FLAGS, BYTES(0x1a, 0xc1) },
	{ "and %rcx, %rax", native_andq, LOGIC_FLAGS, BYTES(0x48, 0x21, 0xc8) },
	{ "sub %ecx, %eax", native_subl, FLAGS, BYTES(0x29, 0xc8) },
	{ "xor %rcx, %rax", native_xorq, LOGIC_FLAGS, BYTES(0x48, 0x33, 0xc1) },
	{ "cmp %rcx, %rax", native_cmpq, FLAGS, BYTES(0x48, 0x39, 0xc8) },
	{ "test %cl, %al", native_testb, LOGIC_FLAGS, BYTES(0x84, 0xc8) },
	{ "inc %rax", native_incq, FLAGS, BYTES(0x48, 0xff, 0xc0) },
	{ "dec %al", native_decb, FLAGS, BYTES(0xfe, 0xc8) },
	{ "neg %eax", native_negl, FLAGS, BYTES(0xf7, 0xd8) },
	{ "not %rax", native_notq, FLAGS & X86_EFLAGS_CF, BYTES(0x48, 0xf7, 0xd0) },
	{ "shl $1, %rax", native_shlq1, LOGIC_FLAGS, BYTES(0x48, 0xd1, 0xe0) },
	{ "shr $1, %eax", native_shrl1, LOGIC_FLAGS, BYTES(0xd1, 0xe8) },
	{ "sar $1, %al", native_sarb1, LOGIC_FLAGS, BYTES(0xd0, 0xf8) },
	{ "rol $1, %ax", native_rolw1, X86_EFLAGS_CF | X86_EFLAGS_OF, BYTES(0x66, 0xd1, 0xc0) },
	{ "ror $1, %rax", native_rorq1, X86_EFLAGS_CF | X86_EFLAGS_OF, BYTES(0x48, 0xd1, 0xc8) },
	{ "rcl $1, %al", native_rclb1, X86_EFLAGS_CF | X86_EFLAGS_OF, BYTES(0xd0, 0xd0) },
	{ "rcr $1, %rax", native_rcrq1, X86_EFLAGS_CF | X86_EFLAGS_OF, BYTES(0x48, 0xd1, 0xd8) },
	{ "imul %rcx, %rax", native_imul, X86_EFLAGS_CF | X86_EFLAGS_OF,
	  BYTES(0x48, 0x0f, 0xaf, 0xc1) },
	{ "bt %rcx, %rax", native_btq, X86_EFLAGS_CF, BYTES(0x48, 0x0f, 0xa3, 0xc8) },
	{ "bts %ecx, %eax", native_btsl, X86_EFLAGS_CF, BYTES(0x0f, 0xab, 0xc8) },
	{ "btc %rcx, %rax", native_btcq, X86_EFLAGS_CF, BYTES(0x48, 0x0f, 0xbb, 0xc8) },
	{ "btr %cx, %ax", native_btrw, X86_EFLAGS_CF, BYTES(0x66, 0x0f, 0xb3, 0xc8) },
	{ "xadd %eax, %eax", native_xaddl, FLAGS, BYTES(0x0f, 0xc1, 0xc0) },
	{ "movsbq %cl, %rax", native_movsbq, 0, BYTES(0x48, 0x0f, 0xbe, 0xc1) },
	{ "movzwl %cx, %eax", native_movzwl, 0, BYTES(0x0f, 0xb7, 0xc1) },
	{ "setc %al", native_setc, X86_EFLAGS_CF, BYTES(0x0f, 0x92, 0xc0) },
	{ "cmovc %rcx, %rax", native_cmovcq, X86_EFLAGS_CF, BYTES(0x48, 0x0f, 0x42, 0xc1) },
	{ "cmovnc %ecx, %eax", native_cmovncl, X86_EFLAGS_CF, BYTES(0x0f, 0x43, 0xc1) },
	{ "bswap %rax", native_bswap, 0, BYTES(0x48, 0x0f, 0xc8) },
};
TEST_PARAMS(natives);

/* The same on this processor and in the emulator, over values at the edges. */
static void native(struct kunit *test)
{
	static const u64 values[] = {
		0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000,
		0xffffffff, 0x0123456789abcdef, S64_MAX, 0x8000000000000000, ~0ULL,
	};
	const struct native_case *p = test->param_value;
	struct world *w = test->priv;
	unsigned int i, j, carry;

	for (i = 0; i < ARRAY_SIZE(values) * ARRAY_SIZE(values) * 2; i++) {
		u64 dst = values[i / 2 / ARRAY_SIZE(values)], flags, wanted;

		j = i / 2 % ARRAY_SIZE(values);
		carry = i & 1;
		flags = carry;
		wanted = p->native(dst, values[j], &flags);
		begin(w, EMUL_LONG64, p->code, p->len);
		w->ctx.gpr[EMUL_RAX] = dst;
		w->ctx.gpr[EMUL_RCX] = values[j];
		w->ctx.rflags |= carry;
		KUNIT_ASSERT_EQ(test, emul_step(&w->ctx), EMUL_DONE);
		KUNIT_ASSERT_EQ(test, w->ctx.rip, CODE + p->len);
		if (w->ctx.gpr[EMUL_RAX] != wanted || ((w->ctx.rflags ^ flags) & p->flags))
			KUNIT_FAIL(test, "%llx, %llx, carry %u: %llx flags %llx, not %llx flags %llx",
				   dst, values[j], carry, w->ctx.gpr[EMUL_RAX],
				   w->ctx.rflags & p->flags, wanted, flags & p->flags);
	}
}

static const struct memory_case {
	const char *name;
	enum emul_mode mode;
	u8 code[12];
	u8 len;
	u64 rax, rbx, rcx;	/* before */
	u64 memory;		/* 8 bytes at DATA */
	int result;
	int vector;
	u32 error;
	u64 rax_after, memory_after;
} memories[] = {
	{ "load", EMUL_LONG64, BYTES(0x48, 0x8b, 0x03), 0, DATA, 0, 0x1122334455667788, EMUL_DONE,
	  0, 0, 0x1122334455667788, 0x1122334455667788 },
	{ "load clears the upper half", EMUL_LONG64, BYTES(0x8b, 0x03), ~0ULL, DATA, 0,
	  0x1122334455667788, EMUL_DONE, 0, 0, 0x55667788, 0x1122334455667788 },
	{ "byte keeps the rest", EMUL_LONG64, BYTES(0x8a, 0x23), 0x0102, DATA, 0, 0x88, EMUL_DONE,
	  0, 0, 0x8802, 0x88 },
	{ "SPL with REX", EMUL_LONG64, BYTES(0x40, 0x8a, 0x23), 0x0102, DATA, 0, 0x88, EMUL_DONE,
	  0, 0, 0x0102, 0x88 },
	{ "store", EMUL_LONG64, BYTES(0x66, 0x89, 0x03), 0xabcd, DATA, 0, ~0ULL, EMUL_DONE, 0, 0,
	  0xabcd, 0xffffffffffffabcd },
	{ "store of an immediate", EMUL_LONG64, BYTES(0x48, 0xc7, 0x03, 0xff, 0xff, 0xff, 0xff), 0,
	  DATA, 0, 0, EMUL_DONE, 0, 0, 0, ~0ULL },
	{ "scaled index", EMUL_LONG64, BYTES(0x8a, 0x44, 0xcb, 0xf9), 0, DATA, 1, 0x2211,
	  EMUL_DONE, 0, 0, 0x22, 0x2211 },
	{ "add to memory", EMUL_LONG64, BYTES(0x48, 0x01, 0x03), 5, DATA, 0, 7, EMUL_DONE, 0, 0,
	  5, 12 },
	{ "locked increment", EMUL_LONG64, BYTES(0xf0, 0x48, 0xff, 0x03), 0, DATA, 0, 7,
	  EMUL_DONE, 0, 0, 0, 8 },
	{ "LOCK without a destination", EMUL_LONG64, BYTES(0xf0, 0x8b, 0x03), 0, DATA, 0, 7,
	  EMUL_FAULT, X86_TRAP_UD, 0, 0, 7 },
	{ "LOCK on a register", EMUL_LONG64, BYTES(0xf0, 0x48, 0xff, 0xc0), 0, DATA, 0, 7,
	  EMUL_FAULT, X86_TRAP_UD, 0, 0, 7 },
	{ "XCHG", EMUL_LONG64, BYTES(0x48, 0x87, 0x03), 1, DATA, 0, 2, EMUL_DONE, 0, 0, 2, 1 },
	{ "CMPXCHG, equal", EMUL_LONG64, BYTES(0x48, 0x0f, 0xb1, 0x0b), 5, DATA, 9, 5, EMUL_DONE,
	  0, 0, 5, 9 },
	{ "CMPXCHG, different", EMUL_LONG64, BYTES(0x48, 0x0f, 0xb1, 0x0b), 5, DATA, 9, 6,
	  EMUL_DONE, 0, 0, 6, 6 },
	{ "page fault on a read", EMUL_LONG64, BYTES(0x8b, 0x03), 1, NOTHING, 0, 0, EMUL_FAULT,
	  X86_TRAP_PF, 0, 1, 0 },
	{ "page fault on a write", EMUL_LONG64, BYTES(0x89, 0x03), 1, NOTHING, 0, 0, EMUL_FAULT,
	  X86_TRAP_PF, 2, 1, 0 },
	{ "page fault of a change says write", EMUL_LONG64, BYTES(0x01, 0x03), 1, NOTHING, 0, 0,
	  EMUL_FAULT, X86_TRAP_PF, 2, 1, 0 },
	{ "not canonical", EMUL_LONG64, BYTES(0x8b, 0x03), 1, 0x800000000000, 0, 0, EMUL_FAULT,
	  X86_TRAP_GP, 0, 1, 0 },
	{ "not canonical, through the stack", EMUL_LONG64, BYTES(0x8b, 0x44, 0x24, 0x10), 1, 0, 0,
	  0, EMUL_FAULT, X86_TRAP_SS, 0, 1, 0 },
	{ "divide by zero", EMUL_LONG64, BYTES(0x48, 0xf7, 0x33), 1, DATA, 0, 0, EMUL_FAULT,
	  X86_TRAP_DE, 0, 1, 0 },
	{ "divide", EMUL_LONG64, BYTES(0x48, 0xf7, 0x33), 100, DATA, 0, 7, EMUL_DONE, 0, 0, 14, 7 },
	{ "no such instruction", EMUL_LONG64, BYTES(0x0f, 0x0b), 1, 0, 0, 0, EMUL_FAULT,
	  X86_TRAP_UD, 0, 1, 0 },
	{ "SGDT", EMUL_LONG64, BYTES(0x0f, 0x01, 0x03), 0, DATA, 0, 0, EMUL_DONE, 0, 0, 0,
	  0x3344556677889abc },
	{ "SIDT", EMUL_PROT32, BYTES(0x0f, 0x01, 0x0b), 0, DATA, 0, ~0ULL, EMUL_DONE, 0, 0, 0,
	  0xffff89abcdef1234 },
	{ "SIDT of 16 bits", EMUL_PROT32, BYTES(0x66, 0x0f, 0x01, 0x0b), 0, DATA, 0, ~0ULL,
	  EMUL_DONE, 0, 0, 0, 0xffff00abcdef1234 },
	{ "SLDT", EMUL_LONG64, BYTES(0x48, 0x0f, 0x00, 0x03), 0, DATA, 0, ~0ULL, EMUL_DONE, 0, 0,
	  0, 0xffffffffffff0078 },
	{ "STR", EMUL_PROT32, BYTES(0x0f, 0x00, 0x0b), 0, DATA, 0, ~0ULL, EMUL_DONE, 0, 0, 0,
	  0xffffffffffff0068 },
	{ "STR in real mode", EMUL_REAL, BYTES(0x0f, 0x00, 0x0f), 0, DATA, 0, ~0ULL, EMUL_FAULT,
	  X86_TRAP_UD, 0, 0, ~0ULL },
	{ "SMSW", EMUL_PROT32, BYTES(0x0f, 0x01, 0x23), 0, DATA, 0, ~0ULL, EMUL_DONE, 0, 0, 0,
	  0xffffffffffff0000 },
	{ "32-bit addresses wrap", EMUL_PROT32, BYTES(0x8b, 0x83, 0x00, 0x40, 0x00, 0x00), 0,
	  0xfffff000, 0, 0x44332211, EMUL_DONE, 0, 0, 0x44332211, 0x44332211 },
	{ "real mode", EMUL_REAL, BYTES(0x8b, 0x07), 0, DATA, 0, 0x1234, EMUL_DONE, 0, 0, 0x1234,
	  0x1234 },
	{ "real mode, beyond the limit", EMUL_REAL, BYTES(0x8b, 0x07), 1, 0xffff, 0, 0,
	  EMUL_FAULT, X86_TRAP_GP, 0, 1, 0 },
};
TEST_PARAMS(memories);

static void memory(struct kunit *test)
{
	const struct memory_case *p = test->param_value;
	struct world *w = test->priv;
	u64 after;

	begin(w, p->mode, p->code, p->len);
	memcpy(w->mem + DATA, &p->memory, 8);
	w->ctx.gpr[EMUL_RAX] = p->rax;
	w->ctx.gpr[EMUL_RBX] = p->rbx;
	w->ctx.gpr[EMUL_RCX] = p->rcx;
	w->ctx.gpr[EMUL_RSP] = 0x7ffffffffff8;
	w->ctx.rflags |= X86_EFLAGS_RF;
	KUNIT_EXPECT_EQ(test, emul_step(&w->ctx), p->result);
	memcpy(&after, w->mem + DATA, 8);
	KUNIT_EXPECT_EQ(test, w->ctx.gpr[EMUL_RAX], p->rax_after);
	KUNIT_EXPECT_EQ(test, after, p->memory_after);
	/* Faults leave all as it was, RF included; completion clears that. */
	KUNIT_EXPECT_EQ(test, w->ctx.rip, CODE + (p->result ? 0 : p->len));
	KUNIT_EXPECT_EQ(test, !!(w->ctx.rflags & X86_EFLAGS_RF), p->result != EMUL_DONE);
	if (p->result != EMUL_FAULT)
		return;
	KUNIT_EXPECT_EQ(test, w->ctx.fault.vector, p->vector);
	KUNIT_EXPECT_EQ(test, w->ctx.fault.error_code, p->error);
	if (p->vector == X86_TRAP_PF)
		KUNIT_EXPECT_EQ(test, w->ctx.fault.cr2, p->rbx);
}

/* CR4.UMIP: not for user mode. */
static void store_in_user_mode(struct kunit *test)
{
	static const u8 code[] = { 0x0f, 0x01, 0x03 };
	struct world *w = test->priv;

	begin(w, EMUL_PROT32, code, sizeof(code));
	w->ctx.gpr[EMUL_RBX] = DATA;
	w->ctx.cpl = 3;
	KUNIT_EXPECT_EQ(test, emul_step(&w->ctx), EMUL_DONE);
	begin(w, EMUL_PROT32, code, sizeof(code));
	w->ctx.gpr[EMUL_RBX] = DATA;
	w->ctx.cpl = 3;
	w->ctx.cr4 = X86_CR4_UMIP;
	KUNIT_EXPECT_EQ(test, emul_step(&w->ctx), EMUL_FAULT);
	KUNIT_EXPECT_EQ(test, w->ctx.fault.vector, X86_TRAP_GP);
	w->ctx.cpl = 0;
	KUNIT_EXPECT_EQ(test, emul_step(&w->ctx), EMUL_DONE);
}

static const struct segment_case {
	const char *name;
	u8 type;
	u32 limit;
	bool present, unusable, db;
	u32 offset;
	bool write;
	bool faults;
} segments[] = {
	{ "within the limit", 3, 0x3003, true, false, true, 0x3000, false, false },
	{ "last byte over the limit", 3, 0x3002, true, false, true, 0x3000, false, true },
	{ "writable", 3, 0xffff, true, false, true, 0x3000, true, false },
	{ "read-only", 1, 0xffff, true, false, true, 0x3000, true, true },
	{ "read-only, read", 1, 0xffff, true, false, true, 0x3000, false, false },
	{ "not present", 3, 0xffff, false, false, true, 0x3000, false, true },
	{ "null selector", 3, 0xffff, true, true, true, 0x3000, false, true },
	{ "readable code", 11, 0xffff, true, false, true, 0x3000, false, false },
	{ "code cannot be written", 11, 0xffff, true, false, true, 0x3000, true, true },
	{ "execute-only", 9, 0xffff, true, false, true, 0x3000, false, true },
	{ "expand-down, above the limit", 7, 0x2fff, true, false, true, 0x3000, true, false },
	{ "expand-down, at the limit", 7, 0x3000, true, false, true, 0x3000, true, true },
	{ "expand-down, 16 bits, over the top", 7, 0x2fff, true, false, false, 0xfffe, true, true },
	{ "expand-down, 32 bits, above 64 KiB", 7, 0x2fff, true, false, true, 0x1fffe, true,
	  false },
	{ "over the end of 4 GiB", 3, 0xffffffff, true, false, true, 0xfffffffe, false, true },
};
TEST_PARAMS(segments);

static void segment(struct kunit *test)
{
	static const u8 load[] = { 0x8b, 0x03 }, store[] = { 0x89, 0x03 };
	const struct segment_case *p = test->param_value;
	struct world *w = test->priv;

	begin(w, EMUL_PROT32, p->write ? store : load, 2);
	w->ctx.seg[EMUL_DS] = (struct emul_seg) {
		.limit = p->limit, .type = p->type, .s = true, .present = p->present,
		.unusable = p->unusable, .db = p->db, .selector = 0x10,
	};
	w->ctx.gpr[EMUL_RBX] = p->offset;
	KUNIT_EXPECT_EQ(test, emul_step(&w->ctx), p->faults ? EMUL_FAULT : EMUL_DONE);
	if (p->faults) {
		KUNIT_EXPECT_EQ(test, w->ctx.fault.vector, X86_TRAP_GP);
		KUNIT_EXPECT_TRUE(test, w->ctx.fault.has_error);
		KUNIT_EXPECT_EQ(test, w->ctx.fault.error_code, 0U);
	}
	/* In 64-bit mode none of it counts but the base of FS and GS. */
	begin(w, EMUL_LONG64, p->write ? store : load, 2);
	w->ctx.seg[EMUL_DS].unusable = true;
	w->ctx.seg[EMUL_DS].base = 0x1000000;
	w->ctx.gpr[EMUL_RBX] = DATA;
	KUNIT_EXPECT_EQ(test, emul_step(&w->ctx), EMUL_DONE);
}

static void device(struct kunit *test)
{
	static const u8 xadd[] = { 0x48, 0x0f, 0xc1, 0x0b };	/* xadd %rcx, (%rbx) */
	struct world *w = test->priv;

	begin(w, EMUL_LONG64, xadd, sizeof(xadd));
	w->mem[DEVICE] = 0x30;
	w->ctx.gpr[EMUL_RBX] = DEVICE;
	w->ctx.gpr[EMUL_RCX] = 5;
	w->pending = true;
	/* User space has to be asked: nothing has happened yet. */
	KUNIT_EXPECT_EQ(test, emul_step(&w->ctx), EMUL_PENDING);
	KUNIT_EXPECT_EQ(test, w->ctx.rip, CODE);
	KUNIT_EXPECT_EQ(test, w->ctx.gpr[EMUL_RCX], 5ULL);
	KUNIT_EXPECT_EQ(test, w->writes, 0);
	w->pending = false;
	KUNIT_EXPECT_EQ(test, emul_step(&w->ctx), EMUL_DONE);
	KUNIT_EXPECT_EQ(test, w->ctx.gpr[EMUL_RCX], 0x30ULL);
	KUNIT_EXPECT_EQ(test, w->mem[DEVICE], 0x35);
	KUNIT_EXPECT_EQ(test, w->writes, 1);
}

static void repeated(struct kunit *test)
{
	static const u8 stos[] = { 0xf3, 0xab }, movs[] = { 0xf3, 0xa4 };
	struct world *w = test->priv;

	/* Into a page that faults: what is done stays done. */
	begin(w, EMUL_LONG64, stos, sizeof(stos));
	w->ctx.gpr[EMUL_RAX] = 0x01020304;
	w->ctx.gpr[EMUL_RDI] = NOTHING - 8;
	w->ctx.gpr[EMUL_RCX] = 5;
	while (emul_step(&w->ctx) == EMUL_DONE && w->ctx.rip == CODE)
		;
	KUNIT_EXPECT_EQ(test, w->ctx.fault.vector, X86_TRAP_PF);
	KUNIT_EXPECT_EQ(test, w->ctx.fault.cr2, NOTHING);
	KUNIT_EXPECT_EQ(test, w->ctx.gpr[EMUL_RCX], 3ULL);
	KUNIT_EXPECT_EQ(test, w->ctx.gpr[EMUL_RDI], NOTHING);
	KUNIT_EXPECT_EQ(test, w->ctx.rip, CODE);
	/* A count of 0 does nothing, whatever the pointers. */
	begin(w, EMUL_LONG64, movs, sizeof(movs));
	w->ctx.gpr[EMUL_RSI] = NOTHING;
	w->ctx.gpr[EMUL_RDI] = NOTHING;
	KUNIT_EXPECT_EQ(test, emul_step(&w->ctx), EMUL_DONE);
	KUNIT_EXPECT_EQ(test, w->ctx.rip, CODE + 2);
	/* Downwards. */
	begin(w, EMUL_LONG64, movs, sizeof(movs));
	memcpy(w->mem + DATA, "abcd", 4);
	w->ctx.rflags |= X86_EFLAGS_DF;
	w->ctx.gpr[EMUL_RSI] = DATA + 3;
	w->ctx.gpr[EMUL_RDI] = DATA + 0x103;
	w->ctx.gpr[EMUL_RCX] = 4;
	while (w->ctx.rip == CODE)
		KUNIT_ASSERT_EQ(test, emul_step(&w->ctx), EMUL_DONE);
	KUNIT_EXPECT_EQ(test, memcmp(w->mem + DATA + 0x100, "abcd", 4), 0);
	KUNIT_EXPECT_EQ(test, w->ctx.gpr[EMUL_RSI], DATA - 1);
	KUNIT_EXPECT_EQ(test, w->ctx.gpr[EMUL_RCX], 0ULL);
}

static void too_long(struct kunit *test)
{
	u8 code[16];
	struct world *w = test->priv;

	memset(code, 0x66, sizeof(code));
	code[15] = 0x90;
	begin(w, EMUL_LONG64, code, sizeof(code));
	KUNIT_EXPECT_EQ(test, emul_step(&w->ctx), EMUL_FAULT);
	KUNIT_EXPECT_EQ(test, w->ctx.fault.vector, X86_TRAP_GP);
}

static struct kunit_case emulate_cases[] = {
	KUNIT_CASE_PARAM(native, natives_gen_params),
	KUNIT_CASE_PARAM(memory, memories_gen_params),
	KUNIT_CASE_PARAM(segment, segments_gen_params),
	KUNIT_CASE(store_in_user_mode),
	KUNIT_CASE(device),
	KUNIT_CASE(repeated),
	KUNIT_CASE(too_long),
	{}
};

TEST_BARE_SUITE(emulate, init_world);
