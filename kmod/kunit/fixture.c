// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMs for the tests. A test case runs in a kernel thread; guest memory needs a
 * user address space, which is that of the process that loads the module: it
 * waits there until all suites have run.
 */
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "../clock.h"
#include "../cpuid.h"
#include "../insn.h"
#include "../irqchip/irqchip.h"
#include "../tdp_internal.h"
#include "../xstate.h"
#include "fake_backend.h"
#include "fixture.h"

/* Of the process that loads the module. */
static struct mm_struct *loader_mm;

/**
 * test_use_loader() - remember whose address space the tests may borrow
 *
 * Context: the thread that loads the module, before a test case runs.
 */
void test_use_loader(void)
{
	loader_mm = current->mm;
}

static struct vitro_vm *make_vm(struct mm_struct *mm)
{
	struct vitro_vm *vm = kvzalloc(sizeof(*vm), GFP_KERNEL);
	int err;

	if (!vm)
		return ERR_PTR(-ENOMEM);
	refcount_set(&vm->users, 1);
	mutex_init(&vm->lock);
	mutex_init(&vm->slots_lock);
	mutex_init(&vm->irq_lock);
	rwlock_init(&vm->mmu_lock);
	vitro_clock_init(vm);
	vm->mm = mm;

	err = init_srcu_struct(&vm->srcu);
	if (err)
		goto free;
	err = vitro_memslots_init(vm);
	if (err)
		goto srcu;
	err = vitro_tdp_create(vm);
	if (err)
		goto memslots;
	return vm;

memslots:
	vitro_memslots_free(vm);
srcu:
	cleanup_srcu_struct(&vm->srcu);
free:
	kvfree(vm);
	return ERR_PTR(err);
}

static void free_vm(struct vitro_vm *vm)
{
	int i;

	vitro_tdp_release(vm);
	vitro_irqchip_destroy(vm);
	for (i = 0; i < vm->nr_vcpus; i++)
		vitro_vcpu_destroy(vm->vcpus[i]);
	vitro_iobus_destroy(vm);
	vitro_memslots_free(vm);
	vitro_tdp_destroy(vm);
	cleanup_srcu_struct(&vm->srcu);
	kvfree(vm);
}

/**
 * test_init_vm() - start of a case that needs a VM
 * @test: the case; @test->priv becomes its struct test_env
 *
 * The nested page tables have AMD's format, and no processor logs, unless the case chooses
 * otherwise.
 *
 * Return: 0 or -errno.
 */
int test_init_vm(struct kunit *test)
{
	struct test_env *env = kunit_kzalloc(test, sizeof(*env), GFP_KERNEL);
	struct vitro_vm *vm;

	if (!env || !loader_mm)
		return -ENOMEM;
	test->priv = env;
	fake_backend.tdp = vitro_svm_backend.tdp;
	vitro_caps.tdp_log = false;

	/* Held twice: a failed assertion ends the thread, which puts the mm that it uses. */
	env->mm = loader_mm;
	mmget(env->mm);
	kthread_use_mm(env->mm);
	vm = make_vm(env->mm);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	env->vm = vm;
	return 0;
}

/**
 * test_init_vcpu() - start of a case that needs a VM with a vCPU
 * @test: the case
 *
 * Return: 0 or -errno.
 */
int test_init_vcpu(struct kunit *test)
{
	int err = test_init_vm(test);

	if (err)
		return err;
	return test_add_vcpu(test, 0) ? 0 : -ENOMEM;
}

/**
 * test_init_irqchip() - start of a case that needs interrupt controllers, too
 * @test: the case
 *
 * The vCPU's local APIC is enabled by software, and takes everything.
 *
 * Return: 0 or -errno.
 */
int test_init_irqchip(struct kunit *test)
{
	struct vitro_vm *vm;
	int err = test_init_vm(test);

	if (err)
		return err;
	vm = test_vm(test);
	mutex_lock(&vm->lock);
	err = vitro_irqchip_create(vm);
	mutex_unlock(&vm->lock);
	if (err)
		return err;
	return test_add_vcpu(test, 0) ? 0 : -ENOMEM;
}

/**
 * test_exit() - end of a case
 * @test: the case, which may not have begun or have been aborted
 *
 * Context: the case's thread, or the one that loads the module if that has died.
 */
void test_exit(struct kunit *test)
{
	struct test_env *env = test->priv;
	int i;

	if (!env)
		return;
	if (env->vm)
		free_vm(env->vm);
	for (i = 0; i < env->nr_maps; i++)
		vm_munmap(env->map[i].hva, env->map[i].size);
	if (env->mm && current->flags & PF_KTHREAD) {
		kthread_unuse_mm(env->mm);
		mmput(env->mm);
	}
	test->priv = NULL;
}

static int fill_vcpu(struct vitro_vcpu *vcpu)
{
	vcpu->run = (void *)get_zeroed_page(GFP_KERNEL);
	vcpu->pio_data = (void *)get_zeroed_page(GFP_KERNEL);
	if (!vcpu->run || !vcpu->pio_data || vitro_xstate_alloc(vcpu) || vitro_emul_alloc(vcpu) ||
	    vitro_backend->vcpu_create(vcpu))
		return -ENOMEM;
	vitro_cpuid_defaults(vcpu);
	return vcpu->vm->irqchip_in_kernel ? vitro_lapic_create(vcpu) : 0;
}

/**
 * test_add_vcpu() - one vCPU more
 * @test: the case
 * @id:   its APIC ID
 *
 * It has been reset. A local APIC is enabled by software.
 *
 * Return: the vCPU, or NULL.
 */
struct vitro_vcpu *test_add_vcpu(struct kunit *test, u32 id)
{
	const u32 spiv = APIC_SPIV_APIC_ENABLED | 0xff;
	struct test_env *env = test->priv;
	struct vitro_vm *vm = env->vm;
	struct vitro_vcpu *vcpu = kzalloc(vitro_backend->vcpu_size, GFP_KERNEL);

	if (!vcpu)
		return NULL;
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->index = vm->nr_vcpus;
	vcpu->cpu = -1;
	vcpu->last_cpu = -1;
	mutex_init(&vcpu->mutex);
	rcuwait_init(&vcpu->wait);
	if (fill_vcpu(vcpu)) {
		vitro_vcpu_destroy(vcpu);
		return NULL;
	}
	vm->vcpus[vcpu->index] = vcpu;
	/* Who sees the number sees the vCPU. */
	smp_store_release(&vm->nr_vcpus, vcpu->index + 1);
	vitro_vcpu_reset(vcpu, false);
	if (vcpu->lapic)
		vitro_lapic_mmio_write(vcpu, APIC_SPIV, sizeof(spiv), &spiv);
	if (!env->vcpu)
		env->vcpu = vcpu;
	return vcpu;
}

/**
 * test_map() - map anonymous user memory
 * @test: the case
 * @size: bytes, whole pages
 *
 * Return: its address; the case has failed and ends if there is none.
 */
unsigned long test_map(struct kunit *test, size_t size)
{
	struct test_env *env = test->priv;
	unsigned long hva = vm_mmap(NULL, 0, size, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, 0);

	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(hva));
	KUNIT_ASSERT_LT(test, env->nr_maps, TEST_MAX_MAPS);
	env->map[env->nr_maps++] = (struct test_map) { hva, size };
	return hva;
}

/**
 * test_slot() - KVM_SET_USER_MEMORY_REGION
 * @test:  the case
 * @id:    slot
 * @gpa:   guest-physical address
 * @size:  bytes
 * @hva:   user address
 * @flags: KVM_MEM_*
 *
 * Return: as vitro_set_memslot().
 */
int test_slot(struct kunit *test, u32 id, u64 gpa, u64 size, unsigned long hva, u32 flags)
{
	struct kvm_userspace_memory_region region = {
		.slot = id,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = hva,
	};

	return vitro_set_memslot(test_vm(test), &region);
}

/**
 * test_memory() - give the VM memory from address 0
 * @test: the case
 *
 * Return: its user address; TEST_RAM_SIZE bytes.
 */
unsigned long test_memory(struct kunit *test)
{
	unsigned long hva = test_map(test, TEST_RAM_SIZE);

	KUNIT_ASSERT_EQ(test, test_slot(test, 0, 0, TEST_RAM_SIZE, hva, 0), 0);
	return hva;
}

/**
 * test_write() - write guest memory
 * @test: the case
 * @gpa:  guest-physical address
 * @data: what
 * @size: bytes
 */
void test_write(struct kunit *test, u64 gpa, const void *data, size_t size)
{
	struct vitro_vm *vm = test_vm(test);
	int idx = srcu_read_lock(&vm->srcu);
	int err = vitro_guest_write(vm, gpa, data, size);

	srcu_read_unlock(&vm->srcu, idx);
	KUNIT_ASSERT_EQ(test, err, 0);
}

/**
 * test_write_u64() - write eight bytes of guest memory
 * @test:  the case
 * @gpa:   guest-physical address
 * @value: what
 */
void test_write_u64(struct kunit *test, u64 gpa, u64 value)
{
	test_write(test, gpa, &value, sizeof(value));
}

/**
 * test_read_u64() - read eight bytes of guest memory
 * @test: the case
 * @gpa:  guest-physical address
 *
 * Return: what is there.
 */
u64 test_read_u64(struct kunit *test, u64 gpa)
{
	struct vitro_vm *vm = test_vm(test);
	int idx = srcu_read_lock(&vm->srcu);
	u64 value = 0;
	int err = vitro_guest_read(vm, gpa, &value, sizeof(value));

	srcu_read_unlock(&vm->srcu, idx);
	KUNIT_ASSERT_EQ(test, err, 0);
	return value;
}
