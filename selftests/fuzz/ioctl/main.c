// SPDX-License-Identifier: GPL-2.0-only
/* fuzz-ioctl: the calls of /dev/vitro, from several threads and processes. */
#include <stdio.h>

#include "ioctl.h"

static void list(void)
{
	unsigned int i;

	for (i = 0; i < nr_ioctl_calls; i++)
		printf("%s\n", ioctl_calls[i].name);
}

int main(int argc, char **argv)
{
	static const struct fuzz_target target = {
		.name = "ioctl",
		.generate = ops_generate,
		.mutate = ops_mutate,
		.execute = ops_execute,
		.list = list,
	};

	return fuzz_main(argc, argv, &target);
}
