"""Files without a name: removed or replaced while they are open, or made without one. They stay what they are until they
are closed, and leave nothing behind."""

import os
import shutil

SIZE = 20_000


def check(tally, fd, expected, what):
    found = tally.do(os.pread, fd, SIZE + 1, 0)
    if found != expected:
        tally.lost.append(f"{what}: {len(found or b'')} bytes that are not what was written")
    links = tally.do(os.fstat, fd).st_nlink
    if links != 0:
        tally.lost.append(f"{what}: {links} links")


def removed(folder, dice, tally):
    data = dice.randbytes(SIZE)
    fd = tally.create(folder / "removed")
    tally.do(os.pwrite, fd, data[: SIZE // 2], 0)
    tally.do(os.unlink, folder / "removed")
    tally.do(os.pwrite, fd, data[SIZE // 2 :], SIZE // 2)
    return fd, data


def replaced(folder, dice, tally):
    data = dice.randbytes(SIZE)
    fd = tally.create(folder / "old")
    tally.do(os.pwrite, fd, data, 0)
    tally.do(os.close, tally.create(folder / "new"))
    tally.do(os.rename, folder / "new", folder / "old")
    tally.do(os.unlink, folder / "old")
    return fd, data


def nameless(folder, dice, tally):
    data = dice.randbytes(SIZE)
    fd = tally.do(os.open, folder, os.O_TMPFILE | os.O_RDWR)
    tally.do(os.pwrite, fd, data, 0)
    return fd, data


def named_later(folder, dice, tally):
    """A file without a name gets one, is read by it, and loses it again."""
    fd, data = nameless(folder, dice, tally)
    # By linkat(2), which alone follows: link(2) is taken where no folder is given.
    tally.do(os.link, f"/proc/self/fd/{fd}", folder / "named", src_dir_fd=fd, follow_symlinks=True)
    other = tally.do(os.open, folder / "named", os.O_RDONLY)
    if tally.do(os.pread, other, SIZE, 0) != data or tally.do(os.fstat, other).st_nlink != 1:
        tally.lost.append("what got a name later is not what it was")
    tally.do(os.close, other)
    tally.do(os.unlink, folder / "named")
    return fd, data


def unlinked(folder, dice, tally, end):
    """Some are open at a time, so that most restarts meet them."""
    makers, open_files = (removed, replaced, nameless, named_later), []
    while not end():
        make = dice.choice(makers)
        open_files.append((*make(folder, dice, tally), make.__name__))
        for fd, data, what in dice.sample(open_files, min(4, len(open_files))):
            check(tally, fd, data, what)
        if len(open_files) > 12:
            tally.do(os.close, open_files.pop(dice.randrange(len(open_files)))[0])
    for fd, data, what in open_files:
        check(tally, fd, data, what)
        tally.do(os.close, fd)
    tally.do(shutil.rmtree, folder)
    return True
