/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VITRO_SELFTEST_EMUL_UNIT_H
#define VITRO_SELFTEST_EMUL_UNIT_H

/** unit_addressing() - modes and segments that a process cannot enter, by hand-computed cases */
void unit_addressing(void);
/** unit_protocol() - what the emulator promises to the code that calls it */
void unit_protocol(void);
/** unit_ports() - IN, OUT, INS and OUTS */
void unit_ports(void);
/** unit_length() - the length decoder */
void unit_length(void);

#endif
