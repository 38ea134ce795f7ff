"""Names of any bytes: what is asked for is what the kernel lists, or the refusal is clear and nothing is mounted."""

import os
from dataclasses import dataclass

import pytest
from tables import AS_NOBODY, NOBODY, SOURCE, Table

USERS = {"root": (), "nobody": AS_NOBODY}
NAMES = [
    *("plain", "a,b", "a\\b", "a\\\\b,", "ends\\", "ends,", 'quo"te', "quo'te", "two words", " lead", "new\nline", "tab\t"),
    *("ünïcödé 漢字", "\udcff\udcfe", "\x01\x7f", "hash#", "octal\\040", "a=b", "-dash", "--", "a,suid,dev", "x" * 200),
]
LONG = [255, 256, 1000, 3900]
# Longer than a path may be, with its NUL.
TOO_LONG = 4096


@dataclass(frozen=True)
class Named:
    fsname: str | None = None
    subtype: str | None = None

    def option(self):
        escape = {ord(","): "\\,", ord("\\"): "\\\\"}
        named = {"fsname": self.fsname, "subtype": self.subtype}
        return ",".join(f"{key}={name.translate(escape)}" for key, name in named.items() if name)

    def is_shown(self, mount):
        fstype = f"fuse.{self.subtype}" if self.subtype else "fuse"
        return (mount.fstype, mount.source) == (fstype, self.fsname or self.subtype)


def named(name):
    return [Named(fsname=name), Named(subtype=name), Named(fsname=name, subtype=name)]


@pytest.fixture
def table(guard, compiled):
    os.chown(guard.mountpoint, NOBODY, NOBODY)
    flags = ("-Wall", "-Wextra", "-Werror")
    return lambda library: Table(guard, library, compiled(library, SOURCE, flags=flags))


@pytest.mark.parametrize("user", USERS)
def test_names(libs, table, guard, user):
    cases = [case for name in [*NAMES, *("n" * length for length in LONG)] for case in named(name)]
    records = [("mount", guard.mountpoint, case.option()) for case in cases]
    ours = [table(libs[name]).run(records, user=USERS[user]) for name in ("so4", "so3")]
    for case, so4, so3 in zip(cases, *ours, strict=True):
        assert so4 == so3
        so4.assert_clean()
        # fusermount3 reads lines of the mount table that are no longer than a page.
        if user == "nobody" and case.subtype and len(case.subtype) > 2000:
            assert so4.errno == "ENAMETOOLONG" and str(guard.mountpoint) in so4.log and so4.log.count("\n") == 1
        else:
            assert so4.returned == 0 and case.is_shown(so4.mounted[0]), (case, so4)
    # The system's library, with its fusermount3, loses backslashes within a user's subtype, and with a comma all of it.
    short = [case for case in cases if max(map(len, (case.fsname or "", case.subtype or ""))) < min(LONG)]
    system = table(libs["system"]).run(records[: len(short)], user=USERS[user])
    for case, theirs in zip(short, system, strict=True):
        lost = user == "nobody" and case.subtype and ("\\" in case.subtype[:-1] or "," in case.subtype)
        assert case.is_shown(theirs.mounted[0]) != bool(lost), (case, theirs)


def deep(guard, length):
    """A folder whose path has so many bytes."""
    path = str(guard.work)
    while len(path) + 202 < length:
        path += "/" + "d" * 200
    path += "/" + "e" * (length - len(path) - 1)
    os.makedirs(path)
    return path


@pytest.mark.parametrize("user", USERS)
def test_mountpoints(libs, table, guard, user):
    points = [str(guard.folder(f"-p {name}")) for name in NAMES] + [deep(guard, 4000)]
    for point in points:
        os.chown(point, NOBODY, NOBODY)
    too_long = [f"{guard.work}/{'x' * TOO_LONG}", f"{guard.work}/missing/{'x' * 300}"]
    records = [("mount", point, "") for point in points + too_long]
    found = [table(library).run(records, user=USERS[user]) for library in libs.values()]
    for point, *outcomes in zip(points, *found, strict=False):
        for outcome in outcomes:
            outcome.assert_clean()
            assert [mount.point for mount in outcome.mounted] == [point], (point, outcome)
    for outcomes in found:
        # In a folder that is missing, the name does not matter any more.
        assert [outcome.errno for outcome in outcomes[len(points) :]] == ["ENAMETOOLONG", "ENOENT"]
        assert all(outcome.log.count("\n") == 1 and not outcome.mounted for outcome in outcomes[len(points) :])


def test_too_long_names(libs, table, guard):
    """What no page holds; nothing is cut off."""
    cases = named("n" * TOO_LONG)
    for name in ("so4", "so3"):
        for outcome in table(libs[name]).run([("mount", guard.mountpoint, case.option()) for case in cases]):
            outcome.assert_clean()
            assert (outcome.returned, outcome.errno, outcome.mounted) == (-1, "EINVAL", ())
            assert outcome.log.count("\n") == 1 and str(guard.mountpoint) in outcome.log
