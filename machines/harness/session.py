# SPDX-License-Identifier: GPL-2.0-only
"""One run of a machine: carries the command's output and status to the host, reads
the kernel's log over its shoulder, keeps the time."""
import os
import re
import selectors
import signal
import struct
import sys
import termios
import time
import tty

# Statuses of our own, out of the way of most commands'.
STATUS_SPLAT = 123
STATUS_TIMEOUT = 124
STATUS_MACHINE = 125

# Heartbeats come every 5 seconds of the machine's time, which may pass slower than
# ours by a factor of ten when this computer is busy, and by thirty in the Intel machine.
WEDGED_SECONDS = {"amd": 120, "intel": 600}
# The lab kernels take several times as long for everything, and say nothing while they boot
# or look for leaks.
LAB_WEDGED_SECONDS = {"amd": 600, "intel": 1800}
# How long a panicking kernel is given for the rest of its message.
PANIC_SECONDS = 3
# How long the machine is given after the command: for unloading the hypervisor and, on the lab
# kernels, looking for leaks, which takes the Intel machine 6 minutes and more.
END_SECONDS = 600
LAB_END_SECONDS = {"amd": 600, "intel": 2400}
# With --verbose a person is told after so long a silence that the machine still runs.
SILENCE_SECONDS = 4

PANIC = re.compile(rb"Kernel panic - not syncing")
PANIC_END = re.compile(rb"---\[ end Kernel panic")
SPLAT = re.compile(
    rb"WARNING: |BUG: |BUG at |Oops|general protection fault|Call Trace:|"
    rb"rcu: INFO: |INFO: task .* blocked|unchecked MSR access|UBSAN|refcount_t: |"
    rb"Unable to handle|scheduling while atomic|sleeping function called|corruption|"
    rb"soft lockup|hard LOCKUP|double fault|nobody cared|Bad page|Bad rss|"
    rb"Marking clocksource .* unstable|vitro-machine: complaint: |"
    # What the lab kernels find besides, and when one of their detectors gives up.
    rb"KASAN: |KCSAN: |ODEBUG: |INFO: trying to register non-static key|"
    rb"leak detector disabled|lockdep is turned off|turning off the locking"
)
# One may pass, a second tells that a CPU is gone: no use in waiting for the end.
STALL = re.compile(rb"rcu: INFO: .*stall|watchdog: BUG: soft lockup")
FAILED = re.compile(rb"vitro-machine: failed: (.*)")
START = re.compile(rb"vitro-machine: start")
END = re.compile(rb"vitro-machine: end taint (\d+)")
# Bits of the taint that stand for trouble: died (D), warned (W), soft lockup (L),
# machine check (M), bad page (B).
TAINT_TROUBLE = 1 << 4 | 1 << 5 | 1 << 7 | 1 << 9 | 1 << 14

ESCAPE = 1  # Ctrl-A


def note(text):
    """Say something to the person at the terminal."""
    sys.stderr.write(f"machine: {text}\r\n" if sys.stderr.isatty() else f"machine: {text}\n")
    sys.stderr.flush()


class Log:
    """The log file: lines with the host's time and where they come from."""

    def __init__(self, path):
        self.path = path
        self._file = open(path, "w", buffering=1, errors="backslashreplace")
        self._start = time.monotonic()

    def line(self, source, text):
        """Write one line."""
        self._file.write(f"{time.monotonic() - self._start:8.3f} {source}| {text}\n")

    def close(self):
        """Close the file."""
        self._file.close()


class Lines:
    """Cuts a stream into lines for the log."""

    def __init__(self, log, source):
        self._log = log
        self._source = source
        self._rest = b""

    def feed(self, data):
        """Take some bytes; returns the lines that they complete."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        lines = [line.rstrip(b"\r") for line in lines]
        for line in lines:
            self._log.line(self._source, line.decode(errors="backslashreplace"))
        return lines

    def flush(self):
        """Log what is left without its end."""
        if self._rest:
            self.feed(b"\n")


class Session:
    """Runs the machine to the end of its command.  run() returns the status."""

    def __init__(self, emulator, options, log):
        self.emulator = emulator
        self.options = options
        self.log = log
        self.splats = []
        self._status = None     # of the command
        self._verdict = None    # (status, message) if the machine failed
        self._finished = False
        self._deadline = None   # (time, what to conclude then)
        lab = options.kernel in ("lab", "kcsan")
        self._wedged = (LAB_WEDGED_SECONDS if lab else WEDGED_SECONDS)[options.machine]
        self._end = LAB_END_SECONDS[options.machine] if lab else END_SECONDS
        self._start = self._heard = self._shown = time.monotonic()
        self._started = False   # the command runs
        self._frames = b""
        self._stalls = 0
        self._console = Lines(log, "L1")
        self._out = {b"O": Lines(log, "out"), b"E": Lines(log, "err")}
        self._selector = selectors.DefaultSelector()
        self._escaped = False

    def run(self):
        """Carry everything until the end; the machine runs already."""
        limit = time.monotonic() + self.options.timeout if self.options.timeout else None
        for stream, handler in ((self.emulator.console, self._on_console),
                                (self.emulator.link, self._on_link)):
            self._selector.register(stream, selectors.EVENT_READ, handler)
        if self.options.interactive:
            self._selector.register(sys.stdin, selectors.EVENT_READ, self._on_stdin)
        while not self._finished:
            events = self._selector.select(0.5)
            for key, _ in events:
                key.data(key.fileobj)
            if not events and self.emulator.process.poll() is not None:
                self._conclude(*(self._deadline[1] if self._deadline else (
                    STATUS_MACHINE, "the emulator ended with status "
                    f"{self.emulator.process.returncode}: {self.emulator.last_words()}")))
            self._watch_time(limit)
        self._console.flush()
        for lines in self._out.values():
            lines.flush()
        return self._judge()

    def _watch_time(self, limit):
        now = time.monotonic()
        if self._deadline and now > self._deadline[0]:
            self._conclude(*self._deadline[1])
        elif limit and now > limit:
            self._conclude(STATUS_TIMEOUT, f"no end after {self.options.timeout:g} seconds")
        elif now > self._heard + self._wedged and not (
                self.options.deterministic or self.options.gdb or self.options.debugger):
            self._conclude(STATUS_TIMEOUT,
                           f"the machine gave no sign of life for {self._wedged} seconds")
        if self.options.verbose and now > self._shown + SILENCE_SECONDS and not (
                self._started and self.options.interactive):
            self._shown = now
            note(f"{now - self._start:.0f} s, "
                 + ("the command is running" if self._started else "the machine is booting"))

    def _conclude(self, status, message):
        if not self._finished:
            self._finished = True
            self._verdict = (status, message) if message else None
            if status == STATUS_TIMEOUT:
                for line in self.emulator.autopsy().splitlines():
                    self.log.line("cpu", line)
                self._last_lines()

    def _last_lines(self):
        """What L1's kernel still says, for a moment."""
        end = time.monotonic() + PANIC_SECONDS
        while self.emulator.process.poll() is None and time.monotonic() < end:
            self._console.feed(receive(self.emulator.console))
            time.sleep(0.02)

    def _judge(self):
        if self._verdict:
            status, message = self._verdict
            self.log.line("run", message)
            note(message)
            return status
        for splat in self.splats[:10]:
            note(f"L1's kernel complained: {splat}")
        if self.splats and self.options.fail_on_splat and not self._status:
            return STATUS_SPLAT
        return self._status

    def _on_console(self, stream):
        data = receive(stream)
        if not data:
            self._ended(stream)
            return
        self._heard = time.monotonic()
        for line in self._console.feed(data):
            self._on_line(line)

    def _ended(self, stream):
        """The emulator has closed a port; what the other still holds is read first."""
        self._selector.unregister(stream)
        if self._deadline is None:
            self._deadline = (time.monotonic() + PANIC_SECONDS, (
                STATUS_MACHINE, "the emulator ended before the command did: "
                + self.emulator.last_words()))

    def _on_line(self, line):
        text = line.decode(errors="backslashreplace")
        if PANIC_END.search(line):
            self._deadline = (0, self._deadline[1] if self._deadline else
                              (STATUS_MACHINE, text))
        elif PANIC.search(line):
            self._deadline = (time.monotonic() + PANIC_SECONDS,
                              (STATUS_MACHINE, f"L1's kernel panicked: {text}"))
        elif FAILED.search(line):
            self._conclude(STATUS_MACHINE, FAILED.search(line).group(1).decode() + self._tail())
        elif START.search(line):
            self._started = True
        elif END.search(line):
            # What the agent sent came before this line, but may not have been looked at yet.
            while data := receive(self.emulator.link):
                self._take_frames(data)
            taint = int(END.search(line).group(1))
            if taint & TAINT_TROUBLE and not self.splats:
                self.splats.append(f"the kernel is tainted ({taint:#x})")
            if self._status is None:
                self._conclude(STATUS_MACHINE, "the agent in the machine failed")
            else:
                self._conclude(0, None)
        elif SPLAT.search(line):
            self.splats.append(text)
            self._stalls += bool(STALL.search(line))
            if self._stalls == 2 and self.options.fail_on_splat and not self.options.interactive:
                self._conclude(STATUS_TIMEOUT, f"L1's kernel is stuck: {text}")

    def _tail(self):
        """The last lines of the kernel's log, which say why a module did not load."""
        with open(self.log.path, errors="replace") as file:
            lines = [line.split("L1| ", 1)[1] for line in file if "L1| " in line]
        return "".join("\n    " + line.rstrip() for line in lines[-6:])

    def _on_link(self, stream):
        data = receive(stream)
        if not data:
            self._ended(stream)
            return
        self._heard = time.monotonic()
        self._take_frames(data)

    def _take_frames(self, data):
        self._frames += data
        while len(self._frames) >= 3:
            length = struct.unpack_from("<H", self._frames, 1)[0]
            if len(self._frames) < 3 + length:
                return
            kind, payload = self._frames[:1], self._frames[3 : 3 + length]
            self._frames = self._frames[3 + length :]
            self._on_frame(kind, payload)

    def _on_frame(self, kind, payload):
        if kind in self._out:
            self._shown = time.monotonic()
            self._out[kind].feed(payload)
            write_all(1 if kind == b"O" else 2, payload)
        elif kind == b"X":
            self._status = payload[0]
            self.log.line("run", f"the command ended with status {self._status}")
            if self.options.interactive:
                self._conclude(0, None)
            else:
                self._deadline = (time.monotonic() + self._end, (
                    STATUS_TIMEOUT, "the machine did not end after the command: is the "
                    "hypervisor stuck in unloading?"))

    def _on_stdin(self, stream):
        data = os.read(stream.fileno(), 512)
        if not data:
            self._selector.unregister(stream)
            return
        out = b""
        for byte in data:
            if self._escaped and byte in b"xX":
                self._status = 0
                self._conclude(0, None)
            elif byte == ESCAPE and not self._escaped:
                self._escaped = True
                continue
            else:
                out += bytes([byte])
            self._escaped = False
        if out:
            self.send(b"I", out)

    def send(self, kind, payload):
        """Send a frame to the agent."""
        self.emulator.link.setblocking(True)
        self.emulator.link.sendall(kind + struct.pack("<H", len(payload)) + payload)
        self.emulator.link.setblocking(False)


def receive(stream):
    """Read what is there from a socket or a file; nothing means its end."""
    try:
        return os.read(stream.fileno(), 65536)
    except BlockingIOError:
        return b""
    except OSError:
        return b""


def write_all(descriptor, data):
    """Write all of data, to a reader who may be slow."""
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            time.sleep(0.01)


class RawTerminal:
    """While in this context the terminal passes every key on, and follows its size."""

    def __init__(self, session):
        self._session = session
        self._saved = None

    def _resize(self, *_):
        size = os.get_terminal_size(0)
        self._session.send(b"W", bytes([min(size.lines, 255), min(size.columns, 255)]))

    def __enter__(self):
        if os.isatty(0):
            self._saved = termios.tcgetattr(0)
            tty.setraw(0)
            signal.signal(signal.SIGWINCH, self._resize)
        return self

    def __exit__(self, *_):
        if self._saved:
            termios.tcsetattr(0, termios.TCSADRAIN, self._saved)
