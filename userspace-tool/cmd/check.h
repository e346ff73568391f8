/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files behind "vitro check" share. */
#ifndef VITRO_CHECK_H
#define VITRO_CHECK_H

#include <stdbool.h>
#include <stdint.h>

enum vendor { VENDOR_OTHER, VENDOR_INTEL, VENDOR_AMD };

struct check {
	enum vendor vendor;
	bool nested;			/* a hypervisor is below us */
	bool loaded;			/* vitro.ko is */
	unsigned int failures;
	unsigned int unknowns;
};

/**
 * check_pass() - report something that is as it must be
 * @c: the check
 * @name: what was looked at
 * @fmt: what was found
 */
void check_pass(struct check *c, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * check_fail() - report an obstacle
 * @c: the check
 * @name: what was looked at
 * @remedy: what to do
 * @fmt: what was found
 */
void check_fail(struct check *c, const char *name, const char *remedy, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/**
 * check_unknown() - report something that cannot be seen
 * @c: the check
 * @name: what was to be looked at
 * @remedy: how it could be seen
 * @fmt: why it cannot
 */
void check_unknown(struct check *c, const char *name, const char *remedy, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/**
 * check_info() - report something that decides nothing
 * @c: the check
 * @name: what was looked at
 * @fmt: what was found
 */
void check_info(struct check *c, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * check_advise() - report something that decides nothing, but could be otherwise
 * @c: the check
 * @name: what was looked at
 * @advice: how it could be otherwise
 * @fmt: what was found
 */
void check_advise(struct check *c, const char *name, const char *advice, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/**
 * check_vmx() - VT-x, its firmware lock and the features that vitro requires
 * check_svm() - the same for AMD-V
 * check_owners() - other hypervisors that hold the processors
 * check_kernel() - kernel version, and whether it takes the module
 * check_module() - vitro.ko and its device
 * @c: the check
 */
void check_vmx(struct check *c);
void check_svm(struct check *c);
void check_owners(struct check *c);
void check_kernel(struct check *c);
void check_module(struct check *c);

/**
 * msr_read() - read an MSR of a CPU through /dev/cpu/N/msr
 * @cpu: the CPU
 * @msr: the register
 * @value: set when 0 is returned
 *
 * Return: 0 or a negative errno; -EIO where the CPU has no such register.
 */
int msr_read(unsigned int cpu, uint32_t msr, uint64_t *value);

/**
 * msr_remedy() - how to make msr_read() work
 * @err: what it returned
 *
 * Return: the advice.
 */
const char *msr_remedy(int err);

/**
 * next_cpu() - go through the CPUs that are online
 * @cpu: the last one, -1 at first
 *
 * Return: the next, or -1.
 */
int next_cpu(int cpu);

/**
 * cpu_has_flag() - look for a word in a line of /proc/cpuinfo
 * @line: "flags" or "vmx flags"
 * @flag: the word
 *
 * Return: 1 if it is there, 0 if not, -1 if there is no such line.
 */
int cpu_has_flag(const char *line, const char *flag);

/**
 * read_word() - read the first line of a small file
 * @path: the file
 * @buf: destination
 * @size: its size
 *
 * Return: 0 or a negative errno.
 */
int read_word(const char *path, char *buf, int size);

#endif
