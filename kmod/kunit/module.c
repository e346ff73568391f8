// SPDX-License-Identifier: GPL-2.0-only
/*
 * vitro-kunit.ko in place of main.c: no device, no virtualization, the fake
 * backend. Loading it runs the suites.
 */
#define pr_fmt(fmt) "vitro: " fmt

#include <linux/module.h>

#include "../run.h"
#include "fake_backend.h"
#include "fixture.h"

#define CREATE_TRACE_POINTS
#include "../trace.h"

const struct vitro_backend *vitro_backend = &fake_backend;
struct vitro_caps vitro_caps = {
	.tdp_1g = true,
	.tdp_2m = true,
	.has_umip = true,
	.has_invpcid = true,
	.has_rdtscp = true,
};

#define DEFINE_CALL(op) \
	DEFINE_STATIC_CALL_NULL(vitro_##op, *((struct vitro_backend *)0)->op);
VITRO_STATIC_CALLS(DEFINE_CALL)
DEFINE_STATIC_CALL_NULL(vitro_begin, *((struct vitro_backend *)0)->put);
DEFINE_STATIC_CALL_NULL(vitro_end, *((struct vitro_backend *)0)->put);

static bool prepared;

/**
 * test_suite_init() - what the module under test needs once
 * @suite: any suite
 *
 * Not in the module's init function: kernels before 6.7 run the suites before
 * they call it.
 *
 * Context: the thread that loads the module.
 * Return: 0 or -ENOMEM.
 */
int test_suite_init(struct kunit_suite *suite)
{
	int err;

	test_use_loader();
	if (prepared)
		return 0;
	err = vitro_run_init();
	if (err)
		return err;
#define UPDATE_CALL(op) static_call_update(vitro_##op, fake_backend.op);
	VITRO_STATIC_CALLS(UPDATE_CALL)
	prepared = true;
	return 0;
}

static int __init vitro_kunit_init(void)
{
	return 0;
}

static void __exit vitro_kunit_exit(void)
{
	if (prepared)
		vitro_run_exit();
}

module_init(vitro_kunit_init);
module_exit(vitro_kunit_exit);

MODULE_DESCRIPTION("vitro's unit tests");
MODULE_AUTHOR("The vitro authors");
MODULE_LICENSE("GPL");
