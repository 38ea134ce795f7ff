"""What a load says of what it did: errors, hangs, lost and doubled operations, each with a line that tells which."""

import errno
import os
import time
import traceback
from dataclasses import dataclass, field

# An operation that takes longer is hung.
PATIENCE = 30.0

# What an operation says that finds itself done already.
AGAIN = (errno.EEXIST, errno.ENOENT, errno.ENODATA)


class GiveUp(Exception):
    """After an error it is not known what is there: the round ends, and what it left is not looked at."""


@dataclass
class Tally:
    """What one process found."""

    clock: object  # when the operation began that is under way, 0 for none; seen by the parent, see running.py
    done: int = 0
    errors: list = field(default_factory=list)
    hangs: list = field(default_factory=list)
    lost: list = field(default_factory=list)
    doubled: list = field(default_factory=list)

    def do(self, function, *args, what=None, **more):
        """One operation, which must succeed; its result. None if it found itself done already: it is as good as done."""
        begin = self.clock.value = time.monotonic()
        name = what or getattr(function, "__name__", "operation")
        try:
            return function(*args, **more)
        except OSError as error:
            line = f"{name}{args}: {error}"
            if error.errno in AGAIN:
                self.doubled.append(line)
                return None
            self.errors.append(line)
            raise GiveUp from error
        finally:
            self.clock.value = 0
            self.done += 1
            if (took := time.monotonic() - begin) > PATIENCE:
                self.hangs.append(f"{name}{args}: {took:.1f} s")

    def create(self, path):
        """A file that is not there yet, open for reading and writing."""
        fd = self.do(os.open, path, os.O_CREAT | os.O_EXCL | os.O_RDWR)
        return self.do(os.open, path, os.O_RDWR) if fd is None else fd

    def whole(self, load, folder, dice):
        """A load that raises what it finds, as one operation."""
        begin = self.clock.value = time.monotonic()
        try:
            load(folder, dice)
        except AssertionError as error:
            self.lost.append(f"{load.__name__}: {error}")
            raise GiveUp from error
        except (OSError, ValueError):
            self.errors.append(traceback.format_exc())
            raise GiveUp from None
        finally:
            self.clock.value = 0
            self.done += 1
            if (took := time.monotonic() - begin) > PATIENCE:
                self.hangs.append(f"{load.__name__}: {took:.1f} s")

    def report(self):
        return {"done": self.done, **{kind: getattr(self, kind) for kind in KINDS}}


KINDS = ("errors", "hangs", "lost", "doubled")


def total(reports):
    """All lines of a kind, of several reports."""
    return {kind: [line for report in reports for line in report[kind]] for kind in KINDS}
