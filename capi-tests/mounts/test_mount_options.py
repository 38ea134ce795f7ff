"""What each mount option does, as the kernel lists the mount, for root and for a user: as on the system's library where
that knows the option."""

import errno
import os

import pytest
from tables import AS_NOBODY, NOBODY, SOURCE, Table

USERS = {"root": (0, ()), "nobody": (NOBODY, AS_NOBODY)}
UNKNOWN = "unknown"  # refused in a line that names it
SAFE = "nosuid,nodev"



def mount(flags, own="rw", more=""):
    """A mount as the kernel lists it, whose user is filled in later."""
    return f"{flags} - fuse /dev/fuse {own},user_id=%d,group_id=%d{more}"


# Option -> for root and for a user: the mount, or an errno, or UNKNOWN. One for both if equal.
OPTIONS = {
    "": mount(f"rw,{SAFE},relatime"),
    "ro": mount(f"ro,{SAFE},relatime", "ro"),
    "rw": mount(f"rw,{SAFE},relatime"),
    "ro,rw": mount(f"rw,{SAFE},relatime"),
    "rw,ro": mount(f"ro,{SAFE},relatime", "ro"),
    "-r": mount(f"ro,{SAFE},relatime", "ro"),
    "nosuid,nodev": mount(f"rw,{SAFE},relatime"),
    # A user's are dropped without a word.
    "suid": (mount("rw,nodev,relatime"), mount(f"rw,{SAFE},relatime")),
    "dev": (mount("rw,nosuid,relatime"), mount(f"rw,{SAFE},relatime")),
    "suid,dev,exec": (mount("rw,relatime"), mount(f"rw,{SAFE},relatime")),
    "suid,nosuid": mount(f"rw,{SAFE},relatime"),
    "noexec": mount(f"rw,{SAFE},noexec,relatime"),
    "noexec,exec": mount(f"rw,{SAFE},relatime"),
    "sync": mount(f"rw,{SAFE},relatime", "rw,sync"),
    "sync,async": mount(f"rw,{SAFE},relatime"),
    "dirsync": mount(f"rw,{SAFE},relatime", "rw,dirsync"),
    "noatime": mount(f"rw,{SAFE},noatime"),
    "noatime,atime": mount(f"rw,{SAFE},relatime"),
    "nodiratime": (mount(f"rw,{SAFE},nodiratime,relatime"), "EPERM"),
    "nostrictatime": mount(f"rw,{SAFE},relatime"),
    "norelatime": mount(f"rw,{SAFE},relatime"),
    "nosymfollow": (mount(f"rw,{SAFE},relatime,nosymfollow"), "EPERM"),
    "nosymfollow,symfollow": mount(f"rw,{SAFE},relatime"),
    "default_permissions": mount(f"rw,{SAFE},relatime", "rw", ",default_permissions"),
    "allow_other": (mount(f"rw,{SAFE},relatime", "rw", ",allow_other"), "EPERM"),
    # The kernel lets all in, and the session turns away all but root and the owner.
    "allow_root": (mount(f"rw,{SAFE},relatime", "rw", ",allow_other"), "EPERM"),
    "max_read=4096": mount(f"rw,{SAFE},relatime", "rw", ",max_read=4096"),
    "max_read=1048576": mount(f"rw,{SAFE},relatime", "rw", ",max_read=1048576"),
    "blkdev": "EINVAL",
    "blkdev,fsname=/dev/null": ("ENOTBLK", "EPERM"),
    "blkdev,fsname=/nowhere": ("ENOENT", "EPERM"),
    "blksize=512": "EINVAL",
    "context=u:r:t:s0": ("EINVAL", "EPERM"),
    "fscontext=u:r:t:s0": ("EINVAL", "EPERM"),
    "defcontext=u:r:t:s0": ("EINVAL", "EPERM"),
    "rootcontext=u:r:t:s0": ("EINVAL", "EPERM"),
    "nonempty": mount(f"rw,{SAFE},relatime"),
    "x-gvfs-hide": mount(f"rw,{SAFE},relatime"),
    "x-systemd.automount,x-y=z": mount(f"rw,{SAFE},relatime"),
    "user=someone": mount(f"rw,{SAFE},relatime"),
    "-n": mount(f"rw,{SAFE},relatime"),
    "fsname=": "EINVAL",
    "subtype=": "EINVAL",
    "max_read=": "EINVAL",
    "max_read=4k": "EINVAL",
    "max_read=4294967296": "EINVAL",
    **dict.fromkeys(
        "relatime strictatime lazytime mand iversion defaults auto noauto nofail _netdev user users group owner remount"
        " bind fd=3 rootmode=0 user_id=1 group_id=1 large_read hard_remove use_ino fsname subtype ro=1 nonsense".split(),
        UNKNOWN,
    ),
}

# What 3.14 does otherwise, by who mounts: an option that came later, or a fault.
LATER = "came after 3.14"
DELIBERATE = {
    "nodiratime": {"root": LATER},
    "nosymfollow": {"root": LATER},
    "nosymfollow,symfollow": {"root": LATER, "nobody": LATER},
    "nostrictatime": {"root": LATER, "nobody": LATER},
    "norelatime": {"root": LATER, "nobody": LATER},
    "x-gvfs-hide": {"root": LATER, "nobody": LATER},
    "x-systemd.automount,x-y=z": {"root": LATER, "nobody": LATER},
    "nonempty": dict.fromkeys(USERS, "libfuse 2's word for what is the default now: harmless, and in many a fstab"),
    "-n": {"nobody": "fusermount3 refuses what is for mount(8)"},
    "user=someone": {"nobody": "fusermount3 refuses it, and knows itself who its user is"},
    "subtype=": {"nobody": "there the second attempt is without the subtype"},
}


@pytest.fixture
def table(guard, compiled):
    os.chown(guard.mountpoint, NOBODY, NOBODY)
    flags = ("-Wall", "-Wextra", "-Werror")
    return lambda library: Table(guard, library, compiled(library, SOURCE, flags=flags))


def expected(option, user):
    wanted = OPTIONS[option]
    return wanted if isinstance(wanted, str) else wanted[list(USERS).index(user)]


def check(option, user, outcome):
    wanted = expected(option, user)
    outcome.assert_clean()
    if "%d" in wanted:
        assert outcome.returned == 0 and outcome.shown() == wanted % (2 * USERS[user][:1]), (option, outcome)
        return
    assert outcome.mounted == () and len(outcome.log.splitlines()) == 1, (option, outcome)
    if wanted == UNKNOWN:
        assert outcome.errno == "EINVAL" and option in outcome.log, (option, outcome)
    else:
        assert outcome.errno == wanted, (option, outcome)
        word = option.split(",")[0].split("=")[0]
        assert word in outcome.log or word in ("blkdev", "allow_root"), (option, outcome)


@pytest.mark.parametrize("user", USERS)
def test_options(libs, table, guard, user):
    records = [("mount", guard.mountpoint, option) for option in OPTIONS]
    system = table(libs["system"]).run(records, user=USERS[user][1])
    for name in ("so4", "so3"):
        ours = table(libs[name]).run(records, user=USERS[user][1])
        assert len(ours) == len(system) == len(OPTIONS)
        for option, mine, theirs in zip(OPTIONS, ours, system, strict=True):
            check(option, user, mine)
            assert (mine.shown() == theirs.shown()) != (user in DELIBERATE.get(option, {})), (option, mine, theirs)


def test_users_may_let_others_in_where_the_administrator_allows_it(libs, table, guard):
    conf = guard.work / "fuse.conf"
    conf.write_text("user_allow_other\n")
    records = [("mount", guard.mountpoint, option) for option in ("allow_other", "allow_root")]
    for library in libs.values():
        outcomes = table(library).run(records, user=AS_NOBODY, prepare=f"mount --bind {conf} /etc/fuse.conf")
        assert ["allow_other" in outcome.mounted[0].options for outcome in outcomes] == [True, True]


# What may be closed to a program: the call's number, the errno.
FSOPEN, FSMOUNT, MOVE_MOUNT = 430, 432, 429
MOUNT = {"x86_64": 165, "aarch64": 40}[os.uname().machine]
CLOSED = {
    "old kernel": [(FSOPEN, errno.ENOSYS)],
    "sandbox": [(FSOPEN, errno.EPERM)],
    "sandbox from fsmount on": [(FSMOUNT, errno.EPERM)],
    "sandbox from move_mount on": [(MOVE_MOUNT, errno.ENOSYS)],
    "AppArmor": [(MOVE_MOUNT, errno.EACCES)],
    "AppArmor from fsopen on": [(FSOPEN, errno.EACCES)],
}


@pytest.mark.parametrize("name", ["so4", "so3"])
def test_every_way_to_mount_looks_the_same(libs, table, guard, name):
    """By file descriptors, and by mount(2) where those are closed: the same mounts, the same refusals."""
    table = table(libs[name])
    records = [("mount", guard.mountpoint, option) for option in OPTIONS]
    records += [("mount", guard.mountpoint, f"fsname={'n' * length},subtype=s") for length in (255, 256)]
    direct = table.run([("forbid", MOUNT, errno.EPERM), *records])
    assert direct[-1].returned == -1, "a long name takes mount(2)"
    for closed in CLOSED.values():
        outcomes = table.run([*(("forbid", *call) for call in closed), *records])
        for record, one, other in zip(records, direct[:-1], outcomes, strict=False):
            # Only the newer way has the kernel's own words.
            logs = [outcome.log.split(" (")[0].strip() for outcome in (one, other)]
            assert logs[0] == logs[1] and one.shown() == other.shown(), (record, one, other)
            assert one.returned == other.returned == 0 or one.errno == other.errno, (record, one, other)
            other.assert_clean()
        assert len(outcomes[-1].mounted[0].source) == 256
