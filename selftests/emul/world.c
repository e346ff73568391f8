// SPDX-License-Identifier: GPL-2.0-only
#include "ktap.h"
#include "world.h"

#define CODE_AT 0x1000

static unsigned int failures;

void world_fail(const char *file, int line, const char *what)
{
	failures++;
	ktap_note("%s:%d: not so: %s", file, line, what);
}

void world_case(const char *name, void (*test)(void))
{
	failures = 0;
	test();
	ktap_result(!failures, "%s", name);
}

static struct world *world_of(struct emul_ctx *ctx)
{
	return ctx->opaque;
}

static u8 *byte_at(struct world *w, u64 linear)
{
	return &w->mem[linear % WORLD_MEMORY];
}

static int translate(struct emul_ctx *ctx, u64 linear, unsigned int len, u32 error)
{
	struct world *w = world_of(ctx);
	unsigned int i;

	for (i = 0; i < len; i++) {
		u64 at = emul_linear_add(ctx, linear, i);

		if (at >> 12 == w->fault_page)
			return emul_page_fault(ctx, at, error);
	}
	return EMUL_DONE;
}

static void copy(struct emul_ctx *ctx, u64 linear, void *to, const void *from, unsigned int len)
{
	struct world *w = world_of(ctx);
	unsigned int i;

	for (i = 0; i < len; i++) {
		u64 at = emul_linear_add(ctx, linear, i);

		if (to)
			((u8 *)to)[i] = *byte_at(w, at);
		else
			*byte_at(w, at) = ((const u8 *)from)[i];
	}
}

/* Has user space still to be asked? */
static bool must_ask(struct world *w)
{
	if (!w->pending || w->asked++ < w->answered)
		return false;
	w->answered++;
	return true;
}

static int op_fetch(struct emul_ctx *ctx, u64 linear, void *buf, unsigned int len)
{
	int r = translate(ctx, linear, len, 0x10);

	world_of(ctx)->fetches++;
	if (!r)
		copy(ctx, linear, buf, NULL, len);
	return r;
}

static int op_read(struct emul_ctx *ctx, u64 linear, void *buf, unsigned int len,
		   unsigned int access)
{
	struct world *w = world_of(ctx);
	int r = translate(ctx, linear, len, access & EMUL_WRITE ? 2 : 0);

	w->reads++;
	w->linear = linear;
	w->access = access;
	if (r)
		return r;
	if (linear >> 12 == w->device_page && must_ask(w))
		return EMUL_PENDING;
	copy(ctx, linear, buf, NULL, len);
	return linear >> 12 == w->device_page ? EMUL_STOP : EMUL_DONE;
}

static int op_write(struct emul_ctx *ctx, u64 linear, const void *buf, unsigned int len)
{
	struct world *w = world_of(ctx);
	int r = translate(ctx, linear, len, 2);

	w->writes++;
	w->linear = linear;
	if (r)
		return r;
	copy(ctx, linear, NULL, buf, len);
	return linear >> 12 == w->device_page ? EMUL_STOP : EMUL_DONE;
}

static int op_compare_exchange(struct emul_ctx *ctx, u64 linear, const void *old,
			       const void *new, unsigned int len)
{
	struct world *w = world_of(ctx);
	u8 now[16];

	w->exchanges++;
	copy(ctx, linear, now, NULL, len);
	if (w->race || memcmp(now, old, len))
		return EMUL_MISMATCH;
	copy(ctx, linear, NULL, new, len);
	return EMUL_DONE;
}

static int op_probe(struct emul_ctx *ctx, u64 linear, unsigned int len, unsigned int access)
{
	int r = translate(ctx, linear, len, access & EMUL_WRITE ? 2 : 0);

	if (r)
		return r;
	return linear >> 12 == world_of(ctx)->device_page ? EMUL_STOP : EMUL_DONE;
}

static int op_io_in(struct emul_ctx *ctx, u16 port, unsigned int size, void *buf,
		    unsigned int count)
{
	struct world *w = world_of(ctx);
	bool asked = w->pending;
	unsigned int i;

	w->port = port;
	w->size = size;
	w->count = count;
	if (must_ask(w))
		return EMUL_PENDING;
	w->ins++;
	for (i = 0; i < count; i++) {
		memcpy((u8 *)buf + i * size, &w->port_value, size);
		w->port_value++;
	}
	return asked ? EMUL_STOP : EMUL_DONE;
}

static int op_io_out(struct emul_ctx *ctx, u16 port, unsigned int size, const void *buf,
		     unsigned int count)
{
	struct world *w = world_of(ctx);

	w->port = port;
	w->size = size;
	w->count = count;
	if (must_ask(w))
		return EMUL_PENDING;
	w->outs++;
	memcpy(w->out, buf, min_t(unsigned int, size * count, sizeof(w->out)));
	return EMUL_STOP;
}

static int op_io_permitted(struct emul_ctx *ctx, u16 port, unsigned int size)
{
	struct world *w = world_of(ctx);

	w->permission_checks++;
	w->port = port;
	w->size = size;
	return w->deny_ports ? emul_fault(ctx, X86_TRAP_GP, 0) : EMUL_DONE;
}

static int op_get_vec(struct emul_ctx *ctx, unsigned int reg, void *buf, unsigned int len)
{
	memset(buf, reg, len);
	return EMUL_DONE;
}

static int op_set_vec(struct emul_ctx *ctx, unsigned int reg, const void *buf, unsigned int len,
		      bool zero_upper)
{
	return EMUL_DONE;
}

static const struct emul_ops ops = {
	.fetch = op_fetch,
	.read = op_read,
	.write = op_write,
	.compare_exchange = op_compare_exchange,
	.probe = op_probe,
	.io_in = op_io_in,
	.io_out = op_io_out,
	.io_permitted = op_io_permitted,
	.get_vec = op_get_vec,
	.set_vec = op_set_vec,
};

void world_init(struct world *w, enum emul_mode mode, const void *code, unsigned int len)
{
	bool old = mode == EMUL_REAL || mode == EMUL_VM86;
	unsigned int i;

	memset(w, 0, sizeof(*w));
	for (i = 0; i < WORLD_MEMORY; i++)
		w->mem[i] = i * 7 + (i >> 8);
	memcpy(w->mem + CODE_AT, code, len);
	w->fault_page = NO_PAGE;
	w->device_page = NO_PAGE;
	w->ctx.mode = mode;
	w->ctx.cpl = mode == EMUL_VM86 ? 3 : 0;
	w->ctx.rip = CODE_AT;
	w->ctx.rflags = X86_EFLAGS_FIXED | (mode == EMUL_VM86 ? X86_EFLAGS_VM : 0);
	w->ctx.cr0 = mode == EMUL_REAL ? 0 : X86_CR0_PE;
	w->ctx.cr4 = X86_CR4_OSFXSR;
	w->ctx.ops = &ops;
	w->ctx.opaque = w;
	for (i = 0; i < EMUL_NR_SEG; i++)
		w->ctx.seg[i] = (struct emul_seg) {
			.limit = old ? 0xffff : 0xffffffff,
			.type = i == EMUL_CS && !old ? 0xb : 3,
			.s = true,
			.present = true,
			.db = mode == EMUL_PROT32,
		};
}

int world_step(struct world *w)
{
	w->ctx.insn.fetched = 0;
	w->asked = 0;
	return emul_step(&w->ctx);
}
