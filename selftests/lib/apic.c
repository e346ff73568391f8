// SPDX-License-Identifier: GPL-2.0-only
/* Interrupt handlers for guests. */
#include "apic.h"

void guest_ignore(struct guest_regs *regs)
{
	(void)regs;
}

void guest_eoi(struct guest_regs *regs)
{
	(void)regs;
	apic_eoi();
}
