/* SPDX-License-Identifier: GPL-2.0-only */
/* Another process that runs a VM, and its vCPUs' statistics. */
#ifndef VITRO_VM_PROCESS_H
#define VITRO_VM_PROCESS_H

#include <stdbool.h>

#define VM_PROCESS_MAX_VCPUS	1024

struct vm_process {
	int pid;
	int pidfd;
	unsigned int nr;
	int stats_fd[VM_PROCESS_MAX_VCPUS];
};

/**
 * vm_process_find() - look for the one process that runs a VM
 *
 * Return: its id, or a negative errno, which has been reported, when there is
 * none or more than one.
 */
int vm_process_find(void);

/**
 * vm_process_open() - get at the statistics of a process's vCPUs
 * @p: filled in
 * @pid: process id
 *
 * Return: 0 or a negative errno, which has been reported.
 */
int vm_process_open(struct vm_process *p, int pid);

/**
 * vm_process_close() - let go of it
 * @p: from vm_process_open()
 */
void vm_process_close(struct vm_process *p);

enum vm_fd_kind { VM_FD_OTHER, VM_FD_VCPU, VM_FD_VCPU_STATS };

/**
 * vm_fd_kind() - what a file descriptor is, by the target of its link in /proc
 * @link: such as "anon_inode:vitro-vcpu:0"
 *
 * Return: VM_FD_VCPU or VM_FD_VCPU_STATS for vitro's and KVM's, else
 * VM_FD_OTHER.
 */
enum vm_fd_kind vm_fd_kind(const char *link);

#endif
