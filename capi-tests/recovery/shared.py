"""What several processes do to the same files: appends, races for a name, counters under locks, listings."""

import collections
import fcntl
import mmap
import os
import time

RECORD = 32
LISTED = 150
HELD = 4
HELD_SIZE = 64 * 1024


def held_contents(number):
    return bytes((number * 31 + i * 7 + (i >> 8)) & 0xFF for i in range(HELD_SIZE))


def prepare(folder):
    """Before the daemon is there."""
    for name in ("races", "listed"):
        (folder / name).mkdir(parents=True)
    for i in range(LISTED):
        (folder / "listed" / f"stays{i}").touch()
    for i in range(HELD):
        (folder / f"held{i}").write_bytes(held_contents(i))
    for name in ("log", "fcntl", "flock"):
        (folder / name).write_bytes(b"")


class Shared:
    """What one of the processes did."""

    def __init__(self, folder, number, dice, tally):
        self.folder, self.number, self.dice, self.tally = folder, number, dice, tally
        self.appended, self.counted = 0, collections.Counter()
        self.won, self.tried, self.volatile = [], set(), 0
        self.log = tally.do(os.open, folder / "log", os.O_WRONLY | os.O_APPEND)
        self.held = [tally.do(os.open, folder / f"held{i}", os.O_RDONLY) for i in range(HELD)]
        self.known = [held_contents(i) for i in range(HELD)]

    def step(self):
        self.dice.choice((self.append, self.append, self.race, self.count, self.listing, self.read))()

    def append(self):
        record = b"%d %d" % (self.number, self.appended)
        written = self.tally.do(os.write, self.log, record.ljust(RECORD - 1) + b"\n")
        if written != RECORD:
            self.tally.lost.append(f"append of {record}: {written} bytes")
        self.appended += 1

    def race(self):
        """Everybody tries to make the same names at about the same time: each has one winner."""
        name = f"r{int(time.monotonic() * 50)}"
        if name in self.tried:
            return
        self.tried.add(name)
        path = self.folder / "races" / name
        how = (self.create, os.mkdir, self.symlink, self.link)[int(name[1:]) % 4]

        def attempt():
            try:
                how(path)
            except FileExistsError:
                return False
            return True

        if self.tally.do(attempt, what=f"race {path}"):
            self.won.append(name)

    def create(self, path):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o444))

    def symlink(self, path):
        os.symlink(f"by {self.number}", path)

    def link(self, path):
        os.link(self.folder / "held0", path)

    def count(self):
        """A number in a file goes up by one, under a lock of either kind."""
        name, lock = self.dice.choice((("fcntl", fcntl.lockf), ("flock", fcntl.flock)))
        fd = self.tally.do(os.open, self.folder / name, os.O_RDWR)
        try:
            # May wait for others, who keep it over a restart.
            self.tally.do(lock, fd, fcntl.LOCK_EX, what=name)
            value = int(self.tally.do(os.pread, fd, 20, 0) or b"0")
            if self.dice.random() < 0.2:
                time.sleep(self.dice.random() * 0.02)
            self.tally.do(os.pwrite, fd, b"%d" % (value + 1), 0)
            self.counted[name] += 1
        finally:
            self.tally.do(os.close, fd)

    def listing(self):
        """What stays is listed once, whatever comes and goes meanwhile."""
        folder = self.folder / "listed"
        name = folder / f"comes{self.number}-{self.volatile}"
        self.volatile += 1
        self.tally.do(os.close, self.tally.create(name))
        found = collections.Counter(n for n in self.tally.do(os.listdir, folder) if n.startswith("stays"))
        self.tally.do(os.unlink, name)
        missing = LISTED - len(found)
        if missing:
            self.tally.lost.append(f"a listing misses {missing} names")
        self.tally.doubled += [f"a listing has {n} twice" for n, times in found.items() if times > 1]

    def read(self):
        """From a file that is open since the beginning, by read or through a mapping."""
        i, at, size = self.dice.randrange(HELD), self.dice.randrange(HELD_SIZE - 4096), self.dice.randrange(1, 4096)
        if self.dice.random() < 0.5:
            data = self.tally.do(os.pread, self.held[i], size, at)
        else:
            with self.tally.do(mmap.mmap, self.held[i], HELD_SIZE, mmap.MAP_SHARED, mmap.PROT_READ) as area:
                data = area[at : at + size]
        if data != self.known[i][at : at + size]:
            self.tally.lost.append(f"held{i}: {size} bytes at {at} are others")


def shared(folder, number, dice, tally, end):
    does = Shared(folder, number, dice, tally)
    while not end():
        does.step()
    for fd in (does.log, *does.held):
        tally.do(os.close, fd)
    return {name: getattr(does, name) for name in ("number", "appended", "counted", "won", "tried")}


def differences(folder, all_did):
    """What of the results of all of them is not so in a folder: lost and doubled."""
    lost, doubled = [], []
    records = collections.Counter((folder / "log").read_bytes().split(b"\n")[:-1])
    expected = {b"%d %d" % (did["number"], i) for did in all_did for i in range(did["appended"])}
    found = collections.Counter()
    for record, times in records.items():
        found[record.rstrip()] += times
    lost += [f"appended record {r} is gone" for r in expected - found.keys()]
    doubled += [f"appended record {r} is there {n} times" for r, n in found.items() if n != 1 or r not in expected]
    for name in ("fcntl", "flock"):
        counted, value = sum(did["counted"][name] for did in all_did), int((folder / name).read_bytes() or b"0")
        if counted != value:
            (lost if value < counted else doubled).append(f"{name}: counted {counted} times to {value}")
    winners = collections.Counter(name for did in all_did for name in did["won"])
    for name in set().union(*(did["tried"] for did in all_did)):
        if winners[name] != 1:
            doubled.append(f"the race for {name} has {winners[name]} winners")
    lost += [f"{name} was won and is gone" for name in winners if not os.path.lexists(folder / "races" / name)]
    rest = {name for name in os.listdir(folder / "listed") if not name.startswith("stays")}
    doubled += [f"{name} was removed and is there" for name in rest]
    return lost, doubled

