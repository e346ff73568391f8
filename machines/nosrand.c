// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loaded into Bochs by LD_PRELOAD.  Bochs seeds what its RDRAND and RDSEED give with the
 * time of day; without that it does the same in every run.
 */
void srand(unsigned int seed);

void srand(unsigned int seed)
{
	(void)seed;
}
