// SPDX-License-Identifier: GPL-2.0-only
/*
 * svme CPU [on|off]: set or clear EFER.SVME on a CPU, as another hypervisor does, or
 * say whether it is set.
 */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MSR_EFER	0xc0000080
#define EFER_SVME	(1ULL << 12)

int main(int argc, char **argv)
{
	uint64_t efer;
	char path[64];
	int fd;

	if (argc < 2)
		errx(2, "usage: svme CPU [on|off]");
	snprintf(path, sizeof(path), "/dev/cpu/%s/msr", argv[1]);
	fd = open(path, O_RDWR);
	if (fd < 0 || pread(fd, &efer, sizeof(efer), MSR_EFER) != sizeof(efer))
		err(1, "%s", path);
	if (argc == 2) {
		puts(efer & EFER_SVME ? "set" : "clear");
		return 0;
	}
	efer = strcmp(argv[2], "on") ? efer & ~EFER_SVME : efer | EFER_SVME;
	if (pwrite(fd, &efer, sizeof(efer), MSR_EFER) != sizeof(efer))
		err(1, "%s", path);
	return 0;
}
