"""Runs lists of mounts in one process, see table.c."""

import errno
import itertools
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from harness import mounts

SOURCE = Path(__file__).with_name("table.c")
NOBODY = 65534
NUMBERS = itertools.count()
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")


@dataclass(frozen=True)
class Mounted:
    """A line of mountinfo."""

    point: str
    flags: str
    fstype: str
    source: str
    options: str


@dataclass(frozen=True)
class Outcome:
    """What came of one record."""

    returned: int  # -2: there was no session
    errno: str
    descriptors: int
    children: int
    log: str
    mounted: tuple
    left: tuple

    def shown(self):
        """The mount as the kernel lists it, or None."""
        [mount] = self.mounted or [None]
        return mount and f"{mount.flags} - {mount.fstype} {mount.source} {mount.options}"

    def assert_clean(self):
        assert (self.descriptors, self.children, self.left) == (0, 0, ()), self


def _text(field):
    raw = re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), field.encode())
    return raw.decode(errors="surrogateescape")


def _unescape(field):
    """Undoes the mount table's octal escapes."""
    raw = re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8)]), field.encode(errors="surrogateescape"))
    return raw.decode(errors="surrogateescape")


def _mounts(text):
    found = []
    for line in text.split("\n")[:-1]:
        fields = line.split(" ")
        dash = fields.index("-")
        found.append(Mounted(*map(_unescape, (fields[4], fields[5], *fields[dash + 1 :]))))
    return tuple(found)


def parse(line):
    returned, error, descriptors, children, *texts = line.split("\t")
    log, mounted, left = map(_text, texts[:3])
    name = errno.errorcode.get(int(error), error)
    return Outcome(int(returned), name, int(descriptors), int(children), log, _mounts(mounted), _mounts(left))


class Table:
    """Runs lists on one library, in mount namespaces of their own."""

    def __init__(self, guard, library, program):
        self.guard = guard
        self.program = program
        self.library = library
        if library.libdir:
            # Where other users can read it: the build folder may be in someone's home.
            libdir = guard.folder(f"lib-{library.name}")
            shutil.copy(library.file(), libdir / library.soname)
            self.library = replace(library, libdir=libdir)

    def run(self, records, *, user=(), prepare="", env=None, timeout=60):
        """The outcomes of records (what, mount point, options), after a shell script has changed the namespace."""
        path = self.guard.work / f"list-{next(NUMBERS)}"
        encoded = [str(field).encode(errors="surrogateescape") + b"\0" for record in records for field in record]
        path.write_bytes(b"".join(encoded))
        script = f'{prepare}\nexec "$@"'
        inside = ("unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh")
        done = self.guard.run(self.library, [*inside, *user, self.program, path], env=env, timeout=timeout)
        assert done.returncode == 0 and mounts(self.guard.mountpoint) == [], done
        return [parse(line) for line in done.stdout.splitlines()]
