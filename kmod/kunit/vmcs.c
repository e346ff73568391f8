// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VMCS that the VMX backend's functions work on.
 */
#include "fake_field.h"

unsigned long long fake_vmcs[FAKE_VMCS_FIELDS];
