/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * struct vitro_vcpu, the virtual processor, and the accessors that hide where
 * its registers currently are.
 */
#ifndef VITRO_VCPU_H
#define VITRO_VCPU_H

#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/kvm.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/rcuwait.h>
#include <linux/types.h>
#include <asm/debugreg.h>
#include <asm/fpu/xcr.h>

#include "exit.h"
#include "insn_site.h"
#include "iobus.h"
#include "stats.h"
#include "tdp.h"
#include "walk.h"

struct file;
struct vitro_vm;
struct vitro_emul;
struct vitro_explain;
struct vitro_lapic;

/*
 * Registers that a backend may hold in hardware structures. The first sixteen
 * are the general registers in the processor's encoding order.
 */
enum vitro_reg {
	VITRO_RAX, VITRO_RCX, VITRO_RDX, VITRO_RBX,
	VITRO_RSP, VITRO_RBP, VITRO_RSI, VITRO_RDI,
	VITRO_R8,  VITRO_R9,  VITRO_R10, VITRO_R11,
	VITRO_R12, VITRO_R13, VITRO_R14, VITRO_R15,
	VITRO_RIP, VITRO_RFLAGS, VITRO_CR0, VITRO_CR3, VITRO_CR4,
	VITRO_NR_REGS,
	VITRO_NR_GPRS = VITRO_RIP
};

/* Segment registers, in the processor's encoding order. */
enum vitro_seg {
	VITRO_ES, VITRO_CS, VITRO_SS, VITRO_DS, VITRO_FS, VITRO_GS,
	VITRO_TR, VITRO_LDTR, VITRO_NR_SEGS
};

/*
 * Reasons to look at a vCPU before it enters the guest again: bits of
 * vcpu->requests. A set bit also ends the inner run loop.
 */
enum vitro_request {
	VITRO_REQ_EVENT,	/* interrupts or events may have become deliverable */
	VITRO_REQ_TLB_FLUSH,	/* guest-physical translations have changed */
	VITRO_REQ_OUT,		/* leave guest mode once; nothing else to do */
	VITRO_REQ_NMI,		/* vcpu->nmi_queued has grown */
	VITRO_REQ_INIT_SIPI,	/* an INIT or start-up IPI has arrived */
	VITRO_REQ_TIMER,	/* the local APIC timer has expired */
	VITRO_REQ_CLOCK,	/* the kvmclock page must be written anew */
	VITRO_REQ_TRIPLE_FAULT,	/* report KVM_EXIT_SHUTDOWN */
	VITRO_REQ_IOAPIC_EOI,	/* report KVM_EXIT_IOAPIC_EOI */
	VITRO_REQ_MSR_FILTER,	/* vm->msr_filter has changed */
	VITRO_REQ_STEAL,	/* the steal-time page must be written anew */
	VITRO_REQ_PV_EOI,	/* the page of PV EOI is not there for an offer */
	VITRO_REQ_RING_FULL,	/* report KVM_EXIT_DIRTY_RING_FULL until it is not */
	VITRO_REQ_LOG,		/* have the processor log dirty pages */
};

/* vcpu->mode; see vitro_vcpu_kick() for the handshake. */
enum vitro_vcpu_mode {
	VITRO_OUTSIDE_GUEST,
	VITRO_IN_GUEST,
};

/*
 * Bits of vcpu->refresh: what the next entry has to look at beyond the registers. One test
 * for what changes seldom, so whoever changes it must set the bit.
 */
#define VITRO_REFRESH_HOST	BIT(0)	/* IRQs may have been on: the host's state */
#define VITRO_REFRESH_GUEST	BIT(1)	/* MSRs, events, translations: the backend's choice */

#define VITRO_NO_VECTOR		(-1)

/* Bits of vcpu->init_sipi. */
#define VITRO_INIT_PENDING	0
#define VITRO_SIPI_PENDING	1

/* Pages of the vCPU's mmap: struct kvm_run, port I/O data, the VM's coalesced writes. */
#define VITRO_RUN_PAGES		3
#define VITRO_PIO_PAGE		1
#define VITRO_COALESCED_PAGE	KVM_COALESCED_MMIO_PAGE_OFFSET

/*
 * struct vitro_events - what waits to be delivered to the guest
 *
 * "Pending" has not been handed to the processor yet; "injected" has been
 * once, but its delivery did not complete, and must be handed over again.
 * Owned by the vCPU's thread (vcpu->mutex).
 */
struct vitro_events {
	struct {
		bool pending;
		bool injected;
		bool has_error_code;
		bool has_payload;
		u8 vector;
		u32 error_code;
		u64 payload;		/* CR2 of #PF, DR6 bits of #DB */
	} exception;
	struct {
		bool injected;
		bool soft;		/* INT n, not an external interrupt */
		u8 vector;
		u8 insn_len;		/* of INT n, in bytes; for soft only */
	} irq;
	struct {
		bool injected;
		u8 pending;		/* at most 2, as on hardware */
	} nmi;
	int user_irq;			/* vector from KVM_INTERRUPT, or VITRO_NO_VECTOR */
};

/* Model-specific registers that are plain storage for every backend. */
struct vitro_msrs {
	u64 apic_base;
	u64 pat;
	u64 tsc_aux;
	u64 misc_enable;
	u64 tsc_adjust;
	u64 mtrr_def_type;
	u64 mtrr_fixed[11];
	u64 mtrr_var[2 * 8];
	u64 spec_ctrl;
	u64 arch_capabilities;
	u64 ucode_rev;
	u64 platform_info;
	u64 power_ctl;
	u64 wall_clock;			/* MSR_KVM_WALL_CLOCK(_NEW) */
	u64 system_time;		/* MSR_KVM_SYSTEM_TIME(_NEW) */
	u64 steal_time;			/* MSR_KVM_STEAL_TIME */
	u64 pv_eoi;			/* MSR_KVM_PV_EOI_EN */
};

/* The machine-check architecture; mce.c. */
struct vitro_mce {
	u64 cap;			/* MCG_CAP; KVM_X86_SETUP_MCE */
	u64 status;			/* MCG_STATUS */
	u64 ctl;			/* MCG_CTL */
	u64 *banks;			/* CTL, STATUS, ADDR, MISC of each; NULL: there are none */
};

/* One piece of an MMIO access that user space has to finish. */
struct vitro_mmio_fragment {
	u64 gpa;
	u8 len;				/* 1..8, never crosses a page */
	bool done;			/* reads: data is valid */
	u8 data[8];
};

#define VITRO_MAX_FRAGMENTS	12

/*
 * struct vitro_io_state - an instruction that waits for user space
 *
 * Reads are replayed: the instruction is executed again and finds the data
 * that user space gave in @reads, in order. Writes are posted: the
 * instruction has completed, @writes are handed out one KVM_EXIT_MMIO each.
 */
struct vitro_io_state {
	u8 nr_reads;
	u8 next_read;			/* replay position */
	u8 nr_writes;
	u8 next_write;
	struct vitro_mmio_fragment reads[VITRO_MAX_FRAGMENTS];
	struct vitro_mmio_fragment writes[VITRO_MAX_FRAGMENTS];
	/* port I/O: page 1 of the vCPU's mmap holds the data */
	struct {
		u16 port;
		u8 size;
		bool in;
		bool pending;		/* INS or OUTS waits for user space */
		bool answered;		/* user space has supplied INS's data */
		u16 count;
		u32 value;		/* from a device in the kernel */
	} pio;
};

/* KVM_CAP_DIRTY_LOG_RING; dirty_ring.c. */
struct vitro_dirty_ring {
	struct kvm_dirty_gfn *entries;	/* constant; shared with user space */
	u32 nr;				/* constant: a power of two; 0: there is none */
	u32 next;			/* (t), IRQs off: how many have been entered ... */
	u32 first;			/* vm->slots_lock: ... and how many reset */
};

/*
 * struct vitro_vcpu - a virtual processor
 *
 * Embedded as the first member of the backend's own structure. The fields up
 * to @requests are the working set of the inner loop.
 *
 * Locks: "(t)" fields belong to the thread that holds @mutex. "(a)" fields
 * are atomic. "(c)" fields are constant after creation.
 */
struct vitro_vcpu {
	u64 gpr[VITRO_NR_GPRS];		/* (t) entry.S relies on being first */
	u64 rip;			/* (t) through vcpu_rip() */
	u64 rflags;			/* (t) through vcpu_rflags() */
	u64 cr0, cr3, cr4;		/* (t) through vcpu_cr0() ... */
	u64 cr2;			/* (t) in the register while in the guest */
	u64 cr8;			/* (t) TPR >> 4, without in-kernel APIC */
	u64 efer;			/* (t) */
	unsigned long regs_avail;	/* (t) fields above that are current */
	unsigned long regs_dirty;	/* (t) to be written back at entry */

	unsigned long requests;		/* (a) bits: enum vitro_request */
	int mode;			/* (a) enum vitro_vcpu_mode */
	int cpu;			/* host CPU that it is loaded on, or -1 */
	int last_cpu;			/* (t) host CPU of the last load, or -1 */
	bool hot;			/* (t) guest's XSAVE state is in the registers */
	u8 refresh;			/* (t) VITRO_REFRESH_*, for the next entry */
	bool timing;			/* (t) copy of vm->timing for this run */
	u64 exit_tsc;			/* (t) host TSC at the last exit, while timing */
	int srcu_idx;			/* (t) of vm->srcu, in the run loop */
	u8 irq_window_open;		/* (t) backend's use: window requested */
	bool pv_eoi_enabled;		/* (t) by the guest ... */
	bool pv_eoi_pending;		/* (t) ... which may have ended an interrupt unnoticed */

	struct vitro_vm *vm;		/* (c) holds a reference through the fd */
	struct kvm_run *run;		/* (c) shared with user space: read once */
	void *pio_data;			/* (c) the second page of the mmap, shared too */
	u32 id;				/* (c) KVM_CREATE_VCPU argument, APIC ID */
	int index;			/* (c) position in vm->vcpus */
	struct mutex mutex;
	struct preempt_notifier preempt_notifier;
	struct rcuwait wait;		/* the thread while it blocks in HLT */
	u64 last_halt_ns;		/* (t) how long the last block took, if there is polling */
	sigset_t sigset;		/* (t) KVM_SET_SIGNAL_MASK */
	bool sigset_active;		/* (t) */

	struct vitro_events events;	/* (t) */
	atomic_t nmi_queued;		/* (a) NMIs from other threads */
	unsigned long init_sipi;	/* (a) VITRO_INIT_PENDING, VITRO_SIPI_PENDING */
	u8 sipi_vector;			/* (a) valid when the SIPI bit is set */
	int mp_state;			/* (t), read by others: KVM_MP_STATE_* */
	bool unhalted;			/* (a) set by anyone: HLT is not to wait, once */

	u64 dr[4];			/* (t) guest's DR0..DR3 */
	u64 dr6, dr7;			/* (t) */
	u64 host_dr[4];			/* (t) while the guest's are loaded */
	bool dr_loaded;			/* (t) DR0..DR3 are the guest's */
	u64 active_dr7;			/* (t) that the guest runs with: its own or the debugger's */
	u32 guest_debug;		/* (t) KVM_GUESTDBG_* in force */
	bool step_begun;		/* (t) a debugger's single step is under way ... */
	bool step_stuck;		/* (t) ... and a trap has come without RIP moved */
	u8 step_insn;			/* (t) VITRO_STEP_* */
	u64 step_rip;			/* (t) ... from here */
	u64 debug_dr[4], debug_dr7;	/* (t) the debugger's, for USE_HW_BP */

	u64 tsc_offset;			/* (t) guest TSC = host TSC * ratio + offset */
	u64 tsc_ratio;			/* (t), read by others; 0: 1.0, the host's rate. See tsc.h */
	u32 tsc_khz;			/* (t), read by others: what was asked for; 0: the host's */
	u64 xcr0;			/* (t) guest's XCR0 */
	u64 guest_xcr0_mask;		/* (t) XCR0 bits its CPUID permits */
	struct xregs_state *xstate;	/* (t) guest's XSAVE image, standard format */

	struct vitro_msrs msrs;		/* (t) */
	struct vitro_mce mce;		/* (t) */
	struct kvm_cpuid_entry2 *cpuid;	/* (t) */
	u32 cpuid_nent;			/* (t) */
	u16 cpuid_first[64];		/* (t) index by hash, see cpuid_guest.c */
	u32 guest_features;		/* (t) VITRO_GF_*, from its CPUID */
	u8 maxphyaddr;			/* (t) guest physical address bits */
	u64 cr4_reserved;		/* (t) CR4 bits that raise #GP */
	u64 pdpte[4];			/* (t) PAE paging: to be loaded with CR3, CR0 or CR4 */
	u64 efer_reserved;		/* (t) EFER bits that raise #GP */
	bool has_run;			/* (t) CPUID and APIC id are fixed now */
	u32 disabled_exits;		/* (c) KVM_X86_DISABLE_EXITS_*, as its VM has them */
	bool pv_enforced;		/* (t) KVM_CAP_ENFORCE_PV_FEATURE_CPUID */
	u32 pv_features;		/* (t) BIT(KVM_FEATURE_*) of its CPUID */

	struct vitro_lapic *lapic;	/* (c) NULL without in-kernel irqchip */

	struct vitro_exit exit;		/* (t) the last exit */
	struct vitro_io_state io;	/* (t) */
	u16 gap_hint;			/* (t) slot before the gap of its last fault in one, see tdp_map.c */
	u16 io_hint[VITRO_NR_BUSES];	/* (t) where on a bus it has found something, see iobus.c */
	struct vitro_emul *emul;	/* (t) see mmio.h */
	/* (t) finishes the last user-space exit at the next KVM_RUN ... */
	int (*complete)(struct vitro_vcpu *vcpu);
	u64 complete_rip;		/* (t) ... if RIP is still this */

	struct vitro_kvmclock {
		u64 gpa;		/* (t) of the guest's page, with flags off */
		bool enabled;		/* (t) */
		bool paused;		/* (t) tell the guest so at the next update */
		bool stale;		/* (t) the last update could not be written */
		u32 version;		/* (t) */
	} clock;

	struct vitro_stealtime {
		u64 gpa;		/* (t) of the guest's structure */
		u64 waited;		/* (t) what the guest has been told of, ns ... */
		pid_t thread;		/* (t) ... by this thread */
		bool enabled;		/* (t) */
		bool told;		/* (t) that it is preempted */
	} steal;

	struct vitro_dirty_ring dirty_ring;
	struct vitro_tdp_cache tdp_cache; /* (t) */
	struct vitro_walk_entry walk_cache[VITRO_WALK_CACHE]; /* (t) */
	struct vitro_insn_site sites[VITRO_INSN_SITES]; /* (t) by RIP */

	struct vitro_explain *explain;	/* (t) text of the last failed entry */
	struct vitro_vcpu_stats stats;	/* (t) written; read by anyone */
};

/* Features of the guest's CPUID that decide on hot or security paths. */
#define VITRO_GF_LM		BIT(0)
#define VITRO_GF_NX		BIT(1)
#define VITRO_GF_XSAVE		BIT(2)
#define VITRO_GF_X2APIC		BIT(3)
#define VITRO_GF_TSC_DEADLINE	BIT(4)
#define VITRO_GF_RDTSCP		BIT(5)
#define VITRO_GF_RDPID		BIT(6)
#define VITRO_GF_TSC_ADJUST	BIT(7)
#define VITRO_GF_SPEC_CTRL	BIT(8)
#define VITRO_GF_PRED_CMD	BIT(9)
#define VITRO_GF_ARCH_CAP	BIT(10)
#define VITRO_GF_INVPCID	BIT(11)
#define VITRO_GF_GBPAGES	BIT(12)
#define VITRO_GF_PCID		BIT(13)
#define VITRO_GF_FLUSH_CMD	BIT(14)
#define VITRO_GF_UMIP		BIT(15)
#define VITRO_GF_AMD		BIT(16)	/* guest believes to be AMD or Hygon */
#define VITRO_GF_SYSCALL	BIT(17)
#define VITRO_GF_SSE3		BIT(18)
#define VITRO_GF_MWAIT		BIT(19)

static inline bool vcpu_has(const struct vitro_vcpu *vcpu, u32 feature)
{
	return vcpu->guest_features & feature;
}

/* May the guest execute what KVM_X86_DISABLE_EXITS_* names without an exit? */
static inline bool vcpu_exit_disabled(const struct vitro_vcpu *vcpu, u32 what)
{
	return vcpu->disabled_exits & what;
}

/* Has the guest the feature KVM_FEATURE_*? Unless user space insists, it need not be in CPUID. */
static inline bool vcpu_pv_has(const struct vitro_vcpu *vcpu, unsigned int feature)
{
	return !vcpu->pv_enforced || vcpu->pv_features & BIT(feature);
}

/* Fetches @reg from the backend into its field. */
void vitro_cache_reg(struct vitro_vcpu *vcpu, enum vitro_reg reg);

/*
 * The truth about a register: its bit in regs_avail says that the field is
 * current; its bit in regs_dirty says that the backend must write the field
 * to the hardware's structure before it enters the guest. All general
 * registers but RSP (and RAX on SVM, which its entry copies) are always
 * current outside the guest.
 */
#define VITRO_REG_ACCESSORS(name, field, reg)				\
static inline u64 vcpu_##name(struct vitro_vcpu *vcpu)			\
{									\
	if (!(vcpu->regs_avail & BIT(reg)))				\
		vitro_cache_reg(vcpu, reg);				\
	return vcpu->field;						\
}									\
static inline void vcpu_write_##name(struct vitro_vcpu *vcpu, u64 value)	\
{									\
	vcpu->field = value;						\
	vcpu->regs_avail |= BIT(reg);					\
	vcpu->regs_dirty |= BIT(reg);					\
}

VITRO_REG_ACCESSORS(rip, rip, VITRO_RIP)
VITRO_REG_ACCESSORS(rsp, gpr[VITRO_RSP], VITRO_RSP)
VITRO_REG_ACCESSORS(rflags, rflags, VITRO_RFLAGS)

/* CR0, CR3 and CR4 are written through the backend (vitro_set_cr0() ...). */
static inline u64 vcpu_cr0(struct vitro_vcpu *vcpu)
{
	if (!(vcpu->regs_avail & BIT(VITRO_CR0)))
		vitro_cache_reg(vcpu, VITRO_CR0);
	return vcpu->cr0;
}

static inline u64 vcpu_cr3(struct vitro_vcpu *vcpu)
{
	if (!(vcpu->regs_avail & BIT(VITRO_CR3)))
		vitro_cache_reg(vcpu, VITRO_CR3);
	return vcpu->cr3;
}

static inline u64 vcpu_cr4(struct vitro_vcpu *vcpu)
{
	if (!(vcpu->regs_avail & BIT(VITRO_CR4)))
		vitro_cache_reg(vcpu, VITRO_CR4);
	return vcpu->cr4;
}

/* General register @n (0..15) with RSP's laziness taken care of. */
static inline u64 vcpu_gpr(struct vitro_vcpu *vcpu, unsigned int n)
{
	return n == VITRO_RSP ? vcpu_rsp(vcpu) : vcpu->gpr[n & 15];
}

static inline void vcpu_write_gpr(struct vitro_vcpu *vcpu, unsigned int n, u64 value)
{
	if (n == VITRO_RSP)
		vcpu_write_rsp(vcpu, value);
	else
		vcpu->gpr[n & 15] = value;
}

/* Did the last exit keep an event from reaching the guest? It will be injected once more. */
static inline bool vitro_event_on_its_way(const struct vitro_vcpu *vcpu)
{
	return vcpu->events.exception.injected || vcpu->events.irq.injected ||
	       vcpu->events.nmi.injected;
}

static inline void vitro_request(struct vitro_vcpu *vcpu, enum vitro_request req)
{
	/* What the requester wrote before must be seen by who sees the bit. */
	smp_mb__before_atomic();
	set_bit(req, &vcpu->requests);
}

static inline bool vitro_take_request(struct vitro_vcpu *vcpu, enum vitro_request req)
{
	if (!test_bit(req, &vcpu->requests))
		return false;
	clear_bit(req, &vcpu->requests);
	smp_mb__after_atomic();	/* pairs with the one in vitro_request() */
	return true;
}

/* Where an instruction at @rip would be kept. */
static inline struct vitro_insn_site *vitro_site_of(struct vitro_vcpu *vcpu, u64 rip)
{
	return &vcpu->sites[rip % VITRO_INSN_SITES];
}

/* A control register that decides how instructions are fetched has changed. */
static inline void vitro_forget_sites(struct vitro_vcpu *vcpu)
{
	int i;

	for (i = 0; i < VITRO_INSN_SITES; i++)
		vcpu->sites[i].cs_key = 0;
}

/* insn.c: an instruction that vitro has completed or skipped, with RFLAGS.TF set. */
void vitro_step_trap(struct vitro_vcpu *vcpu);

/* vcpu.c */
int vitro_vcpu_create(struct vitro_vm *vm, u32 id);
void vitro_vcpu_destroy(struct vitro_vcpu *vcpu);
void vitro_vcpu_reset(struct vitro_vcpu *vcpu, bool init);
void vitro_vcpu_load(struct vitro_vcpu *vcpu);
void vitro_vcpu_put(struct vitro_vcpu *vcpu);
/* The vCPU of @vm that the calling thread has loaded, or NULL. */
struct vitro_vcpu *vitro_loaded_vcpu(struct vitro_vm *vm);

/* vcpu_ioctl.c */
long vitro_vcpu_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

/* run.c */
long vitro_vcpu_run(struct vitro_vcpu *vcpu);
void vitro_vcpu_kick(struct vitro_vcpu *vcpu);
void vitro_vcpu_wake(struct vitro_vcpu *vcpu);
bool vitro_vcpu_runnable(struct vitro_vcpu *vcpu);
void vitro_kick_all(struct vitro_vm *vm, enum vitro_request req, bool wait);
void vitro_collect_logs(struct vitro_vm *vm);

/* events.c */
void vitro_queue_exception(struct vitro_vcpu *vcpu, u8 vector);
void vitro_queue_exception_error(struct vitro_vcpu *vcpu, u8 vector, u32 error_code);
void vitro_queue_page_fault(struct vitro_vcpu *vcpu, u64 address, u32 error_code);
void vitro_queue_db(struct vitro_vcpu *vcpu, u64 dr6_bits);
void vitro_deliver_payload(struct vitro_vcpu *vcpu);
void vitro_requeue_exception(struct vitro_vcpu *vcpu, u8 vector, bool has_error, u32 error);
void vitro_requeue_irq(struct vitro_vcpu *vcpu, u8 vector, bool soft, u8 insn_len);
void vitro_requeue_nmi(struct vitro_vcpu *vcpu);
void vitro_deliver_nmi(struct vitro_vcpu *vcpu);
void vitro_deliver_init(struct vitro_vcpu *vcpu);
void vitro_deliver_sipi(struct vitro_vcpu *vcpu, u8 vector);
void vitro_inject_events(struct vitro_vcpu *vcpu);

#endif /* VITRO_VCPU_H */
