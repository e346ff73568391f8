// SPDX-License-Identifier: GPL-2.0-only
/* Single steps for a debugger: what an exit means for the step, and whose trap flag it is. */
#include <asm/processor-flags.h>
#include <asm/trapnr.h>

#include "../debug.h"
#include "../insn.h"
#include "fixture.h"

#define START 0x1000

static const struct end_case {
	const char *name;
	u8 vector;
	u64 payload;
	bool own_tf;
	u8 insn;
	u64 rip;
	u32 reason;	/* of the exit afterwards */
	u64 tf;		/* of RFLAGS afterwards */
	bool pushed;
} ends[] = {
	{ "stepped", X86_TRAP_DB, DR6_BS, false, VITRO_STEP_PLAIN, START + 1, VITRO_EXIT_STEP },
	{ "guest steps itself", X86_TRAP_DB, DR6_BS, true, VITRO_STEP_PLAIN, START + 1,
	  VITRO_EXIT_STEP, X86_EFLAGS_TF },
	{ "POPF sets it", X86_TRAP_DB, DR6_BS, false, VITRO_STEP_LOADS_FLAGS, START + 1,
	  VITRO_EXIT_STEP, X86_EFLAGS_TF },
	{ "POPF faults", X86_TRAP_PF, 0, false, VITRO_STEP_LOADS_FLAGS, START,
	  VITRO_EXIT_EXCEPTION },
	{ "PUSHF", X86_TRAP_DB, DR6_BS, false, VITRO_STEP_PUSHES_FLAGS, START + 1,
	  VITRO_EXIT_STEP, 0, true },
	{ "PUSHF, guest's own", X86_TRAP_DB, DR6_BS, true, VITRO_STEP_PUSHES_FLAGS, START + 1,
	  VITRO_EXIT_STEP, X86_EFLAGS_TF, false },
	{ "nothing executed", X86_TRAP_DB, DR6_BS, false, VITRO_STEP_PLAIN, START,
	  VITRO_EXIT_RESUME },
	{ "breakpoint", X86_TRAP_DB, 1, false, VITRO_STEP_PLAIN, START, VITRO_EXIT_EXCEPTION },
	{ "fault", X86_TRAP_GP, 0, false, VITRO_STEP_PLAIN, START, VITRO_EXIT_EXCEPTION },
};
TEST_PARAMS(ends);

static void end_step(struct kunit *test)
{
	const struct end_case *p = test->param_value;
	struct vitro_vcpu *vcpu = test_vcpu(test);
	struct vitro_exit exit = {
		.reason = VITRO_EXIT_EXCEPTION,
		.exception.vector = p->vector,
		.exception.payload = p->payload,
	};

	vcpu->step_rip = START;
	vcpu->step_insn = p->insn;
	vcpu_write_rip(vcpu, p->rip);
	vcpu_write_rflags(vcpu, X86_EFLAGS_FIXED | X86_EFLAGS_TF);
	vitro_debug_end_step(vcpu, &exit, p->own_tf);
	KUNIT_EXPECT_EQ(test, exit.reason, p->reason);
	KUNIT_EXPECT_EQ(test, vcpu_rflags(vcpu) & X86_EFLAGS_TF, p->tf);
	if (exit.reason != VITRO_EXIT_STEP)
		return;
	KUNIT_EXPECT_EQ(test, exit.exception.pushed_flags, p->pushed);
	/* What is left is the guest's. */
	KUNIT_EXPECT_EQ(test, exit.exception.payload, p->own_tf ? DR6_BS : 0);
}

/* A trap where nothing has executed is believed the second time: JMP to itself. */
static void jump_to_itself(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);
	struct vitro_exit exit;
	int i;

	vcpu->step_rip = START;
	vcpu_write_rip(vcpu, START);
	for (i = 0; i < 2; i++) {
		exit = (struct vitro_exit){
			.reason = VITRO_EXIT_EXCEPTION,
			.exception.vector = X86_TRAP_DB,
			.exception.payload = DR6_BS,
		};
		vitro_debug_end_step(vcpu, &exit, false);
	}
	KUNIT_EXPECT_EQ(test, exit.reason, (u32)VITRO_EXIT_STEP);
}

/* The debugger's DR7 is in force while it wants it, the guest's stays what it is. */
static void debug_control(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);

	vcpu->dr7 = 0x401;
	vcpu->debug_dr7 = 0x402;
	vitro_update_dr7(vcpu);
	KUNIT_EXPECT_EQ(test, vcpu->active_dr7, 0x401ULL);
	vcpu->guest_debug = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP;
	vitro_update_dr7(vcpu);
	KUNIT_EXPECT_EQ(test, vcpu->active_dr7, 0x402ULL);
	KUNIT_EXPECT_EQ(test, vcpu->dr7, 0x401ULL);
}

static struct kunit_case debug_cases[] = {
	KUNIT_CASE_PARAM(end_step, ends_gen_params),
	KUNIT_CASE(jump_to_itself),
	KUNIT_CASE(debug_control),
	{}
};

TEST_SUITE(debug, test_init_vcpu);
