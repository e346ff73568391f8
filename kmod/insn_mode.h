/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VITRO_INSN_MODE_H
#define VITRO_INSN_MODE_H

#include "emul/emul.h"

struct vitro_vcpu;

enum emul_mode vitro_insn_mode(struct vitro_vcpu *vcpu);

#endif /* VITRO_INSN_MODE_H */
