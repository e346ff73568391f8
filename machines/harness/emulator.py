# SPDX-License-Identifier: GPL-2.0-only
"""What both emulated machines have in common: a process with two serial ports."""
import ctypes
import os
import signal
import socket
import subprocess

# What every L1 kernel is told.  The clocks: the emulated TSC is as good as it gets,
# and calibrating against it costs seconds.  printk.devkmsg: lines from /init must
# not be dropped by the rate limit.
COMMON_APPEND = (
    "console=ttyS0 quiet tsc=reliable no_timer_check nokaslr audit=0 apparmor=0 "
    "cryptomgr.notests random.trust_cpu=on 8250.nr_uarts=2 panic=-1 printk.devkmsg=on"
)

PR_SET_PDEATHSIG = 1


def die_with_parent():
    """Run in the emulator before its program: it must not outlive us."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Emulator:
    """A machine about to run.  After start(): process, and the sockets or files
    console (L1's kernel) and link (L1's agent)."""

    def __init__(self, options, work):
        self.options = options
        self.work = work
        self.process = None
        self.console = None
        self.link = None

    def append(self):
        """The kernel command line."""
        words = [COMMON_APPEND]
        if self.options.mitigations == "off":
            words.append("mitigations=off")
        if not self.options.interactive:
            # A kernel that has lost its footing shall say so at once, not be waited for.
            words.append("oops=panic")
        if self.options.kernel == "lab":
            # KASAN falls silent after its first report otherwise.
            words.append("kasan_multi_shot")
        words.append(self.options.append)
        return " ".join(filter(None, words))

    def spawn(self, command, **keywords):
        """Start the emulator's process."""
        if self.options.debugger:
            # pylint: disable-next=subprocess-popen-preexec-fn,consider-using-with
            self.process = subprocess.Popen(command, preexec_fn=die_with_parent,
                                            **dict(keywords, stdin=None))
            return
        # The emulator gets a session of its own: Ctrl-C in the terminal is ours.
        # pylint: disable-next=subprocess-popen-preexec-fn,consider-using-with
        keywords.setdefault("stdin", subprocess.DEVNULL)
        self.process = subprocess.Popen(
            command,
            stdout=open(os.path.join(self.work, "emulator.log"), "wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,
            **keywords,
        )

    def last_words(self):
        """What the emulator itself wrote, at most its last 4000 characters."""
        try:
            with open(os.path.join(self.work, "emulator.log"), errors="replace") as file:
                # QEMU says this of each feature of the CPU model that it lacks.
                lines = [line for line in file if "TCG doesn't support" not in line]
                return "".join(lines)[-4000:]
        except OSError:
            return ""

    def autopsy(self):
        """State of a machine that hangs, as text for the log; empty if unknown."""
        return ""

    def save_trace(self):
        """After stop(): see that what was executed is in options.trace."""

    def stop(self):
        """End the process."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def socket_pair():
    """A socket for us and the descriptor number of its other end for a child."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.set_inheritable(True)
    return ours, theirs
