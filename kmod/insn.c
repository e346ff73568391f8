// SPDX-License-Identifier: GPL-2.0-only
/*
 * The instruction at RIP: fetching it, finding its length and operands where
 * the processor does not report them, and getting past it.
 */
#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/uaccess.h>
#include <asm/processor-flags.h>
#include <asm/traps.h>

#include "backend.h"
#include "emul/emul.h"
#include "insn.h"
#include "insn_mode.h"
#include "memslot.h"
#include "vm.h"

/**
 * vitro_insn_mode() - how the processor decodes instructions now
 * @vcpu: the vCPU
 */
enum emul_mode vitro_insn_mode(struct vitro_vcpu *vcpu)
{
	struct kvm_segment cs;

	if (!(vcpu_cr0(vcpu) & X86_CR0_PE))
		return EMUL_REAL;
	if (vcpu->efer & EFER_LMA && static_call(vitro_cs_long)(vcpu))
		return EMUL_LONG64;
	if (vcpu_rflags(vcpu) & X86_EFLAGS_VM)
		return EMUL_VM86;
	static_call(vitro_get_segment)(vcpu, VITRO_CS, &cs);
	return cs.db ? EMUL_PROT32 : EMUL_PROT16;
}

/**
 * vitro_linear_rip() - linear address of the instruction at RIP
 * @vcpu: the vCPU
 */
u64 vitro_linear_rip(struct vitro_vcpu *vcpu)
{
	struct kvm_segment cs;

	if (vcpu->efer & EFER_LMA && static_call(vitro_cs_long)(vcpu))
		return vcpu_rip(vcpu);
	static_call(vitro_get_segment)(vcpu, VITRO_CS, &cs);
	return (u32)(cs.base + vcpu_rip(vcpu));
}

/* Reads bytes within one page. 0, -EFAULT with @walk telling, -EAGAIN, -ENXIO. */
static int fetch_in_page(struct vitro_vcpu *vcpu, u64 gva, u8 *bytes, unsigned int len,
			 bool atomic, struct vitro_walk *walk)
{
	int err = vitro_walk_gva(vcpu, gva, vitro_fetch_access(vcpu), atomic, walk);

	if (err)
		return err;
	if (atomic)
		return vitro_guest_read_atomic(vcpu->vm, walk->gpa, bytes, len) ? -EAGAIN : 0;
	return vitro_guest_read(vcpu->vm, walk->gpa, bytes, len) ? -ENXIO : 0;
}

/**
 * vitro_fetch_insn() - read instruction bytes at RIP
 * @vcpu:   the vCPU
 * @bytes:  room for @max bytes
 * @max:    1 to 15
 * @atomic: do not sleep
 *
 * Bytes beyond the first page are fetched only if they are there.
 *
 * Return: number of bytes, -EFAULT if the guest gets a page fault (queued,
 * unless @atomic), -EAGAIN if @atomic and memory is not at hand, -ENXIO if RIP
 * does not lie in memory.
 */
int vitro_fetch_insn(struct vitro_vcpu *vcpu, u8 *bytes, unsigned int max, bool atomic)
{
	u64 gva = vitro_linear_rip(vcpu);
	unsigned int first = min_t(unsigned int, max, PAGE_SIZE - offset_in_page(gva));
	struct vitro_walk walk;
	int err;

	err = fetch_in_page(vcpu, gva, bytes, first, atomic, &walk);
	if (err) {
		if (err == -EFAULT && !atomic)
			vitro_queue_page_fault(vcpu, gva, walk.error_code);
		return err;
	}
	if (first < max &&
	    !fetch_in_page(vcpu, gva + first, bytes + first, max - first, atomic, &walk))
		return max;
	return first;
}

/* Is the decoded instruction one that causes such an exit? */
static bool matches_exit(const struct vitro_exit *exit, const struct emul_insn *insn)
{
	u16 id = emul_insn_id(insn);

	switch (exit->reason) {
	case VITRO_EXIT_CPUID:
		return id == 0x0fa2;
	case VITRO_EXIT_HLT:
		return id == 0xf4;
	case VITRO_EXIT_RDMSR:
		return id == 0x0f32;
	case VITRO_EXIT_WRMSR:
		return id == 0x0f30;
	case VITRO_EXIT_HYPERCALL:
		return id == 0x0f01 && (insn->modrm == 0xd9 || insn->modrm == 0xc1);
	case VITRO_EXIT_XSETBV:
		return id == 0x0f01 && insn->modrm == 0xd1;
	case VITRO_EXIT_CACHE:
		return id == 0x0f08 || id == 0x0f09;
	case VITRO_EXIT_PAUSE:
		return id == 0x90;
	case VITRO_EXIT_CR:
		/* SMSW and LMSW: 0F 01. CLTS, with LMSW, counts as a write. */
		if (exit->cr.op == VITRO_CR_READ)
			return id == 0x0f20 || (id == 0x0f01 && (insn->modrm >> 3 & 7) == 4);
		return id == 0x0f22 || id == 0x0f06 ||
		       (id == 0x0f01 && (insn->modrm >> 3 & 7) == 6);
	case VITRO_EXIT_DR:
		return id == (exit->dr.write ? 0x0f23 : 0x0f21);
	default:
		return true;
	}
}

/* 0; -errno as vitro_fetch_insn(); -EINVAL if the bytes are not the instruction that exited. */
static int decode_exit(struct vitro_vcpu *vcpu, bool atomic, struct emul_insn *insn)
{
	u8 bytes[EMUL_MAX_INSN];
	int n, len;

	n = vitro_fetch_insn(vcpu, bytes, sizeof(bytes), atomic);
	if (n < 0)
		return n;
	len = emul_insn_length(insn, vitro_insn_mode(vcpu), bytes, n);
	if (len < 0 || !matches_exit(&vcpu->exit, insn))
		return -EINVAL;
	vcpu->exit.insn_len = len;
	return 0;
}

/*
 * Instructions that exit as compilers write them, without needless prefixes;
 * first byte lowest. They mean and measure the same in every mode.
 */
static const struct {
	u32 opcode;
	u8 len;
} plain[VITRO_NR_EXITS] = {
	[VITRO_EXIT_CPUID]	= { 0xa20f, 2 },
	[VITRO_EXIT_HLT]	= { 0xf4, 1 },
	[VITRO_EXIT_RDMSR]	= { 0x320f, 2 },
	[VITRO_EXIT_WRMSR]	= { 0x300f, 2 },
	[VITRO_EXIT_HYPERCALL]	= { 0xd9010f, 3 },	/* VMMCALL */
	[VITRO_EXIT_XSETBV]	= { 0xd1010f, 3 },
	[VITRO_EXIT_CACHE]	= { 0x090f, 2 },	/* WBINVD */
	[VITRO_EXIT_PAUSE]	= { 0x90f3, 2 },
};

/* Keeps what find_plain() has found. Entries of 4 bytes are too rare to be kept. */
static void keep_site(struct vitro_vcpu *vcpu, const struct vitro_walk_entry *e, u32 bytes,
		      const u32 __user *code)
{
	struct vitro_insn_site *site = vitro_site_of(vcpu, vcpu->rip);

	if (!e || !e->wide || !vcpu->exit.cs_key)
		return;
	site->rip = vcpu->rip;
	site->cs_key = vcpu->exit.cs_key;
	vitro_keep_path(&site->path, e);
	site->bytes = bytes;
	site->len = vcpu->exit.insn_len;
	site->code = code;
}

/* Finds the length if the exit's instruction is in its plain form. */
static noinline bool find_plain(struct vitro_vcpu *vcpu)
{
	u32 bytes, opcode = plain[vcpu->exit.reason].opcode;
	unsigned int len = plain[vcpu->exit.reason].len;
	u64 gva = vitro_linear_rip(vcpu);
	u32 access = vitro_fetch_access(vcpu);
	const u32 __user *code;
	struct vitro_walk walk;

	if (!len || offset_in_page(gva) > PAGE_SIZE - sizeof(bytes))
		return false;
	if (vitro_walk_gva(vcpu, gva, access, true, &walk) ||
	    !vitro_guest_peek(vcpu->vm, walk.gpa, &bytes, &code))
		return false;
	if ((bytes ^ opcode) & (BIT(8 * len) - 1))
		return false;
	vcpu->exit.insn_len = len;
	keep_site(vcpu, vitro_walk_kept(vcpu, gva, access, walk.gpa), bytes, code);
	return true;
}

/* Do the guest's tables still lead there, and are the bytes the same? */
static __always_inline bool site_unchanged(const struct vitro_insn_site *site)
{
	bool same = false;
	u32 bytes;

	pagefault_disable();
	__uaccess_begin_nospec();
	unsafe_get_user(bytes, site->code, end);
	same = bytes == site->bytes && vitro_path_unchanged(&site->path);
end:
	__uaccess_end();
	pagefault_enable();
	return same;
}

/* Apart, as what it has on the stack takes long to initialise. */
static noinline bool find_any(struct vitro_vcpu *vcpu)
{
	struct emul_insn insn;

	return !decode_exit(vcpu, true, &insn);
}

static noinline bool find_anew(struct vitro_vcpu *vcpu)
{
	return find_plain(vcpu) || find_any(vcpu);
}

/**
 * vitro_find_insn_len() - find out what the processor has not told, in the inner loop
 * @vcpu: the vCPU, hot, with an exit whose insn_len is 0
 *
 * Exits come from few places: if the last one at this RIP was the same, and
 * all that its length was derived from is as it was, so is the length.
 *
 * Context: inner loop, vm->srcu held. A backend that leaves exit.insn_len 0 has CR3 at
 *	    hand after each exit.
 * Return: false if the bytes are not at hand.
 */
bool vitro_find_insn_len(struct vitro_vcpu *vcpu)
{
	const struct vitro_insn_site *site = vitro_site_of(vcpu, vcpu->rip);

	/* The compiler would compute the address again for each member. */
	OPTIMIZER_HIDE_VAR(site);
	if (likely(site->rip == vcpu->rip && site->cs_key == vcpu->exit.cs_key &&
		   site->path.cr3 == vcpu->cr3 &&
		   site->path.generation == vitro_memslots(vcpu->vm)->generation &&
		   site_unchanged(site))) {
		vcpu->exit.insn_len = site->len;
		return true;
	}
	return find_anew(vcpu);
}

/* MOV to and from control and debug registers name them in ModRM. */
static void decode_registers(struct vitro_exit *exit, const struct emul_insn *insn)
{
	u8 rm = (insn->modrm & 7) | (insn->rex & 1 ? 8 : 0);

	if (exit->reason == VITRO_EXIT_DR) {
		exit->dr.gpr = rm;
		return;
	}
	if (emul_insn_id(insn) == 0x0f06)
		exit->cr.op = VITRO_CR_CLTS;
	else if (emul_insn_id(insn) != 0x0f01)
		exit->cr.gpr = rm;
}

/* LMSW with a register operand; a memory operand is not worth supporting. */
static bool decode_lmsw(struct vitro_vcpu *vcpu, const struct emul_insn *insn)
{
	struct vitro_exit *exit = &vcpu->exit;

	if (exit->reason != VITRO_EXIT_CR || emul_insn_id(insn) != 0x0f01)
		return true;
	if ((insn->modrm & 0xf8) != 0xf0)
		return false;
	exit->cr.op = VITRO_CR_LMSW;
	exit->cr.value = vcpu_gpr(vcpu, (insn->modrm & 7) | (insn->rex & 1 ? 8 : 0));
	return true;
}

/**
 * vitro_complete_exit_decode() - find out what the processor did not tell
 * @vcpu: the vCPU, with an exit whose insn_len is 0
 * @r:    if false is returned: what vitro_handle_exit() shall return
 *
 * Context: process context.
 * Return: true if all of vcpu->exit is valid now.
 */
bool vitro_complete_exit_decode(struct vitro_vcpu *vcpu, int *r)
{
	struct emul_insn insn;

	switch (decode_exit(vcpu, false, &insn)) {
	case 0:
		break;
	case -EFAULT:
	case -EINVAL:
		/* Another vCPU has changed code or tables meanwhile: execute what is there. */
		*r = 1;
		return false;
	default:
		*r = vitro_emulation_failed(vcpu, NULL, 0);
		return false;
	}
	if (vcpu->exit.reason != VITRO_EXIT_CR && vcpu->exit.reason != VITRO_EXIT_DR)
		return true;
	if (!decode_lmsw(vcpu, &insn)) {
		*r = vitro_emulation_failed(vcpu, insn.bytes, insn.len);
		return false;
	}
	decode_registers(&vcpu->exit, &insn);
	return true;
}

/**
 * vitro_step_trap() - an instruction that vitro has completed or skipped, with RFLAGS.TF set
 * @vcpu: the vCPU
 */
void vitro_step_trap(struct vitro_vcpu *vcpu)
{
	vitro_queue_db(vcpu, DR6_BS);
}

/**
 * vitro_skip_insn() - get past the instruction that caused the exit
 * @vcpu: the vCPU; exit.insn_len is known
 *
 * Return: 1, as an exit's handler does to go on.
 */
int vitro_skip_insn(struct vitro_vcpu *vcpu)
{
	return vitro_skip_insn_fast(vcpu);
}
