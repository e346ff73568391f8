// SPDX-License-Identifier: GPL-2.0-only
/* Memory for slots, in small or in large pages. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"

void *bench_map(uint64_t size, int advice)
{
	void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	REQUIRE(pages != MAP_FAILED, "mmap: %s", strerror(errno));
	REQUIRE_OK(madvise(pages, size, advice));
	return pages;
}

void *bench_map_large(uint64_t size)
{
	uintptr_t start = (uintptr_t)bench_map(size + LARGE_PAGE, MADV_HUGEPAGE);

	return (void *)((start + LARGE_PAGE - 1) & -LARGE_PAGE);
}
