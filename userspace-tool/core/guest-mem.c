// SPDX-License-Identifier: GPL-2.0-only
#include "core/guest-mem.h"
#include "core/util.h"

#include <stdint.h>
#include <sys/mman.h>

#define LARGE_PAGE	(2 * MIB)

/*
 * Maps @size bytes on a boundary of 2 MiB: a nested page can be large only where
 * guest-physical and user address are aligned alike.
 */
static uint8_t *map_aligned(uint64_t size)
{
	uint64_t room = size + LARGE_PAGE, head;
	uint8_t *start = mmap(NULL, room, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (start == MAP_FAILED)
		return NULL;
	head = -(uintptr_t)start & (LARGE_PAGE - 1);
	if (head)
		munmap(start, head);
	munmap(start + head + size, room - head - size);
	return start + head;
}

static int add_region(struct guest_mem *mem, uint64_t gpa, uint64_t size)
{
	struct ram_region *r = &mem->region[mem->nr_regions];
	uint8_t *hva = map_aligned(size);

	if (!hva)
		return -errno;
	/* Fewer nested-page faults; nothing is lost where it is refused. */
	madvise(hva, size, MADV_HUGEPAGE);
	*r = (struct ram_region){ .gpa = gpa, .size = size, .hva = hva };
	mem->nr_regions++;
	mem->size += size;
	return 0;
}

int guest_mem_init(struct guest_mem *mem, uint64_t size)
{
	uint64_t low = min_u64(size, RAM_HOLE_START);
	int ret;

	*mem = (struct guest_mem){ 0 };
	ret = add_region(mem, 0, low);
	if (!ret && size > low)
		ret = add_region(mem, RAM_HOLE_END, size - low);
	if (ret)
		guest_mem_destroy(mem);
	return ret;
}

void guest_mem_destroy(struct guest_mem *mem)
{
	for (unsigned int i = 0; i < mem->nr_regions; i++)
		munmap(mem->region[i].hva, mem->region[i].size);
	*mem = (struct guest_mem){ 0 };
}

void *guest_mem_at(const struct guest_mem *mem, uint64_t gpa, uint64_t len)
{
	for (unsigned int i = 0; i < mem->nr_regions; i++) {
		const struct ram_region *r = &mem->region[i];
		uint64_t offset = gpa - r->gpa;

		/* Subtractions only: no sum of guest values can wrap. */
		if (gpa >= r->gpa && offset <= r->size && len <= r->size - offset)
			return r->hva + offset;
	}
	return NULL;
}
