"""The daemons in examples/, compiled as strictly as compilers can, do what they say."""

import os

import pytest
from harness import REPO
from trees import checksums, copy_rename_delete, make_tree

STRICT = ("-std=gnu11", "-Wall", "-Wextra", "-Werror", "-pedantic")
EXAMPLES = REPO / "examples"
LOOPS = {"threads": (), "single": ("-s",), "clone_fd": ("-o", "clone_fd")}


def test_hello(library, guard, compiled):
    program = compiled(library, EXAMPLES / "hello.c", flags=STRICT)
    daemon = guard.daemon(library, [program, "-f", guard.mountpoint])
    path = guard.mountpoint / "hello.txt"

    def use():
        assert sorted(os.listdir(guard.mountpoint)) == ["hello.txt"]
        assert path.read_text() == "Hello from a file system in user space.\n"
        with path.open("rb") as file:
            file.seek(6)
            assert file.read(4) == b"from"
        with pytest.raises(OSError, match="Read-only file system"):
            path.open("ab")

    guard.child(use)
    assert daemon.stop() == 0


@pytest.fixture(params=LOOPS)
def memfs(request, library, guard, compiled):
    program = compiled(library, EXAMPLES / "memfs.c", EXAMPLES / "memfs_store.c", flags=STRICT)
    daemon = guard.daemon(library, [program, "-f", "-o", "size=64", *LOOPS[request.param], guard.mountpoint])
    yield guard.mountpoint
    assert daemon.stop() == 0


def in_memfs(guard, function):
    return guard.child(function, timeout=60)


def test_memfs_concurrent_trees(guard, memfs, build_folder):
    source = guard.folder("source")
    make_tree(source, 300)
    calls = [(copy_rename_delete, source, memfs / f"copy{i}") for i in range(4)]
    assert guard.children(calls, timeout=60) == [[]] * 4
    assert guard.child(checksums, memfs) == {}


def test_memfs_attributes(guard, memfs):
    def use():
        path = memfs / "file"
        path.write_bytes(b"0123456789")
        path.chmod(0o640)
        os.chown(path, 12, 34)
        os.utime(path, ns=(1_000_000_001, 2_000_000_002))
        st = path.stat()
        assert (st.st_mode, st.st_uid, st.st_gid, st.st_size) == (0o100640, 12, 34, 10)
        assert (st.st_atime_ns, st.st_mtime_ns) == (1_000_000_001, 2_000_000_002)
        assert memfs.stat().st_nlink == 2
        (memfs / "dir").mkdir()
        assert memfs.stat().st_nlink == 3

    in_memfs(guard, use)


def test_memfs_truncate_leaves_no_old_bytes(guard, memfs):
    def use():
        path = memfs / "file"
        path.write_bytes(b"x" * 10_000)
        os.truncate(path, 3)
        os.truncate(path, 8)
        assert path.read_bytes() == b"xxx\0\0\0\0\0"
        with path.open("r+b") as file:
            file.seek(9000)
            file.write(b"end")
        assert path.read_bytes() == b"xxx" + bytes(8997) + b"end"

    in_memfs(guard, use)


def test_memfs_rename(guard, memfs):
    def use():
        (memfs / "a").write_text("a")
        (memfs / "b").write_text("b")
        (memfs / "full" / "below").mkdir(parents=True)
        (memfs / "empty").mkdir()
        os.rename(memfs / "a", memfs / "b")
        assert (memfs / "b").read_text() == "a" and not (memfs / "a").exists()
        with pytest.raises(OSError, match="Directory not empty"):
            os.rename(memfs / "empty", memfs / "full")
        with pytest.raises(OSError, match="Invalid argument"):
            os.rename(memfs / "full", memfs / "full" / "below" / "self")
        os.rename(memfs / "full", memfs / "empty")
        assert os.listdir(memfs / "empty") == ["below"]

    in_memfs(guard, use)


def test_memfs_unlinked_file_stays_open(guard, memfs):
    def use():
        with (memfs / "file").open("w+b") as file:
            file.write(b"kept")
            file.flush()
            os.unlink(memfs / "file")
            assert os.listdir(memfs) == []
            file.seek(0)
            assert file.read() == b"kept"

    in_memfs(guard, use)


def test_memfs_removal_while_listing(guard, memfs):
    """Entries that stay are listed exactly once, whatever is removed meanwhile."""

    def use():
        for i in range(3000):
            (memfs / f"file{i}").touch()
        seen = []
        with os.scandir(memfs) as entries:
            for entry in entries:
                number = int(entry.name[4:])
                seen.append(number)
                if number % 2:
                    os.unlink(entry.path)
        assert sorted(seen) == list(range(3000))
        assert len(os.listdir(memfs)) == 1500

    in_memfs(guard, use)


def test_memfs_full(guard, memfs):
    def use():
        path = memfs / "file"
        with pytest.raises(OSError, match="No space left"), path.open("wb") as file:
            for _ in range(100):
                file.write(bytes(1 << 20))
        assert os.statvfs(memfs).f_bavail == 0
        os.unlink(path)
        (memfs / "again").write_bytes(bytes(1 << 20))

    in_memfs(guard, use)


def test_memfs_permissions(guard, memfs):
    def use():
        (memfs / "private").write_text("x")
        (memfs / "private").chmod(0o600)
        os.symlink("private", memfs / "link")
        assert os.readlink(memfs / "link") == "private"
        assert (memfs / "link").read_text() == "x"
        with pytest.raises(FileExistsError):
            (memfs / "private").mkdir()
        with pytest.raises(IsADirectoryError):
            (memfs / "d").mkdir()
            os.unlink(memfs / "d")

    in_memfs(guard, use)
