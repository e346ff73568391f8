/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The VMX backend's own structures and what its files call in each other.
 *
 * operation.c	VMXON: being in VMX operation, and which VMCS is active where
 * window.c	the same for moments, for the sake of other hypervisors
 * ways.c	which of the two, and changing between them
 * caps.c	what the processor must and can have
 * vcpu.c	a vCPU's life: VMCS, load and put, entering the guest, flushes
 * controls.c	what exits
 * state.c	segments, tables, control registers
 * msr.c	MSRs: the bitmap, and what is switched with the guest
 * step.c	exceptions that exit, single steps for debuggers
 * log.c	the page-modification log
 * inject.c	events into the guest, interrupt and NMI windows
 * exit.c	exit reasons to struct vitro_exit
 * explain.c	why a VM entry failed
 * entry.S	the world switch
 */
#ifndef VITRO_VMX_VMX_H
#define VITRO_VMX_VMX_H

/*
 * What entry.S does besides switching; bits of vmx_entry.flags. The register
 * image comes first in struct vitro_vcpu.
 */
#define VMX_ENTER_VERW_BIT		0	/* clear CPU buffers before entry */
#define VMX_ENTER_SPEC_CTRL_BIT		1	/* guest's and host's SPEC_CTRL differ */
#define VMX_ENTER_CLEAR_BHB_BIT		2	/* clear branch history after exit */

/* Offsets in struct vmx_entry; vcpu.c checks them. */
#define VMX_ENTRY_FLAGS			0
#define VMX_ENTRY_HOST_RSP		8
#define VMX_ENTRY_GUEST_SPEC_CTRL	16
#define VMX_ENTRY_HOST_SPEC_CTRL	24

/* VMCS field and VM-instruction error that entry.S needs; vcpu.c checks them. */
#define VMX_FIELD_HOST_RSP		0x6c14
#define VMX_FIELD_INSN_ERROR		0x4400
#define VMX_ERROR_NOT_LAUNCHED		5

#ifndef __ASSEMBLER__

#include <linux/bitops.h>
#include <linux/jump_label.h>
#include <linux/list.h>
#include <linux/percpu.h>
#include <linux/types.h>
#include <asm/vmx.h>

#include "../backend.h"
#include "../compat.h"
#include "../vcpu.h"
#include "vmcs.h"

/* The words of VMX controls. */
enum vmx_word {
	VMX_PIN, VMX_CPU, VMX_CPU2, VMX_EXIT, VMX_ENTRY,
	VMX_NR_WORDS
};

/**
 * struct vmx_config - what the processors' capability MSRs permit
 * @must:	controls that are always 1
 * @may:	controls that can be 1
 * @base:	controls that every vCPU has on
 * @revision:	VMCS revision identifier
 * @ept_vpid:	IA32_VMX_EPT_VPID_CAP
 * @misc:	IA32_VMX_MISC
 * @cr0_must:	bits of CR0 that are 1 in VMX operation (for guests, PE and PG are free)
 * @cr0_may:	bits of CR0 that can be 1
 * @cr4_must:	bits of CR4 that are 1
 * @cr4_may:	bits of CR4 that can be 1
 * @error_codes: hardware exceptions may come with or without an error code
 */
struct vmx_config {
	u32 must[VMX_NR_WORDS];
	u32 may[VMX_NR_WORDS];
	u32 base[VMX_NR_WORDS];
	u32 revision;
	bool error_codes;
	u64 ept_vpid;
	u64 misc;
	u64 cr0_must, cr0_may;
	u64 cr4_must, cr4_may;
};

extern struct vmx_config vmx_config;	/* constant after probe() */

static inline bool vmx_can(enum vmx_word word, u32 bits)
{
	return (vmx_config.may[word] & bits) == bits;
}

/* MSRs that only user mode sees, so that the guest's may stay while loaded. */
enum vmx_user_msr {
	VMX_MSR_STAR, VMX_MSR_LSTAR, VMX_MSR_CSTAR, VMX_MSR_SFMASK,
	VMX_NR_USER_MSRS
};

/* What entry.S works with. */
struct vmx_entry {
	u64 flags;
	u64 host_rsp;			/* value of the VMCS field */
	u64 guest_spec_ctrl;
	u64 host_spec_ctrl;
};

/* An event to be delivered by the next VM entry. */
struct vmx_injection {
	u32 info;			/* VM-entry interruption information, 0: none */
	u32 error_code;
	u32 insn_len;
};

/* Host state as it was when the guest's was loaded. */
struct vmx_host {
	u16 ds, es, fs, gs, ldt;
	u64 fs_base;
	u64 kernel_gs_base;		/* of user mode, in MSR_KERNEL_GS_BASE */
	u64 debugctl;
	u64 pebs;			/* IA32_PEBS_ENABLE */
};

/* Work for the next entry; bits of vitro_vmx.pending. */
#define VMX_PENDING_FLUSH_EPT	BIT(0)	/* guest-physical and combined mappings */
#define VMX_PENDING_FLUSH_VPID	BIT(1)	/* combined mappings of this vCPU */
#define VMX_PENDING_CHECK_DEBUG	BIT(2)	/* shadow, RFLAGS or #DB: see inject.c */
#define VMX_PENDING_HOST_CPU	BIT(3)	/* host-state fields that differ by CPU */
#define VMX_PENDING_LOG		BIT(4)	/* page-modification log: start, or room in the ring */

/* What is seldom to be done when a vCPU is put; bits of vitro_vmx.at_put. */
#define VMX_AT_PUT_BARRIER	BIT(0)	/* another hypervisor's VMCS was current, too */
#define VMX_AT_PUT_LOG		BIT(1)	/* the processor logs what the guest dirties */

/* Registers that the VMCS holds, unknown after each exit. */
#define VMX_LAZY_REGS	(BIT(VITRO_RSP) | BIT(VITRO_RIP) | BIT(VITRO_RFLAGS) |	\
			 BIT(VITRO_CR0) | BIT(VITRO_CR3) | BIT(VITRO_CR4))

/* Guest-state fields that have a copy outside the VMCS: see window.c. */
#define VMX_NR_CACHED	64

/*
 * struct vitro_vmx - a vCPU under VMX
 *
 * The vCPU's thread owns everything but @vmcs_cpu and @active, which belong to
 * the CPU where the VMCS is active, with its IRQs off.
 */
struct vitro_vmx {
	struct vitro_vcpu vcpu;

	struct vmx_entry entry;
	struct vmx_injection inject;
	unsigned long pending;		/* VMX_PENDING_* */
	bool guest_loaded;		/* @host is saved, guest's state is in place */
	bool user_msrs_loaded;		/* @user_msrs are in the processor */
	bool in_window;			/* the VMCS is current: see window.c */
	bool just_loaded;		/* no window since the last load */
	u8 at_put;			/* VMX_AT_PUT_* */
	bool intr_state_known;		/* @intr_state is the VMCS's */
	bool host_msrs;			/* @host has MSRs that entries must stop */
	bool tpr_shadow;
	u8 tpr;				/* in the virtual-APIC page at the last look */
	u8 tpr_threshold;		/* values of VMCS fields ... */
	u32 intr_state;
	u32 cpu_ctl;			/* wanted primary controls */
	u32 cpu_ctl_vmcs;
	u64 host_cr3;
	u64 host_cr4;
	u64 host_fs_base;
	u64 pat;
	u32 exception_bitmap;
	bool step;		/* a debugger single-steps; see step.c ... */
	bool step_event;	/* ... the delivery of an event */
	bool step_tf;		/* ... and the guest had TF set by itself */
	u32 step_shadow;	/* interrupt shadow that the step had ... */
	u64 step_rip;		/* ... here */
	u64 cr4_guest_owned;
	u64 eptp;
	u16 vpid;			/* 0: none */

	u32 exit_reason;		/* of the last exit, as the VMCS has it */
	u32 exit_intr_info;		/* of exceptions and NMIs */
	u32 insn_error;			/* of the last failed entry, or 0 */
	struct vmx_injection failed;	/* what that entry was to deliver */
	u32 soft_info;			/* event to be redelivered as a soft one */
	u8 soft_len;			/* and its instruction's length */

	u64 *log;			/* page-modification log or NULL; set once, vm->lock */
	int log_first;			/* where the processor begins in it, -1: no room */

	u8 *vapic;			/* virtual-APIC page */
	void *vmcs;
	phys_addr_t vmcs_pa;
	int vmcs_cpu;			/* resident CPU where it is active, -1: none */
	int host_cpu;			/* CPU of the last load, -1: none */
	bool vmcs_ready;		/* constant fields have been written */
	struct list_head active;	/* in vmx_cpu.active */

	u64 user_msrs[VMX_NR_USER_MSRS];
	u64 kernel_gs_base;		/* valid while not guest_loaded */
	u64 tsc_aux;			/* in the MSR, while user_msrs_loaded */
	u64 debugctl;
	struct vmx_host host;

	u64 *fields;			/* copies outside windows ... */
	u64 fields_valid;		/* ... that are true ... */
	u64 fields_dirty;		/* ... and that the VMCS does not have yet */
};

static inline struct vitro_vmx *to_vmx(struct vitro_vcpu *vcpu)
{
	return container_of(vcpu, struct vitro_vmx, vcpu);
}

/* Work for the next entry: VMX_PENDING_*. */
static inline void vmx_pend(struct vitro_vmx *vmx, unsigned long work)
{
	vmx->pending |= work;
	vmx->vcpu.refresh |= VITRO_REFRESH_GUEST;
}

/* Primary controls to be set and cleared at the next entry. */
static inline void vmx_want_ctl(struct vitro_vmx *vmx, u32 set, u32 clear)
{
	vmx->cpu_ctl = (vmx->cpu_ctl & ~clear) | set;
	vmx->vcpu.refresh |= VITRO_REFRESH_GUEST;
}

/**
 * struct vmx_cpu - a host CPU's part
 * @vmxon_page:	VMXON region
 * @enabled:	between cpu_enable() and cpu_disable()
 * @resident:	in VMX operation by our VMXON, to stay
 * @shared:	the last window was in another's VMX operation
 * @their_vmcs:	his current VMCS, while it is open
 * @window_cr4:	CR4 before our VMXON, while a transient window is open
 * @active:	vCPUs whose VMCS is active here (IRQs off)
 * @current_vmx: the one loaded last; where resident, its VMCS is current (IRQs or
 *		preemption off)
 * @user_msrs:	host's values of enum vmx_user_msr
 * @tsc_aux:	host's IA32_TSC_AUX, 0 if there is none
 * @sysenter_esp: host state for the VMCS
 * @gs_base:	likewise
 */
struct vmx_cpu {
	void *vmxon_page;
	bool enabled;
	bool resident;
	bool shared;
	u64 their_vmcs;
	unsigned long window_cr4;
	struct list_head active;
	struct vitro_vmx *current_vmx;
	u64 user_msrs[VMX_NR_USER_MSRS];
	u64 tsc_aux;
	u64 sysenter_esp;
	u64 gs_base;
};

DECLARE_PER_CPU(struct vmx_cpu, vmx_cpu);

/* caps.c */
int vmx_probe(void);
int vmx_check_cpu(void);

/* operation.c */
int vmx_setup(void);
void vmx_teardown(void);
int vmx_cpu_enable(void);
void vmx_cpu_disable(void);
int vmx_reside(struct vmx_cpu *c);
void vmx_end_residence(struct vmx_cpu *c);
void vmx_vmcs_activate(struct vitro_vmx *vmx, int cpu);
void vmx_vmcs_forget(struct vitro_vmx *vmx);

/* ways.c */
int vmx_choose_way(void);
void vmx_forget_way(void);
bool vmx_is_resident_way(void);
void vmx_describe_way(struct seq_buf *text);

/* window.c */
DECLARE_STATIC_KEY_FALSE(vmx_windowed);
int vmx_try_window(struct vmx_cpu *c);
bool vmx_window_open(struct vitro_vmx *vmx);
void vmx_window_close(struct vitro_vmx *vmx);
bool vmx_current(const struct vitro_vmx *vmx);
void vmx_write_back(struct vitro_vmx *vmx);
u64 vmx_read_windowed(struct vitro_vmx *vmx, enum vmcs_field field);
void vmx_write_windowed(struct vitro_vmx *vmx, enum vmcs_field field, u64 value);
void vmx_begin(struct vitro_vcpu *vcpu);
void vmx_end(struct vitro_vcpu *vcpu);

/**
 * vmx_read() - read a field of a vCPU's VMCS
 * @vmx:   the vCPU, loaded
 * @field: the field
 *
 * For code that may run outside the inner loop; within it, vmcs_read() does.
 *
 * Return: the value.
 */
static __always_inline u64 vmx_read(struct vitro_vmx *vmx, enum vmcs_field field)
{
	if (static_branch_unlikely(&vmx_windowed))
		return vmx_read_windowed(vmx, field);
	return vmcs_read(field);
}

/**
 * vmx_write() - write a field of a vCPU's VMCS
 * @vmx:   the vCPU, loaded
 * @field: the field
 * @value: its new value
 *
 * For code that may run outside the inner loop; within it, vmcs_write() does.
 */
static __always_inline void vmx_write(struct vitro_vmx *vmx, enum vmcs_field field, u64 value)
{
	if (static_branch_unlikely(&vmx_windowed))
		vmx_write_windowed(vmx, field, value);
	else
		vmcs_write(field, value);
}

/* vcpu.c */
int vmx_vcpu_create(struct vitro_vcpu *vcpu);
void vmx_vcpu_destroy(struct vitro_vcpu *vcpu);
void vmx_vcpu_reset(struct vitro_vcpu *vcpu, bool init);
void vmx_load(struct vitro_vcpu *vcpu, int cpu);
void vmx_put(struct vitro_vcpu *vcpu);
void vmx_enter(struct vitro_vcpu *vcpu, struct vitro_exit *exit);
void vmx_flush_tlb(struct vitro_vcpu *vcpu);
void vmx_flush_guest_tlb(struct vitro_vcpu *vcpu);
void vmx_set_root(struct vitro_vcpu *vcpu, u64 root_hpa);
void vmx_branch_barrier(void);
int vmx_vcpu_setup(void);
void vmx_vcpu_teardown(void);

/* controls.c */
void vmx_reset_primary(struct vitro_vmx *vmx);
void vmx_update_secondary(struct vitro_vmx *vmx);
void vmx_write_preemption_timer(void);
void vmx_write_controls(struct vitro_vmx *vmx);

/* state.c */
void vmx_cache_reg(struct vitro_vcpu *vcpu, enum vitro_reg reg);
void vmx_skip(struct vitro_vcpu *vcpu, unsigned int len);
void vmx_get_segment(struct vitro_vcpu *vcpu, enum vitro_seg seg, struct kvm_segment *out);
void vmx_get_segments(struct vitro_vcpu *vcpu, struct kvm_sregs *out);
void vmx_set_segment(struct vitro_vcpu *vcpu, enum vitro_seg seg,
		     const struct kvm_segment *in);
u32 vmx_get_access_rights(struct vitro_vmx *vmx, enum vitro_seg seg);
void vmx_get_idt(struct vitro_vcpu *vcpu, struct vitro_dtable *out);
void vmx_set_idt(struct vitro_vcpu *vcpu, const struct vitro_dtable *in);
void vmx_get_gdt(struct vitro_vcpu *vcpu, struct vitro_dtable *out);
void vmx_set_gdt(struct vitro_vcpu *vcpu, const struct vitro_dtable *in);
void vmx_set_cr0(struct vitro_vcpu *vcpu, u64 cr0);
void vmx_set_cr3(struct vitro_vcpu *vcpu, u64 cr3);
void vmx_set_cr4(struct vitro_vcpu *vcpu, u64 cr4);
void vmx_set_efer(struct vitro_vcpu *vcpu, u64 efer);
void vmx_set_dr7(struct vitro_vcpu *vcpu, u64 dr7);
int vmx_cpl(struct vitro_vcpu *vcpu);
bool vmx_cs_long(struct vitro_vcpu *vcpu);
void vmx_reset_state(struct vitro_vmx *vmx);
void vmx_update_cr4_mask(struct vitro_vmx *vmx);

/* msr.c */
bool vmx_has_cstate_msrs(void);
int vmx_msr_setup(void);
void vmx_msr_teardown(void);
void vmx_msr_filter_changed(struct vitro_vcpu *vcpu);
int vmx_get_msr(struct vitro_vcpu *vcpu, u32 msr, u64 *value);
int vmx_set_msr(struct vitro_vcpu *vcpu, u32 msr, u64 value);
void vmx_read_host_msrs(struct vmx_cpu *c);
void vmx_exchange_user_msrs(struct vitro_vmx *vmx);
void vmx_restore_user_msrs(struct vitro_vmx *vmx);
void vmx_switch_to_guest(struct vitro_vmx *vmx);
void vmx_switch_to_host(struct vitro_vmx *vmx);
void vmx_sync_msrs(struct vitro_vmx *vmx);

/* log.c */
int vmx_log_alloc(struct vitro_vcpu *vcpu);
void vmx_log_start(struct vitro_vcpu *vcpu);
void vmx_log_empty(struct vitro_vcpu *vcpu);
void vmx_log_refresh(struct vitro_vmx *vmx);
void vmx_log_write(struct vitro_vmx *vmx);

/* inject.c */
bool vmx_irq_allowed(struct vitro_vcpu *vcpu);
bool vmx_nmi_allowed(struct vitro_vcpu *vcpu);
void vmx_request_irq_window(struct vitro_vcpu *vcpu);
void vmx_request_nmi_window(struct vitro_vcpu *vcpu);
void vmx_inject_irq(struct vitro_vcpu *vcpu, u8 vector, bool soft, u8 insn_len);
void vmx_inject_nmi(struct vitro_vcpu *vcpu);
void vmx_inject_exception(struct vitro_vcpu *vcpu, u8 vector, bool has_error, u32 error_code);
void vmx_cancel_injection(struct vitro_vcpu *vcpu);
void vmx_end_halt(struct vitro_vcpu *vcpu);
u32 vmx_get_shadow(struct vitro_vcpu *vcpu);
void vmx_set_shadow(struct vitro_vcpu *vcpu, u32 shadow);
bool vmx_get_nmi_mask(struct vitro_vcpu *vcpu);
void vmx_set_nmi_mask(struct vitro_vcpu *vcpu, bool masked);
void vmx_update_tpr(struct vitro_vcpu *vcpu, u8 tpr, int irr_class);

/* step.c */
void vmx_update_exceptions(struct vitro_vcpu *vcpu);
void vmx_start_step(struct vitro_vmx *vmx);
void vmx_end_step(struct vitro_vcpu *vcpu, struct vitro_exit *exit);
void vmx_set_intr_state(struct vitro_vmx *vmx, u32 state);
void vmx_check_pending_debug(struct vitro_vmx *vmx);
void vmx_requeue_vectored(struct vitro_vmx *vmx, u32 info);

/**
 * vmx_intr_state() - the guest's interruptibility state
 * @vmx: the vCPU
 *
 * Return: GUEST_INTR_STATE_* bits.
 */
static inline u32 vmx_intr_state(struct vitro_vmx *vmx)
{
	if (!vmx->intr_state_known) {
		vmx->intr_state = vmx_read(vmx, GUEST_INTERRUPTIBILITY_INFO);
		vmx->intr_state_known = true;
	}
	return vmx->intr_state;
}

/* exit.c */
void vmx_decode_exit(struct vitro_vmx *vmx, struct vitro_exit *exit);

/* explain.c */
void vmx_explain(struct vitro_vcpu *vcpu, struct seq_buf *text);
void vmx_dump(struct vitro_vcpu *vcpu);

/* entry.S: 0 after a VM exit, 1 if VMLAUNCH and VMRESUME failed. */
asmlinkage unsigned long vmx_switch(struct vitro_vcpu *vcpu, struct vmx_entry *entry);
extern const char vmx_exit_point[];

#endif /* __ASSEMBLER__ */

#endif /* VITRO_VMX_VMX_H */
