# SPDX-License-Identifier: GPL-2.0-only
"""The instructions of the rounds of exit_cost's rows, from machines/run --trace: function by
function, and those among them that are dear on silicon.

The emulated machine writes down what each row executes between the marks around its last
batch; another mark is in front of each round (bench/bench.h).  A round has the guest's few
instructions and the program's, too; they do not count as dear.
"""
import bisect
import collections
import os
import re
import subprocess
import sys

from machine import HERE, MACHINES, make

KERNEL = 1 << 63        # addresses of the kernel are above
# Instructions of a row: more than any has.
LIMIT = 5000000
OUTSIDE = "guest and user space"
# What costs more than a plain instruction, by its first words, as QEMU or Bochs write them.
CLASSES = (
    ("VMRUN, VMRESUME, VMLAUNCH", r"vmrun|vmresume|vmlaunch"),
    ("VMREAD", r"vmread"),
    ("VMWRITE", r"vmwrite"),
    ("VMPTRLD, VMCLEAR, VMPTRST", r"vmptrld|vmclear|vmptrst"),
    ("VMLOAD, VMSAVE", r"vmload|vmsave"),
    ("CLGI, STGI", r"clgi|stgi"),
    ("RDMSR", r"rdmsr"),
    ("WRMSR", r"wrmsr"),
    ("XSAVE, XRSTOR, FXSAVE, FXRSTOR", r"(fx|x)(save|rstor)"),
    ("XSETBV", r"xsetbv"),
    ("write of CR or DR", r"mov\w* .*, ?%[cd]r\d|mov [cd]r\d+,|clts|lmsw"),
    ("read of CR or DR", r"mov\w* %[cd]r\d|mov .*, [cd]r\d+"),
    ("INVLPG, INVEPT, INVVPID, INVPCID", r"inv"),
    ("fence", r"[lms]fence"),
    ("LOCK, XCHG with memory", r"lock|xchg\w* .*[(\[]"),
    ("indirect call or jump", r"(call|jmp)\w* (\*|[qd]?word ptr|[re]\w+$|r\d)"),
    ("REP", r"rep\w* (movs|stos|cmps|scas|lods|ins|outs)"),
    ("SWAPGS, SYSRET, SYSCALL, IRET", r"swapgs|sysret|syscall|iret"),
    ("VERW", r"verw"),
    ("WRFSBASE, WRGSBASE", r"wr[fg]sbase"),
    ("LGDT, LIDT, LLDT, LTR", r"l[gil]dt|ltr"),
    ("STI, CLI, POPF", r"sti|cli|popf"),
    ("RDTSC", r"rdtsc"),
    ("CPUID", r"cpuid"),
    ("IN, OUT", r"(in|out)[bwl]? "),
)
# Jumps through this function are what retpolines make of indirect ones.
THUNK = "__x86_indirect_thunk_"
INDIRECT = "indirect call or jump"
ROUND = re.compile(r"xchgw? %?cx, %?cx")
REPEATED = re.compile(dict(CLASSES)["REP"])


class Symbols:
    """The functions of L1's kernel, from lines of /proc/kallsyms."""

    def __init__(self, lines):
        self._all = sorted((int(address, 16), name.replace("\t", " ")) for address, _, name in
                           (line.split(maxsplit=2) for line in lines))

    def at(self, address):
        """The function that an address is in, and the offset."""
        if address < KERNEL:
            return OUTSIDE, 1
        i = bisect.bisect_right(self._all, (address, "\x7f")) - 1
        if i < 0:
            return "?", 1
        start, name = self._all[i]
        # Parts that the compiler has made of a function are that function.
        base, _, module = name.partition(" ")
        return f"{base.split('.')[0]} {module}".strip(), address - start


def record(machine, mitigations, hypervisor, row, trace):
    """Run the rows with a word in their names, all if it is empty; leaves the trace in a
    file.  Returns {row: ticks that it measured} in the trace's order, the symbols and the
    kernel's release."""
    make("bench")
    command = [
        os.path.join(MACHINES, "run"), "--machine", machine, "--deterministic",
        "--mitigations", mitigations, "--hv", hypervisor, "--timeout", "3600",
        "--trace", trace, "--trace-count", str(LIMIT),
        "--file", os.path.join(HERE, "build", "exit_cost"), "--allow-splat", "--", "sh", "-c",
        'exit_cost --device "$1" "$2" && uname -r && grep -i " [tw] " /proc/kallsyms',
        "trace", "/dev/" + hypervisor, row]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE,
                           text=True).stdout.splitlines()
    rows = {}
    while lines[0].count("\t") == 2:
        unit, name, value = lines.pop(0).split("\t")
        if unit == "ticks":
            rows[name] = int(value)
    return rows, Symbols(lines[1:]), lines[0]


def batches(file):
    """For each stretch of a trace its rounds, which are lists of lines."""
    same, rounds = {}, None
    for line in file:
        if line == "mark\n":
            if rounds is not None:
                yield rounds
            rounds = []
        elif ROUND.search(line):
            rounds.append([])
        elif rounds:
            rounds[-1].append(same.setdefault(line, line))
    if rounds is not None:
        yield rounds


def median(rounds):
    """The round of median length."""
    return sorted(rounds, key=len)[(len(rounds) - 1) // 2]


def classify(address, text, symbols):
    """The class of an instruction, or None."""
    if address < KERNEL:
        return None
    for label, pattern in CLASSES:
        if re.match(pattern, text):
            return label
    name, offset = symbols.at(address)
    return INDIRECT if name.startswith(THUNK) and not offset else None


def count(lines, symbols):
    """What a round is made of: instructions, system calls, functions, classes, and which
    functions those are in."""
    functions, classes, places, calls = collections.Counter(), collections.Counter(), {}, 0
    numbers = collections.Counter(lines)
    # Each iteration of REP is a line.
    again = collections.Counter(line for line, before in zip(lines[1:], lines) if line == before)
    for line, number in numbers.items():
        place, text = line.rstrip("\n").split(" ", maxsplit=1)
        address = int(place, 16)
        function = symbols.at(address)[0]
        functions[function] += number
        label = classify(address, text, symbols)
        if label:
            number -= again[line] if REPEATED.match(text) else 0
            classes[label] += number
            where = places.setdefault(label, collections.Counter())
            if function.startswith(THUNK):
                where.update(symbols.at(int(before.split(" ")[0], 16))[0]
                             for before, this in zip(lines, lines[1:]) if this == line)
            else:
                where[function] += number
        elif address < KERNEL and text.startswith("syscall"):
            calls += number
    return {"instructions": len(lines), "system calls": calls,
            "functions": dict(functions.most_common()),
            "classes": {label: classes[label] for label, _ in CLASSES if classes[label]},
            "places": {label: dict(where.most_common()) for label, where in places.items()}}


def rows_of(rows, symbols, trace):
    """{row: what a round of it is made of}, for those that have rounds."""
    with open(trace, errors="replace") as file:
        result, seen = {}, 0
        for name, rounds in zip(rows, batches(file)):
            seen += 1
            if sum(map(len, rounds)) >= LIMIT - len(rounds):
                sys.exit(f"trace: the trace of the row {name} has no end")
            if rounds:
                result[name] = dict(count(median(rounds), symbols), ticks=rows[name])
    if seen != len(rows):
        sys.exit(f"trace: {len(rows)} rows, but {seen} in the trace")
    return result
