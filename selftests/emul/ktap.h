/* SPDX-License-Identifier: GPL-2.0-only */
/* Results in the Kernel Test Anything Protocol. */
#ifndef VITRO_SELFTEST_EMUL_KTAP_H
#define VITRO_SELFTEST_EMUL_KTAP_H

#include <stdbool.h>

/** Print the header; the plan comes last, because the number of tests depends on the machine. */
void ktap_begin(void);
/** Report one result; @format names it. */
void ktap_result(bool ok, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ktap_skip(const char *name, const char *why);
/** Print a diagnostic line. */
void ktap_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** Print the plan; returns the program's exit status. */
int ktap_end(void);

#endif
