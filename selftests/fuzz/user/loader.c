// SPDX-License-Identifier: GPL-2.0-only
/* The tool's loader, on any file as a kernel and any as an initial RAM disk. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/util.h"
#include "input.h"
#include "loader/loader.h"

#define MEM	(64 * MIB)

static void put(int fd, const uint8_t *data, size_t size)
{
	REQUIRE(!ftruncate(fd, 0) && pwrite(fd, data, size, 0) == (ssize_t)size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int kernel = -1, initrd = -1;
	struct input in = { data, data + size };
	struct load_request req = { .cmdline = "console=ttyS0", .rsdp = 0xe0000 };
	char names[2][32];
	struct boot_entry entry = { 0 };
	struct guest_mem mem;
	uint8_t flags = take(&in, 1);
	size_t second = take(&in, 1);

	if (kernel < 0) {
		kernel = memfd_create("kernel", 0);
		initrd = memfd_create("initrd", 0);
		REQUIRE(kernel >= 0 && initrd >= 0);
	}
	if (second > left(&in))
		second = left(&in);
	put(initrd, in.at, second);
	put(kernel, in.at + second, left(&in) - second);
	snprintf(names[0], sizeof(names[0]), "/proc/self/fd/%d", kernel);
	snprintf(names[1], sizeof(names[1]), "/proc/self/fd/%d", initrd);
	req.kernel = names[0];
	req.initrd = flags & 4 ? names[1] : NULL;
	req.protocol = flags & 3;

	/* Reserved afresh, so that pages of an earlier kernel cannot hide a mistake. */
	REQUIRE(!guest_mem_init(&mem, flags & 8 ? MIB : MEM));
	if (!load_guest(&req, &mem, &entry)) {
		REQUIRE(entry.protocol == BOOT_LINUX64 || entry.protocol == BOOT_PVH);
		REQUIRE(guest_mem_at(&mem, entry.info, 8));
	}
	guest_mem_destroy(&mem);
	return 0;
}
