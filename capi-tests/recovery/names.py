"""Names come, move, change places and go, and attributes with them; a model in memory says what there must be.

Every file has contents of its own, so that an exchange that happened twice shows.
"""

import ctypes
import os
import stat
from dataclasses import dataclass, field

LIBC = ctypes.CDLL(None, use_errno=True)
AT_FDCWD, RENAME_NOREPLACE, RENAME_EXCHANGE = -100, 1, 2
NAMES, PLACES = 24, ("left", "right")


def renameat2(old, new, flags):
    if LIBC.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@dataclass(eq=False)
class Inode:
    kind: str
    contents: bytes = b""  # of a file or a symbolic link
    attributes: dict = field(default_factory=dict)


def seen(path):
    """What is at a path, as it can be compared with a model."""
    mode = os.lstat(path).st_mode
    if stat.S_ISDIR(mode):
        return "directory", b""
    if stat.S_ISLNK(mode):
        return "link", os.fsencode(os.readlink(path))
    if stat.S_ISFIFO(mode):
        return "pipe", b""
    with open(path, "rb") as file:
        return "file", file.read()


class Names:
    """Two folders of names. What is not there as the model says is lost or doubled."""

    def __init__(self, folder, dice, tally):
        self.folder, self.dice, self.tally = folder, dice, tally
        self.there, self.made = {}, 0
        for place in PLACES:
            tally.do(os.mkdir, folder / place)

    def path(self, name):
        return self.folder / name

    def some(self, present):
        """A name that is there or not, if there is one."""
        every = [f"{place}/n{i}" for place in PLACES for i in range(NAMES)]
        names = [name for name in every if (name in self.there) == present]
        return self.dice.choice(names) if names else None

    def step(self):
        old, new, another = self.some(True), self.some(False), self.some(True)
        if not old or (new and self.dice.random() < 0.35):
            self.make(new)
        elif self.dice.random() < 0.3:
            self.take(old)
        elif self.dice.random() < 0.3:
            self.attribute(old)
        else:
            self.move(old, new, another)

    def make(self, new):
        self.made += 1
        contents = b"%d:%d" % (os.getpid(), self.made)
        path, do = self.path(new), self.tally.do
        kind = self.dice.choice(("directory", "file", "file", "link", "pipe", "hard link"))
        if kind == "directory":
            do(os.mkdir, path)
        elif kind == "link":
            do(os.symlink, os.fsdecode(contents), path)
        elif kind == "pipe":
            do(os.mkfifo, path)
        elif kind == "file":
            fd = self.tally.create(path)
            do(os.write, fd, contents)
            do(os.close, fd)
        else:
            files = [name for name, inode in self.there.items() if inode.kind == "file"]
            if files:
                source = self.dice.choice(files)
                do(os.link, self.path(source), path)
                self.there[new] = self.there[source]
            return
        self.there[new] = Inode(kind, contents if kind in ("file", "link") else b"")

    def take(self, old):
        remove = os.rmdir if self.there[old].kind == "directory" else os.unlink
        self.tally.do(remove, self.path(old))
        del self.there[old]

    def move(self, old, new, another):
        """To a free name, over another file, or the two change places."""
        source, target = self.there[old], self.there[another]
        if source is not target and self.dice.random() < 0.3:
            self.tally.do(renameat2, self.path(old), self.path(another), RENAME_EXCHANGE)
            self.there[old], self.there[another] = target, source
            self.check(old)
            self.check(another)
        elif source is not target and (source.kind == "directory") == (target.kind == "directory"):
            self.tally.do(os.rename, self.path(old), self.path(another))
            self.there[another] = self.there.pop(old)
            self.check(another)
        elif new:
            self.tally.do(renameat2, self.path(old), self.path(new), self.dice.choice((0, RENAME_NOREPLACE)))
            self.there[new] = self.there.pop(old)

    def attribute(self, old):
        inode = self.there[old]
        if inode.kind not in ("file", "directory"):
            return
        path, do = self.path(old), self.tally.do
        name, value = f"user.a{self.dice.randrange(3)}", b"%d" % self.dice.randrange(1000)
        if name not in inode.attributes:
            do(os.setxattr, path, name, value, os.XATTR_CREATE)
        elif self.dice.random() < 0.5:
            do(os.setxattr, path, name, value, os.XATTR_REPLACE)
        else:
            do(os.removexattr, path, name)
            del inode.attributes[name]
            return
        inode.attributes[name] = value

    def check(self, name):
        inode = self.there[name]
        found = self.tally.do(seen, self.path(name))
        if found not in ((inode.kind, inode.contents), None):
            self.tally.lost.append(f"{name}: {found} instead of {inode.kind} {inode.contents}")

    def differences(self, folder):
        """What of the model is not so in a folder, which need not be where it was made: lost and doubled."""
        lost, doubled = [], []
        found = {f"{place}/{name}" for place in PLACES for name in os.listdir(folder / place)}
        doubled += [f"{name} is there again" for name in found - self.there.keys()]
        lost += [f"{name} is gone" for name in self.there.keys() - found]
        links = {}
        for name in found & self.there.keys():
            inode, path = self.there[name], folder / name
            if seen(path) != (inode.kind, inode.contents):
                lost.append(f"{name}: {seen(path)} instead of {inode.kind} {inode.contents}")
            if inode.kind in ("file", "directory"):
                attributes = {a: os.getxattr(path, a) for a in os.listxattr(path)}
                if attributes != inode.attributes:
                    lost.append(f"{name}: attributes {attributes} instead of {inode.attributes}")
            links.setdefault(inode, set()).add((path.lstat().st_ino, path.lstat().st_nlink))
        for inode, numbers in links.items():
            names = sum(1 for other in self.there.values() if other is inode)
            if inode.kind != "directory" and {count for _, count in numbers} != {names}:
                lost.append(f"{inode.kind} {inode.contents}: links {numbers} instead of {names}")
        return lost, doubled


def names(folder, dice, tally, end):
    model = Names(folder, dice, tally)
    while not end():
        model.step()
    lost, doubled = model.differences(folder)
    tally.lost += lost
    tally.doubled += doubled
    model.tally = None  # it stays in this process
    return model

