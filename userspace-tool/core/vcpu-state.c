// SPDX-License-Identifier: GPL-2.0-only
/* The state in which firmware and boot loader would leave the boot CPU. */
#include "core/util.h"
#include "core/vcpu.h"
#include "core/vm.h"
#include "loader/layout.h"

#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#define CR0_PE		BIT(0)
#define CR0_ET		BIT(4)
#define CR0_PG		BIT(31)
#define CR4_PAE		BIT(5)
#define EFER_LME	BIT(8)
#define EFER_LMA	BIT(10)
#define RFLAGS_FIXED	BIT(1)

#define MSR_MTRR_DEF_TYPE	0x2ff
#define MTRR_ENABLE		BIT(11)
#define MTRR_WRITE_BACK		6
#define MSR_MISC_ENABLE		0x1a0
#define MISC_ENABLE_FAST_STRING	BIT(0)

#define PTE_PRESENT	BIT(0)
#define PTE_WRITE	BIT(1)
#define PDE_LARGE	BIT(7)

/* Segment types (SDM, Code- and Data-Segment Descriptor Types). */
#define SEG_CODE	0xb	/* execute/read, accessed */
#define SEG_DATA	0x3	/* read/write, accessed */
#define SEG_TSS_BUSY	0xb	/* 32-bit and 64-bit alike */

static struct kvm_segment flat_segment(unsigned int selector, unsigned int type, bool is_64)
{
	return (struct kvm_segment){
		.selector = selector,
		.limit = 0xffffffff,
		.type = type,
		.present = 1,
		.s = 1,
		.g = 1,
		.l = is_64,
		.db = !is_64,
	};
}

static uint64_t descriptor(const struct kvm_segment *s)
{
	uint64_t limit = s->g ? s->limit >> 12 : s->limit;

	return (limit & 0xffff) | (s->base & 0xffffff) << 16 |
	       (uint64_t)s->type << 40 | (uint64_t)s->s << 44 |
	       (uint64_t)s->dpl << 45 | (uint64_t)s->present << 47 |
	       (limit >> 16 & 0xf) << 48 | (uint64_t)s->l << 53 |
	       (uint64_t)s->db << 54 | (uint64_t)s->g << 55 |
	       (s->base >> 24 & 0xff) << 56;
}

static int write_gdt(struct vcpu *vcpu, struct kvm_sregs *sregs)
{
	uint64_t *gdt = guest_mem_at(&vcpu->vm->mem, BOOT_GDT, 4096);

	if (!gdt)
		return -ENOMEM;
	gdt[BOOT_CS / 8] = descriptor(&sregs->cs);
	gdt[BOOT_DS / 8] = descriptor(&sregs->ds);
	gdt[BOOT_TSS / 8] = descriptor(&sregs->tr);
	sregs->gdt.base = BOOT_GDT;
	sregs->gdt.limit = BOOT_TSS + 2 * 8 - 1;
	return 0;
}

/* The 64-bit entry wants kernel, boot_params and command line mapped 1:1. */
static int write_page_tables(struct vcpu *vcpu, struct kvm_sregs *sregs)
{
	struct guest_mem *mem = &vcpu->vm->mem;
	uint64_t *pml4 = guest_mem_at(mem, BOOT_PML4, 4096);
	uint64_t *pdpt = guest_mem_at(mem, BOOT_PDPT, 4096);
	uint64_t *pd = guest_mem_at(mem, BOOT_PD, 4 * 4096);

	if (!pml4 || !pdpt || !pd)
		return -ENOMEM;
	pml4[0] = BOOT_PDPT | PTE_PRESENT | PTE_WRITE;
	for (uint64_t i = 0; i < 4; i++)
		pdpt[i] = (BOOT_PD + i * 4096) | PTE_PRESENT | PTE_WRITE;
	for (uint64_t i = 0; i < 4 * 512; i++)
		pd[i] = i << 21 | PTE_PRESENT | PTE_WRITE | PDE_LARGE;
	sregs->cr3 = BOOT_PML4;
	sregs->cr4 = CR4_PAE;
	sregs->cr0 = CR0_PE | CR0_ET | CR0_PG;
	sregs->efer = EFER_LME | EFER_LMA;
	return 0;
}

static int set_sregs(struct vcpu *vcpu, const struct boot_entry *entry)
{
	bool is_64 = entry->protocol == BOOT_LINUX64;
	struct kvm_sregs sregs;
	int ret = 0;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0)
		return fail(errno, "vCPU %u: KVM_GET_SREGS: %s", vcpu->id, strerror(errno));
	sregs.cs = flat_segment(BOOT_CS, SEG_CODE, is_64);
	sregs.ds = flat_segment(BOOT_DS, SEG_DATA, false);
	sregs.es = sregs.fs = sregs.gs = sregs.ss = sregs.ds;
	sregs.tr = (struct kvm_segment){
		.selector = BOOT_TSS,
		.limit = 0x67,
		.type = SEG_TSS_BUSY,
		.present = 1,
	};
	sregs.idt.base = 0;
	sregs.idt.limit = 0;
	if (is_64) {
		ret = write_page_tables(vcpu, &sregs);
	} else {
		sregs.cr0 = CR0_PE | CR0_ET;
		sregs.cr4 = 0;
		sregs.efer = 0;
	}
	if (!ret)
		ret = write_gdt(vcpu, &sregs);
	if (ret)
		return fail(-ret, "guest memory is too small for the boot tables");
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs) < 0)
		return fail(errno, "vCPU %u: KVM_SET_SREGS: %s", vcpu->id, strerror(errno));
	return 0;
}

/*
 * What firmware leaves in these registers. With the MTRRs off Linux would
 * restrict its PAT, and without fast strings it would avoid REP MOVS. Not
 * fatal where the hypervisor does not have them.
 */
static void set_firmware_msrs(struct vcpu *vcpu)
{
	static const struct kvm_msr_entry firmware[] = {
		{ .index = MSR_MTRR_DEF_TYPE, .data = MTRR_ENABLE | MTRR_WRITE_BACK },
		{ .index = MSR_MISC_ENABLE, .data = MISC_ENABLE_FAST_STRING },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(firmware); i++) {
		struct {
			struct kvm_msrs head;
			struct kvm_msr_entry entry;
		} msrs = { .head.nmsrs = 1, .entry = firmware[i] };

		ioctl(vcpu->fd, KVM_SET_MSRS, &msrs);
	}
}

int vcpu_init_state(struct vcpu *vcpu, const struct boot_entry *entry)
{
	struct kvm_regs regs = {
		.rip = entry->rip,
		.rflags = RFLAGS_FIXED,
	};
	int ret = set_sregs(vcpu, entry);

	if (ret)
		return ret;
	if (entry->protocol == BOOT_LINUX64)
		regs.rsi = entry->info;
	else
		regs.rbx = entry->info;
	if (ioctl(vcpu->fd, KVM_SET_REGS, &regs) < 0)
		return fail(errno, "vCPU %u: KVM_SET_REGS: %s", vcpu->id, strerror(errno));
	for (unsigned int i = 0; i < vcpu->vm->nr_vcpus; i++)
		set_firmware_msrs(&vcpu->vm->vcpus[i]);
	return 0;
}

/* Offsets into the APIC's page (SDM, Local APIC Register Address Map). */
#define APIC_LVT_LINT0	0x350
#define APIC_LVT_LINT1	0x360
#define APIC_MODE_NMI	0x400
#define APIC_MODE_EXTINT 0x700
#define APIC_LVT_MASKED	BIT(16)

int vcpu_init_apic(struct vcpu *vcpu)
{
	/* Interrupts of the PIC go to the boot CPU alone. */
	uint32_t lint0 = APIC_MODE_EXTINT | (vcpu->id ? APIC_LVT_MASKED : 0);
	uint32_t lint1 = APIC_MODE_NMI;
	struct kvm_lapic_state apic;

	if (ioctl(vcpu->fd, KVM_GET_LAPIC, &apic) < 0)
		return fail(errno, "vCPU %u: KVM_GET_LAPIC: %s", vcpu->id, strerror(errno));
	memcpy(apic.regs + APIC_LVT_LINT0, &lint0, sizeof(lint0));
	memcpy(apic.regs + APIC_LVT_LINT1, &lint1, sizeof(lint1));
	if (ioctl(vcpu->fd, KVM_SET_LAPIC, &apic) < 0)
		return fail(errno, "vCPU %u: KVM_SET_LAPIC: %s", vcpu->id, strerror(errno));
	return 0;
}
