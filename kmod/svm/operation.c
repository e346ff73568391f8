// SPDX-License-Identifier: GPL-2.0-only
/*
 * Being in SVM operation: the one place that changes EFER.SVME and
 * VM_HSAVE_PA, and the pages that every host CPU needs for it.
 */
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/topology.h>
#include <asm/asm.h>
#include <asm/cpufeature.h>
#include <asm/msr.h>

#include "svm.h"

DEFINE_PER_CPU(struct svm_cpu, svm_cpu);

static void *svm_alloc_cpu_page(int cpu)
{
	struct page *page = alloc_pages_node(cpu_to_node(cpu), GFP_KERNEL | __GFP_ZERO, 0);

	return page ? page_address(page) : NULL;
}

/**
 * svm_setup_cpus() - allocate the pages of all possible CPUs
 *
 * Process context, at load. A CPU that is plugged in later needs no memory.
 *
 * Return: 0 or -ENOMEM, with nothing left allocated.
 */
int svm_setup_cpus(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct svm_cpu *c = per_cpu_ptr(&svm_cpu, cpu);

		c->hsave = svm_alloc_cpu_page(cpu);
		c->host = svm_alloc_cpu_page(cpu);
		if (!c->hsave || !c->host) {
			svm_teardown_cpus();
			return -ENOMEM;
		}
		c->hsave_pa = __pa(c->hsave);
		c->host_pa = __pa(c->host);
	}
	return 0;
}

/**
 * svm_teardown_cpus() - free what svm_setup_cpus() has allocated
 *
 * Process context; SVM is off on all CPUs.
 */
void svm_teardown_cpus(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct svm_cpu *c = per_cpu_ptr(&svm_cpu, cpu);

		free_page((unsigned long)c->hsave);
		free_page((unsigned long)c->host);
		c->hsave = NULL;
		c->host = NULL;
	}
}

/**
 * svm_cpu_enable() - enter SVM operation on this CPU
 *
 * IRQs off. An SVME bit or a host save area that is there already belongs to
 * another hypervisor, whose guests' ASIDs we would share: it is left alone.
 *
 * Return: 0; -EBUSY when another hypervisor holds SVM; -EOPNOTSUPP when
 * VM_CR.SVMDIS keeps it off.
 */
int svm_cpu_enable(void)
{
	struct svm_cpu *c = this_cpu_ptr(&svm_cpu);
	u64 efer, value;

	if (c->enabled)
		return 0;

	rdmsrq(MSR_EFER, efer);
	if (efer & EFER_SVME)
		return -EBUSY;
	if (!rdmsrq_safe(MSR_VM_CR, &value) && value & SVM_VM_CR_SVM_DIS_MASK)
		return -EOPNOTSUPP;
	if (!rdmsrq_safe(MSR_VM_HSAVE_PA, &value) && value)
		return -EBUSY;

	if (wrmsrq_safe(MSR_EFER, efer | EFER_SVME))
		return -EOPNOTSUPP;
	wrmsrq(MSR_VM_HSAVE_PA, c->hsave_pa);

	/* Applies to guests of whoever has SVM; it may hold anything. */
	if (svm_caps.tsc_ratio)
		wrmsrq(MSR_AMD64_TSC_RATIO, svm_tsc_ratio_msr(0));
	if (boot_cpu_has(X86_FEATURE_RDTSCP))
		rdmsrq(MSR_TSC_AUX, c->tsc_aux);

	/* The TLB may hold translations of earlier users of the ASIDs. */
	c->asid_generation++;
	c->next_asid = 1;
	c->flush_all = true;
	c->last_id = 0;
	c->enabled = true;
	return 0;
}

/**
 * svm_cpu_disable() - leave SVM operation on this CPU
 *
 * Any context with preemption off, NMI included (emergency restart): takes no
 * locks and touches nothing if this module has not enabled SVM here.
 */
void svm_cpu_disable(void)
{
	struct svm_cpu *c = this_cpu_ptr(&svm_cpu);
	u64 efer;

	if (!c->enabled)
		return;
	c->enabled = false;

	rdmsrq(MSR_EFER, efer);
	if (!(efer & EFER_SVME))
		return;
	/* INIT, which a restart sends to other CPUs, is held back by GIF=0. */
	asm volatile("1: stgi\n"
		     "2:\n"
		     _ASM_EXTABLE(1b, 2b)
		     : : : "memory");
	wrmsrq(MSR_VM_HSAVE_PA, 0);
	wrmsrq(MSR_EFER, efer & ~EFER_SVME);
}

/**
 * svm_save_host() - VMSAVE this CPU's state for vitro_svm_switch() to restore
 * @c: this CPU's structure
 *
 * Preemption off. Must be called again when the thread's FS, GS or LDT or the
 * CPU has changed. If SVM is off here it does nothing; the next entry will say so.
 */
void svm_save_host(struct svm_cpu *c)
{
	asm volatile("1: vmsave %%rax\n"
		     "2:\n"
		     _ASM_EXTABLE(1b, 2b)
		     : : "a" (c->host_pa) : "memory");
}
