"""Who writes to a set-user-ID program takes the bit away, and file capabilities too: through examples/passthrough.c as on
the file system below, whoever reads and writes the files, and without a question to the daemon before each write.
"""

import errno
import mmap
import os
import shutil
import subprocess

from test_passthrough_files import MODES, mode, program, serve  # noqa: F401 (fixtures)

USER = 1000
# VFS_CAP_REVISION_2, effective; CAP_NET_RAW.
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")
PAGE = 4096


def by_write(path):
    with open(path, "r+b", buffering=0) as file:
        file.write(b"x")


def by_pwrite(path):
    fd = os.open(path, os.O_WRONLY)
    os.pwrite(fd, b"x", 100)
    os.close(fd)


def by_append(path):
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(fd, b"x")
    os.close(fd)


def by_direct_write(path):
    fd = os.open(path, os.O_WRONLY | os.O_DIRECT)
    with mmap.mmap(-1, PAGE) as aligned:
        os.pwritev(fd, [aligned], 0)
    os.close(fd)


def by_mmap(path):
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), PAGE) as memory:
        memory[:1] = b"x"
        memory.flush()


def by_copy_file_range(path):
    with open(path, "r+b") as file, open(path.parent / "donor", "rb") as donor:
        os.copy_file_range(donor.fileno(), file.fileno(), 10, 0, 0)


def by_truncate(path):
    os.truncate(path, 10)


def by_ftruncate(path):
    with open(path, "r+b") as file:
        file.truncate(10)


def by_open(path):
    os.close(os.open(path, os.O_WRONLY | os.O_TRUNC))


def by_create(path):
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))


def by_fallocate(path):
    with open(path, "r+b") as file:
        os.posix_fallocate(file.fileno(), 0, 10 * PAGE)


def by_reading(path):
    path.read_bytes()


def by_second_write(path):
    """The file was open, and written to, before it became set-user-ID."""
    with open(path, "r+b", buffering=0) as file:
        file.write(b"x")
        os.write(file.fileno(), b"y")


def by_own_chgrp(path):
    os.chown(path, -1, USER + 1)


WAYS = [value for name, value in list(globals().items()) if name.startswith("by_")]
# Set-group-ID without group execution is left out: it grants nothing, and goes by whether the writer is in the group.
KINDS = [0o4777, 0o2777, 0o6777, 0o4666, 0o777]


def prepare(folder, ways):
    """A file for each kind of bits and each way to change it."""
    (folder / "donor").write_bytes(b"d" * PAGE)
    for way in ways:
        for mode_bits in KINDS:
            for capable in (False, True):
                path = folder / f"{way.__name__}-{mode_bits:o}-{capable}"
                path.write_bytes(b"p" * 2 * PAGE)
                os.chown(path, USER if way is by_own_chgrp else 0, 0)
                path.chmod(mode_bits)
                if capable:
                    os.setxattr(path, "security.capability", CAPABILITY)
                yield path.name, way


def has_capability(path):
    try:
        return os.getxattr(path, "security.capability") == CAPABILITY
    except OSError as error:
        assert error.errno == errno.ENODATA
        return False


def state(folder, cases):
    return {name: (oct((folder / name).stat().st_mode), has_capability(folder / name)) for name, _ in cases}


def change(folder, cases):
    """Changes each as the user, who sees the modes afterwards."""
    os.setgroups([USER + 1])
    os.setresgid(USER, USER, USER)
    os.setresuid(USER, USER, USER)
    for name, way in cases:
        (folder / name).stat()
        way(folder / name)
    return {name: oct((folder / name).stat().st_mode) for name, _ in cases}


def test_bits_and_capabilities_go_as_on_the_file_system_below(serve, guard, mode):  # noqa: F811
    daemon, source = serve(*MODES[mode])
    native = guard.folder("native")
    # A file system takes nothing away when a mapping is written back; the daemon, which writes it then, does.
    ways = [way for way in WAYS if mode == "kernel" or way is not by_mmap]
    cases = list(prepare(native, ways))
    assert list(prepare(source, ways)) == cases
    before = state(native, cases)
    assert guard.child(state, guard.mountpoint, cases) == before
    seen = guard.child(change, native, cases)
    expected = state(native, cases)
    # Most lose something; reading takes nothing away, so the test can tell.
    assert sum(expected[name] != before[name] for name, _ in cases) > len(cases) / 2
    assert all(expected[name] == before[name] for name, way in cases if way is by_reading)
    assert guard.child(change, guard.mountpoint, cases) == seen
    assert state(source, cases) == expected
    assert guard.child(state, guard.mountpoint, cases) == expected
    assert daemon.stop() == 0


def test_a_program_that_was_written_to_runs_as_who_starts_it(serve, guard, mode):  # noqa: F811
    """Also when the kernel has no reason to ask for its mode again."""
    _, source = serve("-o", "suid,timeout=1000", *MODES[mode])
    program = source / "id"  # noqa: F811
    shutil.copyfile(shutil.which("id"), program)
    program.chmod(0o4777)

    def use(path):
        def user():
            os.setgroups([])
            os.setresgid(USER, USER, USER)
            os.setresuid(USER, USER, USER)

        def runs_as():
            return subprocess.run([path, "-u"], preexec_fn=user, capture_output=True, text=True, check=True).stdout.strip()

        before = runs_as()
        script = "import os, sys; f = os.open(sys.argv[1], os.O_RDWR); os.pwrite(f, os.pread(f, 1, 0), 0)"
        subprocess.run(["python3", "-c", script, path], preexec_fn=user, check=True)
        return before, runs_as()

    assert guard.child(use, guard.mountpoint / "id") == ("0", str(USER))
    assert program.stat().st_mode & 0o7777 == 0o777


def test_writes_ask_the_daemon_nothing(serve, guard):  # noqa: F811
    daemon, _ = serve("-d")

    def use(mnt):
        fd = os.open(mnt / "file", os.O_RDWR | os.O_CREAT, 0o644)
        for i in range(500):
            os.pwrite(fd, bytes(PAGE), i * 7 % 50 * PAGE)
        os.close(fd)

    guard.child(use, guard.mountpoint)
    assert daemon.stop() == 0
    requests = daemon.output().count("opcode: ")
    assert daemon.output().count("opcode: GETXATTR") <= 2 and requests < 50, daemon.output()[-3000:]
