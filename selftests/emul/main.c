// SPDX-License-Identifier: GPL-2.0-only
/* Usage: emul_test [seed] */
#include <stdio.h>
#include <stdlib.h>

#include "compare.h"
#include "ktap.h"
#include "native.h"
#include "unit.h"

int main(int argc, char **argv)
{
	u64 seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	int r;

	ktap_begin();
	ktap_note("seed %llu", (unsigned long long)seed);
	unit_addressing();
	unit_protocol();
	unit_ports();
	unit_length();
	r = native_init();
	if (r) {
		printf("Bail out! cannot prepare the sandbox: %s\n", strerror(-r));
		return 1;
	}
	compare_mode(EMUL_LONG64, seed);
	compare_mode(EMUL_PROT32, seed);
	compare_mode(EMUL_PROT16, seed);
	compare_lengths(EMUL_LONG64, seed);
	compare_lengths(EMUL_PROT32, seed);
	compare_lengths(EMUL_PROT16, seed);
	return ktap_end();
}
