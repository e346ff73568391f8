// SPDX-License-Identifier: GPL-2.0-only
/*
 * The instruction decoder and emulator of the module, on any bytes in any mode: it must
 * stay within its tables and buffers, and keep what emul.h promises.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "world.h"

#define STEPS 4

static const enum emul_mode modes[] = {
	EMUL_REAL, EMUL_VM86, EMUL_PROT16, EMUL_PROT32, EMUL_LONG64,
};

/* A length is found from just these bytes, and from no fewer. */
static void check_length(enum emul_mode mode, const uint8_t *code, unsigned int size)
{
	struct emul_insn insn;
	int len = emul_insn_length(&insn, mode, code, size), again;

	if (len <= 0) {
		REQUIRE(len == -EINVAL || len == -ENODATA || len == -E2BIG);
		return;
	}
	REQUIRE((unsigned int)len <= size);
	again = emul_insn_length(&insn, mode, code, len);
	REQUIRE(again == len);
	if (len > 1)
		REQUIRE(emul_insn_length(&insn, mode, code, len - 1) == -ENODATA);
}

static void set_state(struct world *w, struct input *in)
{
	unsigned int i;
	uint8_t flags = take(in, 1);

	for (i = 0; i < EMUL_NR_GPR; i++)
		w->ctx.gpr[i] = flags & 1 ? take(in, 4) : take(in, 8);
	w->ctx.rflags = take(in, 3) | X86_EFLAGS_FIXED;
	w->ctx.cr0 ^= take(in, 1);
	w->ctx.cr4 = take(in, 4);
	w->ctx.xcr0 = take(in, 1);
	if (w->ctx.mode != EMUL_REAL && w->ctx.mode != EMUL_VM86)
		w->ctx.cpl = take(in, 1) & 3;
	for (i = 0; flags & 2 && i < EMUL_NR_SEG; i++) {
		w->ctx.seg[i].base = take(in, 4);
		w->ctx.seg[i].limit = take(in, 4);
		w->ctx.seg[i].type = take(in, 1) & 15;
		w->ctx.seg[i].unusable = take(in, 1) & 1;
	}
	w->pending = flags & 4;
	w->race = flags & 8;
	w->deny_ports = flags & 16;
	w->fault_page = flags & 32 ? take(in, 2) : NO_PAGE;
	w->device_page = flags & 64 ? take(in, 2) : NO_PAGE;
}

/* What must not have changed: all, when there is no repeat prefix to have done a part. */
static void check_unchanged(const struct world *w, const struct emul_ctx *before)
{
	if (w->ctx.insn.rep)
		return;
	REQUIRE(!memcmp(w->ctx.gpr, before->gpr, sizeof(before->gpr)));
	REQUIRE(w->ctx.rip == before->rip);
}

static void step(struct world *w)
{
	static struct emul_ctx before;
	int result;

	before = w->ctx;
	result = world_step(w);
	switch (result) {
	case EMUL_DONE:
		break;
	case EMUL_FAULT:
		REQUIRE(w->ctx.fault.vector < 32);
		check_unchanged(w, &before);
		break;
	case EMUL_PENDING:
	case EMUL_UNHANDLEABLE:
		check_unchanged(w, &before);
		break;
	default:
		REQUIRE(!"a result that emul.h names");
	}
	REQUIRE(w->ctx.insn.len <= EMUL_MAX_INSN && w->ctx.insn.fetched <= EMUL_MAX_INSN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world fresh[ARRAY_SIZE(modes)], w;
	struct input in = { data, data + size };
	unsigned int which = take(&in, 1) % ARRAY_SIZE(modes), i;
	uint8_t code[2 * EMUL_MAX_INSN];

	for (i = 0; i < sizeof(code); i++)
		code[i] = take(&in, 1);
	check_length(modes[which], code, EMUL_MAX_INSN);
	/* Filling the memory anew would take longer than all the rest. */
	if (!fresh[which].ctx.ops)
		world_init(&fresh[which], modes[which], code, 0);
	w = fresh[which];
	w.ctx.opaque = &w;
	memcpy(w.mem + w.ctx.rip, code, sizeof(code));
	set_state(&w, &in);
	for (i = 0; i < STEPS; i++)
		step(&w);
	return 0;
}
