# SPDX-License-Identifier: GPL-2.0-only
"""Is vitro nowhere dearer than stock KVM on silicon?  From what bench/where --all has counted."""
import re

import trace

ENTRIES = "VMRUN, VMRESUME, VMLAUNCH"
VMLOADS = "VMLOAD, VMSAVE"
ANY = "any"

# Exits that are dealt with while the guest's state stays in the registers, and what those
# may have of some classes for each entry.  On AMD the architecture demands a VMLOAD of the
# guest, a VMSAVE and a VMLOAD of the host.
FAST = re.compile(r"CPUID|hypercall|RDMSR|WRMSR|port \w+, in-kernel|nested.*present|ioeventfd|"
                  r"local APIC|IOAPIC")
FAST_LIMITS = {"WRMSR": 0, "XSAVE, XRSTOR, FXSAVE, FXRSTOR": 0, "XSETBV": 0,
               "write of CR or DR": 0, "INVLPG, INVEPT, INVVPID, INVPCID": 0, VMLOADS: 3}

# With a look at CR4 first, a random guest left its XCR0 in L1: QEMU's TCG does not honour the
# XSETBV intercept.
XCR0 = ("XCR0 is switched with each stay in the guest; stock KVM leaves it alone while the guest's "
        "CR4.OSXSAVE is 0, as it is here")

# Where vitro may have more than stock KVM: rows, machines, class, how many more, and why.
KNOWN = (
    (r".* to user space|nested-page fault.*new host page|HLT", ("amd", "intel"), "XSETBV", 2,
     XCR0),
    (r"IPI that wakes", ("amd", "intel"), "XSETBV", 4, XCR0),
    (r"nested-page fault.*new host page|HLT, from the timer", ("amd", "intel"),
     "XSAVE, XRSTOR, FXSAVE, FXRSTOR", 2,
     "what may sleep gives the FPU back before; stock KVM makes the guest's FPU state the "
     "thread's until the call ends"),
    (r"HLT, from the timer", ("amd", "intel"), "RDTSC", 100,
     "who is early waits for the deadline by reading the TSC, and is early by something else"),
    (r"null ioctl|[GS]ET_S?REGS", ("amd", "intel"), "indirect call or jump", 1,
     "calls are found in a table; stock KVM compares their numbers"),
    (r"nested-page fault of 2 MiB, new host page", ("amd", "intel"), ANY, 30,
     "the round is so long that a timer tick of the host may fall into it"),
    (r"local APIC, x2APIC write of TPR", ("intel",), ANY, 5, "stock KVM has no exit"),
    (r"local APIC, TSC deadline write", ("intel",), "LOCK, XCHG with memory", 1,
     "the mode, for kicks, is stored before each entry; stock KVM's fastest path leaves it"),
    (r"", ("intel",), "read of CR or DR", 4,
     "CR3 and CR4 are compared with what the VMCS has; stock KVM asks the kernel's copies of "
     "them, which newer kernels keep for it"),
    (r"IPI that wakes|HLT, from the timer", ("intel",), "WRMSR", 12,
     "MSRs that only user mode sees are put back when the thread sleeps; stock KVM leaves them "
     "until it returns to user mode"),
    (r"HLT, from the timer", ("intel",), "RDMSR", 3,
     "IA32_PEBS_ENABLE is read before each stay in the guest; stock KVM asks perf for it"),
    (r".* to user space|nested-page fault, new host page|HLT|IPI that wakes", ("intel",),
     "RDMSR", 1,
     "IA32_PEBS_ENABLE is read before each stay in the guest; stock KVM asks perf for it"),
    (r"GET_SREGS", ("intel",), "VMREAD", 40,
     "stock KVM remembers segment registers until the guest has run"),
    (r"SET_SREGS", ("intel",), "VMWRITE", 2, "controls follow the mode at each step"),
    (r"HLT, from the timer", ("amd", "intel"), ANY, 15,
     "the round is of 2 ms, into which a timer tick of the host may fall"),
)


def allowed(machine, name, label):
    """How many more of a class a row may have, and why."""
    for rows, machines, known, more, why in KNOWN:
        if machine in machines and known in (label, ANY) and re.match(rows, name):
            return more, why
    return 0, None


def complaints(machine, name, row):
    """What is wrong with a row."""
    result = []
    vitro, kvm = row["vitro"]["classes"], row["kvm"]["classes"]
    for label, number in vitro.items():
        other = kvm.get(label, 0)
        if number > other + allowed(machine, name, label)[0]:
            places = ", ".join(f"{function} {times}" for function, times in
                               row["vitro"]["places"][label].items())
            result.append(f"{label}: {number}, stock KVM has {other}; {places}")
    if FAST.match(name):
        for label, limit in FAST_LIMITS.items():
            number, limit = vitro.get(label, 0), limit * vitro.get(ENTRIES, 0)
            if number > limit:
                result.append(f"{label}: {number}, a fast exit may have {limit}")
    return result


def check(data):
    """[(name of the test, complaints)]"""
    result = []
    for name, row in data["rows"].items():
        test = f"mitigations {data['mitigations']}: {name}"
        if len(row) != 2:
            result.append((test, [f"only {' '.join(row)} has this row"]))
        else:
            result.append((test, complaints(data["machine"], name, row)))
    return result


def known(data):
    """[(row, class, vitro's number, stock KVM's, why)] of what is let pass."""
    result = []
    for name, row in data["rows"].items():
        vitro, kvm = row["vitro"]["classes"], row["kvm"]["classes"]
        for label, number in vitro.items():
            if number > kvm.get(label, 0):
                why = allowed(data["machine"], name, label)[1]
                result.append((name, label, number, kvm.get(label, 0), why))
    return result


# Instructions of the least that an exit takes: a throw-away module that enters, leaves, swaps
# 15 registers, reads the reason, advances RIP and looks for work.  Mitigations off.
EXIT_FLOOR = {"amd": 77, "intel": 87}


def floor(data, name):
    """The least that a row can take, in instructions; None if that is not known."""
    rows = data["rows"]
    row = rows[name]["vitro"]
    if name.startswith(("create and delete", "page fault of the host", "null ioctl")):
        return None
    least = row["classes"].get(ENTRIES, 0) * EXIT_FLOOR[data["machine"]]
    least += row["system calls"] * rows["null ioctl"]["vitro"]["instructions"]
    if name == "nested-page fault, new host page":
        least += rows["page fault of the host's own, new page"]["vitro"]["instructions"]
    return least


def parts(row):
    """Instructions outside the kernel, then (function, instructions) of vitro's functions and
    of the rest of the kernel, largest first."""
    functions = [item for item in row["functions"].items() if item[0] != trace.OUTSIDE]
    return (row["functions"].get(trace.OUTSIDE, 0),
            [item for item in functions if item[0].endswith("[vitro]")],
            [item for item in functions if not item[0].endswith("[vitro]")])
