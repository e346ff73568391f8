# SPDX-License-Identifier: GPL-2.0-only
"""The AMD machine: QEMU's TCG, which emulates SVM with nested paging."""
import os
import shutil
import socket
import time

from .cache import Failure, built, script
from .emulator import Emulator, socket_pair

# With --deterministic, how many instructions a CPU executes before it is the next one's turn:
# few enough that a CPU finds the others in the middle of what they do.
TURN = 100


def plugin(name):
    """The path of a plugin for TCG, made of its source in machines/."""
    return built(f"{name}.so", f"{name}.c", [
        ["cc", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o", "{target}", "{source}"]],
        headers=("qemu-plugin.h", "census.h"))


class Qemu(Emulator):
    """Never uses KVM: that would be the processor of this computer."""

    def append(self):
        words = super().append() + " unknown_nmi_panic"
        if self.spared_cpu():
            words += " isolcpus=0"
        if not self.options.deterministic:
            # The TSC is this computer's.  A kernel that measures it while this computer is busy
            # may be wrong by a factor, and its clock with it.
            program = built("tsc-khz", "tsc-khz.c", [
                ["cc", "-O2", "-Wall", "-Wextra", "-o", "{target}", "{source}"]])
            words += " tsc_early_khz=" + script(program)
        return words

    def spared_cpu(self):
        """How many CPUs (0 or 1) the machine has that run no command.

        TCG changes masks of CPU 0 in the threads of all CPUs, and a hypervisor's VMRUN there
        goes wrong when both do so at once (docs/machines.md)."""
        return int(self.options.cpus > 1)

    def start(self, kernel, initramfs):
        """Boot the kernel of the cache's folder with the initramfs (bytes)."""
        options = self.options
        program = shutil.which("qemu-system-x86_64")
        if not program:
            raise Failure("qemu-system-x86_64 is missing; machines/ensure-deps installs it")
        # QEMU enters an ELF kernel by its PVH entry, which runs before KASAN's shadow exists.
        image = "vmlinuz" if options.kernel == "lab" else "vmlinux"
        initrd = os.path.join(self.work, "initramfs")
        with open(initrd, "wb") as file:
            file.write(initramfs)

        self.console, console = socket_pair()
        self.link, link = socket_pair()
        command = [
            program, "-name", "vitro-amd", "-nodefaults", "-no-user-config",
            "-display", "none", "-no-reboot", "-m", str(options.mem),
            "-smp", str(options.cpus + self.spared_cpu()),
            "-kernel", os.path.join(kernel, image), "-initrd", initrd,
            "-append", self.append(),
            "-chardev", f"socket,id=console,fd={console.fileno()}", "-serial", "chardev:console",
            "-chardev", f"socket,id=link,fd={link.fileno()}", "-serial", "chardev:link",
            "-chardev", f"socket,id=monitor,path={self.work}/monitor,server=on,wait=off",
            "-mon", "chardev=monitor,mode=readline",
        ]
        if options.deterministic:
            # One instruction is one nanosecond and one tick of the TSC.  RDRAND and
            # RDSEED would bring in the host's randomness.
            command += [
                "-accel", "tcg,thread=single", "-cpu", f"{options.cpu_model},-rdrand,-rdseed",
                "-icount", "shift=0,sleep=off", "-seed", "1",
                "-rtc", "base=2020-01-01T00:00:00,clock=vm",
            ]
            if options.cpus > 1:
                command += ["-plugin", f"{plugin('turns')},count={TURN}"]
        else:
            command += ["-accel", "tcg,thread=multi", "-cpu", options.cpu_model]
        if options.disk:
            command += ["-drive", f"file={options.disk},format=raw,readonly=on,if=virtio"]
        if options.gdb:
            command += ["-gdb", f"tcp:127.0.0.1:{options.gdb}"]
        if options.trace:
            command += ["-plugin", f"{plugin('tracer')},out={options.trace},"
                        f"count={options.trace_count}"]
        if options.census:
            command += ["-plugin", f"{plugin('census')},out={options.census}"]
        self.spawn(command, pass_fds=(console.fileno(), link.fileno()))
        console.close()
        link.close()

    def autopsy(self):
        """The registers of all CPUs, by QEMU's monitor."""
        text = b""
        try:
            with socket.socket(socket.AF_UNIX) as monitor:
                monitor.settimeout(20)
                monitor.connect(os.path.join(self.work, "monitor"))
                # The NMI makes L1's kernel print where it is, by its own names.
                monitor.sendall(b"info registers -a\nnmi\n")
                end = time.monotonic() + 30
                while time.monotonic() < end:
                    data = monitor.recv(65536)
                    if not data:
                        break
                    text += data
                    if b"RIP=" in text:
                        # A busy computer may be slow to begin; the rest comes at once.
                        monitor.settimeout(2)
        except OSError:
            pass
        return text.decode(errors="replace").replace("\r", "")
