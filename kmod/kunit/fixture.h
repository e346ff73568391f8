/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the suites share: a VM with vCPUs that no hardware stands behind.
 */
#ifndef VITRO_KUNIT_FIXTURE_H
#define VITRO_KUNIT_FIXTURE_H

#include <kunit/test.h>
#include <linux/string.h>
#include <linux/types.h>

#include "../backend.h"
#include "../vcpu.h"
#include "../vm.h"

/* The generator of a parameterised case; each element of @array has a name. */
#define TEST_PARAMS(array)						\
static void array##_describe(typeof(&(array)[0]) param, char *desc)	\
{									\
	strscpy(desc, param->name, KUNIT_PARAM_DESC_SIZE);		\
}									\
KUNIT_ARRAY_PARAM(array, array, array##_describe)

/* A suite "vitro-@subject" of the cases @subject_cases; @start is one of test_init_*(). */
#define TEST_SUITE(subject, start)					\
static struct kunit_suite subject##_suite = {				\
	.name		= "vitro-" #subject,				\
	.suite_init	= test_suite_init,				\
	.init		= (start),					\
	.exit		= test_exit,					\
	.test_cases	= subject##_cases,				\
};									\
kunit_test_suite(subject##_suite)

/* The same without VM: @start, or NULL, puts into test->priv what it likes. */
#define TEST_BARE_SUITE(subject, start)					\
static struct kunit_suite subject##_suite = {				\
	.name		= "vitro-" #subject,				\
	.suite_init	= test_suite_init,				\
	.init		= (start),					\
	.test_cases	= subject##_cases,				\
};									\
kunit_test_suite(subject##_suite)

/* A range of user memory that a test has mapped. */
struct test_map {
	unsigned long hva;
	size_t size;
};

#define TEST_MAX_MAPS	8

/**
 * struct test_env - what a test case works with; test->priv
 * @mm:		user address space that the test's thread has borrowed
 * @vm:		the VM
 * @vcpu:	its first vCPU, or NULL
 * @map:	user memory, unmapped at the end
 * @nr_maps:	how much of it
 */
struct test_env {
	struct mm_struct *mm;
	struct vitro_vm *vm;
	struct vitro_vcpu *vcpu;
	struct test_map map[TEST_MAX_MAPS];
	int nr_maps;
};

/* Where test_memory() puts memory by default. */
#define TEST_RAM_SIZE	(16 * PAGE_SIZE)

static inline struct vitro_vm *test_vm(struct kunit *test)
{
	return ((struct test_env *)test->priv)->vm;
}

static inline struct vitro_vcpu *test_vcpu(struct kunit *test)
{
	return ((struct test_env *)test->priv)->vcpu;
}

/* module.c */
int test_suite_init(struct kunit_suite *suite);

/* fixture.c: starts of a case: a VM, with a vCPU, with interrupt controllers and a vCPU */
void test_use_loader(void);
int test_init_vm(struct kunit *test);
int test_init_vcpu(struct kunit *test);
int test_init_irqchip(struct kunit *test);
void test_exit(struct kunit *test);

struct vitro_vcpu *test_add_vcpu(struct kunit *test, u32 id);
unsigned long test_map(struct kunit *test, size_t size);
int test_slot(struct kunit *test, u32 id, u64 gpa, u64 size, unsigned long hva, u32 flags);
unsigned long test_memory(struct kunit *test);
void test_write(struct kunit *test, u64 gpa, const void *data, size_t size);
void test_write_u64(struct kunit *test, u64 gpa, u64 value);
u64 test_read_u64(struct kunit *test, u64 gpa);

#endif /* VITRO_KUNIT_FIXTURE_H */
