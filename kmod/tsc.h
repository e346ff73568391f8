/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest's TSC from the host's and the other way round.
 *
 * Guest TSC = host TSC * ratio + offset. Where the hardware scales, the ratio is in its own
 * format: fixed point with vitro_caps.tsc_ratio_bits fractional bits. A ratio of 0 stands for
 * 1.0, at which the hardware need not scale.
 */
#ifndef VITRO_TSC_H
#define VITRO_TSC_H

#include <linux/compiler.h>
#include <linux/math64.h>
#include <linux/types.h>
#include <asm/tsc.h>

#include "backend.h"
#include "vcpu.h"

u64 vitro_tsc_ratio(u32 khz, u32 host_khz, unsigned int bits);
int vitro_tsc_ratio_for(unsigned long khz, u64 *ratio);
u64 vitro_tsc_divide(u64 ticks, u64 ratio, unsigned int bits);

/* Ticks of the guest's TSC in @ticks of the host's, rounded down. */
static inline u64 vitro_tsc_scale(const struct vitro_vcpu *vcpu, u64 ticks)
{
	u64 ratio = vcpu->tsc_ratio;

	return likely(!ratio) ? ticks : mul_u64_u64_shr(ticks, ratio, vitro_caps.tsc_ratio_bits);
}

/* Ticks of the host's TSC until the guest's has advanced by @ticks; at most S64_MAX if scaled. */
static inline u64 vitro_tsc_unscale(const struct vitro_vcpu *vcpu, u64 ticks)
{
	u64 ratio = vcpu->tsc_ratio;

	return likely(!ratio) ? ticks : vitro_tsc_divide(ticks, ratio, vitro_caps.tsc_ratio_bits);
}

/* The guest's TSC now. */
static inline u64 vitro_guest_tsc(const struct vitro_vcpu *vcpu)
{
	return vitro_tsc_scale(vcpu, rdtsc()) + vcpu->tsc_offset;
}

/* Its frequency, as user space has asked for it. */
static inline u32 vitro_tsc_khz(const struct vitro_vcpu *vcpu)
{
	return READ_ONCE(vcpu->tsc_khz) ?: READ_ONCE(tsc_khz);
}

#endif /* VITRO_TSC_H */
