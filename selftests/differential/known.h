/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Parts of known_difference(): the rules that a table cannot tell, by subject.
 *
 * In all of them @a is stock KVM's item, and @b vitro's.
 */
#ifndef DIFFERENTIAL_KNOWN_H
#define DIFFERENTIAL_KNOWN_H

#include "result.h"

#define ANY	0xffffffff
#define ALL	0, 0xffffffff

/* Reasons that more than one file gives. */
extern const char after_init[], apic_id[], cpuid_topology[], cr0_reserved[], illegal_ipi[],
	loaded_tr[];

/* Only the time limit has ended the guest. */
bool endless(const struct item *item);

/* Is there such a step, with an argument from @first to @last, in one of these slots? */
bool has_step(const struct guest *g, unsigned int from, unsigned int to, uint32_t kind,
	      uint32_t first, uint32_t last);

/* Is there an OUT to a PIC, up to slot @to? */
bool has_out(const struct guest *g, unsigned int to, uint32_t port);

/* The exception that an item tells of, or NULL. */
const struct item *trap_of(const struct item *item);

/* The IP in the frame of an exception, or ~0. */
uint64_t frame_ip(const struct item *trap);

/* What the slot does that an item belongs to. */
const struct step *item_step(const struct guest *g, const struct item *item);
uint32_t step_of(const struct guest *g, const struct item *item);

/* Devices, page tables, and instructions that are emulated for them. */
const char *known_of_devices(const struct guest *g, const struct item *a, const struct item *b);

/* Exceptions, interrupts, and the controllers. */
const char *known_of_events(const struct guest *g, const struct item *a, const struct item *b);

/* Control registers, MSRs and CPUID. */
const char *known_of_registers(const struct guest *g, const struct item *a,
			       const struct item *b);

/* Of the state in the end, where one of the items may be NULL, as what is 0 is left out. */
const char *known_of_end(const struct guest *g, const struct item *a, const struct item *b);

#endif
