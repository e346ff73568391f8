// SPDX-License-Identifier: GPL-2.0-only
/* Each instruction on the emulator and on the processor, and the two states compared. */

#include <stdio.h>

#include "case.h"
#include "compare.h"
#include "ktap.h"

/* Variations per opcode, ModRM reg and mode. */
#define ROUNDS 60
/* After so many differences of one operation the rest is not printed. */
#define MAX_REPORTS 3

/* The emulator's memory, and how its operations answer. */
struct sandbox {
	u8 data[AREA_SIZE];
	bool pending;		/* reads first ask for user space */
	unsigned int answered;	/* reads that user space has answered for this iteration */
	unsigned int reads;	/* reads seen in this attempt */
	bool escaped;		/* an access left the area and its guards: not for the processor */
};

struct tally {
	unsigned int executed;
	unsigned int faults;
	unsigned int differences;
};

static struct sandbox sandbox;
static struct tally tallies[OP_COUNT];

static const char *const op_names[OP_COUNT] = {
	[OP_UNDEFINED] = "undefined",
	[OP_ADD] = "ADD", [OP_OR] = "OR", [OP_ADC] = "ADC", [OP_SBB] = "SBB",
	[OP_AND] = "AND", [OP_SUB] = "SUB", [OP_XOR] = "XOR", [OP_CMP] = "CMP",
	[OP_ROL] = "ROL", [OP_ROR] = "ROR", [OP_RCL] = "RCL", [OP_RCR] = "RCR",
	[OP_SHL] = "SHL", [OP_SHR] = "SHR", [OP_SAL] = "SAL", [OP_SAR] = "SAR",
	[OP_TEST] = "TEST", [OP_INC] = "INC", [OP_DEC] = "DEC", [OP_NOT] = "NOT",
	[OP_NEG] = "NEG", [OP_MUL] = "MUL", [OP_IMUL] = "IMUL", [OP_DIV] = "DIV",
	[OP_IDIV] = "IDIV", [OP_IMUL_TRUNC] = "IMUL truncating",
	[OP_BT] = "BT", [OP_BTS] = "BTS", [OP_BTR] = "BTR", [OP_BTC] = "BTC",
	[OP_BSF] = "BSF", [OP_BSR] = "BSR", [OP_TZCNT] = "TZCNT", [OP_LZCNT] = "LZCNT",
	[OP_SHLD] = "SHLD", [OP_SHRD] = "SHRD", [OP_MOV] = "MOV", [OP_MOVSX] = "MOVSX",
	[OP_MOVBE] = "MOVBE", [OP_BSWAP] = "BSWAP", [OP_LEA] = "LEA", [OP_XLAT] = "XLAT",
	[OP_SETCC] = "SETcc", [OP_CMOVCC] = "CMOVcc", [OP_XCHG] = "XCHG", [OP_XADD] = "XADD",
	[OP_CMPXCHG] = "CMPXCHG", [OP_CMPXCHG8B] = "CMPXCHG8B/16B",
	[OP_PUSH] = "PUSH", [OP_POP] = "POP", [OP_CALL] = "CALL", [OP_JMP] = "JMP",
	[OP_NOP] = "NOP and prefetch", [OP_CLFLUSH] = "CLFLUSH and kind",
	[OP_MOVS] = "MOVS", [OP_CMPS] = "CMPS", [OP_STOS] = "STOS", [OP_LODS] = "LODS",
	[OP_SCAS] = "SCAS", [OP_INS] = "INS without permission",
	[OP_OUTS] = "OUTS without permission", [OP_IN] = "IN without permission",
	[OP_OUT] = "OUT without permission",
	[OP_VLOAD] = "vector load", [OP_VSTORE] = "vector store",
	[OP_VFROM] = "MOVD/MOVQ load", [OP_VTO] = "MOVD/MOVQ store",
};

/* What they store is this computer's, and the kernel may emulate them for a process (UMIP). */
static bool stores_system(unsigned int op)
{
	return op >= OP_STORE_SELECTOR && op <= OP_STORE_MSW;
}

static const char *mode_name(enum emul_mode mode)
{
	switch (mode) {
	case EMUL_LONG64:
		return "64-bit";
	case EMUL_PROT32:
		return "32-bit";
	default:
		return "16-bit";
	}
}

/* Fault on the first byte outside of the data area. */
static int translate(struct emul_ctx *ctx, u64 linear, unsigned int len, unsigned int access)
{
	unsigned int i;
	u64 at;

	for (i = 0; i < len; i++) {
		at = linear + i;
		if (at - DATA_BASE < AREA_SIZE)
			continue;
		if (at - (DATA_BASE - AREA_SIZE) >= 3 * AREA_SIZE)
			sandbox.escaped = true;
		return emul_page_fault(ctx, at, access & EMUL_WRITE ? 6 : 4);
	}
	return EMUL_DONE;
}

static int op_fetch(struct emul_ctx *ctx, u64 linear, void *buf, unsigned int len)
{
	if (linear - CODE_BASE >= AREA_SIZE)
		return emul_page_fault(ctx, linear, 0x14);
	memcpy(buf, (const void *)linear, len);
	return EMUL_DONE;
}

static int op_read(struct emul_ctx *ctx, u64 linear, void *buf, unsigned int len,
		   unsigned int access)
{
	int r = translate(ctx, linear, len, access);

	if (r)
		return r;
	if (sandbox.pending && sandbox.reads++ >= sandbox.answered) {
		sandbox.answered++;
		return EMUL_PENDING;
	}
	memcpy(buf, sandbox.data + (linear - DATA_BASE), len);
	return sandbox.pending ? EMUL_STOP : EMUL_DONE;
}

static int op_write(struct emul_ctx *ctx, u64 linear, const void *buf, unsigned int len)
{
	int r = translate(ctx, linear, len, EMUL_WRITE);

	if (!r)
		memcpy(sandbox.data + (linear - DATA_BASE), buf, len);
	return r;
}

static int op_cmpxchg(struct emul_ctx *ctx, u64 linear, const void *old, const void *new,
		      unsigned int len)
{
	int r = translate(ctx, linear, len, EMUL_READ | EMUL_WRITE);

	if (r)
		return r;
	if (memcmp(sandbox.data + (linear - DATA_BASE), old, len))
		return EMUL_MISMATCH;
	memcpy(sandbox.data + (linear - DATA_BASE), new, len);
	return EMUL_DONE;
}

static int op_probe(struct emul_ctx *ctx, u64 linear, unsigned int len, unsigned int access)
{
	return translate(ctx, linear, len, access);
}

static int op_get_vec(struct emul_ctx *ctx, unsigned int reg, void *buf, unsigned int len)
{
	struct machine *m = ctx->opaque;

	memcpy(buf, m->vec[reg], len);
	return EMUL_DONE;
}

static int op_set_vec(struct emul_ctx *ctx, unsigned int reg, const void *buf, unsigned int len,
		      bool zero_upper)
{
	struct machine *m = ctx->opaque;

	if (zero_upper)
		memset(m->vec[reg], 0, sizeof(m->vec[reg]));
	memcpy(m->vec[reg], buf, len);
	return EMUL_DONE;
}

static const struct emul_ops ops = {
	.fetch = op_fetch,
	.read = op_read,
	.write = op_write,
	.compare_exchange = op_cmpxchg,
	.probe = op_probe,
	.get_vec = op_get_vec,
	.set_vec = op_set_vec,
};

/* A pending instruction must have left everything as it was. */
static bool untouched(const struct emul_ctx *ctx, const struct machine *m)
{
	return ctx->rip == m->rip && ctx->rflags == m->rflags &&
	       !memcmp(ctx->gpr, m->gpr, sizeof(m->gpr));
}

/* Emulate until the instruction has ended. Returns what emul_step() said last. */
static int emulate(struct machine *m, enum emul_mode mode, const struct emul_seg *seg)
{
	static struct emul_ctx ctx;
	u64 start = m->rip;
	int r;

	ctx = (struct emul_ctx) {
		.rip = m->rip,
		.rflags = m->rflags,
		.mode = mode,
		.cpl = 3,
		.cr0 = X86_CR0_PE | X86_CR0_PG,
		.cr4 = X86_CR4_PAE | X86_CR4_OSFXSR | (native_has_avx() ? X86_CR4_OSXSAVE : 0),
		.xcr0 = native_has_avx() ? 7 : 1,
		.ops = &ops,
		.opaque = m,
	};
	memcpy(ctx.gpr, m->gpr, sizeof(ctx.gpr));
	memcpy(ctx.seg, seg, sizeof(ctx.seg));
	sandbox.answered = 0;
	do {
		ctx.insn.fetched = 0;
		sandbox.reads = 0;
		r = emul_step(&ctx);
		if (r == EMUL_PENDING && !untouched(&ctx, m))
			return EMUL_MISMATCH;
		if (r == EMUL_DONE)
			sandbox.answered = 0;
		memcpy(m->gpr, ctx.gpr, sizeof(m->gpr));
		m->rip = ctx.rip;
		m->rflags = ctx.rflags;
	} while (r == EMUL_PENDING || (r == EMUL_DONE && ctx.rip == start));
	m->trap = r == EMUL_FAULT ? ctx.fault.vector : NO_TRAP;
	m->error = r == EMUL_FAULT ? ctx.fault.error_code : 0;
	m->cr2 = r == EMUL_FAULT ? ctx.fault.cr2 : 0;
	return r;
}

/* Flags that are undefined, and that the emulator does not take from the host's processor. */
static u64 undefined_flags(const struct emul_insn *insn)
{
	switch (insn->op) {
	case OP_DIV:
	case OP_IDIV:
		return FLAGS_ARITH;
	case OP_BT ... OP_BTC:
		return X86_EFLAGS_OF | X86_EFLAGS_SF | X86_EFLAGS_AF | X86_EFLAGS_PF;
	default:
		return 0;
	}
}

static void print_difference(const struct test_case *c, const struct machine *got,
			     const struct machine *want, const struct pattern *p)
{
	char hex[3 * EMUL_MAX_INSN + 1] = "";
	unsigned int i;

	for (i = 0; i < c->insn.len; i++)
		sprintf(hex + 3 * i, "%02x ", c->insn.bytes[i]);
	ktap_note("%s: %s(%s)", mode_name(p->mode), hex, op_names[c->insn.op]);
	for (i = 0; i < EMUL_NR_GPR; i++) {
		if (got->gpr[i] != want->gpr[i])
			ktap_note("  gpr %u: before %#llx, emulator %#llx, processor %#llx", i,
				  (unsigned long long)c->before.gpr[i],
				  (unsigned long long)got->gpr[i],
				  (unsigned long long)want->gpr[i]);
	}
	ktap_note("  rip %#llx/%#llx rflags %#llx -> %#llx/%#llx",
		  (unsigned long long)got->rip, (unsigned long long)want->rip,
		  (unsigned long long)c->before.rflags, (unsigned long long)got->rflags,
		  (unsigned long long)want->rflags);
	ktap_note("  trap %d/%d error %#x/%#x cr2 %#llx/%#llx", got->trap, want->trap,
		  got->error, want->error, (unsigned long long)got->cr2,
		  (unsigned long long)want->cr2);
	if (memcmp(got->vec, want->vec, sizeof(got->vec)))
		ktap_note("  vector registers differ");
	for (i = 0; i < AREA_SIZE; i++) {
		if (sandbox.data[i] == ((u8 *)DATA_BASE)[i])
			continue;
		ktap_note("  memory at %#x: emulator %#x, processor %#x", i, sandbox.data[i],
			  ((u8 *)DATA_BASE)[i]);
		break;
	}
}

static bool same(const struct test_case *c, struct machine *got, struct machine *want)
{
	u64 ignored = undefined_flags(&c->insn) | X86_EFLAGS_RF;

	if (want->trap != NO_TRAP)
		ignored |= FLAGS_ARITH;
	return !memcmp(got->gpr, want->gpr, sizeof(got->gpr)) && got->rip == want->rip &&
	       !((got->rflags ^ want->rflags) & ~ignored) && got->trap == want->trap &&
	       got->error == want->error && got->cr2 == want->cr2 &&
	       !memcmp(got->vec, want->vec, sizeof(got->vec)) &&
	       !memcmp(sandbox.data, (void *)DATA_BASE, AREA_SIZE);
}

static void fill_memory(const struct test_case *c)
{
	unsigned int i, j;
	u32 at;

	for (i = 0; i < ARRAY_SIZE(c->fill); i++) {
		for (j = 0; j < sizeof(c->value[i]); j++) {
			at = c->fill[i] - 16 + j;
			if (at < AREA_SIZE)
				sandbox.data[at] = c->value[i][j];
		}
	}
}

static u64 code_base(const struct pattern *p)
{
	return p->mode == EMUL_LONG64 ? 0 : CODE_BASE;
}

/* What the emulator documents that it does not do. */
static bool known_gap(const struct emul_insn *insn)
{
	bool registers = insn->has_modrm && insn->modrm >= 0xc0;

	if (insn->op == OP_BSWAP)
		return insn->op_bytes == 2;
	return insn->vex && registers && insn->desc->flags & OPC_MERGE;
}

static void run_case(const struct test_case *c, const struct pattern *p,
		     const struct emul_seg *seg)
{
	struct machine got = c->before, want = c->before;
	struct tally *t = &tallies[c->insn.op];
	unsigned int i;
	int r;

	fill_memory(c);
	memcpy((void *)DATA_BASE, sandbox.data, AREA_SIZE);
	memcpy((void *)(code_base(p) + c->before.rip), c->insn.bytes, c->insn.len);
	sandbox.pending = c->pending;
	sandbox.escaped = false;
	r = emulate(&got, p->mode, seg);
	if (sandbox.escaped || (r == EMUL_UNHANDLEABLE && known_gap(&c->insn)))
		return;
	native_run(&want);
	/* Outside 64-bit mode the upper halves are undefined. */
	for (i = 0; i < EMUL_NR_GPR && p->mode != EMUL_LONG64; i++)
		want.gpr[i] = (u32)want.gpr[i];
	t->executed++;
	t->faults += want.trap != NO_TRAP;
	if (r == EMUL_MISMATCH || r == EMUL_UNHANDLEABLE || !same(c, &got, &want)) {
		if (t->differences++ < MAX_REPORTS)
			print_difference(c, &got, &want, p);
		memcpy(sandbox.data, (void *)DATA_BASE, AREA_SIZE);
	}
}

static void run_pattern(struct pattern *p, const struct emul_seg *seg, u64 seed)
{
	u64 id = (u64)p->mode << 40 | (u64)p->vex << 32 | p->map << 16 | p->opcode << 8 | p->reg;
	struct rng rng = { seed * 0x9e3779b97f4a7c15ULL ^ id };
	static struct test_case c;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		if (generate(&c, p, seg, &rng) && c.insn.op != OP_NONE && !stores_system(c.insn.op))
			run_case(&c, p, seg);
	}
}

static void report(enum emul_mode mode)
{
	unsigned int op;

	for (op = OP_UNDEFINED; op < OP_COUNT; op++) {
		if (stores_system(op))
			continue;
		struct tally *t = &tallies[op];

		ktap_result(t->executed && !t->differences,
			    "%s %s: %u executed, of these %u faults, %u differences",
			    mode_name(mode), op_names[op], t->executed, t->faults,
			    t->differences);
	}
}

void compare_mode(enum emul_mode mode, u64 seed)
{
	struct emul_seg seg[EMUL_NR_SEG];
	struct pattern p = { .mode = mode };
	unsigned int map, opcode, vex;

	if (native_set_mode(mode, seg)) {
		ktap_skip(mode_name(mode), "the kernel cannot make the segments (modify_ldt)");
		return;
	}
	memset(tallies, 0, sizeof(tallies));
	for (vex = 0; vex < (native_has_avx() ? 2 : 1); vex++) {
		for (map = vex; map < 3; map++) {
			for (opcode = 0; opcode < 256 * 8; opcode++) {
				p.vex = vex;
				p.map = map;
				p.opcode = opcode / 8;
				p.reg = opcode % 8;
				run_pattern(&p, seg, seed);
			}
		}
	}
	report(mode);
}
