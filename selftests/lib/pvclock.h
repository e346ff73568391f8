/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The page of kvmclock, as the guest reads it. Layout given by KVM's documentation of its MSRs.
 */
#ifndef SELFTESTS_PVCLOCK_H
#define SELFTESTS_PVCLOCK_H

#include <stdint.h>

#include "guest.h"

struct time_info {
	uint32_t version, pad;
	uint64_t tsc_timestamp, system_time;
	uint32_t tsc_to_system_mul;
	int8_t tsc_shift;
	uint8_t flags, pad2[2];
} __attribute__((packed));

/* Guest code: the time by its page, in ns. */
static inline uint64_t pvclock_ns(const volatile struct time_info *info)
{
	uint64_t delta, ns;
	uint32_t version;

	do {
		version = info->version;
		asm volatile("" : : : "memory");
		delta = rdtsc() - info->tsc_timestamp;
		if (info->tsc_shift >= 0)
			delta <<= info->tsc_shift;
		else
			delta >>= -info->tsc_shift;
		ns = info->system_time +
		     (uint64_t)((__uint128_t)delta * info->tsc_to_system_mul >> 32);
		asm volatile("" : : : "memory");
	} while (version & 1 || version != info->version);
	return ns;
}

#endif
