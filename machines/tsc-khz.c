// SPDX-License-Identifier: GPL-2.0-only
/*
 * Prints the frequency of this computer's TSC in kHz. QEMU's TCG gives its guests this TSC, and a
 * kernel in it that measures for itself may be kept waiting in the middle.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

#define TRIES	1000

struct moment {
	uint64_t ns, tsc;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* Both clocks at once: of many readings, that which took least. */
static struct moment both(void)
{
	uint64_t before, after, ns, least = ~0ULL;
	struct moment best = { 0 };
	int i;

	for (i = 0; i < TRIES; i++) {
		before = __rdtsc();
		ns = now_ns();
		after = __rdtsc();
		if (after - before < least) {
			least = after - before;
			best = (struct moment){ ns, before + least / 2 };
		}
	}
	return best;
}

int main(void)
{
	struct timespec pause = { .tv_nsec = 50000000 };
	struct moment first = both(), last;

	nanosleep(&pause, NULL);
	last = both();
	printf("%llu\n", (unsigned long long)((last.tsc - first.tsc) * 1000000 /
					      (last.ns - first.ns)));
	return 0;
}
