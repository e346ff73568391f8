# SPDX-License-Identifier: GPL-2.0-only
"""The Intel machine: Bochs, which emulates VMX with EPT and unrestricted guests."""
import os
import re
import shutil
import signal
import socket
import subprocess

from . import bootdisk
from .cache import Failure, built
from .emulator import Emulator

# Emulated instructions per emulated second.  One instruction is one tick of the TSC.
IPS = 50_000_000

CONFIG = """\
config_interface: textconfig
display_library: rfb, options="timeout=0"
memory: guest={mem}, host={mem}
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file={vgabios}
ata0-master: type=disk, path={disk}, mode=flat, cylinders={cylinders}, heads=16, spt=63
boot: disk
cpu: model={model}, count={cpus}, ips={ips}, reset_on_triple_fault=0, ignore_bad_msrs=1
clock: sync=none, time0=1700000000
com1: enabled=1, mode=socket-client, dev=127.0.0.1:{console}
com2: enabled=1, mode=socket-client, dev=127.0.0.1:{link}
sound: driver=dummy
speaker: enabled=0
plugin_ctrl: speaker=0, sb16=0, es1370=0, gameport=0
log: {work}/bochs.log
panic: action=fatal
error: action=report
info: action=ignore
debug: action=ignore
magic_break: enabled={trace}
"""

# More stretches than anybody traces in one run.
MAX_TRACES = 500

# What Bochs' debugger writes of an instruction.
TRACED = re.compile(r"^\(0\)\.\[\d+\] \[0x[0-9a-f]+\] [0-9a-f]+:([0-9a-f]+) \([^)]*\): (.*?)\s*;")


class Listener:
    """A port of localhost for one of the machine's serial ports to connect to."""

    def __init__(self):
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=1)
        self._socket.settimeout(30)
        self.port = self._socket.getsockname()[1]

    def accept(self):
        """The connection."""
        try:
            connection = self._socket.accept()[0]
        except TimeoutError:
            return None
        finally:
            self._socket.close()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        return connection


class Bochs(Emulator):
    """Debian's bochs has its debugger built in; it is told to continue at once."""

    def append(self):
        # The frequency in the CPUID of the model has nothing to do with IPS.  Bochs 2.7 hangs
        # in one of its fast string moves, and computes the size of the compacted XSAVE
        # area otherwise than Linux does, which warns (6.1) or panics (7.2).  The model's CPUID
        # has 1 logical processor (leaf 1) in a package of several cores (leaf 4), which makes
        # 0 threads a core for Linux 6.1: UBSAN reports the shift by the logarithm of that.
        words = super().append() + f" tsc_early_khz={IPS // 1000} clearcpuid=fsrm,xsaves,xsavec,ht"
        if self.options.cpus > 2:
            # All end up idle, and no timer wakes them, unless each is set to tick for good.
            words += " nohz=off highres=off"
        return words

    def start(self, kernel, initramfs):
        """Boot the kernel of the cache's folder with the initramfs (bytes)."""
        program = shutil.which("bochs-bin") or shutil.which("bochs")
        if not program:
            raise Failure("bochs is missing; machines/ensure-deps installs it")
        disk = os.path.join(self.work, "disk")
        cylinders = bootdisk.write(disk, os.path.join(kernel, "vmlinux"), initramfs,
                                   self.append(), self.options.mem)
        console, link = Listener(), Listener()
        config = os.path.join(self.work, "bochsrc")
        second = ""
        if self.options.disk:
            # What is written goes to a file of its own, so that machines can share the image.
            second = (f"ata0-slave: type=disk, path={os.path.abspath(self.options.disk)}, "
                      f"mode=volatile, journal={self.work}/journal, cylinders=0\n")
        with open(config, "w") as file:
            file.write(CONFIG.format(
                mem=self.options.mem, vgabios="/usr/share/vgabios/vgabios.bin", disk=disk,
                cylinders=cylinders, model=self.options.cpu_model, cpus=self.options.cpus,
                ips=IPS, trace=int(bool(self.options.trace)), console=console.port,
                link=link.port, work=self.work) + second)
        commands = os.path.join(self.work, "debugger.rc")
        with open(commands, "w") as file:
            file.write("c\n")
            if self.options.trace:
                # The machine stops at a mark, steps until the next one, and goes on.
                file.write(f"trace on\ns {self.options.trace_count}\ntrace off\nc\n" * MAX_TRACES)
        environment = dict(os.environ)
        environment.pop("DISPLAY", None)
        environment["LD_PRELOAD"] = built("nosrand.so", "nosrand.c", [
            ["cc", "-O2", "-shared", "-fPIC", "-o", "{target}", "{source}"]])
        if self.options.census:
            environment["VITRO_CENSUS"] = self.options.census
            environment["LD_PRELOAD"] += ":" + built("census-bochs.so", "census-bochs.c", [
                ["cc", "-O2", "-Wall", "-Wextra", "-D_GNU_SOURCE", "-shared", "-fPIC",
                 "-o", "{target}", "{source}"]], headers=("census.h",))
        self.spawn([program, "-q", "-unlock", "-f", config, "-rc", commands],
                   env=environment, cwd=self.work, stdin=subprocess.PIPE)
        self.console = console.accept()
        self.link = self.console and link.accept()
        if not self.link:
            raise Failure(f"bochs did not start: {self.last_words()}")

    def autopsy(self):
        """The registers of all CPUs, by Bochs' debugger, which SIGINT brings up."""
        output = os.path.join(self.work, "emulator.log")
        start = os.path.getsize(output)
        commands = "".join(f"set $cpu={cpu}\nr\nsreg\ncreg\nbt\n"
                           for cpu in range(self.options.cpus))
        try:
            self.process.send_signal(signal.SIGINT)
            self.process.stdin.write((commands + "q\n").encode())
            self.process.stdin.flush()
            self.process.wait(30)
        except (OSError, subprocess.TimeoutExpired):
            pass
        with open(output, errors="replace") as file:
            file.seek(start)
            return file.read()

    def save_trace(self):
        with open(os.path.join(self.work, "emulator.log"), errors="replace") as log, \
                open(self.options.trace, "w") as file:
            for line in log:
                traced = TRACED.match(line)
                if line.startswith("Tracing enabled"):
                    file.write("mark\n")
                elif traced:
                    file.write(f"{int(traced[1], 16):x} {traced[2]}\n")

    def last_words(self):
        words = super().last_words()
        try:
            with open(os.path.join(self.work, "bochs.log"), errors="replace") as file:
                # Linux reads MPERF and APERF, which Bochs does not have, at each tick.
                words += "".join(line for line in file if "Unknown register" not in line)[-2000:]
        except OSError:
            pass
        return words
