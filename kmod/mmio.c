// SPDX-License-Identifier: GPL-2.0-only
/*
 * Emulating the instruction at RIP: what the emulator in emul/ needs from the
 * vCPU, and MMIO.
 *
 * A device read that user space must answer ends the emulation; when the
 * answer is there, the same instruction is executed again and finds it in
 * vcpu->io.reads. Device writes are posted: the instruction completes, then
 * user space gets them one by one.
 *
 * Most instructions that access devices need none of this: see mmio_mov.c.
 */
#define pr_fmt(fmt) "vitro: " fmt

#include <linux/kvm.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/ratelimit.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <asm/processor-flags.h>
#include <asm/traps.h>

#include "backend.h"
#include "emul/emul.h"
#include "insn.h"
#include "insn_mode.h"
#include "irqchip/irqchip.h"
#include "mmio.h"
#include "pio.h"
#include "vm.h"
#include "xstate.h"

int vitro_emul_alloc(struct vitro_vcpu *vcpu)
{
	/* What kmalloc() would round it up to anyway. */
	static_assert(sizeof(*vcpu->emul) <= 2048);

	vcpu->emul = kzalloc(sizeof(*vcpu->emul), GFP_KERNEL_ACCOUNT);
	return vcpu->emul ? 0 : -ENOMEM;
}

void vitro_emul_free(struct vitro_vcpu *vcpu)
{
	kfree(vcpu->emul);
}

/**
 * vitro_emulation_failed() - report an instruction that vitro cannot emulate
 * @vcpu:  the vCPU
 * @bytes: the instruction as far as it is known, or NULL
 * @len:   number of @bytes, at most 15
 *
 * Return: 0: back to user space with KVM_EXIT_INTERNAL_ERROR.
 */
int vitro_emulation_failed(struct vitro_vcpu *vcpu, const u8 *bytes, unsigned int len)
{
	struct kvm_run *run = vcpu->run;

	pr_info_ratelimited("vCPU %u: cannot emulate the instruction at 0x%llx: %*ph\n",
			    vcpu->id, vcpu_rip(vcpu), (int)len, bytes);
	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->emulation_failure.suberror = KVM_INTERNAL_ERROR_EMULATION;
	run->emulation_failure.ndata = 0;
	run->emulation_failure.flags = 0;
	if (len) {
		run->emulation_failure.ndata = 1 + (2 + 15 + 7) / 8;
		run->emulation_failure.flags =
			KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
		run->emulation_failure.insn_size = len;
		memset(run->emulation_failure.insn_bytes, 0x90,
		       sizeof(run->emulation_failure.insn_bytes));
		memcpy(run->emulation_failure.insn_bytes, bytes, len);
	}
	return 0;
}

static struct vitro_vcpu *emul_vcpu(struct emul_ctx *ctx)
{
	return ctx->opaque;
}

static int translate(struct emul_ctx *ctx, u64 linear, u32 access, u64 *gpa)
{
	struct vitro_walk walk;
	int err;

	if (ctx->cpl == 3)
		access |= VITRO_ACC_USER;
	err = vitro_walk_gva(emul_vcpu(ctx), linear, access, false, &walk);
	if (err == -EFAULT)
		return emul_page_fault(ctx, linear, walk.error_code);
	if (err)
		return EMUL_UNHANDLEABLE;
	*gpa = walk.gpa;
	return EMUL_DONE;
}

static bool is_device(struct vitro_vcpu *vcpu, u64 gpa, bool write)
{
	const struct vitro_memslot *slot = vitro_find_slot(vcpu->vm, gpa >> PAGE_SHIFT);

	/* An enabled local APIC hides what is below it. */
	if (vitro_lapic_owns(vcpu, gpa))
		return true;
	return !slot || (write && slot->flags & KVM_MEM_READONLY);
}

/* One device read of up to eight bytes. EMUL_STOP with data, or EMUL_PENDING. */
static int read_device(struct vitro_vcpu *vcpu, u64 gpa, void *buf, unsigned int len)
{
	struct vitro_io_state *io = &vcpu->io;
	struct vitro_mmio_fragment *f;

	if (io->next_read < io->nr_reads) {
		f = &io->reads[io->next_read++];
		if (f->gpa != gpa || f->len != len || !f->done)
			return EMUL_UNHANDLEABLE;
		memcpy(buf, f->data, len);
		return EMUL_STOP;
	}
	if (io->nr_reads == VITRO_MAX_FRAGMENTS)
		return EMUL_UNHANDLEABLE;

	f = &io->reads[io->nr_reads++];
	f->gpa = gpa;
	f->len = len;
	f->done = !vitro_mmio_kernel_read(vcpu, gpa, len, f->data);
	if (!f->done)
		return EMUL_PENDING;
	io->next_read++;
	memcpy(buf, f->data, len);
	return EMUL_STOP;
}

/* One device write of up to eight bytes; room_for_writes() has made sure of room. */
static void write_device(struct vitro_vcpu *vcpu, u64 gpa, const void *buf, unsigned int len)
{
	struct vitro_io_state *io = &vcpu->io;
	struct vitro_mmio_fragment *f;

	if (!vitro_mmio_kernel_write(vcpu, gpa, len, buf))
		return;
	if (io->nr_writes == VITRO_MAX_FRAGMENTS)
		return;
	f = &io->writes[io->nr_writes++];
	f->gpa = gpa;
	f->len = len;
	memcpy(f->data, buf, len);
}

/*
 * Where an operand lies. None is longer than a page, so it is in two at most;
 * both are translated before either is touched.
 */
struct span {
	u64 gpa[2];
	unsigned int first;	/* bytes in the first page */
};

static int translate_span(struct emul_ctx *ctx, u64 linear, unsigned int len, u32 access,
			  struct span *span)
{
	int r = translate(ctx, linear, access, &span->gpa[0]);

	span->first = min_t(unsigned int, len, PAGE_SIZE - offset_in_page(linear));
	if (r == EMUL_DONE && unlikely(span->first < len))
		r = translate(ctx, emul_linear_add(ctx, linear, span->first), access,
			      &span->gpa[1]);
	return r;
}

static int op_fetch(struct emul_ctx *ctx, u64 linear, void *buf, unsigned int len)
{
	u64 gpa;
	int r = translate(ctx, linear, VITRO_ACC_EXEC, &gpa);

	if (r != EMUL_DONE)
		return r;
	if (vitro_guest_read(emul_vcpu(ctx)->vm, gpa, buf, len))
		return EMUL_UNHANDLEABLE;
	return EMUL_DONE;
}

static u32 walk_access(unsigned int access)
{
	return (access & EMUL_READ ? VITRO_ACC_READ : 0) |
	       (access & EMUL_WRITE ? VITRO_ACC_WRITE : 0);
}

/* Within a page. */
static int read_page(struct vitro_vcpu *vcpu, u64 gpa, void *buf, unsigned int len)
{
	unsigned int n;
	int r = EMUL_STOP;

	if (!is_device(vcpu, gpa, false)) {
		if (!vitro_guest_read(vcpu->vm, gpa, buf, len))
			return EMUL_DONE;
		/* The slot may have been deleted between the two. */
		if (!is_device(vcpu, gpa, false))
			return EMUL_UNHANDLEABLE;
	}
	for (; len && r == EMUL_STOP; gpa += n, buf += n, len -= n) {
		n = min_t(unsigned int, len, 8);
		r = read_device(vcpu, gpa, buf, n);
	}
	return r;
}

static int op_read(struct emul_ctx *ctx, u64 linear, void *buf, unsigned int len,
		   unsigned int access)
{
	struct vitro_vcpu *vcpu = emul_vcpu(ctx);
	struct span span;
	int r, r2;

	r = translate_span(ctx, linear, len, walk_access(access), &span);
	if (r != EMUL_DONE)
		return r;
	r = read_page(vcpu, span.gpa[0], buf, span.first);
	if (likely(span.first == len) || r > EMUL_STOP)
		return r;
	r2 = read_page(vcpu, span.gpa[1], buf + span.first, len - span.first);
	return max(r, r2);
}

/* Within a page. */
static int write_page(struct vitro_vcpu *vcpu, u64 gpa, const void *buf, unsigned int len)
{
	unsigned int n;

	if (!is_device(vcpu, gpa, true)) {
		if (!vitro_guest_write(vcpu->vm, gpa, buf, len))
			return EMUL_DONE;
		/* As in read_page(). */
		if (!is_device(vcpu, gpa, true))
			return EMUL_UNHANDLEABLE;
	}
	for (; len; gpa += n, buf += n, len -= n) {
		n = min_t(unsigned int, len, 8);
		write_device(vcpu, gpa, buf, n);
	}
	return EMUL_STOP;
}

/* Room for an operand's device writes: INS writes more, but not to a device. */
static bool room_for_writes(const struct vitro_vcpu *vcpu, unsigned int len)
{
	return len > 64 || vcpu->io.nr_writes + DIV_ROUND_UP(len, 8) + 1 <= VITRO_MAX_FRAGMENTS;
}

static int op_write(struct emul_ctx *ctx, u64 linear, const void *buf, unsigned int len)
{
	struct vitro_vcpu *vcpu = emul_vcpu(ctx);
	struct span span;
	int r, r2;

	if (!room_for_writes(vcpu, len))
		return EMUL_UNHANDLEABLE;
	r = translate_span(ctx, linear, len, VITRO_ACC_WRITE, &span);
	if (r != EMUL_DONE)
		return r;
	r = write_page(vcpu, span.gpa[0], buf, span.first);
	if (likely(span.first == len) || r > EMUL_STOP)
		return r;
	r2 = write_page(vcpu, span.gpa[1], buf + span.first, len - span.first);
	return max(r, r2);
}

static int op_compare_exchange(struct emul_ctx *ctx, u64 linear, const void *old,
			       const void *new, unsigned int len)
{
	struct vitro_vcpu *vcpu = emul_vcpu(ctx);
	u64 gpa, expected = 0, value = 0;
	int r;

	r = translate(ctx, linear, VITRO_ACC_READ | VITRO_ACC_WRITE, &gpa);
	if (r != EMUL_DONE)
		return r;
	if (is_device(vcpu, gpa, true) || len > 8 || gpa & (len - 1))
		return op_write(ctx, linear, new, len);

	memcpy(&expected, old, len);
	memcpy(&value, new, len);
	switch (vitro_guest_cmpxchg(vcpu->vm, gpa, &expected, value, len)) {
	case 0:
		return EMUL_DONE;
	case -EAGAIN:
		return EMUL_MISMATCH;
	default:
		/* As in read_page(). */
		return is_device(vcpu, gpa, true) ? op_write(ctx, linear, new, len) :
						    EMUL_UNHANDLEABLE;
	}
}

static int op_probe(struct emul_ctx *ctx, u64 linear, unsigned int len, unsigned int access)
{
	struct vitro_vcpu *vcpu = emul_vcpu(ctx);
	bool write = access & EMUL_WRITE;
	struct span span;
	int r;

	r = translate_span(ctx, linear, len, walk_access(access), &span);
	if (r != EMUL_DONE)
		return r;
	if (is_device(vcpu, span.gpa[0], write) ||
	    (span.first < len && is_device(vcpu, span.gpa[1], write)))
		return EMUL_STOP;
	return EMUL_DONE;
}

static int op_get_vec(struct emul_ctx *ctx, unsigned int reg, void *buf, unsigned int len)
{
	vitro_xstate_get_vector(emul_vcpu(ctx), reg, buf, len);
	return EMUL_DONE;
}

static int op_set_vec(struct emul_ctx *ctx, unsigned int reg, const void *buf,
		      unsigned int len, bool zero_upper)
{
	vitro_xstate_set_vector(emul_vcpu(ctx), reg, buf, len, zero_upper);
	return EMUL_DONE;
}

static int op_io_in(struct emul_ctx *ctx, u16 port, unsigned int size, void *buf,
		    unsigned int count)
{
	return vitro_string_in(emul_vcpu(ctx), port, size, buf, count);
}

static int op_io_out(struct emul_ctx *ctx, u16 port, unsigned int size, const void *buf,
		     unsigned int count)
{
	return vitro_string_out(emul_vcpu(ctx), port, size, buf, count);
}

/* The TSS's I/O permission bitmap; SDM, "I/O Permission Bit Map". */
static int op_io_permitted(struct emul_ctx *ctx, u16 port, unsigned int size)
{
	struct vitro_vcpu *vcpu = emul_vcpu(ctx);
	struct kvm_segment tr;
	u16 base, bits, mask = ((1 << size) - 1) << (port & 7);
	int r;

	static_call(vitro_get_segment)(vcpu, VITRO_TR, &tr);
	if (tr.unusable || !(tr.type & 8) || tr.limit < 103)
		return emul_fault(ctx, X86_TRAP_GP, 0);
	/* A supervisor access, whatever the privilege of the instruction. */
	ctx->cpl = 0;
	r = op_read(ctx, tr.base + 102, &base, sizeof(base), EMUL_READ);
	if (r == EMUL_DONE && base + port / 8 + 1 > tr.limit)
		r = emul_fault(ctx, X86_TRAP_GP, 0);
	if (r == EMUL_DONE)
		r = op_read(ctx, tr.base + base + port / 8, &bits, sizeof(bits), EMUL_READ);
	if (r == EMUL_DONE && bits & mask)
		r = emul_fault(ctx, X86_TRAP_GP, 0);
	ctx->cpl = static_call(vitro_cpl)(vcpu);
	return r;
}

static void op_segment(struct emul_ctx *ctx, unsigned int i)
{
	struct emul_seg *out = &ctx->seg[i];
	struct kvm_segment seg;

	static_call(vitro_get_segment)(emul_vcpu(ctx), i, &seg);
	out->base = seg.base;
	out->limit = seg.limit;
	out->selector = seg.selector;
	out->type = seg.type;
	out->dpl = seg.dpl;
	out->s = seg.s;
	out->present = seg.present;
	out->db = seg.db;
	out->l = seg.l;
	out->g = seg.g;
	out->unusable = seg.unusable;
}

static void op_system(struct emul_ctx *ctx, struct emul_system *out)
{
	struct vitro_vcpu *vcpu = emul_vcpu(ctx);
	struct vitro_dtable table;
	struct kvm_segment seg;

	static_call(vitro_get_gdt)(vcpu, &table);
	out->gdt_base = table.base;
	out->gdt_limit = table.limit;
	static_call(vitro_get_idt)(vcpu, &table);
	out->idt_base = table.base;
	out->idt_limit = table.limit;
	static_call(vitro_get_segment)(vcpu, VITRO_LDTR, &seg);
	out->ldtr = seg.selector;
	static_call(vitro_get_segment)(vcpu, VITRO_TR, &seg);
	out->tr = seg.selector;
}

static const struct emul_ops vitro_emul_ops = {
	.segment	= op_segment,
	.system		= op_system,
	.fetch		= op_fetch,
	.read		= op_read,
	.write		= op_write,
	.compare_exchange = op_compare_exchange,
	.probe		= op_probe,
	.io_in		= op_io_in,
	.io_out		= op_io_out,
	.io_permitted	= op_io_permitted,
	.get_vec	= op_get_vec,
	.set_vec	= op_set_vec,
};

/*
 * Fetches the instruction, if that is simple: in 64-bit mode code has no limit
 * to be checked. Otherwise the emulator fetches as it decodes, and meets the
 * page fault if there is one. Drivers access their devices from few places: if
 * the bytes are those of the last instruction, it need not be decoded again.
 */
static void fetch_ahead(struct vitro_vcpu *vcpu, struct emul_ctx *ctx, bool same_mode)
{
	u32 access = VITRO_ACC_EXEC | (ctx->cpl == 3 ? VITRO_ACC_USER : 0);
	struct emul_insn *insn = &ctx->insn;
	u8 bytes[EMUL_MAX_INSN];
	struct vitro_walk walk;

	if (ctx->mode != EMUL_LONG64 || offset_in_page(ctx->rip) > PAGE_SIZE - sizeof(bytes) ||
	    vitro_walk_gva(vcpu, ctx->rip, access, false, &walk) ||
	    vitro_guest_read(vcpu->vm, walk.gpa, bytes, sizeof(bytes))) {
		insn->fetched = 0;
		return;
	}
	/* A length is there only if decoding has succeeded. */
	if (same_mode && insn->len && !memcmp(bytes, insn->bytes, sizeof(bytes))) {
		ctx->decoded = true;
		return;
	}
	memcpy(insn->bytes, bytes, sizeof(bytes));
	insn->fetched = sizeof(bytes);
}

/* @replay: as emulate(). Segments come when they are needed. */
static void fill_context(struct vitro_vcpu *vcpu, struct emul_ctx *ctx, bool replay)
{
	enum emul_mode mode = vitro_insn_mode(vcpu);
	bool same_mode = ctx->mode == mode;

	vcpu_rsp(vcpu);
	memcpy(ctx->gpr, vcpu->gpr, sizeof(ctx->gpr));
	ctx->rip = vcpu_rip(vcpu);
	ctx->rflags = vcpu_rflags(vcpu);
	/* User space may have changed the mode while it had the answer to find. */
	ctx->decoded = replay && same_mode;
	ctx->mode = mode;
	ctx->cpl = static_call(vitro_cpl)(vcpu);
	ctx->seg_absent = GENMASK(EMUL_NR_SEG - 1, 0);
	ctx->cr0 = vcpu_cr0(vcpu);
	ctx->cr4 = vcpu_cr4(vcpu);
	ctx->xcr0 = vcpu->xcr0;
	ctx->ops = &vitro_emul_ops;
	ctx->opaque = vcpu;
	if (!replay)
		fetch_ahead(vcpu, ctx, same_mode);
}

static void take_context(struct vitro_vcpu *vcpu, const struct emul_ctx *ctx)
{
	u64 rsp = ctx->gpr[EMUL_RSP];

	memcpy(vcpu->gpr, ctx->gpr, sizeof(vcpu->gpr));
	vcpu_write_rsp(vcpu, rsp);
	vcpu_write_rip(vcpu, ctx->rip);
	vcpu_write_rflags(vcpu, ctx->rflags);
}

static void forget_reads(struct vitro_vcpu *vcpu)
{
	vcpu->io.nr_reads = 0;
	vcpu->io.next_read = 0;
	vcpu->io.pio.answered = false;
}

static void fill_mmio_exit(struct vitro_vcpu *vcpu, const struct vitro_mmio_fragment *f,
			   bool write)
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = f->gpa;
	run->mmio.len = f->len;
	run->mmio.is_write = write;
	if (write)
		memcpy(run->mmio.data, f->data, sizeof(f->data));
}

static int emulate(struct vitro_vcpu *vcpu, bool replay);

static int complete_read(struct vitro_vcpu *vcpu)
{
	struct vitro_mmio_fragment *f = &vcpu->io.reads[vcpu->io.nr_reads - 1];

	memcpy(f->data, vcpu->run->mmio.data, sizeof(f->data));
	f->done = true;
	vcpu->io.next_read = 0;
	return emulate(vcpu, true);
}

/* Hands the posted writes out one by one. */
static int next_write(struct vitro_vcpu *vcpu)
{
	struct vitro_io_state *io = &vcpu->io;

	if (io->next_write == io->nr_writes) {
		io->next_write = 0;
		io->nr_writes = 0;
		return 1;
	}
	fill_mmio_exit(vcpu, &io->writes[io->next_write++], true);
	vcpu->complete = next_write;
	return 0;
}

static int complete_string_in(struct vitro_vcpu *vcpu)
{
	/* The instruction may not come to ask for it, if RCX is 0 now. */
	vcpu->io.pio.pending = false;
	vcpu->io.next_read = 0;
	vcpu->io.pio.answered = true;
	return emulate(vcpu, true);
}

/* User space has to answer before the instruction can go on. */
static int emulation_pending(struct vitro_vcpu *vcpu)
{
	if (vcpu->io.pio.pending) {
		vitro_fill_io_exit(vcpu);
		vcpu->complete = complete_string_in;
		return 0;
	}
	fill_mmio_exit(vcpu, &vcpu->io.reads[vcpu->io.nr_reads - 1], false);
	vcpu->complete = complete_read;
	return 0;
}

static int emulation_done(struct vitro_vcpu *vcpu, u64 old_rip)
{
	bool traced = vcpu_rflags(vcpu) & X86_EFLAGS_TF;

	forget_reads(vcpu);
	if (vcpu_rip(vcpu) != old_rip)
		static_call(vitro_set_shadow)(vcpu, 0);
	/* Each iteration of a string instruction is a step. */
	if (traced && (vcpu_rip(vcpu) != old_rip || vcpu->emul->ctx.again))
		vitro_step_trap(vcpu);
	if (vcpu->io.pio.pending) {
		vcpu->io.pio.pending = false;
		vitro_fill_io_exit(vcpu);
		vcpu->complete = next_write;
		return 0;
	}
	return next_write(vcpu);
}

static void queue_fault(struct vitro_vcpu *vcpu, const struct emul_exception *fault)
{
	if (fault->vector == X86_TRAP_PF)
		vitro_queue_page_fault(vcpu, fault->cr2, fault->error_code);
	else if (fault->has_error)
		vitro_queue_exception_error(vcpu, fault->vector, fault->error_code);
	else
		vitro_queue_exception(vcpu, fault->vector);
}

/* @replay: user space has answered; the instruction is the same as before. */
static int emulate(struct vitro_vcpu *vcpu, bool replay)
{
	struct emul_ctx *ctx = &vcpu->emul->ctx;
	u64 old_rip = vcpu_rip(vcpu);
	int r;

	fill_context(vcpu, ctx, replay);
	if (!replay)
		forget_reads(vcpu);
	vcpu->stats.emulated_insns++;
	r = emul_step(ctx);
	take_context(vcpu, ctx);

	switch (r) {
	case EMUL_DONE:
		return emulation_done(vcpu, old_rip);
	case EMUL_FAULT:
		forget_reads(vcpu);
		vcpu->io.pio.pending = false;
		queue_fault(vcpu, &ctx->fault);
		return 1;
	case EMUL_PENDING:
		return emulation_pending(vcpu);
	default:
		forget_reads(vcpu);
		vcpu->io.pio.pending = false;
		/* The guest's own user programs must not be able to end it, unless user space wants. */
		if (ctx->cpl == 3 && !READ_ONCE(vcpu->vm->exit_on_emulation_failure)) {
			vitro_queue_exception(vcpu, X86_TRAP_UD);
			return 1;
		}
		return vitro_emulation_failed(vcpu, ctx->insn.bytes, ctx->insn.fetched);
	}
}

/**
 * vitro_emulate_insn() - emulate the instruction at RIP
 * @vcpu: the vCPU
 *
 * Context: process context, vm->srcu held for reading.
 * Return: 1: go on; 0: user space has to finish the instruction, or it cannot
 * be emulated; kvm_run tells.
 */
int vitro_emulate_insn(struct vitro_vcpu *vcpu)
{
	return emulate(vcpu, false);
}
