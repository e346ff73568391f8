/* SPDX-License-Identifier: GPL-2.0-only */
/* Random numbers that depend on the seed and nothing else. */
#ifndef DIFFERENTIAL_RNG_H
#define DIFFERENTIAL_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

struct rng {
	uint64_t state;
};

/* The next number of the sequence (Steele, Lea and Flood: SplitMix). */
static inline uint64_t rng_next(struct rng *rng)
{
	uint64_t z = rng->state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* Below @n, which is not 0. */
static inline uint32_t rng_below(struct rng *rng, uint32_t n)
{
	return (rng_next(rng) >> 32) % n;
}

static inline bool one_in(struct rng *rng, uint32_t n)
{
	return !rng_below(rng, n);
}

/* An element of an array. */
#define PICK(rng, array)	((array)[rng_below(rng, ARRAY_SIZE(array))])

/* A number of a kind that finds mistakes: small, all ones, next to a sign bit. */
static inline uint64_t rng_value(struct rng *rng)
{
	uint64_t value = rng_next(rng);

	switch (rng_below(rng, 8)) {
	case 0:
		return 0;
	case 1:
		return ~0ULL;
	case 2:
		return value % 17;
	case 3:
		return (1ULL << value % 64) - (value >> 63);
	case 4:
		return (uint32_t)value;
	case 5:
		return (int64_t)(int8_t)value;
	default:
		return value;
	}
}

/* Some of the bits of @mask. */
static inline uint64_t rng_bits(struct rng *rng, uint64_t mask)
{
	return rng_next(rng) & mask;
}

#endif
