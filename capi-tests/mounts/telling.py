"""A daemon that says what the kernel tells it (told.c), for the tests of what INIT agrees on."""

import os
from pathlib import Path

import pytest
from harness import REPO, wait_until

DIFFERENTIAL = REPO / "capi-tests" / "differential"
SHARED = ("harness", "text", "answers", "record", "requests", "memfs", "memfs_xattr")
SOURCES = (Path(__file__).with_name("told.c"), *(DIFFERENTIAL / f"{name}.c" for name in SHARED))
FLAGS = ("-std=gnu11", "-Wall", "-Wextra", "-Werror", "-I", str(DIFFERENTIAL))
USER, GROUP, SHARED_GROUP = 1000, 1000, 2000

# FUSE_CAP of the headers, and flags of INIT and of open in <linux/fuse.h>.
DONT_MASK, NO_OPEN, PARALLEL_DIROPS, POSIX_ACL = 1 << 6, 1 << 17, 1 << 18, 1 << 19
KILLPRIV, KILLPRIV_V2, CACHE_SYMLINKS, NO_OPENDIR = 1 << 20, 1 << 21, 1 << 23, 1 << 24
EXPORT, SETXATTR_EXT, DIRECT_MMAP, NO_EXPORT = 1 << 4, 1 << 27, 1 << 28, 1 << 30
ALLOW_IDMAP, SECURITY_CTX = 1 << 32, 1 << 33
ABORT_ERROR, CREATE_SUPP_GROUP, HAS_RESEND, REQUEST_TIMEOUT = 1 << 21, 1 << 34, 1 << 39, 1 << 42
# The flag of INIT by which the kernel offers a capability.
OFFERED_BY = {
    POSIX_ACL: 1 << 20,
    KILLPRIV_V2: 1 << 28,
    SETXATTR_EXT: 1 << 29,
    SECURITY_CTX: 1 << 32,
    DIRECT_MMAP: 1 << 36,
    NO_EXPORT: 1 << 38,
    ALLOW_IDMAP: 1 << 40,
}
FOPEN_DIRECT_IO, FOPEN_STREAM = 1 << 0, 1 << 4


def lines(daemon, word=""):
    found = [line.split(" | ", 1)[1] for line in daemon.output().splitlines() if " | " in line]
    return [line for line in found if line.startswith(word)]


def last(daemon, word):
    return lines(daemon, word)[-1]


def skip_without(daemon, *caps, flags=0):
    """Skips on a kernel that does not offer capabilities or flags of INIT. What it does, the library must pass on."""
    line = wait_until(lambda: lines(daemon, "init offers"), "INIT")[0]
    for cap in caps:
        flags |= OFFERED_BY[cap]
    if flags & ~int(line.split()[2].rstrip(","), 16):
        pytest.skip("the kernel does not offer it")
    assert lines(daemon, "init lacks") == [] and line.endswith(" 0"), lines(daemon)


def as_user(function, *args, groups=()):
    """In a child: without privileges."""
    os.setgroups(groups)
    os.setresgid(GROUP, GROUP, GROUP)
    os.setresuid(USER, USER, USER)
    return function(*args)


def write_to(path, data=b"x", flags=os.O_WRONLY):
    fd = os.open(path, flags, 0o644)
    try:
        return os.write(fd, data)
    finally:
        os.close(fd)
