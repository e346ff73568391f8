// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ratios of the guest's TSC to the host's.
 */
#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/limits.h>

#include "tsc.h"

/* What is this near to the host's frequency is the host's: nobody notices, and it is free. */
#define TOLERANCE	4000	/* 1/4000: 250 ppm */

/**
 * vitro_tsc_ratio() - the ratio of two frequencies
 * @khz:	the guest's
 * @host_khz:	the host's
 * @bits:	fractional bits, at most 63
 *
 * Return: the ratio, rounded down; 0 if 64 bits do not hold it.
 */
u64 vitro_tsc_ratio(u32 khz, u32 host_khz, unsigned int bits)
{
	/* The processor's division faults where the quotient is too large. */
	if (mul_u64_u64_shr(khz, BIT_ULL(bits), 64) >= host_khz)
		return 0;
	return mul_u64_u64_div_u64(khz, BIT_ULL(bits), host_khz);
}

/**
 * vitro_tsc_ratio_for() - the ratio for what KVM_SET_TSC_KHZ asks for
 * @khz:   user space's, any value; 0: the host's
 * @ratio: receives the ratio, 0 if nothing is to be scaled
 *
 * Return: 0, or -EINVAL if the hardware cannot.
 */
int vitro_tsc_ratio_for(unsigned long khz, u64 *ratio)
{
	u32 host_khz = READ_ONCE(tsc_khz);

	*ratio = 0;
	if (!khz || (khz >= host_khz - host_khz / TOLERANCE &&
		     khz <= host_khz + host_khz / TOLERANCE))
		return 0;
	/* KVM_GET_TSC_KHZ returns it as an int. */
	if (!vitro_caps.tsc_ratio_bits || khz > INT_MAX)
		return -EINVAL;
	*ratio = vitro_tsc_ratio(khz, host_khz, vitro_caps.tsc_ratio_bits);
	return *ratio && *ratio <= vitro_caps.tsc_ratio_max ? 0 : -EINVAL;
}

/**
 * vitro_tsc_divide() - see vitro_tsc_unscale()
 * @ticks: of the guest's TSC, any number
 * @ratio: not 0
 * @bits:  its fractional bits, at most 63
 *
 * Return: ticks of the host's TSC, rounded up, at most S64_MAX.
 */
u64 vitro_tsc_divide(u64 ticks, u64 ratio, unsigned int bits)
{
	u64 quotient;

	/* As above; from 2^62 on it does not matter any more. */
	if (mul_u64_u64_shr(ticks, BIT_ULL(bits), 62) >= ratio)
		return S64_MAX;
	quotient = mul_u64_u64_div_u64(ticks, BIT_ULL(bits), ratio);
	return mul_u64_u64_shr(quotient, ratio, bits) < ticks ? quotient + 1 : quotient;
}
