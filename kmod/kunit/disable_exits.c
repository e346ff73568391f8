// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_CAP_X86_DISABLE_EXITS: what the backends leave off, and what ends a HLT that has not
 * exited (SDM, Checks on Guest Non-Register State).
 */
#include <linux/slab.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>

#include "../svm/svm.h"
#include "../vcpu_state.h"
#include "../vmx/vmx.h"
#include "fake_backend.h"
#include "fixture.h"

#define HLT	KVM_X86_DISABLE_EXITS_HLT
#define MWAIT	KVM_X86_DISABLE_EXITS_MWAIT
#define PAUSE	KVM_X86_DISABLE_EXITS_PAUSE

#define WAITING	(CPU_BASED_HLT_EXITING | CPU_BASED_MWAIT_EXITING | CPU_BASED_MONITOR_EXITING)

static const struct exits_case {
	const char *name;
	u32 disabled;
	u32 primary, secondary;		/* VMX: of WAITING and PAUSE-loop exiting, what is on */
	bool hlt, mwait, pause;		/* SVM: intercepts */
} exits[] = {
	{ "none", 0, WAITING, SECONDARY_EXEC_PAUSE_LOOP_EXITING, true, true, true },
	{ "HLT", HLT, WAITING & ~CPU_BASED_HLT_EXITING, SECONDARY_EXEC_PAUSE_LOOP_EXITING,
	  false, true, true },
	{ "MWAIT", MWAIT, CPU_BASED_HLT_EXITING, SECONDARY_EXEC_PAUSE_LOOP_EXITING,
	  true, false, true },
	{ "PAUSE", PAUSE, WAITING, 0, true, true, false },
	{ "all", HLT | MWAIT | PAUSE, 0, 0, false, false, false },
};
TEST_PARAMS(exits);

static struct vitro_vmx *new_vmx(struct kunit *test, u32 disabled)
{
	struct vitro_vmx *vmx = kunit_kzalloc(test, sizeof(*vmx), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, vmx);
	memset(fake_vmcs, 0, sizeof(fake_vmcs));
	vmx->vcpu.vm = test_vm(test);
	vmx->vcpu.disabled_exits = disabled;
	vmx->vcpu.regs_avail = ~0UL;
	vmx->vcpu.cr0 = X86_CR0_PE;
	vmx->vcpu.rflags = X86_EFLAGS_FIXED | X86_EFLAGS_IF;
	return vmx;
}

static void vmx_controls(struct kunit *test)
{
	const struct exits_case *p = test->param_value;
	struct vitro_vmx *vmx = new_vmx(test, p->disabled);

	memset(&vmx_config, 0, sizeof(vmx_config));
	memset(vmx_config.may, 0xff, sizeof(vmx_config.may));
	vmx_config.base[VMX_CPU] = WAITING;
	vmx_config.base[VMX_CPU2] = SECONDARY_EXEC_PAUSE_LOOP_EXITING;
	vmx_reset_primary(vmx);
	vmx_update_secondary(vmx);
	KUNIT_EXPECT_EQ(test, (u32)fake_vmcs[CPU_BASED_VM_EXEC_CONTROL] & WAITING, p->primary);
	KUNIT_EXPECT_EQ(test, vmx->cpu_ctl & WAITING, p->primary);
	KUNIT_EXPECT_EQ(test, (u32)fake_vmcs[SECONDARY_VM_EXEC_CONTROL], p->secondary);
}

static void svm_control(struct kunit *test)
{
	const struct exits_case *p = test->param_value;
	struct svm_vcpu *svm = kunit_kzalloc(test, sizeof(*svm), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, svm);
	svm->vmcb = kunit_kzalloc(test, sizeof(*svm->vmcb), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, svm->vmcb);
	svm->vcpu.vm = test_vm(test);
	svm->vcpu.regs_avail = ~0UL;
	svm->vcpu.disabled_exits = p->disabled;
	svm_caps.pause_filter = true;
	svm_vcpu_reset(&svm->vcpu, true);
	svm_caps.pause_filter = false;
	KUNIT_EXPECT_EQ(test, svm_intercepts(svm->vmcb, INTERCEPT_HLT), p->hlt);
	KUNIT_EXPECT_EQ(test, svm_intercepts(svm->vmcb, INTERCEPT_MWAIT), p->mwait);
	KUNIT_EXPECT_EQ(test, svm_intercepts(svm->vmcb, INTERCEPT_MWAIT_COND), p->mwait);
	KUNIT_EXPECT_EQ(test, svm_intercepts(svm->vmcb, INTERCEPT_MONITOR), p->mwait);
	KUNIT_EXPECT_EQ(test, svm_intercepts(svm->vmcb, INTERCEPT_PAUSE), p->pause);
	KUNIT_EXPECT_EQ(test, svm->vmcb->control.pause_filter_count != 0, p->pause);
}

static void take_irq(struct vitro_vcpu *vcpu)
{
	vmx_inject_irq(vcpu, 0x51, false, 0);
}

static void take_exception(struct vitro_vcpu *vcpu)
{
	vmx_inject_exception(vcpu, X86_TRAP_UD, false, 0);
}

static void check_debug(struct vitro_vcpu *vcpu)
{
	vmx_check_pending_debug(to_vmx(vcpu));
}

static void start_step(struct vitro_vcpu *vcpu)
{
	vmx_start_step(to_vmx(vcpu));
}

static const struct wake_case {
	const char *name;
	void (*wake)(struct vitro_vcpu *vcpu);
} wakes[] = {
	{ "user space", vmx_end_halt },
	{ "interrupt", take_irq },
	{ "NMI", vmx_inject_nmi },
	{ "exception", take_exception },
	{ "RFLAGS, shadow or #DB", check_debug },
	{ "single step", start_step },
};
TEST_PARAMS(wakes);

/* Nothing of it touches the field where HLT exits. */
static void vmx_activity(struct kunit *test)
{
	const struct wake_case *p = test->param_value;
	struct vitro_vmx *vmx = new_vmx(test, HLT);

	fake_vmcs[GUEST_ACTIVITY_STATE] = GUEST_ACTIVITY_HLT;
	p->wake(&vmx->vcpu);
	KUNIT_EXPECT_EQ(test, fake_vmcs[GUEST_ACTIVITY_STATE], GUEST_ACTIVITY_ACTIVE);

	vmx = new_vmx(test, MWAIT | PAUSE);
	fake_vmcs[GUEST_ACTIVITY_STATE] = GUEST_ACTIVITY_HLT;
	p->wake(&vmx->vcpu);
	KUNIT_EXPECT_EQ(test, fake_vmcs[GUEST_ACTIVITY_STATE], GUEST_ACTIVITY_HLT);
}

/* What user space sets is where the guest goes on. */
static void user_state(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);
	unsigned int *ended = &to_fake(vcpu)->halts_ended;
	struct kvm_mp_state mp_state = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct kvm_vcpu_events events = {};
	struct kvm_sregs sregs = { .cr0 = X86_CR0_ET, .apic_base = vcpu->msrs.apic_base };
	struct kvm_regs regs = {};

	vitro_set_regs(vcpu, &regs);
	KUNIT_EXPECT_EQ(test, *ended, 0U);
	vcpu->disabled_exits = HLT;
	vitro_set_regs(vcpu, &regs);
	KUNIT_EXPECT_EQ(test, *ended, 1U);
	KUNIT_EXPECT_EQ(test, vitro_set_sregs(vcpu, &sregs), 0);
	KUNIT_EXPECT_EQ(test, *ended, 2U);
	KUNIT_EXPECT_EQ(test, vitro_set_events(vcpu, &events), 0);
	KUNIT_EXPECT_EQ(test, *ended, 3U);
	KUNIT_EXPECT_EQ(test, vitro_set_mp_state(vcpu, &mp_state), 0);
	KUNIT_EXPECT_EQ(test, *ended, 4U);
}

static struct kunit_case disable_exits_cases[] = {
	KUNIT_CASE_PARAM(vmx_controls, exits_gen_params),
	KUNIT_CASE_PARAM(svm_control, exits_gen_params),
	KUNIT_CASE_PARAM(vmx_activity, wakes_gen_params),
	KUNIT_CASE(user_state),
	{}
};
TEST_SUITE(disable_exits, test_init_vcpu);
