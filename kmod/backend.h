/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What common code asks of a backend (vmx/ or svm/). One table, chosen when
 * the module loads; the calls of the inner loop go through static calls.
 *
 * Unless a member says otherwise, a vCPU operation runs in the thread that
 * holds vcpu->mutex with the vCPU loaded (vitro_vcpu_load()), preemption
 * possible.
 */
#ifndef VITRO_BACKEND_H
#define VITRO_BACKEND_H

#include <linux/kvm.h>
#include <linux/static_call.h>
#include <linux/types.h>

#include "vcpu.h"

struct vitro_vm;
struct seq_buf;
struct vitro_explain;

/* What the hardware offers beyond the required; filled by probe(). */
struct vitro_caps {
	char features[208];	/* names in use, for the log and VITRO_GET_INFO */
	bool tdp_1g;		/* 1 GiB nested mappings */
	bool tdp_2m;		/* 2 MiB nested mappings */
	bool tdp_log;		/* the processor can log the pages whose dirty bit it sets */
	bool has_umip;		/* UMIP can be offered to the guest */
	bool has_invpcid;	/* INVPCID can be enabled for the guest */
	bool has_rdtscp;	/* RDTSCP/RDPID can be enabled for the guest */
	bool has_xsaves;	/* XSAVES can be denied or confined */
	u8 tsc_ratio_bits;	/* fractional bits of a TSC ratio; 0: the TSC cannot be scaled */
	u64 tsc_ratio_max;	/* the largest */
	u64 xss_host;		/* host's IA32_XSS */
	u64 mcg_cap_reserved;	/* bits that MCG_CAP does not have in the vendor's processors */
	u32 disable_exits;	/* KVM_X86_DISABLE_EXITS_* that the controls permit */
};

extern struct vitro_caps vitro_caps;

/* struct vitro_dtable - GDTR or IDTR */
struct vitro_dtable {
	u64 base;
	u16 limit;
};

/* Page-table entry bits of the nested format; see tdp.c. */
struct vitro_tdp_format {
	u64 present;		/* bits that make a table entry: link to a table */
	u64 leaf;		/* bits always set in a leaf (memory type WB, ignore-PAT ...) */
	u64 read, write, exec;	/* permission bits that grant when set */
	u64 no_exec;		/* permission bit that denies execution when set */
	u64 large;		/* leaf at 2 MiB or 1 GiB */
	u64 accessed, dirty;	/* 0 where the format has none */
	u64 user;		/* must be set at every level (NPT walks are user walks) */
	bool host_levels;	/* the tree has as many levels as the host's page tables (NPT) */
};

/**
 * struct vitro_backend - operations and properties of a vendor
 * @name:	"VMX" or "SVM", for messages
 * @id:		VITRO_BACKEND_*
 * @vcpu_size:	bytes of the backend's vCPU structure, struct vitro_vcpu first
 * @busy:	for the log: what is the matter when @cpu_enable says -EBUSY, and what to do
 * @tdp:	nested page-table format
 *
 * @probe:	process context, at load. Checks what is required and fills
 *		vitro_caps. 0, or -errno after one pr_err() line that names
 *		the missing feature, the CPU and the remedy. The caller
 *		has found the vendor to match.
 * @setup:	allocate what the module needs once: 0 or -errno
 * @teardown:	free it
 * @cpu_enable:	on this CPU, IRQs off: enter VMX operation or set
 *		EFER.SVME. -EBUSY when another hypervisor holds it, -EOPNOTSUPP when
 *		firmware has locked it. Prints nothing: the caller names the CPU
 * @describe_way: write in which way CPUs are enabled, where there are several. May be
 *		NULL
 * @cpu_disable: undo it. Must cope with being called on a CPU that is not enabled,
 *		and be callable in NMI-like context (emergency reboot)
 *
 * @vcpu_create: allocate VMCS or VMCB ...: 0 or -errno; vCPU not loaded
 * @vcpu_destroy: free them; vCPU not loaded
 * @vcpu_reset:	state after RESET or INIT other than what common code sets
 *		through the other operations (controls, intercepts, segments,
 *		tables). @init: INIT, else power-up reset
 * @load:	preemption off: make the vCPU current on this CPU and switch
 *		what only user mode sees
 * @put:	preemption off: undo load
 *
 * @enter:	IRQs off, hot. Writes dirty registers, does what vcpu->refresh asks for and
 *		clears it, enters the guest, leaves it, decodes into @exit. Interrupted
 *		event deliveries are handed to vitro_requeue_*(). Returns with IRQs off. Host
 *		NMIs have been handled. Never fails: a failed entry is VITRO_EXIT_ENTRY_FAILED
 * @skip:	advance RIP by @len, end the STI/MOV-SS shadow, vitro_step_trap() if
 *		RFLAGS.TF is set (hot or not)
 * @cache_reg:	fetch a register into its vcpu field
 * @flush_tlb:	hot, IRQs off: drop this vCPU's guest-physical (and combined)
 *		translations on this CPU before the next entry
 * @flush_guest_tlb: drop the guest's linear translations (as MOV to CR3)
 *		before the next entry
 *
 * @irq_allowed: could the guest take an interrupt at the next entry? IRQs off or on
 * @nmi_allowed: could it take an NMI? IRQs off or on
 * @request_irq_window: exit as soon as it can take an interrupt
 * @request_nmi_window: exit as soon as it can take an NMI
 * @inject_irq:	deliver at the next entry. @soft: as by INT n of @insn_len bytes.
 *		At most one of the three injections an entry
 * @inject_nmi:	deliver an NMI at the next entry
 * @inject_exception: deliver an exception at the next entry
 * @get_shadow:	KVM_X86_SHADOW_INT_* bits
 * @set_shadow:	set them
 * @get_nmi_mask: are NMIs blocked until IRET?
 * @set_nmi_mask: block or unblock them
 * @update_tpr:	the APIC's TPR is @tpr (0..255) and the highest pending vector's
 *		priority class @irr_class (or -1): set up the TPR threshold or
 *		V_TPR and CR8 intercept
 *
 * @get_segment: a segment register with its hidden part
 * @get_segments: the eight segment registers of KVM_GET_SREGS
 * @set_segment: set it
 * @get_idt:	IDTR
 * @set_idt:	set it
 * @get_gdt:	GDTR
 * @set_gdt:	set it
 * @set_cr0:	store the guest's value after common code has validated it, and set
 *		controls that depend on the mode
 * @set_cr3:	likewise; where PAE paging has its PDPTEs in registers, each of the three
 *		loads vcpu->pdpte when the instruction would
 * @set_cr4:	likewise
 * @set_efer:	likewise
 * @set_dr7:	the DR7 that the guest runs with: its own or a debugger's
 * @cpl:	current privilege level
 * @cs_long:	is the code segment a 64-bit one?
 * @get_msr:	MSRs that live in VMCS, VMCB or in hardware (STAR, LSTAR, CSTAR,
 *		SFMASK, KERNEL_GS_BASE, FS_BASE, GS_BASE, SYSENTER_*, DEBUGCTL,
 *		vendor-specific ones). 0; 1: no such MSR (the guest gets #GP)
 * @set_msr:	set one of them. 0; 1: no such MSR or value refused
 * @write_tsc_offset: vcpu->tsc_offset has changed
 * @write_tsc_ratio: vcpu->tsc_ratio has changed; only where vitro_caps has them
 * @update_exceptions: vcpu->guest_debug has changed. KVM_GUESTDBG_SINGLESTEP: each entry shall
 *		end after one instruction, or after the event that it injects
 * @end_step:	IRQs off, after such an entry: vcpu->rflags become the guest's own again, @exit
 *		VITRO_EXIT_STEP if the step has been completed
 * @end_halt:	if the guest is in a HLT that has not exited (KVM_X86_DISABLE_EXITS_HLT), the
 *		next entry does not go on with it. May be NULL
 * @cpuid_changed: vcpu->guest_features has changed: adjust controls
 * @msr_filter_changed: vm->msr_filter has changed: no MSR that it forbids may be left
 *		that the guest reaches without an exit
 * @set_root:	nested page-table root (host-physical) has changed
 * @log_alloc:	give the vCPU what the processor logs pages into, unless it has it: 0 or -ENOMEM.
 *		Not by its thread; vm->lock held. These three: only where vitro_caps.tdp_log
 * @log_start:	from the next entry on, the processor logs for the vCPU
 * @log_empty:	IRQs off, on the CPU where the vCPU is loaded, or is being put or loaded; also
 *		from an interrupt that its thread has taken. What has been logged goes to
 *		vitro_log_pages(), and the processor begins anew, with so much room as the vCPU's
 *		ring has. @put does it, too: a vCPU that is not loaded has nothing logged
 * @explain:	write what broke the last failed entry as lines of text
 * @dump:	log the hardware's state, rate-limited by the caller
 */
struct vitro_backend {
	const char *name;
	const char *busy;
	u32 id;
	size_t vcpu_size;
	struct vitro_tdp_format tdp;

	int (*probe)(void);
	int (*setup)(void);
	void (*teardown)(void);
	int (*cpu_enable)(void);
	void (*cpu_disable)(void);
	void (*describe_way)(struct seq_buf *text);

	int (*vcpu_create)(struct vitro_vcpu *vcpu);
	void (*vcpu_destroy)(struct vitro_vcpu *vcpu);
	void (*vcpu_reset)(struct vitro_vcpu *vcpu, bool init);
	void (*load)(struct vitro_vcpu *vcpu, int cpu);
	void (*put)(struct vitro_vcpu *vcpu);

	void (*enter)(struct vitro_vcpu *vcpu, struct vitro_exit *exit);
	void (*skip)(struct vitro_vcpu *vcpu, unsigned int len);
	void (*cache_reg)(struct vitro_vcpu *vcpu, enum vitro_reg reg);
	void (*flush_tlb)(struct vitro_vcpu *vcpu);
	void (*flush_guest_tlb)(struct vitro_vcpu *vcpu);

	bool (*irq_allowed)(struct vitro_vcpu *vcpu);
	bool (*nmi_allowed)(struct vitro_vcpu *vcpu);
	void (*request_irq_window)(struct vitro_vcpu *vcpu);
	void (*request_nmi_window)(struct vitro_vcpu *vcpu);
	void (*inject_irq)(struct vitro_vcpu *vcpu, u8 vector, bool soft, u8 insn_len);
	void (*inject_nmi)(struct vitro_vcpu *vcpu);
	void (*inject_exception)(struct vitro_vcpu *vcpu, u8 vector,
				 bool has_error, u32 error_code);
	u32 (*get_shadow)(struct vitro_vcpu *vcpu);
	void (*set_shadow)(struct vitro_vcpu *vcpu, u32 shadow);
	bool (*get_nmi_mask)(struct vitro_vcpu *vcpu);
	void (*set_nmi_mask)(struct vitro_vcpu *vcpu, bool masked);
	void (*update_tpr)(struct vitro_vcpu *vcpu, u8 tpr, int irr_class);

	void (*get_segment)(struct vitro_vcpu *vcpu, enum vitro_seg seg,
			    struct kvm_segment *out);
	void (*get_segments)(struct vitro_vcpu *vcpu, struct kvm_sregs *out);
	void (*set_segment)(struct vitro_vcpu *vcpu, enum vitro_seg seg,
			    const struct kvm_segment *in);
	void (*get_idt)(struct vitro_vcpu *vcpu, struct vitro_dtable *out);
	void (*set_idt)(struct vitro_vcpu *vcpu, const struct vitro_dtable *in);
	void (*get_gdt)(struct vitro_vcpu *vcpu, struct vitro_dtable *out);
	void (*set_gdt)(struct vitro_vcpu *vcpu, const struct vitro_dtable *in);
	void (*set_cr0)(struct vitro_vcpu *vcpu, u64 cr0);
	void (*set_cr3)(struct vitro_vcpu *vcpu, u64 cr3);
	void (*set_cr4)(struct vitro_vcpu *vcpu, u64 cr4);
	void (*set_efer)(struct vitro_vcpu *vcpu, u64 efer);
	void (*set_dr7)(struct vitro_vcpu *vcpu, u64 dr7);
	int (*cpl)(struct vitro_vcpu *vcpu);
	bool (*cs_long)(struct vitro_vcpu *vcpu);
	int (*get_msr)(struct vitro_vcpu *vcpu, u32 msr, u64 *value);
	int (*set_msr)(struct vitro_vcpu *vcpu, u32 msr, u64 value);
	void (*write_tsc_offset)(struct vitro_vcpu *vcpu);
	void (*write_tsc_ratio)(struct vitro_vcpu *vcpu);
	void (*update_exceptions)(struct vitro_vcpu *vcpu);
	void (*end_step)(struct vitro_vcpu *vcpu, struct vitro_exit *exit);
	void (*end_halt)(struct vitro_vcpu *vcpu);
	void (*cpuid_changed)(struct vitro_vcpu *vcpu);
	void (*msr_filter_changed)(struct vitro_vcpu *vcpu);
	void (*set_root)(struct vitro_vcpu *vcpu, u64 root_hpa);
	int (*log_alloc)(struct vitro_vcpu *vcpu);
	void (*log_start)(struct vitro_vcpu *vcpu);
	void (*log_empty)(struct vitro_vcpu *vcpu);
	void (*explain)(struct vitro_vcpu *vcpu, struct seq_buf *text);
	void (*dump)(struct vitro_vcpu *vcpu);
};

extern const struct vitro_backend *vitro_backend;	/* chosen at load */
extern const struct vitro_backend vitro_vmx_backend;
extern const struct vitro_backend vitro_svm_backend;

/*
 * Operations that calls of user space and exits do often: static calls, updated once at
 * load by main.c. An indirect call is dear, above all with retpolines. Every backend has
 * them all: a static call to nothing is a silent NOP.
 */
#define VITRO_STATIC_CALLS(X) \
	X(load) X(put) X(enter) X(skip) X(cache_reg) X(irq_allowed) \
	X(get_segment) X(get_segments) X(set_segment) X(get_idt) X(set_idt) \
	X(get_gdt) X(set_gdt) X(set_cr0) X(set_cr3) X(set_cr4) X(set_efer) \
	X(flush_guest_tlb) X(cpl) X(cs_long) X(get_shadow) X(set_shadow) \
	X(get_nmi_mask) X(nmi_allowed) X(request_irq_window) X(request_nmi_window) \
	X(inject_irq) X(inject_nmi) X(inject_exception) X(update_tpr)

#define VITRO_DECLARE_CALL(op) \
	DECLARE_STATIC_CALL(vitro_##op, *((struct vitro_backend *)0)->op);
VITRO_STATIC_CALLS(VITRO_DECLARE_CALL)

/*
 * Before and after the inner loop, IRQs off. NULL unless a backend, which
 * updates them, needs them.
 */
DECLARE_STATIC_CALL(vitro_begin, *((struct vitro_backend *)0)->put);
DECLARE_STATIC_CALL(vitro_end, *((struct vitro_backend *)0)->put);

/**
 * vitro_fetch_access() - what the fetch of an instruction is to the guest's tables
 * @vcpu: the vCPU
 *
 * Context: any of the vCPU's thread.
 * Return: VITRO_ACC_*.
 */
static inline u32 vitro_fetch_access(struct vitro_vcpu *vcpu)
{
	return VITRO_ACC_EXEC | (static_call(vitro_cpl)(vcpu) == 3 ? VITRO_ACC_USER : 0);
}

/**
 * vitro_end_halt() - user space has changed a vCPU's state: it is not halted any more
 * @vcpu: the vCPU, loaded
 *
 * For a HLT that has not exited. It may end at any time, as guests know.
 */
static inline void vitro_end_halt(struct vitro_vcpu *vcpu)
{
	if (vcpu_exit_disabled(vcpu, KVM_X86_DISABLE_EXITS_HLT) && vitro_backend->end_halt)
		vitro_backend->end_halt(vcpu);
}

/**
 * vitro_skip_insn_fast() - get past the instruction that caused the exit
 * @vcpu: the vCPU; exit.insn_len is known
 *
 * Context: any of the vCPU's thread.
 * Return: true, as a fast handler does.
 */
static __always_inline bool vitro_skip_insn_fast(struct vitro_vcpu *vcpu)
{
	static_call(vitro_skip)(vcpu, vcpu->exit.insn_len);
	return true;
}

#endif /* VITRO_BACKEND_H */
