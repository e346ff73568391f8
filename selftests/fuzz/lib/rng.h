/* SPDX-License-Identifier: GPL-2.0-only */
/* Random numbers that a seed repeats. */
#ifndef FUZZ_RNG_H
#define FUZZ_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

struct rng {
	uint64_t state;
};

/* SplitMix64: every seed is as good as another. */
static inline uint64_t rng_next(struct rng *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

/* 0 to @n - 1. */
static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
	return n ? rng_next(r) % n : 0;
}

/* True once in @n times. */
static inline bool rng_one_in(struct rng *r, uint64_t n)
{
	return !rng_below(r, n);
}

/* A value as mistakes like it: small, near a power of two, all ones, anything. */
static inline uint64_t rng_interesting(struct rng *r)
{
	uint64_t n = rng_next(r);

	switch (rng_below(r, 8)) {
	case 0:
		return n % 17;
	case 1:
		return 1ULL << n % 64;
	case 2:
		return (1ULL << n % 64) - 1;
	case 3:
		return -(n % 17);
	case 4:
		return 1ULL << n % 64 | 1ULL << n / 64 % 64;
	case 5:
		return (uint32_t)n;
	case 6:
		return (n & 0xffff) << 12;
	default:
		return n;
	}
}

#define rng_pick(r, array) ((array)[rng_below(r, ARRAY_SIZE(array))])

#endif
