/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest RAM: where it lies in guest-physical space, and the one way by which
 * the tool turns a guest-physical address into a pointer.
 */
#ifndef VITRO_GUEST_MEM_H
#define VITRO_GUEST_MEM_H

#include <stdint.h>

/* Devices and firmware tables live below 4 GiB; RAM goes around them. */
#define RAM_HOLE_START	0xc0000000ULL
#define RAM_HOLE_END	0x100000000ULL

struct ram_region {
	uint64_t gpa;
	uint64_t size;
	uint8_t *hva;
};

struct guest_mem {
	struct ram_region region[2];	/* below the hole, above 4 GiB */
	unsigned int nr_regions;
	uint64_t size;
};

/**
 * guest_mem_init() - reserve guest RAM
 * @mem: filled in
 * @size: bytes, a multiple of the page size
 *
 * No page is allocated before the guest touches it.
 *
 * Return: 0, or a negative errno when the address space cannot be had.
 */
int guest_mem_init(struct guest_mem *mem, uint64_t size);

/**
 * guest_mem_destroy() - give guest RAM back
 * @mem: set up by guest_mem_init(), or zeroed
 */
void guest_mem_destroy(struct guest_mem *mem);

/**
 * guest_mem_at() - pointer to guest RAM
 * @mem: guest memory
 * @gpa: guest-physical address; may be anything, guests are not trusted
 * @len: bytes which the caller will touch
 *
 * Return: the pointer, or NULL unless all of [@gpa, @gpa + @len) is RAM and
 * in one region.
 */
void *guest_mem_at(const struct guest_mem *mem, uint64_t gpa, uint64_t len);

#endif
