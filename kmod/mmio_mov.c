// SPDX-License-Identifier: GPL-2.0-only
/*
 * MMIO by plain MOVs in 64-bit mode, which is how drivers access devices.
 *
 * The emulator takes some 1,200 instructions for one: it fetches, decodes,
 * computes the address, and walks the guest's tables once more. All but the
 * fetch is saved here. A nested page fault comes after all that the guest's
 * own state has to say about the access: canonical form, the guest's tables,
 * user or supervisor (SDM, "EPT Violations"; APM, "Nested versus Guest Page
 * Faults, Fault Ordering"), and it tells the guest-physical address. What is
 * left to know is which register and how many bytes. That is decoded once;
 * whoever uses it again compares the bytes, and the tables that lead to them,
 * with what is in memory now.
 *
 * The guest may change code and tables while this looks. It is then that
 * code's access at the address, and of the kind, that the processor has
 * permitted to this vCPU at this privilege; the data goes to or comes from
 * its own registers.
 */
#include <linux/kvm.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <asm/processor-flags.h>

#include "backend.h"
#include "insn.h"
#include "iobus.h"
#include "irqchip/irqchip.h"
#include "mmio.h"
#include "vm.h"

/**
 * vitro_mmio_kernel_read() - the guest reads from a device
 * @vcpu: the vCPU
 * @gpa:  guest-physical address
 * @len:  bytes, 1 to 8, within a page
 * @data: result
 *
 * Context: vm->srcu held; IRQs on or off.
 * Return: 0 if a device in the kernel has taken the access.
 */
int vitro_mmio_kernel_read(struct vitro_vcpu *vcpu, u64 gpa, unsigned int len, void *data)
{
	if (vitro_lapic_owns(vcpu, gpa))
		return vitro_lapic_mmio_read(vcpu, offset_in_page(gpa), len, data);
	return vitro_iobus_read(vcpu, VITRO_BUS_MMIO, gpa, len, data);
}

/**
 * vitro_mmio_kernel_write() - the guest writes to a device
 * @vcpu: the vCPU
 * @gpa:  guest-physical address
 * @len:  bytes, 1 to 8, within a page
 * @data: what it writes
 *
 * Context: vm->srcu held; IRQs on or off.
 * Return: 0 if a device in the kernel has taken the access.
 */
int vitro_mmio_kernel_write(struct vitro_vcpu *vcpu, u64 gpa, unsigned int len,
			    const void *data)
{
	if (vitro_lapic_owns(vcpu, gpa))
		return vitro_lapic_mmio_write(vcpu, offset_in_page(gpa), len, data);
	return vitro_iobus_write(vcpu, VITRO_BUS_MMIO, gpa, len, data);
}

static u64 mask_of(int bytes)
{
	return bytes <= 0 ? 0 : bytes >= 8 ? ~0ULL : BIT_ULL(8 * bytes) - 1;
}

/* Apart, as what it has on the stack takes long to initialise. */
static noinline void learn(struct vitro_mov *m, const u64 code[2])
{
	struct emul_insn insn;
	int len = emul_insn_length(&insn, EMUL_LONG64, code, EMUL_MAX_INSN);

	if (len <= 0 || !emul_plain_mov(&insn, &m->mov)) {
		memset(&m->mov, 0, sizeof(m->mov));
		len = EMUL_MAX_INSN;
	}
	m->mask[0] = mask_of(len);
	m->mask[1] = mask_of(len - 8);
	m->code[0] = code[0] & m->mask[0];
	m->code[1] = code[1] & m->mask[1];
	m->known = true;
}

/* Are its bytes the same as @code? */
static __always_inline bool is_same(const struct vitro_mov *m, const u64 code[2])
{
	return !(((code[0] ^ m->code[0]) & m->mask[0]) | ((code[1] ^ m->code[1]) & m->mask[1]));
}

/* Keeps where the bytes are that have just been read at @gpa. */
static void keep_site(struct vitro_vcpu *vcpu, u64 rip, u32 access, u64 gpa)
{
	const struct vitro_walk_entry *e = vitro_walk_kept(vcpu, rip, access, gpa);
	struct vitro_insn_site *site = vitro_site_of(vcpu, rip);
	const u32 __user *code;
	u32 unused;

	if (!e || !e->wide || !vitro_guest_peek(vcpu->vm, gpa, &unused, &code))
		return;
	site->rip = rip;
	site->cs_key = VITRO_SITE_MOV | access;
	site->code = code;
	vitro_keep_path(&site->path, e);
}

/* Reads the 16 bytes at RIP, none of which is on another page, and learns what they do. */
static noinline bool fetch(struct vitro_vcpu *vcpu, struct vitro_mov *m, u64 rip, u32 access)
{
	struct vitro_walk walk;
	u64 code[2];

	if (offset_in_page(rip) > PAGE_SIZE - sizeof(code) ||
	    vitro_walk_gva(vcpu, rip, access, true, &walk) ||
	    vitro_guest_read_atomic(vcpu->vm, walk.gpa, code, sizeof(code)))
		return false;
	if (!m->known || !is_same(m, code))
		learn(m, code);
	keep_site(vcpu, rip, access, walk.gpa);
	return true;
}

/* Do the guest's tables still lead to the same bytes? */
static __always_inline bool site_unchanged(const struct vitro_insn_site *site,
					   const struct vitro_mov *m)
{
	const u64 __user *text = (const u64 __user *)site->code;
	bool same = false;
	u64 code[2];

	pagefault_disable();
	__uaccess_begin_nospec();
	unsafe_get_user(code[0], text, end);
	unsafe_get_user(code[1], text + 1, end);
	same = is_same(m, code) && vitro_path_unchanged(&site->path);
end:
	__uaccess_end();
	pagefault_enable();
	return same;
}

/* Is @m what is at RIP now? */
static bool is_there(struct vitro_vcpu *vcpu, const struct vitro_mov *m, u64 rip, u32 access)
{
	const struct vitro_insn_site *site = vitro_site_of(vcpu, rip);

	return m->known && site->rip == rip && site->cs_key == (VITRO_SITE_MOV | access) &&
	       site->path.cr3 == vcpu_cr3(vcpu) &&
	       site->path.generation == vitro_memslots(vcpu->vm)->generation &&
	       site_unchanged(site, m);
}

/* Offset in its page of the memory operand. Flat segments begin at a page. */
static unsigned int page_offset_of(struct vitro_vcpu *vcpu, const struct emul_mov *mov)
{
	u64 address = mov->disp;

	if (mov->base >= 0)
		address += vcpu_gpr(vcpu, mov->base);
	if (mov->index >= 0)
		address += vcpu_gpr(vcpu, mov->index) << mov->scale;
	if (mov->rip_relative)
		address += vcpu_rip(vcpu) + mov->len;
	return offset_in_page(address);
}

/* The instruction behind vcpu->exit, if it is a plain MOV. */
static const struct emul_mov *find_mov(struct vitro_vcpu *vcpu)
{
	const struct vitro_exit *exit = &vcpu->exit;
	u64 rip = vcpu_rip(vcpu);
	unsigned int offset = offset_in_page(exit->fault.gpa);
	struct vitro_mov *m = &vcpu->emul->movs[(rip ^ rip >> 4) % VITRO_MOVS];
	const struct emul_mov *mov = &m->mov;
	u32 access;

	if (!(vcpu->efer & EFER_LMA) || !static_call(vitro_cs_long)(vcpu))
		return NULL;
	access = vitro_fetch_access(vcpu);
	if (!is_there(vcpu, m, rip, access) && !fetch(vcpu, m, rip, access))
		return NULL;
	if (!mov->len || mov->store != !!(exit->fault.access & VITRO_ACC_WRITE))
		return NULL;
	/* Of an operand in two pages the processor may have reported the second. */
	if (offset != page_offset_of(vcpu, mov) || offset > PAGE_SIZE - mov->bytes)
		return NULL;
	return mov;
}

static u64 value_of(struct vitro_vcpu *vcpu, const struct emul_mov *mov)
{
	if (mov->has_imm)
		return mov->imm;
	return vcpu_gpr(vcpu, mov->reg) >> mov->reg_shift;
}

/* Loads @value, of which mov->bytes count. */
static void load(struct vitro_vcpu *vcpu, const struct emul_mov *mov, u64 value)
{
	unsigned int unused = 64 - 8 * mov->bytes;
	u64 mask;

	value <<= unused;
	value = mov->sign ? (s64)value >> unused : value >> unused;
	/* 32 bits clear the upper half; 8 and 16 leave the rest. */
	if (mov->reg_bytes == sizeof(u32)) {
		value = (u32)value;
	} else if (mov->reg_bytes < sizeof(u32)) {
		mask = mask_of(mov->reg_bytes) << mov->reg_shift;
		value = (vcpu_gpr(vcpu, mov->reg) & ~mask) | (value << mov->reg_shift & mask);
	}
	vcpu_write_gpr(vcpu, mov->reg, value);
}

/* The instruction is complete. Returns 1. */
static int finish(struct vitro_vcpu *vcpu, const struct emul_mov *mov)
{
	u64 rflags = vcpu_rflags(vcpu);

	/* An exit by a nested fault may set RF (SDM, "Saving RIP, RSP, RFLAGS, and SSP"). */
	if (rflags & X86_EFLAGS_RF)
		vcpu_write_rflags(vcpu, rflags & ~(u64)X86_EFLAGS_RF);
	vcpu->exit.insn_len = mov->len;
	vcpu->stats.emulated_insns++;
	return vitro_skip_insn(vcpu);
}

/**
 * vitro_mmio_mov_fast() - an access to a device
 * @vcpu: the vCPU, hot, with a nested fault that no slot can settle; its emul->mov is NULL
 *
 * If it is a plain MOV, but no device in the kernel takes it, vcpu->emul->mov
 * is left for vitro_mmio_mov().
 *
 * Context: inner loop.
 * Return: true if it is done.
 */
bool vitro_mmio_mov_fast(struct vitro_vcpu *vcpu)
{
	const struct vitro_exit *exit = &vcpu->exit;
	const struct emul_mov *mov;
	u64 value = 0;

	/* Neither the instruction's fetch, nor the guest's tables, nor an event on its way. */
	if (exit->fault.access & VITRO_ACC_EXEC || exit->fault.walk || vitro_event_on_its_way(vcpu))
		return false;
	mov = find_mov(vcpu);
	if (!mov)
		return false;

	if (mov->store) {
		value = value_of(vcpu, mov);
		if (!vitro_mmio_kernel_write(vcpu, exit->fault.gpa, mov->bytes, &value))
			return finish(vcpu, mov);
	} else if (!vitro_mmio_kernel_read(vcpu, exit->fault.gpa, mov->bytes, &value)) {
		load(vcpu, mov, value);
		return finish(vcpu, mov);
	}
	vcpu->emul->mov = mov;
	return false;
}

static int complete_store(struct vitro_vcpu *vcpu)
{
	return 1;
}

/* Entries of vcpu->emul->movs change only while the vCPU runs. */
static int complete_load(struct vitro_vcpu *vcpu)
{
	u64 value;

	memcpy(&value, vcpu->run->mmio.data, sizeof(value));
	load(vcpu, vcpu->emul->mov, value);
	return finish(vcpu, vcpu->emul->mov);
}

/**
 * vitro_mmio_mov() - let user space do an access to a device
 * @vcpu: the vCPU, whose vcpu->emul->mov vitro_mmio_mov_fast() has found
 *
 * Context: process context.
 * Return: 0, to go to user space.
 */
int vitro_mmio_mov(struct vitro_vcpu *vcpu)
{
	const struct emul_mov *mov = vcpu->emul->mov;
	struct kvm_run *run = vcpu->run;
	u64 value;

	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = vcpu->exit.fault.gpa;
	run->mmio.len = mov->bytes;
	run->mmio.is_write = mov->store;
	if (!mov->store) {
		vcpu->complete = complete_load;
		return 0;
	}
	value = value_of(vcpu, mov) & mask_of(mov->bytes);
	memcpy(run->mmio.data, &value, sizeof(value));
	vcpu->complete = complete_store;
	finish(vcpu, mov);
	return 0;
}
