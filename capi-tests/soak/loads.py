"""What works on the mount: each load is one round of verified work in a folder of its own, and raises what it finds.

A round leaves nothing behind, so that a daemon which remembers inodes has as many at the end as in the beginning.
"""

import fcntl
import mmap
import os
import random
import shutil
import sqlite3
import subprocess
from pathlib import Path

from harness import FSX, REPO
from trees import copy_rename_delete, differences, checksums, make_tree

SOURCES = ("examples", "include", "capi-tests/differential")


def run(*command, cwd=None, **env):
    """Runs a program that must succeed; what it said, when it does not."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd, env=os.environ | env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, f"{command} in {cwd}: exit {done.returncode}\n{done.stdout[-3000:].decode(errors='replace')}"
    return done.stdout


def fio(folder, dice):
    """fio writes blocks with checksums in them and reads them back; it checks each."""
    run(
        "fio", "--name=verify", f"--directory={folder}", "--size=4m", "--rw=randrw", "--ioengine=psync", "--minimal",
        f"--bs={dice.choice(('4k', '16k', '64k'))}", f"--direct={dice.randrange(2)}", f"--randseed={dice.randrange(1 << 30)}",
        "--verify=crc32c", "--verify_fatal=1", "--verify_backlog=64", "--verify_state_save=0", "--unlink=1",
    )


def fsx(folder, dice):
    """fsx works at random on one file, by write, truncate, mmap and so on, and compares with what it knows."""
    run(FSX, "-q", "-N", "2000", "-S", str(dice.randrange(1, 1 << 30)), folder / "fsx-file", cwd=folder)


def model(folder, dice):
    """One file against bytes in memory: writes, reads, truncation, mappings, holes, appends through a second fd."""
    path, known, limit = folder / "model", bytearray(), 200_000
    fd, second = os.open(path, os.O_RDWR | os.O_CREAT), os.open(path, os.O_WRONLY | os.O_APPEND)

    def write():
        at, data = dice.randrange(limit), dice.randbytes(dice.randrange(1, 20_000))
        known.extend(bytes(max(0, at - len(known))))
        known[at : at + len(data)] = data
        assert os.pwrite(fd, data, at) == len(data)

    def append():
        data = dice.randbytes(dice.randrange(1, 5000))
        known.extend(data)
        assert os.write(second, data) == len(data)

    def truncate():
        size = dice.randrange(limit)
        os.ftruncate(fd, size)
        del known[size:]
        known.extend(bytes(size - len(known)))

    def read():
        at, length = dice.randrange(limit), dice.randrange(1, 50_000)
        assert os.pread(fd, length, at) == known[at : at + length], f"read of {length} at {at}"

    def mapped():
        if known:
            at = dice.randrange(len(known))
            with mmap.mmap(fd, len(known)) as area:
                assert area[at : at + 3000] == known[at : at + 3000], f"mapping at {at}"
                known[at] = area[at] = dice.randrange(256)

    for _ in range(400):
        dice.choice((write, write, append, truncate, read, read, mapped))()
        if len(known) > 2 * limit:
            truncate()
    assert path.read_bytes() == known
    os.close(fd)
    os.close(second)
    path.unlink()


def compiling(folder, dice):
    """A C project is copied, compiled in parallel and run."""
    for name in SOURCES:
        shutil.copytree(REPO / name, folder / name, symlinks=True)
    rules = ["all: hello memfs\n"]
    rules += ["hello: examples/hello.o\n\tcc -o $@ $^ $(LIBS)\n", "memfs: examples/memfs.o examples/memfs_store.o\n\tcc -o $@ $^ $(LIBS)\n"]
    rules += ["%.o: %.c\n\tcc -O1 -g -pipe -c -o $@ $< $(CFLAGS)\n"]
    (folder / "Makefile").write_text("".join(rules))
    libdir = os.environ["FUSEWIRE_LIBDIR"]
    run("make", f"-j{dice.randrange(1, 4)}", "CFLAGS=-Iinclude", f"LIBS={libdir}/libfuse3.so.4 -pthread", cwd=folder)
    assert b"clone_fd" in run(folder / "memfs", "--help", LD_LIBRARY_PATH=libdir)


def git(folder, dice):
    """A repository is made, cloned, repacked and checked."""
    first, second = folder / "first", folder / "second"
    who = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    who |= {f"GIT_{role}_{what}": "soak" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    shutil.copytree(REPO / "src", first / "src")
    run("git", "init", "--quiet", first, **who)
    for number in range(3):
        (first / f"new{number}").write_bytes(dice.randbytes(30_000))
        run("git", "-C", first, "add", "--all", **who)
        run("git", "-C", first, "commit", "--quiet", "--message", f"number {number}", **who)
    run("git", "clone", "--quiet", "--no-local", first, second, **who)
    run("git", "-C", second, "gc", "--quiet", **who)
    for repository in (first, second):
        run("git", "-C", repository, "fsck", "--strict", **who)
    assert run("git", "-C", second, "status", "--porcelain", **who) == b""


def tar(folder, dice):
    """A tree goes through tar and comes back."""
    source, target = folder / "source", folder / "target"
    source.mkdir(), target.mkdir()
    expected = make_tree(source, 150, seed=dice.randrange(1000))
    run("tar", "-C", source, "-czf", folder / "all.tar.gz", ".")
    run("tar", "-C", target, "-xzf", folder / "all.tar.gz")
    assert differences(expected, checksums(target)) == []


def sqlite(folder, dice):
    """A database under both kinds of journal, with its own check of its integrity."""
    for mode in ("DELETE", "WAL"):
        path = folder / f"{mode}.db"
        db = sqlite3.connect(path, timeout=30)
        assert db.execute(f"PRAGMA journal_mode={mode}").fetchone() == (mode.lower(),)
        db.execute("CREATE TABLE t(k INTEGER PRIMARY KEY, v BLOB)")
        total = 0
        for _ in range(15):
            with db:
                rows = [(dice.randbytes(dice.randrange(2000)),) for _ in range(20)]
                db.executemany("INSERT INTO t(v) VALUES (?)", rows)
                total += sum(len(row[0]) for row in rows)
                db.execute("UPDATE t SET v = v WHERE k % 7 = 0")
        db.close()
        db = sqlite3.connect(path)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("SELECT sum(length(v)) FROM t").fetchone() == (total,)
        db.close()


def names(folder, dice):
    """Names come, move and go; a list in memory says which there are."""
    there = {}
    for _ in range(800):
        name, other = (f"n{dice.randrange(60)}" for _ in range(2))
        kind = there.get(name)
        if kind is None:
            if dice.randrange(2):
                os.mkdir(folder / name)
            else:
                (folder / name).write_text(name)
            there[name] = "dir" if (folder / name).is_dir() else name
        elif dice.randrange(3) == 0:
            os.rmdir(folder / name) if kind == "dir" else os.unlink(folder / name)
            del there[name]
        elif other not in there:
            os.rename(folder / name, folder / other)
            there[other] = there.pop(name)
        else:
            assert kind == "dir" or (folder / name).read_text() == kind
    assert sorted(os.listdir(folder)) == sorted(there)


def trees(folder, dice):
    """A tree is copied in, renamed and deleted."""
    source = folder / "source"
    source.mkdir()
    make_tree(source, 80, seed=dice.randrange(1000))
    assert copy_rename_delete(source, folder / "copy") == []


def counting(folder, dice):
    """Three processes count in one file under a lock, and append to another; nothing is lost."""
    counter, log, each = folder / "counter", folder / "log", 60
    counter.write_bytes(b"0")
    children = []
    for _ in range(3):
        if (pid := os.fork()) == 0:
            lock = fcntl.lockf
            for _ in range(each):
                with counter.open("r+b") as file, log.open("ab") as lines:
                    lock(file, fcntl.LOCK_EX)
                    number = int(file.read())
                    file.seek(0)
                    file.write(b"%d" % (number + 1))
                    file.flush()
                    lines.write(b"%07d\n" % number)
            os._exit(0)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 3
    assert int(counter.read_bytes()) == 3 * each
    assert sorted(log.read_bytes().split()) == [b"%07d" % i for i in range(3 * each)]


# One process each.
LOADS = [fio, fio, fsx, fsx, model, compiling, compiling, git, git, tar, sqlite, sqlite, names, names, trees, counting]


def work(load, number, mountpoint, end, clock):
    """Rounds of a load until its time is up; how many."""
    dice, rounds = random.Random(number), 0
    while clock() < end:
        folder = Path(mountpoint) / f"{load.__name__}{number}"
        folder.mkdir()
        load(folder, dice)
        shutil.rmtree(folder)
        rounds += 1
    return f"{load.__name__}{number}", rounds
