// SPDX-License-Identifier: GPL-2.0-only
/*
 * Why a VM entry failed: the checks of the manual as a table of rules, applied
 * to the VMCS that the processor refused.
 */
#define pr_fmt(fmt) "vitro: " fmt

#include <linux/kernel.h>
#include <linux/printk.h>
#include <linux/seq_buf.h>
#include <linux/slab.h>
#include <asm/apicdef.h>
#include <asm/debugreg.h>
#include <asm/msr-index.h>
#include <asm/processor.h>
#include <asm/processor-flags.h>
#include <asm/traps.h>

#include "vmx.h"

#define SHADOW (GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS)

/* Bits of the pending debug exceptions: B0-B3, enabled, BS, RTM. */
#define PENDING_DBG_BITS	(0xfULL | BIT_ULL(12) | DR_STEP | BIT_ULL(16))

/*
 * Fields that rules look at: X(member, encoding), the order of segments is that
 * of enum vitro_seg.
 */
#define STATE_FIELDS(X)							\
	X(pin, PIN_BASED_VM_EXEC_CONTROL)				\
	X(cpu, CPU_BASED_VM_EXEC_CONTROL)				\
	X(cpu2, SECONDARY_VM_EXEC_CONTROL)				\
	X(exit, VM_EXIT_CONTROLS)					\
	X(entry, VM_ENTRY_CONTROLS)					\
	X(vpid, VIRTUAL_PROCESSOR_ID)					\
	X(eptp, EPT_POINTER)						\
	X(msr_bitmap, MSR_BITMAP)					\
	X(vapic, VIRTUAL_APIC_PAGE_ADDR)				\
	X(threshold, TPR_THRESHOLD)					\
	X(log, PML_ADDRESS)						\
	X(event, VM_ENTRY_INTR_INFO_FIELD)				\
	X(event_error, VM_ENTRY_EXCEPTION_ERROR_CODE)			\
	X(event_len, VM_ENTRY_INSTRUCTION_LEN)				\
	X(host_cr0, HOST_CR0)						\
	X(host_cr4, HOST_CR4)						\
	X(host_efer, HOST_IA32_EFER)					\
	X(host_pat, HOST_IA32_PAT)					\
	X(host_rip, HOST_RIP)						\
	X(host_fs_base, HOST_FS_BASE)					\
	X(host_gs_base, HOST_GS_BASE)					\
	X(host_tr_base, HOST_TR_BASE)					\
	X(host_gdtr, HOST_GDTR_BASE)					\
	X(host_idtr, HOST_IDTR_BASE)					\
	X(cr0, GUEST_CR0)						\
	X(cr3, GUEST_CR3)						\
	X(cr4, GUEST_CR4)						\
	X(efer, GUEST_IA32_EFER)					\
	X(pat, GUEST_IA32_PAT)						\
	X(debugctl, GUEST_IA32_DEBUGCTL)				\
	X(dr7, GUEST_DR7)						\
	X(sysenter_esp, GUEST_SYSENTER_ESP)				\
	X(sysenter_eip, GUEST_SYSENTER_EIP)				\
	X(gdtr_base, GUEST_GDTR_BASE)					\
	X(gdtr_limit, GUEST_GDTR_LIMIT)					\
	X(idtr_base, GUEST_IDTR_BASE)					\
	X(idtr_limit, GUEST_IDTR_LIMIT)					\
	X(rip, GUEST_RIP)						\
	X(rsp, GUEST_RSP)						\
	X(rflags, GUEST_RFLAGS)						\
	X(activity, GUEST_ACTIVITY_STATE)				\
	X(intr_state, GUEST_INTERRUPTIBILITY_INFO)			\
	X(pending_dbg, GUEST_PENDING_DBG_EXCEPTIONS)			\
	X(link, VMCS_LINK_POINTER)					\
	X(pdpte0, GUEST_PDPTR0)						\
	X(pdpte1, GUEST_PDPTR1)						\
	X(pdpte2, GUEST_PDPTR2)						\
	X(pdpte3, GUEST_PDPTR3)

struct vmx_state {
#define X(member, field) u64 member;
	STATE_FIELDS(X)
#undef X
	struct kvm_segment seg[VITRO_NR_SEGS];
	u32 ar[VITRO_NR_SEGS];
	u8 vtpr;
	u8 phys_bits;
};

/* Which failure leads to a rule. */
enum vmx_check {
	CHECK_CONTROLS,		/* VM-instruction error: control field */
	CHECK_HOST,		/* VM-instruction error: host-state field */
	CHECK_GUEST,		/* exit reason: invalid guest state */
};

/**
 * struct vmx_rule - one check of VM entry
 * @check:	enum vmx_check
 * @segs:	segments it is applied to, one by one; 0: not about segments
 * @must:	what must hold
 * @section:	of the SDM
 * @remedy:	what to do, or NULL where only this module can be wrong
 * @broken:	true if it does not hold
 * @shown:	offsets in struct vmx_state, one more each, of the fields to show
 */
struct vmx_rule {
	u8 check;
	u8 segs;
	const char *must;
	const char *section;
	const char *remedy;
	bool (*broken)(const struct vmx_state *s, int seg);
	u16 shown[4];
};

static const struct vmx_field_name {
	u16 offset;
	const char *name;
	enum vmcs_field field;
} state_fields[] = {
#define X(member, field) { offsetof(struct vmx_state, member), #field, field },
	STATE_FIELDS(X)
#undef X
};

static const char * const seg_names[VITRO_NR_SEGS] = {
	"ES", "CS", "SS", "DS", "FS", "GS", "TR", "LDTR",
};

#define ES	BIT(VITRO_ES)
#define CS	BIT(VITRO_CS)
#define SS	BIT(VITRO_SS)
#define DS	BIT(VITRO_DS)
#define FS	BIT(VITRO_FS)
#define GS	BIT(VITRO_GS)
#define TR	BIT(VITRO_TR)
#define LDTR	BIT(VITRO_LDTR)
#define DATA	(ES | DS | FS | GS)
#define MEMORY	(ES | CS | SS | DS | FS | GS)

/* Addresses that the processor wants sign-extended from 48 bits (57 with LA57). */
static bool noncanonical(u64 address)
{
	int top = boot_cpu_has(X86_FEATURE_LA57) ? 56 : 47;

	return sign_extend64(address, top) != address;
}

static bool bad_pat(u64 pat)
{
	int i;

	/* 0, 1, 4 to 7 are memory types. */
	for (i = 0; i < 8; i++, pat >>= 8)
		if ((pat & 0xff) > 7 || (pat & 0xff) == 2 || (pat & 0xff) == 3)
			return true;
	return false;
}

static bool v86(const struct vmx_state *s)
{
	return s->rflags & X86_EFLAGS_VM;
}

static bool ia32e(const struct vmx_state *s)
{
	return s->entry & VM_ENTRY_IA32E_MODE;
}

static bool usable(const struct vmx_state *s, int seg)
{
	return !(s->ar[seg] & VMX_AR_UNUSABLE_MASK);
}

static bool event_is(const struct vmx_state *s, u32 type)
{
	return s->event & INTR_INFO_VALID_MASK &&
	       (s->event & INTR_INFO_INTR_TYPE_MASK) == type;
}

static bool event_is_soft(const struct vmx_state *s)
{
	return event_is(s, INTR_TYPE_SOFT_INTR) || event_is(s, INTR_TYPE_SOFT_EXCEPTION) ||
	       event_is(s, INTR_TYPE_PRIV_SW_EXCEPTION);
}

static bool bad_word(u64 value, enum vmx_word word)
{
	return (value & vmx_config.must[word]) != vmx_config.must[word] ||
	       value & ~(u64)vmx_config.may[word];
}

/* BROKEN(name, condition): a check that is not about one segment. */
#define BROKEN(name, condition)						\
static bool name(const struct vmx_state *s, int seg)			\
{									\
	return condition;						\
}

BROKEN(bad_pin, bad_word(s->pin, VMX_PIN))
BROKEN(bad_cpu, bad_word(s->cpu, VMX_CPU))
BROKEN(bad_cpu2, bad_word(s->cpu2, VMX_CPU2))
BROKEN(bad_exit, bad_word(s->exit, VMX_EXIT))
BROKEN(bad_entry, bad_word(s->entry, VMX_ENTRY))
BROKEN(bad_bitmap, s->msr_bitmap & ~PAGE_MASK || s->msr_bitmap >> s->phys_bits)
BROKEN(bad_vapic, s->vapic & ~PAGE_MASK || s->vapic >> s->phys_bits)
BROKEN(bad_threshold, s->cpu & CPU_BASED_TPR_SHADOW && s->threshold > s->vtpr >> 4)
BROKEN(bad_vpid, s->cpu2 & SECONDARY_EXEC_ENABLE_VPID && !s->vpid)
BROKEN(bad_eptp, (s->eptp & 0xfbf) != (VMX_EPTP_MT_WB | VMX_EPTP_PWL_4) ||
		 s->eptp >> s->phys_bits ||
		 (s->eptp & VMX_EPTP_AD_ENABLE_BIT && !(vmx_config.ept_vpid & VMX_EPT_AD_BIT)))
BROKEN(bad_log, s->cpu2 & SECONDARY_EXEC_ENABLE_PML &&
		(!(s->cpu2 & SECONDARY_EXEC_ENABLE_EPT) || s->log & ~PAGE_MASK ||
		 s->log >> s->phys_bits))
BROKEN(bad_event_vector,
       (event_is(s, INTR_TYPE_NMI_INTR) &&
	(s->event & INTR_INFO_VECTOR_MASK) != X86_TRAP_NMI) ||
       (event_is(s, INTR_TYPE_HARD_EXCEPTION) && (s->event & INTR_INFO_VECTOR_MASK) > 31))
BROKEN(bad_event_error, s->event & INTR_INFO_VALID_MASK &&
			s->event & INTR_INFO_DELIVER_CODE_MASK &&
			(!event_is(s, INTR_TYPE_HARD_EXCEPTION) || !(s->cr0 & X86_CR0_PE) ||
			 s->event_error >> 16))
BROKEN(bad_event_len, event_is_soft(s) &&
		      (s->event_len > 15 ||
		       (!s->event_len && !(vmx_config.misc & VMX_MISC_ZERO_LEN_INS))))

BROKEN(bad_host_cr0, (s->host_cr0 & (vmx_config.cr0_must | X86_CR0_PE | X86_CR0_PG)) !=
		     (vmx_config.cr0_must | X86_CR0_PE | X86_CR0_PG) ||
		     s->host_cr0 & ~vmx_config.cr0_may)
BROKEN(bad_host_cr4, (s->host_cr4 & vmx_config.cr4_must) != vmx_config.cr4_must ||
		     s->host_cr4 & ~vmx_config.cr4_may || !(s->host_cr4 & X86_CR4_PAE))
BROKEN(bad_host_efer, (s->host_efer & (EFER_LMA | EFER_LME)) != (EFER_LMA | EFER_LME))
BROKEN(bad_host_pat, bad_pat(s->host_pat))
BROKEN(bad_host_base, noncanonical(s->host_fs_base) || noncanonical(s->host_gs_base) ||
		      noncanonical(s->host_tr_base) || noncanonical(s->host_gdtr))
BROKEN(bad_host_rip, noncanonical(s->host_rip) || noncanonical(s->host_idtr))

BROKEN(bad_cr0, (s->cr0 & vmx_config.cr0_must) != vmx_config.cr0_must ||
		s->cr0 & ~(vmx_config.cr0_may | X86_CR0_NW | X86_CR0_CD))
BROKEN(bad_cr0_pg, s->cr0 & X86_CR0_PG && !(s->cr0 & X86_CR0_PE))
BROKEN(bad_cr4, (s->cr4 & vmx_config.cr4_must) != vmx_config.cr4_must ||
		s->cr4 & ~vmx_config.cr4_may)
BROKEN(bad_ia32e, ia32e(s) && (!(s->cr0 & X86_CR0_PG) || !(s->cr4 & X86_CR4_PAE)))
BROKEN(bad_pcide, !ia32e(s) && s->cr4 & X86_CR4_PCIDE)
BROKEN(bad_cr3, s->cr3 >> s->phys_bits)
BROKEN(bad_debugctl, s->debugctl & ~(u64)(DEBUGCTLMSR_LBR | DEBUGCTLMSR_BTF))
BROKEN(bad_dr7, s->dr7 >> 32)
BROKEN(bad_sysenter, noncanonical(s->sysenter_esp) || noncanonical(s->sysenter_eip))
BROKEN(bad_guest_pat, bad_pat(s->pat))
BROKEN(bad_efer, s->efer & ~(u64)(EFER_SCE | EFER_LME | EFER_LMA | EFER_NX))
BROKEN(bad_lma, !!(s->efer & EFER_LMA) != ia32e(s) ||
		(s->cr0 & X86_CR0_PG && !!(s->efer & EFER_LMA) != !!(s->efer & EFER_LME)))

BROKEN(seg_tr_ti, s->seg[seg].selector & 4 && (seg == VITRO_TR || usable(s, seg)))
BROKEN(seg_v86, v86(s) && (s->seg[seg].base != (u64)s->seg[seg].selector << 4 ||
			   s->seg[seg].limit != 0xffff || s->ar[seg] != 0xf3))
BROKEN(seg_base, (usable(s, seg) || seg == VITRO_FS || seg == VITRO_GS) &&
		 noncanonical(s->seg[seg].base))
BROKEN(seg_base32, (usable(s, seg) || seg == VITRO_CS) && s->seg[seg].base >> 32)
BROKEN(seg_reserved, usable(s, seg) && s->ar[seg] & VMX_AR_RESERVD_MASK &
		     ~(u32)VMX_AR_UNUSABLE_MASK)
BROKEN(seg_absent, !v86(s) && usable(s, seg) && !(s->ar[seg] & VMX_AR_P_MASK))
BROKEN(seg_granularity, !v86(s) && usable(s, seg) &&
			((s->ar[seg] & VMX_AR_G_MASK && (s->seg[seg].limit & 0xfff) != 0xfff) ||
			 (!(s->ar[seg] & VMX_AR_G_MASK) && s->seg[seg].limit >> 20)))
BROKEN(cs_type, !v86(s) && s->seg[seg].type != 3 &&
		(s->seg[seg].type & 9) != 9)
BROKEN(ss_type, !v86(s) && usable(s, seg) && s->seg[seg].type != 3 && s->seg[seg].type != 7)
BROKEN(data_type, !v86(s) && usable(s, seg) &&
		  (!(s->seg[seg].type & 1) ||
		   (s->seg[seg].type & 8 && !(s->seg[seg].type & 2))))
BROKEN(seg_system, !v86(s) && usable(s, seg) && !(s->ar[seg] & VMX_AR_S_MASK))

static bool cs_dpl(const struct vmx_state *s, int seg)
{
	u8 cs = s->seg[VITRO_CS].dpl, ss = s->seg[VITRO_SS].dpl;

	if (v86(s))
		return false;
	switch (s->seg[VITRO_CS].type) {
	case 3:
		return cs;
	case 9:
	case 11:
		return cs != ss;
	default:
		return cs > ss;
	}
}

BROKEN(ss_dpl, !v86(s) && s->seg[seg].dpl &&
	       (!(s->cr0 & X86_CR0_PE) || s->seg[VITRO_CS].type == 3))
BROKEN(cs_db, ia32e(s) && s->ar[seg] & VMX_AR_L_MASK && s->ar[seg] & VMX_AR_DB_MASK)
BROKEN(tr_type, !usable(s, seg) || s->ar[seg] & VMX_AR_S_MASK ||
		(s->seg[seg].type != 11 && (ia32e(s) || s->seg[seg].type != 3)))
BROKEN(ldtr_type, usable(s, seg) && (s->seg[seg].type != 2 || s->ar[seg] & VMX_AR_S_MASK))

BROKEN(bad_gdtr, noncanonical(s->gdtr_base) || s->gdtr_limit >> 16)
BROKEN(bad_idtr, noncanonical(s->idtr_base) || s->idtr_limit >> 16)
BROKEN(bad_rip, ia32e(s) && s->ar[VITRO_CS] & VMX_AR_L_MASK ? noncanonical(s->rip) :
							       s->rip >> 32)
BROKEN(bad_rflags, !(s->rflags & X86_EFLAGS_FIXED) ||
		   s->rflags & (~0x3fffffULL | BIT(15) | BIT(5) | BIT(3)))
BROKEN(bad_vm_flag, v86(s) && (ia32e(s) || !(s->cr0 & X86_CR0_PE)))
BROKEN(bad_event_if, event_is(s, INTR_TYPE_EXT_INTR) && !(s->rflags & X86_EFLAGS_IF))

BROKEN(bad_activity, s->activity > GUEST_ACTIVITY_WAIT_SIPI ||
		     (s->activity && s->intr_state & SHADOW))
/* A halted guest takes interrupts, NMIs, #DB and #MC only. */
static bool bad_halt(const struct vmx_state *s, int seg)
{
	u8 vector = s->event & INTR_INFO_VECTOR_MASK;

	if (s->activity != GUEST_ACTIVITY_HLT)
		return false;
	if (s->seg[VITRO_SS].dpl)
		return true;
	return s->event & INTR_INFO_VALID_MASK && !event_is(s, INTR_TYPE_EXT_INTR) &&
	       !event_is(s, INTR_TYPE_NMI_INTR) &&
	       !(event_is(s, INTR_TYPE_HARD_EXCEPTION) &&
		 (vector == X86_TRAP_DB || vector == X86_TRAP_MC));
}

BROKEN(bad_intr_bits, s->intr_state & ~(u64)(SHADOW | GUEST_INTR_STATE_NMI))
BROKEN(bad_both_shadows, (s->intr_state & SHADOW) == SHADOW)
BROKEN(bad_sti, s->intr_state & GUEST_INTR_STATE_STI && !(s->rflags & X86_EFLAGS_IF))
BROKEN(bad_irq_shadow, event_is(s, INTR_TYPE_EXT_INTR) && s->intr_state & SHADOW)
BROKEN(bad_nmi_shadow, event_is(s, INTR_TYPE_NMI_INTR) &&
		       s->intr_state & (SHADOW | GUEST_INTR_STATE_NMI))
BROKEN(bad_pending_bits, s->pending_dbg & ~PENDING_DBG_BITS)
BROKEN(bad_pending_step, (s->intr_state & SHADOW || s->activity == GUEST_ACTIVITY_HLT) &&
			 !!(s->pending_dbg & DR_STEP) !=
			 (s->rflags & X86_EFLAGS_TF && !(s->debugctl & DEBUGCTLMSR_BTF)))
BROKEN(bad_link, s->link != ~0ULL)

static bool bad_pdpte(const struct vmx_state *s, int seg)
{
	const u64 *pdpte = &s->pdpte0;
	int i;

	if (!(s->cr0 & X86_CR0_PG) || !(s->cr4 & X86_CR4_PAE) || ia32e(s))
		return false;
	for (i = 0; i < 4; i++)
		if (pdpte[i] & 1 && (pdpte[i] & 0x1e6 || pdpte[i] >> s->phys_bits))
			return true;
	return false;
}

#define AT(member)	(offsetof(struct vmx_state, member) + 1)
#define CTL		"Checks on VMX Controls"
#define ENTRY_CTL	"VM-Entry Control Fields"
#define HOST		"Checks on Host-State Area"
#define CRS		"Checks on Guest Control Registers, Debug Registers, and MSRs"
#define SEGS		"Checks on Guest Segment Registers"
#define TABLES		"Checks on Guest Descriptor-Table Registers"
#define RIP		"Checks on Guest RIP, RFLAGS, and SSP"
#define STATE		"Checks on Guest Non-Register State"
#define PDPTES		"Checks on Guest Page-Directory-Pointer-Table Entries"
#define SREGS		"correct it with KVM_SET_SREGS"
#define REGS		"correct it with KVM_SET_REGS"
#define EVENTS		"correct it with KVM_SET_VCPU_EVENTS"
#define MSRS		"correct it with KVM_SET_MSRS"

static const struct vmx_rule rules[] = {
	{ CHECK_CONTROLS, 0, "pin-based controls must be as the processor permits", CTL, NULL,
	  bad_pin, { AT(pin) } },
	{ CHECK_CONTROLS, 0, "primary controls must be as the processor permits", CTL, NULL,
	  bad_cpu, { AT(cpu) } },
	{ CHECK_CONTROLS, 0, "secondary controls must be as the processor permits", CTL, NULL,
	  bad_cpu2, { AT(cpu2) } },
	{ CHECK_CONTROLS, 0, "VM-exit controls must be as the processor permits", CTL, NULL,
	  bad_exit, { AT(exit) } },
	{ CHECK_CONTROLS, 0, "VM-entry controls must be as the processor permits", CTL, NULL,
	  bad_entry, { AT(entry) } },
	{ CHECK_CONTROLS, 0, "the MSR bitmap must be an aligned physical page", CTL, NULL,
	  bad_bitmap, { AT(msr_bitmap) } },
	{ CHECK_CONTROLS, 0, "the virtual-APIC page must be an aligned physical page", CTL, NULL,
	  bad_vapic, { AT(vapic) } },
	{ CHECK_CONTROLS, 0, "the TPR threshold must not be above the TPR's class", CTL, NULL,
	  bad_threshold, { AT(threshold) } },
	{ CHECK_CONTROLS, 0, "a VPID in use must not be 0", CTL, NULL, bad_vpid, { AT(vpid) } },
	{ CHECK_CONTROLS, 0, "EPTP must be write-back, of four levels, in physical memory", CTL,
	  NULL, bad_eptp, { AT(eptp) } },
	{ CHECK_CONTROLS, 0, "the page-modification log must be an aligned physical page, and needs EPT",
	  CTL, NULL, bad_log, { AT(log), AT(cpu2) } },
	{ CHECK_CONTROLS, 0, "the event's vector must suit its type", ENTRY_CTL, EVENTS,
	  bad_event_vector, { AT(event) } },
	{ CHECK_CONTROLS, 0, "only exceptions in protected mode have a (16-bit) error code",
	  ENTRY_CTL, EVENTS, bad_event_error, { AT(event), AT(event_error), AT(cr0) } },
	{ CHECK_CONTROLS, 0, "a software event needs an instruction length of 1 to 15",
	  ENTRY_CTL, EVENTS, bad_event_len, { AT(event), AT(event_len) } },

	{ CHECK_HOST, 0, "host CR0 must have the bits that VMX fixes", HOST, NULL,
	  bad_host_cr0, { AT(host_cr0) } },
	{ CHECK_HOST, 0, "host CR4 must have the bits that VMX fixes, and PAE", HOST, NULL,
	  bad_host_cr4, { AT(host_cr4) } },
	{ CHECK_HOST, 0, "host EFER must have LMA and LME", HOST, NULL,
	  bad_host_efer, { AT(host_efer) } },
	{ CHECK_HOST, 0, "host PAT must hold memory types", HOST, NULL,
	  bad_host_pat, { AT(host_pat) } },
	{ CHECK_HOST, 0, "host bases must be canonical", HOST, NULL, bad_host_base,
	  { AT(host_fs_base), AT(host_gs_base), AT(host_tr_base), AT(host_gdtr) } },
	{ CHECK_HOST, 0, "host RIP and IDTR must be canonical", HOST, NULL, bad_host_rip,
	  { AT(host_rip), AT(host_idtr) } },

	{ CHECK_GUEST, 0, "CR0 must have the bits that VMX fixes", CRS, NULL,
	  bad_cr0, { AT(cr0) } },
	{ CHECK_GUEST, 0, "CR0.PG needs CR0.PE", CRS, SREGS, bad_cr0_pg, { AT(cr0) } },
	{ CHECK_GUEST, 0, "CR4 must have only bits that VMX permits", CRS, SREGS,
	  bad_cr4, { AT(cr4) } },
	{ CHECK_GUEST, 0, "IA-32e mode needs CR0.PG and CR4.PAE", CRS, SREGS,
	  bad_ia32e, { AT(entry), AT(cr0), AT(cr4) } },
	{ CHECK_GUEST, 0, "CR4.PCIDE needs IA-32e mode", CRS, SREGS,
	  bad_pcide, { AT(entry), AT(cr4) } },
	{ CHECK_GUEST, 0, "CR3 must be a physical address", CRS, SREGS, bad_cr3, { AT(cr3) } },
	{ CHECK_GUEST, 0, "reserved bits of DEBUGCTL must be 0", CRS, MSRS,
	  bad_debugctl, { AT(debugctl) } },
	{ CHECK_GUEST, 0, "the upper half of DR7 must be 0", CRS, "correct it with KVM_SET_DEBUGREGS",
	  bad_dr7, { AT(dr7) } },
	{ CHECK_GUEST, 0, "SYSENTER's ESP and EIP must be canonical", CRS, MSRS,
	  bad_sysenter, { AT(sysenter_esp), AT(sysenter_eip) } },
	{ CHECK_GUEST, 0, "PAT must hold memory types", CRS, MSRS, bad_guest_pat, { AT(pat) } },
	{ CHECK_GUEST, 0, "reserved bits of EFER must be 0", CRS, SREGS, bad_efer, { AT(efer) } },
	{ CHECK_GUEST, 0, "EFER.LMA must agree with IA-32e mode and, with CR0.PG, EFER.LME", CRS,
	  SREGS, bad_lma, { AT(efer), AT(entry), AT(cr0) } },

	{ CHECK_GUEST, TR | LDTR, "the selector must refer to the GDT (TI 0)", SEGS, SREGS,
	  seg_tr_ti },
	{ CHECK_GUEST, MEMORY, "virtual-8086 mode wants base = selector << 4, limit 0xffff, access rights 0xf3",
	  SEGS, SREGS, seg_v86, { AT(rflags) } },
	{ CHECK_GUEST, FS | GS | TR | LDTR, "the base must be canonical", SEGS, SREGS, seg_base },
	{ CHECK_GUEST, CS | SS | DS | ES, "the base must fit 32 bits", SEGS, SREGS, seg_base32 },
	{ CHECK_GUEST, CS, "the type must be accessed code (9, 11, 13, 15), or 3", SEGS, SREGS,
	  cs_type },
	{ CHECK_GUEST, SS, "the type must be accessed writable data (3, 7)", SEGS, SREGS, ss_type },
	{ CHECK_GUEST, DATA, "the type must be accessed data or readable code", SEGS, SREGS,
	  data_type },
	{ CHECK_GUEST, MEMORY, "it must be a code or data segment (S 1)", SEGS, SREGS, seg_system },
	{ CHECK_GUEST, CS, "CS.DPL must suit SS.DPL: equal, not above if conforming, 0 for type 3",
	  SEGS, SREGS, cs_dpl },
	{ CHECK_GUEST, SS, "SS.DPL must be 0 in real mode and when CS has type 3", SEGS, SREGS,
	  ss_dpl, { AT(cr0) } },
	{ CHECK_GUEST, MEMORY | TR | LDTR, "it must be present (P 1) or unusable", SEGS, SREGS,
	  seg_absent },
	{ CHECK_GUEST, MEMORY | TR | LDTR, "reserved access rights must be 0", SEGS, NULL,
	  seg_reserved },
	{ CHECK_GUEST, CS, "a 64-bit code segment (L 1) must have D/B 0", SEGS, SREGS, cs_db },
	{ CHECK_GUEST, MEMORY | TR | LDTR, "the limit must suit G: low 12 bits set with G 1, below 1 MiB with G 0",
	  SEGS, SREGS, seg_granularity },
	{ CHECK_GUEST, TR, "it must be a usable busy TSS: type 11, or 3 outside IA-32e mode",
	  SEGS, SREGS, tr_type },
	{ CHECK_GUEST, LDTR, "it must be an LDT (type 2) or unusable", SEGS, SREGS, ldtr_type },

	{ CHECK_GUEST, 0, "GDTR's base must be canonical and its limit fit 16 bits", TABLES, SREGS,
	  bad_gdtr, { AT(gdtr_base), AT(gdtr_limit) } },
	{ CHECK_GUEST, 0, "IDTR's base must be canonical and its limit fit 16 bits", TABLES, SREGS,
	  bad_idtr, { AT(idtr_base), AT(idtr_limit) } },

	{ CHECK_GUEST, 0, "RIP must be canonical, or fit 32 bits outside 64-bit mode", RIP, REGS,
	  bad_rip, { AT(rip) } },
	{ CHECK_GUEST, 0, "reserved bits of RFLAGS must be 0, but bit 1 set", RIP, REGS,
	  bad_rflags, { AT(rflags) } },
	{ CHECK_GUEST, 0, "RFLAGS.VM needs protected mode and no IA-32e mode", RIP, REGS,
	  bad_vm_flag, { AT(rflags), AT(cr0), AT(entry) } },
	{ CHECK_GUEST, 0, "an external interrupt needs RFLAGS.IF", RIP, EVENTS,
	  bad_event_if, { AT(rflags), AT(event) } },

	{ CHECK_GUEST, 0, "the activity state must be known, and active in an interrupt shadow",
	  STATE, NULL, bad_activity, { AT(activity), AT(intr_state) } },
	{ CHECK_GUEST, 0, "a halted guest is at level 0 and wakes to no such event", STATE, NULL,
	  bad_halt, { AT(activity), AT(event) } },
	{ CHECK_GUEST, 0, "reserved bits of the interruptibility state must be 0", STATE, NULL,
	  bad_intr_bits, { AT(intr_state) } },
	{ CHECK_GUEST, 0, "STI and MOV SS cannot block at the same time", STATE, EVENTS,
	  bad_both_shadows, { AT(intr_state) } },
	{ CHECK_GUEST, 0, "blocking by STI needs RFLAGS.IF", STATE, EVENTS,
	  bad_sti, { AT(intr_state), AT(rflags) } },
	{ CHECK_GUEST, 0, "no external interrupt in an interrupt shadow", STATE, EVENTS,
	  bad_irq_shadow, { AT(event), AT(intr_state) } },
	{ CHECK_GUEST, 0, "no NMI in an interrupt shadow or while NMIs are blocked", STATE, EVENTS,
	  bad_nmi_shadow, { AT(event), AT(intr_state) } },
	{ CHECK_GUEST, 0, "reserved bits of the pending debug exceptions must be 0", STATE, NULL,
	  bad_pending_bits, { AT(pending_dbg) } },
	{ CHECK_GUEST, 0, "in an interrupt shadow or HLT a single-step trap must be pending if RFLAGS.TF is set, and only then",
	  STATE, NULL, bad_pending_step, { AT(pending_dbg), AT(intr_state), AT(rflags) } },
	{ CHECK_GUEST, 0, "the VMCS link pointer must be all ones", STATE, NULL,
	  bad_link, { AT(link) } },
	{ CHECK_GUEST, 0, "present PDPTEs must have no reserved bits", PDPTES,
	  "correct the table that CR3 points to",
	  bad_pdpte, { AT(pdpte0), AT(pdpte1), AT(pdpte2), AT(pdpte3) } },
};

static const struct {
	u32 number;
	const char *name;
} insn_errors[] = {
	{ VMXERR_VMLAUNCH_NONCLEAR_VMCS, "VMLAUNCH with a VMCS that is not clear" },
	{ VMXERR_VMRESUME_NONLAUNCHED_VMCS, "VMRESUME with a VMCS that is not launched" },
	{ VMXERR_VMRESUME_AFTER_VMXOFF, "VMRESUME after VMXOFF" },
	{ VMXERR_ENTRY_INVALID_CONTROL_FIELD, "invalid control field" },
	{ VMXERR_ENTRY_INVALID_HOST_STATE_FIELD, "invalid host-state field" },
	{ VMXERR_ENTRY_EVENTS_BLOCKED_BY_MOV_SS, "events blocked by MOV SS" },
};

static const char *insn_error_name(u32 number)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(insn_errors); i++)
		if (insn_errors[i].number == number)
			return insn_errors[i].name;
	return number ? "unexpected error" : "the CPU is not in VMX operation";
}

static void read_state(struct vitro_vmx *vmx, struct vmx_state *s)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(state_fields); i++)
		*(u64 *)((char *)s + state_fields[i].offset) =
			vmx_read(vmx, state_fields[i].field);
	for (i = 0; i < VITRO_NR_SEGS; i++) {
		vmx_get_segment(&vmx->vcpu, i, &s->seg[i]);
		s->ar[i] = vmx_get_access_rights(vmx, i);
	}
	s->vtpr = vmx->vapic[APIC_TASKPRI];
	s->phys_bits = boot_cpu_data.x86_phys_bits;
}

static void show_field(const struct vmx_state *s, u16 offset, struct seq_buf *text)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(state_fields); i++)
		if (state_fields[i].offset == offset)
			seq_buf_printf(text, " %s=%#llx", state_fields[i].name,
				       *(const u64 *)((const char *)s + offset));
}

static void show_rule(const struct vmx_state *s, const struct vmx_rule *rule, int seg,
		      struct seq_buf *text)
{
	int i;

	if (rule->segs)
		seq_buf_printf(text, "%s: %s:", seg_names[seg], rule->must);
	else
		seq_buf_printf(text, "%s:", rule->must);
	if (rule->segs)
		seq_buf_printf(text, " %s selector=%#x base=%#llx limit=%#x access-rights=%#x",
			       seg_names[seg], s->seg[seg].selector, s->seg[seg].base,
			       s->seg[seg].limit, s->ar[seg]);
	for (i = 0; i < ARRAY_SIZE(rule->shown) && rule->shown[i]; i++)
		show_field(s, rule->shown[i] - 1, text);
	seq_buf_printf(text, " (SDM, %s); %s\n", rule->section,
		       rule->remedy ?: "a defect of vitro: please report it");
}

/* Lines for the rules of @check that are broken; their number. */
static int apply_rules(const struct vmx_state *s, enum vmx_check check, struct seq_buf *text)
{
	const struct vmx_rule *rule;
	int i, seg, broken = 0;

	for (i = 0; i < ARRAY_SIZE(rules); i++) {
		rule = &rules[i];
		if (rule->check != check)
			continue;
		for (seg = 0; seg < (rule->segs ? VITRO_NR_SEGS : 1); seg++) {
			if (rule->segs && !(rule->segs & BIT(seg)))
				continue;
			if (!rule->broken(s, seg))
				continue;
			show_rule(s, rule, seg, text);
			broken++;
		}
	}
	return broken;
}

static const char *entry_failure_name(u16 reason)
{
	switch (reason) {
	case EXIT_REASON_INVALID_STATE:
		return "invalid guest state";
	case EXIT_REASON_MSR_LOAD_FAIL:
		return "MSR loading";
	case EXIT_REASON_MCE_DURING_VMENTRY:
		return "machine check";
	default:
		return "unexpected reason";
	}
}

/*
 * vmx_explain() - see struct vitro_backend
 */
void vmx_explain(struct vitro_vcpu *vcpu, struct seq_buf *text)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);
	struct vmx_state *s;
	int broken = 0;

	s = kzalloc(sizeof(*s), GFP_KERNEL);
	if (!s)
		return;
	read_state(vmx, s);
	/* The event went back to common code; the processor saw this. */
	s->event = vmx->failed.info;
	s->event_error = vmx->failed.error_code;
	s->event_len = vmx->failed.insn_len;

	if (!vmx->exit_reason) {
		seq_buf_printf(text, "VM entry failed: %s (VM-instruction error %u)\n",
			       insn_error_name(vmx->insn_error), vmx->insn_error);
		if (vmx->insn_error == VMXERR_ENTRY_INVALID_CONTROL_FIELD)
			broken = apply_rules(s, CHECK_CONTROLS, text);
		else if (vmx->insn_error == VMXERR_ENTRY_INVALID_HOST_STATE_FIELD)
			broken = apply_rules(s, CHECK_HOST, text);
	} else {
		seq_buf_printf(text, "VM entry failed: %s (exit reason %#x)\n",
			       entry_failure_name(vmx->exit_reason), vmx->exit_reason);
		if ((u16)vmx->exit_reason == EXIT_REASON_INVALID_STATE)
			broken = apply_rules(s, CHECK_GUEST, text);
	}
	if (!broken)
		seq_buf_printf(text, "no rule that vitro knows is broken; the log has the state\n");
	kfree(s);
}

/*
 * vmx_dump() - see struct vitro_backend
 */
void vmx_dump(struct vitro_vcpu *vcpu)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);
	struct kvm_segment seg;
	int i;

	pr_err("vCPU %u: exit reason %#x, VM-instruction error %u; VMCS:\n",
	       vcpu->id, vmx->exit_reason, vmx->insn_error);
	for (i = 0; i < ARRAY_SIZE(state_fields); i++)
		pr_err("  %s=%#llx\n", state_fields[i].name,
		       vmx_read(vmx, state_fields[i].field));
	for (i = 0; i < VITRO_NR_SEGS; i++) {
		vmx_get_segment(vcpu, i, &seg);
		pr_err("  %s selector=%#x base=%#llx limit=%#x access-rights=%#x\n",
		       seg_names[i], seg.selector, seg.base, seg.limit,
		       vmx_get_access_rights(vmx, i));
	}
}
