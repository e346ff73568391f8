# SPDX-License-Identifier: GPL-2.0-only
"""Reads KTAP (and TAP 13) line by line, with results nested by two spaces."""
import re

RESULT = re.compile(r"(not )?ok (\d+)(?: -)?(?: (.*?))??(?:\s+# (SKIP|TODO|XFAIL)\b ?(.*))?$", re.I)
PLAN = re.compile(r"1\.\.(\d+)")
SUBTEST = re.compile(r"# Subtest: (.*)")
VERSION = re.compile(r"K?TAP version \d+")


class Level:
    """What is known of the results at one depth since the level began."""

    def __init__(self, name=""):
        self.name = name
        self.plan = None
        self.count = 0
        self.failed = 0

    def complaint(self):
        """What is wrong with the number of results, or nothing."""
        if self.plan is None:
            return f"{self.count} results came, but no plan (1..N)"
        if self.plan != self.count:
            return f"the plan announced {self.plan} results, but {self.count} came"
        return None


class Parser:
    """feed() takes a line; each test's result goes to report(name, verdict, notes).

    verdict is "ok", "fail" or "skip"; notes are the lines since the result before.
    A result that has others nested before it stands for them: it is reported only if
    it says something that they do not.
    """

    def __init__(self, report):
        self._report = report
        self._levels = [Level()]
        self._notes = []

    def feed(self, line):
        """Take one line without its end."""
        text = line.lstrip(" ")
        depth = (len(line) - len(text)) // 2
        if VERSION.fullmatch(text):
            self._enter(depth)
        elif PLAN.fullmatch(text.split(" #")[0].rstrip()):
            self._enter(depth).plan = int(text.split(" #")[0].rstrip()[3:])
        elif SUBTEST.fullmatch(text):
            # It stands at the depth of its results; before the first level of them also
            # at none.
            name = SUBTEST.fullmatch(text).group(1)
            self._levels[max(depth, 1) :] = [Level(name)]
        elif text.startswith("Bail out!"):
            self._enter(depth)
            self._result(depth, f"bailed out: {text[9:].strip()}", "fail")
        else:
            match = RESULT.fullmatch(text)
            if not match:
                self._notes.append(line)
                return
            self._enter(depth)
            verdict = "fail" if match.group(1) else "ok"
            if match.group(4):
                verdict = "skip"
            self._close_below(depth, verdict, match.group(3) or f"test {match.group(2)}",
                              match.group(5))

    def _enter(self, depth):
        while len(self._levels) <= depth:
            self._levels.append(Level())
        return self._levels[depth]

    def _name(self, name, depth):
        return ": ".join([lv.name for lv in self._levels[1 : depth + 1] if lv.name] + [name])

    def _result(self, depth, name, verdict):
        level = self._levels[depth]
        level.count += 1
        level.failed += verdict == "fail"
        self._report(self._name(name, depth), verdict, self._notes)
        self._notes = []

    def _close_below(self, depth, verdict, name, reason):
        below = self._levels[depth + 1 :]
        del self._levels[depth + 1 :]
        if reason:
            self._notes.append(f"# {reason}")
        if not any(level.count or level.plan for level in below):
            self._result(depth, name, verdict)
            return
        # A parent: its children have been reported.
        level = self._levels[depth]
        level.count += 1
        complaint = below[0].complaint()
        if complaint:
            self._notes.append(f"# {name}: {complaint}")
        if complaint or (verdict == "fail" and not any(lv.failed for lv in below)):
            level.count -= 1
            self._result(depth, name, "fail")
        level.failed += any(lv.failed for lv in below)

    def finish(self, status):
        """The stream has ended, with the exit status of its program."""
        complaint = self._levels[0].complaint()
        open_levels = [level for level in self._levels[1:] if level.count or level.plan]
        if open_levels and not complaint:
            complaint = "the results end inside of a subtest"
        if complaint:
            self._notes.append(f"# {complaint}; exit status {status}")
            self._result(0, "end of the results", "fail")
        elif status and not self._levels[0].failed:
            self._notes.append(f"# exit status {status}, though no test failed")
            self._result(0, "exit status", "fail")
