# SPDX-License-Identifier: GPL-2.0-only
"""For the groups of clients.d that are written in Python, as client.sh is for those in sh:
prints KTAP, starts QEMU on the hypervisor and speaks QMP with it."""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import traceback

QEMU = "/usr/bin/qemu-system-x86_64"
HV = os.environ.get("HV", "vitro")
MACHINE = os.environ.get("MACHINE", "amd")
# Bochs is that much slower.
PATIENCE = {"amd": 1, "intel": 4}[MACHINE]
KERNEL = "/root/guest/kernel"
INITRD = "/root/media/initrd"
COMPLAINTS = re.compile(
    r"WARNING:|BUG:|Oops|Call Trace|general protection|rcu: INFO|Marking TSC unstable|"
    r"clocksource: .*unstable|unchecked MSR|lost .* interrupt|MP-BIOS bug|not responding|"
    r"I/O error|guest: memory is not|guest: waited in vain|does not load")
# About the emulated processor, see linux-guest.
TOLERATED = re.compile(r"Speculative Return Stack Overflow: WARNING: See|"
                       r"RETBleed: WARNING: Spectre v2|TSC unstable due to TSCs unsynchronized")

os.environ["PATH"] += ":/usr/bin"

TESTS = []
RUNNING = []


class Problem(Exception):
    """A test has failed, for that reason."""


class Skip(Exception):
    """A test cannot run here, for that reason."""


def test(function):
    """A test, whose name is the function's."""
    TESTS.append(function)
    return function


def expect(what, want, got):
    """The two must be equal."""
    if want != got:
        raise Problem(f"{what}: expected {want}, got {got}")


def until(what, seconds, probe):
    """Wait until probe() returns something, and return that."""
    end = time.monotonic() + seconds * PATIENCE
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > end:
            raise Problem(f"{what}: not within {seconds * PATIENCE} seconds")
        time.sleep(0.2)


def dmesg():
    """The lines of the kernel's log."""
    return subprocess.run(["dmesg"], stdout=subprocess.PIPE, check=True).stdout.decode(
        errors="replace").splitlines()


class Vm:
    """A QEMU and its guest.  The console goes to a file, QMP is a socket."""

    def __init__(self, *arguments, name="vm", boot=None, append="", machine="pc", cpu="host",
                 vcpus=1, mem=192, display=False):
        self.name = name
        self.folder = f"/tmp/{name}"
        subprocess.run(["rm", "-rf", self.folder], check=True)
        os.mkdir(self.folder)
        self.console_path = os.path.join(self.folder, "console")
        self.events = []
        self.seen = 0
        command = [QEMU, "-accel", "kvm", "-no-user-config", "-nodefaults", "-machine", machine,
                   "-cpu", cpu, "-smp", str(vcpus), "-m", str(mem), "-name", name,
                   "-serial", f"file:{self.console_path}",
                   "-qmp", f"unix:{self.folder}/qmp,server=on,wait=on"]
        if not display:
            command += ["-display", "none"]
        if boot is not None:
            command += ["-kernel", KERNEL, "-initrd", INITRD,
                        "-append", f"console=ttyS0 {append} -- {boot}"]
        self.command = command + list(arguments)
        with open(os.path.join(self.folder, "stderr"), "wb") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)
        RUNNING.append(self)
        self.channel = socket.socket(socket.AF_UNIX)
        until("QEMU's QMP socket", 60, self._connect)
        self.stream = self.channel.makefile("rb")
        self._read(60)
        self.qmp("qmp_capabilities")

    def _connect(self):
        self._alive()
        try:
            self.channel.connect(f"{self.folder}/qmp")
        except OSError:
            return False
        return True

    def _alive(self):
        if self.process.poll() is not None:
            raise Problem(f"QEMU '{self.name}' ended with status {self.process.returncode}")

    def _read(self, seconds):
        self.channel.settimeout(seconds * PATIENCE)
        try:
            line = self.stream.readline()
        except TimeoutError:
            raise Problem(f"QEMU '{self.name}' does not answer within {seconds * PATIENCE} s")
        if not line:
            self.process.wait(30)
            self._alive()
        return json.loads(line)

    def qmp(self, command, seconds=120, **arguments):
        """Execute a QMP command and return what it returns."""
        words = {key.replace("_", "-"): value for key, value in arguments.items()}
        request = {"execute": command, "arguments": words}
        self.channel.sendall(json.dumps(request).encode() + b"\n")
        while True:
            answer = self._read(seconds)
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise Problem(f"QMP {command} {words}: {answer['error']['desc']}")
            elif "return" in answer:
                return answer["return"]

    def hmp(self, line, quiet=False):
        """Execute a line of the human monitor; quiet: one that says nothing when all is well."""
        said = self.qmp("human-monitor-command", 300, **{"command-line": line})
        if quiet and said.strip():
            raise Problem(f"monitor '{line}': {said.strip()}")
        return said

    def happened(self, event):
        """Whether an event has come; asks QEMU so that those on the way are read."""
        self.qmp("query-status")
        return [entry for entry in self.events if entry["event"] == event]

    def console(self):
        """What the guest wrote."""
        with open(self.console_path, errors="replace") as file:
            return file.read().replace("\r", "")

    def wait(self, text, seconds=120):
        """Wait for a text on the console, beyond the one waited for last; returns the rest of
        its line."""
        def probe():
            # Before the console is read: QEMU may end as soon as it has written the text.
            ended = self.process.poll() is not None
            found = self.console().find(text, self.seen)
            if found < 0:
                if ended:
                    self._alive()
                return None
            # The line must be complete.
            rest = self.console()[found + len(text):]
            if "\n" not in rest:
                return None
            self.seen = found + len(text)
            return (rest.split("\n")[0].strip(),)
        return until(f"'{text}' on the console of '{self.name}'", seconds, probe)[0]

    def end(self, seconds=120):
        """Wait for QEMU to end by itself, well, its guest's kernel without complaint."""
        try:
            status = self.process.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            raise Problem(f"QEMU '{self.name}' did not end within {seconds * PATIENCE} seconds")
        expect(f"the status of QEMU '{self.name}'", 0, status)
        self.quiet()

    def quiet(self):
        """The guest's kernel has nothing to complain of.  On stock KVM it has: the size of the XSAVE
        area, by the CPUID of QEMU's TCG."""
        if HV == "kvm":
            return
        for line in self.console().splitlines():
            if COMPLAINTS.search(line) and not TOLERATED.search(line):
                raise Problem(f"the guest complains: {line}")

    def kill(self):
        """End QEMU now."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.channel.close()

    def report(self):
        """What explains a failure."""
        print(f"# command of '{self.name}': {' '.join(self.command)}")
        for title, path in (("QEMU", os.path.join(self.folder, "stderr")),
                            ("console", self.console_path)):
            if os.path.exists(path):
                with open(path, errors="replace") as file:
                    for line in file.read().replace("\r", "").splitlines()[-30:]:
                        print(f"# {title} of '{self.name}': {line}")


def one(number, function):
    """Run a test; returns whether it was good."""
    name = function.__name__
    log = dmesg()
    start = time.monotonic()
    failure = None
    skip = ""
    try:
        function()
    except Skip as why:
        skip = f" # SKIP {why}"
    except Problem as problem:
        failure = str(problem)
    except Exception:                       # pylint: disable=broad-except
        failure = traceback.format_exc()
    for vm in RUNNING:
        vm.kill()
        if failure:
            vm.report()
    RUNNING.clear()
    print(f"# seconds: {name} {time.monotonic() - start:.1f}")
    if failure:
        for line in dmesg()[len(log):][-20:]:
            print(f"# kernel: {line}")
        for line in failure.splitlines():
            print(f"# {line}")
    print(f"{'not ok' if failure else 'ok'} {number} {name}{skip}", flush=True)
    return not failure


def main():
    """Run the tests that ONLY wants, all without it."""
    if HV != "kvm" and not os.path.exists("/dev/kvm"):
        os.symlink("vitro", "/dev/kvm")
    words = os.environ.get("ONLY", "").split()
    wanted = [function for function in TESTS
              if not words or any(word in function.__name__ for word in words)]
    good = True
    for number, function in enumerate(wanted, 1):
        good &= one(number, function)
    if not wanted:
        print(f"Bail out! no test has a word of '{' '.join(words)}' in its name")
        good = False
    print(f"1..{len(wanted)}")
    sys.exit(0 if good else 1)
