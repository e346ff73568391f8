/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A backend without hardware: it keeps what it is given, and records what it
 * is asked to do.
 */
#ifndef VITRO_KUNIT_FAKE_BACKEND_H
#define VITRO_KUNIT_FAKE_BACKEND_H

#include "../backend.h"

/* What was injected last. */
enum fake_injection {
	FAKE_NOTHING,
	FAKE_IRQ,
	FAKE_SOFT_IRQ,
	FAKE_NMI,
	FAKE_EXCEPTION,
};

/* The one MSR that the fake backend knows. */
#define FAKE_MSR	0xc0000081	/* STAR */

/*
 * struct fake_vcpu - a vCPU of the fake backend
 * @vcpu:	common part
 * @seg, @idt, @gdt, @level, @long_mode, @shadow, @nmi_mask, @star: as they were set
 * @irqs_off, @nmis_off: what irq_allowed() and nmi_allowed() deny
 * @injected, @vector, @has_error, @error_code: the last injection
 * @irq_window, @nmi_window: windows asked for
 * @tpr, @irr_class: the last update_tpr()
 * @skipped:	bytes of the last skip()
 * @halts_ended: calls of end_halt()
 * @log_allocs, @log_error: calls of log_alloc(), and what it returns
 */
struct fake_vcpu {
	struct vitro_vcpu vcpu;
	struct kvm_segment seg[VITRO_NR_SEGS];
	struct vitro_dtable idt, gdt;
	int level;
	bool long_mode;
	u32 shadow;
	u64 dr7;
	bool nmi_mask;
	u64 star;
	bool irqs_off, nmis_off;
	enum fake_injection injected;
	u8 vector;
	bool has_error;
	u32 error_code;
	int irq_window, nmi_window;
	u8 tpr;
	int irr_class;
	unsigned int skipped;
	unsigned int halts_ended;
	unsigned int log_allocs;
	int log_error;
};

extern struct vitro_backend fake_backend;

static inline struct fake_vcpu *to_fake(struct vitro_vcpu *vcpu)
{
	return container_of(vcpu, struct fake_vcpu, vcpu);
}

#endif /* VITRO_KUNIT_FAKE_BACKEND_H */
