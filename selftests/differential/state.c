// SPDX-License-Identifier: GPL-2.0-only
/* The state in which a guest begins. */
#include <asm/processor-flags.h>
#include <string.h>

#include "guest.h"

#define EFER_SCE	(1ULL << 0)
#define EFER_LME	(1ULL << 8)
#define EFER_LMA	(1ULL << 10)
#define EFER_NX		(1ULL << 11)

const char *const mode_names[NR_MODES] = {
	"real", "protected 16", "protected 32", "paged 32", "PAE", "long", "compat", "v86",
};

const char *const step_names[NR_STEPS] = {
	"none", "plain", "memory", "vector", "string", "stack", "branch", "port",
	"string port", "cpuid", "rdmsr", "wrmsr", "cr read", "cr write", "dr", "lmsw",
	"invlpg", "tsc", "xsetbv", "hypercall", "hint", "other", "event", "segment",
	"tables", "apic",
};

bool guest_has(const struct guest *g, uint32_t leaf, unsigned int reg, unsigned int bit)
{
	const struct kvm_cpuid_entry2 *entry;
	unsigned int i;

	for (i = 0; i < g->cpuid->nent; i++) {
		entry = &g->cpuid->entries[i];
		if (entry->function == leaf && !entry->index)
			return (&entry->eax)[reg] >> bit & 1;
	}
	return false;
}

bool guest_on_amd(const struct guest *g)
{
	return g->cpuid->nent && g->cpuid->entries[0].ebx == 0x68747541;
}

static struct kvm_segment segment(uint16_t selector, uint64_t base, uint32_t limit,
				  uint8_t type, uint8_t dpl, bool big)
{
	struct kvm_segment seg = {
		.base = base, .limit = limit, .selector = selector, .type = type,
		.present = 1, .dpl = dpl, .db = big, .s = 1, .g = limit > 0xfffff,
	};

	return seg;
}

static void set_data(struct kvm_sregs *s, struct kvm_segment data)
{
	s->ds = data;
	s->es = data;
	s->fs = data;
	s->gs = data;
}

/* Real mode and virtual-8086 mode: base is 16 times the selector. */
static void flat_segments_86(struct guest *g)
{
	struct kvm_sregs *s = &g->sregs;
	uint8_t dpl = g->mode == MODE_V86 ? 3 : 0;
	uint8_t code = g->mode == MODE_V86 ? 3 : 11;

	s->cs = segment(CODE_BASE / 16, CODE_BASE, 0xffff, code, dpl, false);
	s->ss = segment(STACK_BASE / 16, STACK_BASE, 0xffff, 3, dpl, false);
	set_data(s, segment(DATA_BASE / 16, DATA_BASE, 0xffff, 3, dpl, false));
}

static void segments_16(struct guest *g)
{
	struct kvm_sregs *s = &g->sregs;
	uint8_t dpl = g->user ? 3 : 0;

	s->cs = segment(g->user ? SEL_USER_CODE16 : SEL_CODE16, CODE_BASE, 0xffff, 11, dpl, false);
	s->ss = segment(g->user ? SEL_USER_STACK16 : SEL_STACK16, 0, 0xffff, 3, dpl, false);
	set_data(s, segment(g->user ? SEL_USER_DATA16 : SEL_DATA16, DATA_BASE, 0xffff, 3, dpl,
			    false));
}

static void segments_32(struct guest *g)
{
	struct kvm_sregs *s = &g->sregs;
	uint8_t dpl = g->user ? 3 : 0;
	struct kvm_segment data = segment(g->user ? SEL_USER_DATA32 : SEL_DATA32, 0, 0xffffffff,
					  3, dpl, true);

	s->cs = segment(g->user ? SEL_USER_CODE32 : SEL_CODE32, 0, 0xffffffff, 11, dpl, true);
	s->ss = data;
	set_data(s, data);
	/* One segment that is not flat. */
	s->gs = segment(g->user ? SEL_USER_DATA16 : SEL_DATA16, DATA_BASE, 0xffff, 3, dpl, false);
}

static void segments_64(struct guest *g)
{
	struct kvm_sregs *s = &g->sregs;

	segments_32(g);
	s->cs.selector = g->user ? SEL_USER_CODE64 : SEL_CODE64;
	s->cs.db = 0;
	s->cs.l = 1;
	s->gs.base = DATA_BASE;
	if (one_in(&g->rng, 2))
		s->fs.base = 0xffff800000000000;
}

static void system_segments(struct guest *g)
{
	struct kvm_sregs *s = &g->sregs;

	/* QEMU 7.2 ends at a busy TSS where another privilege level's stack is needed. */
	s->tr = segment(SEL_TSS, TSS_BASE, TSS_LIMIT, guest_on_amd(g) ? 9 : 11, 0, false);
	s->tr.s = 0;
	s->ldt = segment(SEL_LDT, LDT_BASE, 0xff, 2, 0, false);
	s->ldt.s = 0;
	if (one_in(&g->rng, 2)) {
		memset(&s->ldt, 0, sizeof(s->ldt));
		s->ldt.unusable = 1;
	}
	s->gdt.base = GDT_BASE;
	s->gdt.limit = GDT_SIZE - 1;
	s->idt.base = IDT_BASE;
	s->idt.limit = NR_VECTORS * 8 - 1;
	if (g->mode == MODE_LONG || g->mode == MODE_COMPAT)
		s->idt.limit = NR_VECTORS * 16 - 1;
	if (g->mode == MODE_REAL) {
		s->idt.base = 0;
		s->idt.limit = 0x3ff;
	}
	if (one_in(&g->rng, 32))
		s->idt.limit = rng_below(&g->rng, NR_VECTORS * 8);
}

static void control_registers(struct guest *g)
{
	struct kvm_sregs *s = &g->sregs;
	struct rng *rng = &g->rng;
	uint64_t cr4 = X86_CR4_DE | X86_CR4_PGE | X86_CR4_MCE | X86_CR4_PCE;

	s->cr0 = X86_CR0_ET | rng_bits(rng, X86_CR0_NE | X86_CR0_MP | X86_CR0_WP | X86_CR0_AM);
	if (one_in(rng, 8))
		s->cr0 |= rng_bits(rng, X86_CR0_TS | X86_CR0_EM);
	if (one_in(rng, 16))
		s->cr0 |= X86_CR0_CD | rng_bits(rng, X86_CR0_NW);
	if (g->mode != MODE_REAL)
		s->cr0 |= X86_CR0_PE;
	s->cr2 = rng_value(rng);
	s->cr3 = TOP_TABLE;

	if (guest_has(g, 7, 1, 7))
		cr4 |= X86_CR4_SMEP;
	if (guest_has(g, 7, 1, 20))
		cr4 |= X86_CR4_SMAP;
	if (guest_has(g, 7, 1, 0))
		cr4 |= X86_CR4_FSGSBASE;
	if (guest_has(g, 7, 2, 2))
		cr4 |= X86_CR4_UMIP;
	s->cr4 = rng_bits(rng, cr4);
	if (!one_in(rng, 4))
		s->cr4 |= X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT;
	if (guest_has(g, 1, 2, 26) && !one_in(rng, 4))
		s->cr4 |= X86_CR4_OSXSAVE;
	if (one_in(rng, 8))
		s->cr4 |= rng_bits(rng, X86_CR4_VME | X86_CR4_PVI | X86_CR4_TSD);

	s->efer = rng_bits(rng, EFER_SCE);
	if (guest_has(g, 0x80000001, 3, 20) && !one_in(rng, 4))
		s->efer |= EFER_NX;
}

/* Which of CR0.PG, CR4 and EFER go with the mode. */
static void paging(struct guest *g)
{
	struct kvm_sregs *s = &g->sregs;

	switch (g->mode) {
	case MODE_PAGED32:
		s->cr4 |= X86_CR4_PSE;
		s->cr0 |= X86_CR0_PG;
		break;
	case MODE_PAE:
		s->cr4 |= X86_CR4_PAE;
		s->cr3 = PDPT_TABLE;
		s->cr0 |= X86_CR0_PG;
		break;
	case MODE_LONG:
	case MODE_COMPAT:
		s->cr4 |= X86_CR4_PAE;
		if (guest_has(g, 1, 2, 17) && one_in(&g->rng, 4))
			s->cr4 |= X86_CR4_PCIDE;
		s->efer |= EFER_LME | EFER_LMA;
		s->cr0 |= X86_CR0_PG;
		break;
	default:
		/* QEMU 7.2 does not get back to a host with paging from LME without PAE. */
		if (one_in(&g->rng, 8) && guest_has(g, 0x80000001, 3, 29) && !guest_on_amd(g))
			s->efer |= EFER_LME;
	}
}

static void segments(struct guest *g)
{
	switch (g->mode) {
	case MODE_REAL:
	case MODE_V86:
		flat_segments_86(g);
		break;
	case MODE_PROT16:
		segments_16(g);
		break;
	case MODE_LONG:
		segments_64(g);
		break;
	case MODE_COMPAT:
		if (one_in(&g->rng, 4)) {
			segments_16(g);
			break;
		}
		segments_32(g);
		break;
	default:
		segments_32(g);
	}
	system_segments(g);
}

static void general_registers(struct guest *g)
{
	__u64 *gpr = &g->regs.rax;
	struct rng *rng = &g->rng;
	unsigned int i;

	for (i = 0; i < 16; i++)
		gpr[i] = guest_bits(g) == 64 ? rng_value(rng) : (uint32_t)rng_value(rng);
	g->regs.rsp = STACK_TOP - (g->sregs.ss.base == STACK_BASE ? STACK_BASE : 0);
	g->regs.rsp -= 16 * rng_below(rng, 16);
	if (one_in(rng, 8))
		g->regs.rsp -= rng_below(rng, 16);
	g->regs.rip = CODE_BASE - g->sregs.cs.base;
	g->regs.rflags = X86_EFLAGS_FIXED |
		rng_bits(rng, X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF |
			      X86_EFLAGS_SF | X86_EFLAGS_OF | X86_EFLAGS_IF | X86_EFLAGS_ID);
	if (one_in(rng, 8))
		g->regs.rflags |= rng_bits(rng, X86_EFLAGS_DF | X86_EFLAGS_AC | X86_EFLAGS_RF);
	if (one_in(rng, 16))
		g->regs.rflags |= X86_EFLAGS_TF;
	if (g->user && !one_in(rng, 3))
		g->regs.rflags |= X86_EFLAGS_IOPL;
	if (g->mode == MODE_V86)
		g->regs.rflags |= X86_EFLAGS_VM;
}

/* The standard form of an XSAVE area: x87, MXCSR, XMM, then the header, then AVX. */
static void extended_state(struct guest *g)
{
	uint8_t *area = (uint8_t *)g->xsave.region;
	unsigned int i, xmm = guest_bits(g) == 64 ? 16 : 8;
	uint32_t mxcsr = 0x1f80;
	uint16_t fcw = 0x37f;

	g->xcr0 = 1;
	if (guest_has(g, 1, 2, 26))
		g->xcr0 |= guest_has(g, 1, 2, 28) && one_in(&g->rng, 2) ? 6 : 2;
	memcpy(area, &fcw, sizeof(fcw));
	memcpy(area + 24, &mxcsr, sizeof(mxcsr));
	for (i = 0; i < 2 * xmm; i++)
		((uint64_t *)(area + 160))[i] = rng_value(&g->rng);
	for (i = 0; g->xcr0 & 4 && i < 2 * xmm; i++)
		((uint64_t *)(area + 576))[i] = rng_value(&g->rng);
	memcpy(area + 512, &g->xcr0, sizeof(g->xcr0));
}

static void other_registers(struct guest *g)
{
	struct rng *rng = &g->rng;
	unsigned int i;

	extended_state(g);
	for (i = 0; i < 4; i++)
		g->debugregs.db[i] = guest_address(g);
	g->debugregs.dr6 = 0xffff0ff0;
	g->debugregs.dr7 = 0x400;
	/* QEMU 7.2 loses track of breakpoints that VMRUN loads, and crashes. */
	if (one_in(rng, 16) && !guest_on_amd(g))
		g->debugregs.dr7 |= rng_bits(rng, 0xffff00ff);

	g->events.flags = KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_NMI_PENDING;
	if (one_in(rng, 8))
		g->events.nmi.masked = 1;
	/* With TF, a trap of the STI would be pending, too: the API cannot say so. */
	if (one_in(rng, 8) &&
	    (g->regs.rflags & (X86_EFLAGS_IF | X86_EFLAGS_TF)) == X86_EFLAGS_IF)
		g->events.interrupt.shadow = KVM_X86_SHADOW_INT_STI;
}

/* Something that a processor may refuse. */
static void spoil(struct guest *g)
{
	struct kvm_sregs *s = &g->sregs;
	struct kvm_segment *seg = &s->cs + rng_below(&g->rng, guest_on_amd(g) ? 6 : 8), cs = s->cs;
	uint64_t bit = 1ULL << rng_below(&g->rng, 64);

	switch (rng_below(&g->rng, 6)) {
	case 0:
		s->cr0 ^= bit;
		break;
	case 1:
		s->cr4 ^= one_in(&g->rng, 4) ? bit : (uint32_t)bit;
		break;
	case 2:
		s->efer ^= guest_on_amd(g) ? bit & ~EFER_LME : bit;
		break;
	case 3:
		s->cr3 ^= bit;
		break;
	case 4:
		seg->type = rng_below(&g->rng, 16);
		seg->dpl = rng_below(&g->rng, 4);
		break;
	default:
		seg->s ^= one_in(&g->rng, 3);
		seg->present ^= one_in(&g->rng, 3);
		seg->limit = rng_value(&g->rng);
		seg->unusable ^= one_in(&g->rng, 3);
		/* Code that is not present, or beyond the limit: TCG runs it, KVM's emulator does not. */
		if (guest_on_amd(g))
			s->cs = cs;
	}
}

void guest_state(struct guest *g)
{
	struct rng *rng = &g->rng;

	g->mode = rng_below(rng, NR_MODES);
	if (g->mode == MODE_V86)
		g->user = true;
	else if (g->mode != MODE_REAL)
		g->user = one_in(rng, 4);
	g->irqchip = one_in(rng, 3);
	g->complete = !one_in(rng, 4);
	g->sync = !one_in(rng, 4);
	g->inject_one_in = one_in(rng, 2) ? 0 : 2 + rng_below(rng, 8);
	control_registers(g);
	paging(g);
	segments(g);
	g->sregs.apic_base = g->irqchip ? 0xfee00900 : 0xfee00100;
	general_registers(g);
	other_registers(g);
	if (one_in(rng, 24))
		spoil(g);
}

void guest_generate(struct guest *g, uint64_t seed, const struct kvm_cpuid2 *cpuid)
{
	memset(g, 0, sizeof(*g));
	g->seed = seed;
	g->rng.state = seed * 0xd1342543de82ef95;
	g->cpuid = cpuid;
	guest_state(g);
	guest_tables(g);
	guest_code(g);
}
