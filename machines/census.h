/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is executed from a mark to the next, in nested guests and outside: how it is counted in
 * both emulators, and written down. The mark is that of qemu-plugin.h. The numbers are lines:
 *
 *	guest N				instructions in guests
 *	loading TIMES KERNEL USER	outside, from the mark to the first entry
 *	kernel TIMES KERNEL USER	from an exit to the next entry, in kernel mode throughout
 *	user TIMES KERNEL USER		likewise, but with a stay in user mode
 *	ending TIMES KERNEL USER	from the last exit to the mark
 *
 * The instruction that enters is the last one outside; the one that exits, of a guest.
 */
#ifndef MACHINES_CENSUS_H
#define MACHINES_CENSUS_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct number {
	uint64_t user, kernel;
};

enum stretch { LOADING, KERNEL, USER, ENDING, STRETCHES };

/* What has been executed ever, in whichever way an emulator tells the two apart in guests. */
static struct number executed;

static struct census {
	bool counting, in_guest, entered;
	struct number since;		/* executed when this stretch, or stay, began */
	uint64_t guest;
	struct {
		uint64_t times;
		struct number number;
	} stretches[STRETCHES];
	FILE *out;
} census, before_entry;

static inline void census_end_stretch(enum stretch stretch)
{
	census.stretches[stretch].times++;
	census.stretches[stretch].number.user += executed.user - census.since.user;
	census.stretches[stretch].number.kernel += executed.kernel - census.since.kernel;
	census.since = executed;
}

static inline void census_write(void)
{
	static const char *const names[STRETCHES] = { "loading", "kernel", "user", "ending" };
	int i;

	fprintf(census.out, "guest %" PRIu64 "\n", census.guest);
	for (i = 0; i < STRETCHES; i++)
		fprintf(census.out, "%s %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", names[i],
			census.stretches[i].times, census.stretches[i].number.kernel,
			census.stretches[i].number.user);
	fflush(census.out);
}

/* At a mark. Returns whether counting begins, not ends. */
static inline bool census_mark(void)
{
	census.counting = !census.counting;
	if (census.counting) {
		census.since = executed;
		census.entered = false;
		census.guest = 0;
		memset(census.stretches, 0, sizeof(census.stretches));
	} else {
		census_end_stretch(ENDING);
		census_write();
	}
	return census.counting;
}

/*
 * After what enters has been counted. One that finds the processor in a guest already says
 * that the one before it has failed.
 */
static inline void census_enter(void)
{
	if (census.in_guest)
		census = before_entry;
	before_entry = census;
	census_end_stretch(!census.entered ? LOADING :
			   executed.user != census.since.user ? USER : KERNEL);
	census.entered = true;
	census.in_guest = true;
}

/* Before the first instruction outside is counted. */
static inline void census_leave(void)
{
	census.guest += executed.user - census.since.user;
	census.guest += executed.kernel - census.since.kernel;
	census.since = executed;
	census.in_guest = false;
}

#endif
