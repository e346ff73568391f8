// SPDX-License-Identifier: GPL-2.0-only
/*
 * The length decoder against the processor. An instruction that begins N bytes before a page that
 * cannot be executed faults on the fetch exactly if it is longer than N bytes. That shows the
 * length of instructions that are not emulated, privileged ones included.
 */

#include "case.h"
#include "compare.h"
#include "ktap.h"

#define ROUNDS 12

struct count {
	unsigned int checked;
	unsigned int differences;
};

/* Instructions that this process must not execute with random operands. */
static bool dangerous(const struct emul_insn *insn)
{
	bool registers = insn->has_modrm && insn->modrm >= 0xc0;

	switch (emul_insn_id(insn)) {
	case 0x0007: case 0x0017: case 0x001f:			/* POP to segment registers */
	case 0x008e: case 0x00c4: case 0x00c5:
	case 0x0fa1: case 0x0fa9: case 0x0fb2: case 0x0fb4: case 0x0fb5:
	case 0x009a: case 0x00ea: case 0x00ca: case 0x00cb:	/* far branches */
	case 0x00cf: case 0x00cd: case 0x0f05: case 0x0f34:	/* IRET, INT, system calls */
	case 0x009d: case 0x00f1:				/* POPF, INT1 disturb stepping */
	case 0x38f5: case 0x38f6: case 0x38f8:			/* stores through registers */
	case 0x0ff7:						/* MASKMOVDQU */
	case 0x0f78: case 0x0f79:				/* VMREAD is Intel's alone */
		return true;
	case 0x00ff:						/* far CALL and JMP */
		return (insn->modrm >> 3 & 7) == 3 || (insn->modrm >> 3 & 7) == 5;
	case 0x0f01:						/* WRPKRU, MWAITX, VMMCALL */
	case 0x0fae:						/* WRFSBASE, UMWAIT */
		return registers;
	default:
		return false;
	}
}

/* Execute the first @n bytes before the end of the code area. True if more were fetched. */
static bool fetches_more(const struct test_case *c, u64 base, unsigned int n, bool *undefined)
{
	struct machine m = c->before;
	u64 start = CODE_BASE + AREA_SIZE - n - base;

	m.rip = start;
	memcpy((void *)(CODE_BASE + AREA_SIZE - n), c->insn.bytes, n);
	native_run(&m);
	*undefined = m.trap == X86_TRAP_UD;
	/* The kernel completes SLDT and the like for a process, then the next one is fetched. */
	return m.rip == start && m.trap == X86_TRAP_PF && m.error & 0x10 && m.cr2 == CODE_BASE + AREA_SIZE;
}

/* An opcode that this processor does not know tells nothing about its length. */
static void check(const struct test_case *c, const struct pattern *p, struct count *count)
{
	u64 base = p->mode == EMUL_LONG64 ? 0 : CODE_BASE;
	unsigned int i, len = c->insn.len;
	bool undefined, longer, shorter;

	longer = fetches_more(c, base, len, &undefined);
	if (undefined)
		return;
	shorter = len > 1 && !fetches_more(c, base, len - 1, &undefined);
	count->checked++;
	if (!longer && !shorter)
		return;
	if (count->differences++)
		return;
	ktap_note("mode %d, decoded length %u, the processor takes %s:", p->mode, len,
		  longer ? "more" : "less");
	for (i = 0; i < EMUL_MAX_INSN; i++)
		ktap_note("  %02x", c->insn.bytes[i]);
}

static void run_pattern(const struct pattern *p, const struct emul_seg *seg, struct rng *rng,
			struct count *count)
{
	static struct test_case c;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		if (!generate(&c, p, seg, rng) || c.insn.op != OP_NONE || dangerous(&c.insn))
			continue;
		check(&c, p, count);
	}
}

void compare_lengths(enum emul_mode mode, u64 seed)
{
	struct emul_seg seg[EMUL_NR_SEG];
	struct pattern p = { .mode = mode };
	struct rng rng = { seed };
	struct count count = {};
	unsigned int map, opcode, vex;

	if (native_set_mode(mode, seg)) {
		ktap_skip("lengths", "the kernel cannot make the segments (modify_ldt)");
		return;
	}
	for (vex = 0; vex < (native_has_avx() ? 2 : 1); vex++) {
		for (map = vex; map < 4; map++) {
			for (opcode = 0; opcode < 256 * 8; opcode++) {
				p.vex = vex;
				p.map = map;
				p.opcode = opcode / 8;
				p.reg = opcode % 8;
				run_pattern(&p, seg, &rng, &count);
			}
		}
	}
	ktap_result(count.checked && !count.differences,
		    "mode %d: lengths of instructions that are not emulated: %u checked, %u differences",
		    mode, count.checked, count.differences);
}
