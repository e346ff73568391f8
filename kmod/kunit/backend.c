// SPDX-License-Identifier: GPL-2.0-only
/*
 * What common code takes for granted of every backend.
 */
#include "fake_backend.h"
#include "fixture.h"

static const struct backend_case {
	const char *name;
	const struct vitro_backend *backend;
} backends[] = {
	{ "VMX", &vitro_vmx_backend },
	{ "SVM", &vitro_svm_backend },
	{ "fake", &fake_backend },
};
TEST_PARAMS(backends);

/* A static call to nothing is no crash, but a silent NOP that returns what is in RAX. */
static void static_calls(struct kunit *test)
{
	const struct backend_case *p = test->param_value;

#define EXPECT_CALL(op) \
	KUNIT_EXPECT_TRUE_MSG(test, !!p->backend->op, "%s has no " #op, p->name);
	VITRO_STATIC_CALLS(EXPECT_CALL)
#undef EXPECT_CALL
}

static struct kunit_case backend_cases[] = {
	KUNIT_CASE_PARAM(static_calls, backends_gen_params),
	{}
};

TEST_BARE_SUITE(backend, NULL);
