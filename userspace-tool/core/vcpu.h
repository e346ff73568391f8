/* SPDX-License-Identifier: GPL-2.0-only */
/* A vCPU and the thread that runs it. */
#ifndef VITRO_VCPU_H
#define VITRO_VCPU_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>

#include "loader/loader.h"

struct vm;

struct vcpu {
	struct vm *vm;
	unsigned int id;		/* also its APIC id */
	int fd;
	int stats_fd;			/* kept open for "vitro stat"; -1: not supported */
	bool started;
	pthread_t thread;
	struct kvm_run *run;
};

/**
 * vcpus_create() - create a VM's vCPUs
 * @vm: a VM from vm_create()
 * @nr: how many, at least 1
 *
 * Return: 0 or a negative errno, which has been reported; vcpus_destroy() is
 * to be called either way.
 */
int vcpus_create(struct vm *vm, unsigned int nr);

/**
 * vcpus_start() - start the threads; vCPU 0 enters the guest at @entry
 * @vm: the VM
 * @entry: state to start in; the other vCPUs wait for INIT and SIPI
 *
 * Return: 0 or a negative errno, which has been reported.
 */
int vcpus_start(struct vm *vm, const struct boot_entry *entry);

/**
 * vcpus_join() - get every vCPU out of the guest and end the threads
 * @vm: a VM which vm_stop() has been called on
 */
void vcpus_join(struct vm *vm);

/**
 * vcpus_destroy() - close and unmap the vCPUs
 * @vm: the VM; its vCPUs' threads have ended
 */
void vcpus_destroy(struct vm *vm);

/**
 * vcpu_init_state() - put the boot vCPU where the loader wants it
 * @vcpu: vCPU 0
 * @entry: the loader's wish
 *
 * Return: 0 or a negative errno, which has been reported.
 */
int vcpu_init_state(struct vcpu *vcpu, const struct boot_entry *entry);

/**
 * vcpu_init_apic() - wire LINT0 and LINT1 as firmware would
 * @vcpu: the vCPU
 *
 * Return: 0 or a negative errno, which has been reported.
 */
int vcpu_init_apic(struct vcpu *vcpu);

/**
 * vcpu_init_cpuid() - give the vCPU what CPUID is to say
 * @vcpu: the vCPU
 *
 * Return: 0 or a negative errno, which has been reported.
 */
int vcpu_init_cpuid(struct vcpu *vcpu);

/**
 * cpuid_set_topology() - make a CPUID table describe one vCPU of a package
 * @cpuid: what the hypervisor supports; changed, entries may be dropped
 * @max: entries that @cpuid has room for
 * @id: the vCPU's APIC id
 * @nr: number of vCPUs, one thread per core, one package
 *
 * Return: 0, or -ENOSPC when an entry does not fit.
 */
int cpuid_set_topology(struct kvm_cpuid2 *cpuid, unsigned int max,
		       unsigned int id, unsigned int nr);

/**
 * vcpu_report() - explain on the standard error stream why a vCPU is stuck
 * @vcpu: a vCPU which has left the guest with an exit that nobody handles
 */
void vcpu_report(struct vcpu *vcpu);

/**
 * vcpu_dump_registers() - print a vCPU's registers on the standard error stream
 * @vcpu: a vCPU that is out of its guest
 */
void vcpu_dump_registers(struct vcpu *vcpu);

/**
 * exit_reason_name() - name of a KVM_EXIT_*
 * @reason: the number
 *
 * Return: its name, or "unknown".
 */
const char *exit_reason_name(unsigned int reason);

#endif
