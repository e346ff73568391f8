/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The SVM backend's own structures and what its files call in each other.
 *
 * operation.c	EFER.SVME and VM_HSAVE_PA: being in SVM operation, per CPU
 * caps.c	what the processor must and can have
 * vcpu.c	a vCPU's life: VMCB, load and put, entering the guest, ASIDs
 * state.c	segments, tables, control registers
 * msr.c	MSRs that the VMCB holds, and the MSR permission map
 * inject.c	events into the guest, interrupt and NMI windows
 * step.c	single steps, for ourselves and for debuggers
 * exit.c	EXITCODE to struct vitro_exit
 * explain.c	why VMRUN refused
 * entry.S	the world switch
 */
#ifndef VITRO_SVM_H
#define VITRO_SVM_H

/* Offsets from struct svm_entry, and in the VMCB; vcpu.c checks them. */
#define SVM_ENTRY_VMCB		(-8)
#define SVM_ENTRY_VMCB_PA	0
#define SVM_ENTRY_HOST_PA	8
#define SVM_ENTRY_GUEST_SPEC	16
#define SVM_ENTRY_HOST_SPEC	20
#define SVM_VMCB_RFLAGS		0x570

#ifndef __ASSEMBLER__

#include <linux/bitops.h>
#include <linux/percpu.h>
#include <linux/types.h>
#include <asm/svm.h>

#include "../backend.h"
#include "../compat.h"
#include "../vcpu.h"

/*
 * Bits of the VMCB clean field: a set bit promises that software has not
 * changed the group since the last VMRUN (APM, VMCB State Caching).
 */
enum svm_clean {
	SVM_CLEAN_INTERCEPTS,	/* intercepts, TSC offset, pause filter */
	SVM_CLEAN_PERM,		/* IOPM and MSRPM addresses */
	SVM_CLEAN_ASID,
	SVM_CLEAN_INTR,		/* V_TPR, V_IRQ and the rest of that word */
	SVM_CLEAN_NP,		/* nested CR3, guest PAT */
	SVM_CLEAN_CR,		/* CR0, CR3, CR4, EFER */
	SVM_CLEAN_DR,		/* DR6, DR7 */
	SVM_CLEAN_DT,		/* GDTR, IDTR */
	SVM_CLEAN_SEG,		/* CS, DS, SS, ES, CPL */
	SVM_CLEAN_CR2,
	SVM_CLEAN_LBR,
	SVM_NR_CLEAN
};

/* Intercept codes of newer processors which <asm/svm.h> does not list. */
#define SVM_CODE_INVLPGB	0x0a0
#define SVM_CODE_INVLPGB_BAD	0x0a1
#define SVM_CODE_MCOMMIT	0x0a3
#define SVM_CODE_TLBSYNC	0x0a4
#define SVM_NR_CODES		0x0a5	/* size of the table without NPF */

/* DR6 of a processor that has seen no debug event */
#define SVM_DR6_QUIET		DR6_RESERVED

/* TSC_RATIO: 8 bits before the point, 32 behind it (APM, TSC Ratio MSR) */
#define SVM_TSC_RATIO_BITS	32

/* How far an NMI handler of the guest has come (svm_vcpu.nmi). */
enum svm_nmi_state {
	SVM_NMI_OPEN,		/* NMIs are not blocked */
	SVM_NMI_BLOCKED,	/* in the handler; IRET is intercepted */
	SVM_NMI_IRET,		/* the IRET at nmi_iret_rip is about to execute */
};

/* What an entry single-steps for (svm_vcpu.step), or what its exit is to be looked at for. */
enum svm_step {
	SVM_STEP_NONE,
	SVM_STEP_WATCH,		/* no step: the exit shows whether an IRET has executed */
	SVM_STEP_IRET,		/* to notice the end of an NMI handler */
	SVM_STEP_SHADOW,	/* to notice the end of an interrupt shadow */
	SVM_STEP_DEBUG,		/* for user space's debugger */
};

/**
 * struct svm_cpu - a host CPU's part of the backend
 * @hsave:	page for VM_HSAVE_PA, where VMRUN keeps the host's state
 * @host:	VMCB page that VMSAVE and VMLOAD keep the host's other state in
 * @hsave_pa:	physical address of @hsave
 * @host_pa:	physical address of @host
 * @enabled:	this module has set EFER.SVME
 * @flush_all:	the next VMRUN must drop the translations of all ASIDs
 * @asid_generation: ASIDs handed out under an older one are void
 * @next_asid:	the next free ASID of this generation
 * @last_id:	svm_vcpu.id of the vCPU that was loaded last
 * @tsc_aux:	the host's TSC_AUX
 *
 * Used on its own CPU only, with preemption off.
 */
struct svm_cpu {
	void *hsave;
	struct vmcb *host;
	u64 hsave_pa;
	u64 host_pa;
	bool enabled;
	bool flush_all;
	u64 asid_generation;
	u32 next_asid;
	u64 last_id;
	u64 tsc_aux;
};

DECLARE_PER_CPU(struct svm_cpu, svm_cpu);

/**
 * struct svm_entry - what entry.S works with; vcpu.c checks the offsets
 * @vmcb_pa:	physical address of the guest's VMCB
 * @host_pa:	physical address of a VMCB with the host's VMSAVE state, up to date
 * @guest_spec:	SPEC_CTRL for the guest
 * @host_spec:	SPEC_CTRL of the host; the MSR is written only if they differ
 */
struct svm_entry {
	u64 vmcb_pa;
	u64 host_pa;
	u32 guest_spec;
	u32 host_spec;
};

/**
 * struct svm_vcpu - a vCPU's part of the backend; owned by the vCPU's thread
 * @vcpu:	common part; entry.S relies on its being first
 * @vmcb:	the VMCB, a page
 * @entry:	for entry.S
 * @id:		unlike any other vCPU's, living or dead; never 0
 * @asid_cpu:	host CPU where the VMCB's ASID is valid ...
 * @asid_generation: ... while this is that CPU's generation
 * @flush:	this ASID's translations are stale
 * @v_tpr:	V_TPR as last agreed with the local APIC
 * @event_inj:	what the coming or last entry injects
 * @event_inj_err: and the error code with it
 * @soft_next_rip: RIP after an injected soft event where it was advanced
 *		by software; 0: none
 * @soft_len:	what to subtract from it
 * @nmi:	enum svm_nmi_state
 * @nmi_wanted: an NMI waits for the window
 * @nmi_iret_rip: RIP of the IRET, for SVM_NMI_IRET
 * @step:	enum svm_step
 * @step_tf:	the guest had TF set by itself
 * @step_event:	the debugger's step is the delivery of an event
 * @tsc_aux:	what TSC_AUX holds while the vCPU is loaded
 * @tsc_ratio:	what TSC_RATIO holds then, 0 if its default, which it holds at other times
 * @entered:	has run since it was loaded
 * @hwcr:	guest's HWCR
 * @failed_off:	the last failed entry failed because SVM was off ...
 * @failed_cpu:	... on this host CPU
 * @failed_event: what the last failed entry was to inject
 */
struct svm_vcpu {
	struct vitro_vcpu vcpu;
	struct vmcb *vmcb;
	struct svm_entry entry;
	u64 id;
	int asid_cpu;
	u64 asid_generation;
	bool flush;
	u8 v_tpr;
	u32 event_inj;
	u32 event_inj_err;
	u64 soft_next_rip;
	u8 soft_len;
	u8 nmi;
	bool nmi_wanted;
	u64 nmi_iret_rip;
	u8 step;
	bool step_tf;
	bool step_event;
	bool entered;
	u64 tsc_aux;
	u64 tsc_ratio;
	u64 hwcr;
	bool failed_off;
	int failed_cpu;
	u32 failed_event;
};

/* Optional features, found by caps.c; constant after load. */
struct svm_caps {
	u32 nr_asids;		/* ASIDs 1 ... nr_asids - 1 are usable */
	bool nrips;
	bool decode_assists;
	bool flush_by_asid;
	bool vmcb_clean;
	bool pause_filter;
	bool pause_threshold;
	bool v_spec_ctrl;
	bool spec_ctrl;		/* SPEC_CTRL is switched by entry.S */
	bool rdpru, mcommit, invlpgb;
	bool tsc_ratio;		/* there is TSC_RATIO */
	bool la57;		/* the host pages with five levels */
	u64 host_cr4_mce;	/* X86_CR4_MCE if the host has it set */
};

extern struct svm_caps svm_caps;

static inline struct svm_vcpu *to_svm(struct vitro_vcpu *vcpu)
{
	return container_of(vcpu, struct svm_vcpu, vcpu);
}

/* TSC_RATIO for a guest with vitro_vcpu.tsc_ratio @ratio */
static inline u64 svm_tsc_ratio_msr(u64 ratio)
{
	return ratio ?: SVM_TSC_RATIO_DEFAULT;
}

/* Newer kernels describe it as 64 bits wide; no code has more than 32. */
static inline u32 svm_exit_code(const struct vmcb *vmcb)
{
	return (u32)vmcb->control.exit_code;
}

static inline void svm_dirty(struct vmcb *vmcb, enum svm_clean group)
{
	vmcb->control.clean &= ~BIT(group);
}

static inline void svm_intercept(struct vmcb *vmcb, unsigned int bit, bool on)
{
	u32 *word = &vmcb->control.intercepts[bit / 32];
	u32 value = on ? *word | BIT(bit % 32) : *word & ~BIT(bit % 32);

	if (value == *word)
		return;
	*word = value;
	svm_dirty(vmcb, SVM_CLEAN_INTERCEPTS);
}

static inline bool svm_intercepts(const struct vmcb *vmcb, unsigned int bit)
{
	return vmcb->control.intercepts[bit / 32] & BIT(bit % 32);
}

/* The guest's translations must go before its next entry. */
static inline void svm_want_flush(struct svm_vcpu *svm)
{
	svm->flush = true;
	svm->vcpu.refresh |= VITRO_REFRESH_GUEST;
}

/* entry.S; see there */
int vitro_svm_switch(struct vitro_vcpu *vcpu, const struct svm_entry *entry);

/* caps.c */
int svm_probe(void);

/* operation.c */
int svm_setup_cpus(void);
void svm_teardown_cpus(void);
int svm_cpu_enable(void);
void svm_cpu_disable(void);
void svm_save_host(struct svm_cpu *cpu);

/* vcpu.c */
void svm_vcpu_setup(void);
int svm_vcpu_create(struct vitro_vcpu *vcpu);
void svm_vcpu_destroy(struct vitro_vcpu *vcpu);
void svm_vcpu_reset(struct vitro_vcpu *vcpu, bool init);
void svm_load(struct vitro_vcpu *vcpu, int cpu);
void svm_put(struct vitro_vcpu *vcpu);
void svm_enter(struct vitro_vcpu *vcpu, struct vitro_exit *exit);
void svm_flush_tlb(struct vitro_vcpu *vcpu);
void svm_set_root(struct vitro_vcpu *vcpu, u64 root_hpa);
void svm_write_tsc_offset(struct vitro_vcpu *vcpu);
void svm_write_tsc_ratio(struct vitro_vcpu *vcpu);
void svm_cpuid_changed(struct vitro_vcpu *vcpu);
void svm_shutdown_reset(struct svm_vcpu *svm);

/* state.c */
void svm_reset_state(struct svm_vcpu *svm);
void svm_skip(struct vitro_vcpu *vcpu, unsigned int len);
void svm_cache_reg(struct vitro_vcpu *vcpu, enum vitro_reg reg);
void svm_get_segment(struct vitro_vcpu *vcpu, enum vitro_seg seg, struct kvm_segment *out);
void svm_get_segments(struct vitro_vcpu *vcpu, struct kvm_sregs *out);
void svm_set_segment(struct vitro_vcpu *vcpu, enum vitro_seg seg, const struct kvm_segment *in);
void svm_get_idt(struct vitro_vcpu *vcpu, struct vitro_dtable *out);
void svm_set_idt(struct vitro_vcpu *vcpu, const struct vitro_dtable *in);
void svm_get_gdt(struct vitro_vcpu *vcpu, struct vitro_dtable *out);
void svm_set_gdt(struct vitro_vcpu *vcpu, const struct vitro_dtable *in);
void svm_set_cr0(struct vitro_vcpu *vcpu, u64 cr0);
void svm_set_cr3(struct vitro_vcpu *vcpu, u64 cr3);
void svm_set_cr4(struct vitro_vcpu *vcpu, u64 cr4);
void svm_set_efer(struct vitro_vcpu *vcpu, u64 efer);
void svm_set_dr7(struct vitro_vcpu *vcpu, u64 dr7);
int svm_cpl(struct vitro_vcpu *vcpu);
bool svm_cs_long(struct vitro_vcpu *vcpu);

/* msr.c */
extern u64 svm_iopm_pa;
int svm_setup_maps(void);
void svm_teardown_maps(void);
void svm_msr_filter_changed(struct vitro_vcpu *vcpu);
void svm_reset_msrs(struct svm_vcpu *svm);
int svm_get_msr(struct vitro_vcpu *vcpu, u32 msr, u64 *value);
int svm_set_msr(struct vitro_vcpu *vcpu, u32 msr, u64 value);

/* step.c */
void svm_update_exceptions(struct vitro_vcpu *vcpu);
void svm_start_step(struct svm_vcpu *svm);
void svm_end_step(struct svm_vcpu *svm, struct vitro_exit *exit);
void svm_end_debug_step(struct vitro_vcpu *vcpu, struct vitro_exit *exit);

/* inject.c */
bool svm_irq_allowed(struct vitro_vcpu *vcpu);
bool svm_nmi_allowed(struct vitro_vcpu *vcpu);
void svm_request_irq_window(struct vitro_vcpu *vcpu);
void svm_request_nmi_window(struct vitro_vcpu *vcpu);
void svm_inject_irq(struct vitro_vcpu *vcpu, u8 vector, bool soft, u8 insn_len);
void svm_inject_nmi(struct vitro_vcpu *vcpu);
void svm_inject_exception(struct vitro_vcpu *vcpu, u8 vector, bool has_error, u32 error_code);
void svm_cancel_injection(struct vitro_vcpu *vcpu);
u32 svm_get_shadow(struct vitro_vcpu *vcpu);
void svm_set_shadow(struct vitro_vcpu *vcpu, u32 shadow);
bool svm_get_nmi_mask(struct vitro_vcpu *vcpu);
void svm_set_nmi_mask(struct vitro_vcpu *vcpu, bool masked);
void svm_update_tpr(struct vitro_vcpu *vcpu, u8 tpr, int irr_class);
void svm_reset_events(struct svm_vcpu *svm);
void svm_close_irq_window(struct svm_vcpu *svm);
void svm_finish_injection(struct svm_vcpu *svm);
bool svm_iret_starts(struct svm_vcpu *svm);
void svm_check_iret(struct svm_vcpu *svm);

/* exit.c */
void svm_decode_exit(struct svm_vcpu *svm, struct vitro_exit *exit);

/* explain.c */
void svm_explain(struct vitro_vcpu *vcpu, struct seq_buf *text);
void svm_dump(struct vitro_vcpu *vcpu);

#endif /* __ASSEMBLER__ */

#endif /* VITRO_SVM_H */
