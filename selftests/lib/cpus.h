/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which CPUs a test may use: those that it was started with. The emulated AMD machine keeps its
 * first one for itself (docs/machines.md).
 */
#ifndef SELFTESTS_CPUS_H
#define SELFTESTS_CPUS_H

#include <sched.h>

/* CPUs of the calling thread. */
static inline cpu_set_t cpus_allowed(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	sched_getaffinity(0, sizeof(set), &set);
	return set;
}

/* Number of the CPU that is the nth of the set, which begins anew after its last one; -1: it is empty. */
static inline int cpus_nth(const cpu_set_t *set, unsigned int n)
{
	int cpu;

	if (!CPU_COUNT(set))
		return -1;
	n %= CPU_COUNT(set);
	for (cpu = 0; !CPU_ISSET(cpu, set) || n--; cpu++)
		;
	return cpu;
}

/* The set of this CPU alone. */
static inline cpu_set_t cpus_one(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return set;
}

#endif
