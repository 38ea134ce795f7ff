"""What the journal of requests in flight costs: the same daemon, declared recoverable and not, on real mounts."""

import subprocess

import counting
from report import Section, Table

CALLS = {
    "stat (GETATTR)": "for _ in range(n): os.fstat(f)",
    "create (CREATE, FLUSH, RELEASE)": "for _ in range(n): os.close(os.open('new', os.O_CREAT | os.O_WRONLY))",
    "unlink (LOOKUP, UNLINK)": "for _ in range(n): os.unlink('f')",
    "pwrite 4k (WRITE)": "for _ in range(n): os.pwrite(f, b'x' * 4096, 0)",
}
TIMES = 1000


def make_calls(mount, body, count):
    program = f"import os\nf = os.open('f', os.O_RDWR)\nn = {count}\n{body}"
    subprocess.run(["python3", "-I", "-c", program], cwd=mount.point, check=True, timeout=60)


def each(bench, recoverable, body, tool):
    """What `tool` counts of a daemon for one call."""
    log = bench.programs / "counted"
    env = {"BENCH_RECOVERABLE": "1"} if recoverable else {}

    def count(calls):
        command = [*tool(log), bench.program("bench_ll"), "-f", "-s", "{}"]
        with bench.mounted(command, "ours", env=env) as mount:
            make_calls(mount, body, calls)
        return counting.counted(log)

    return counting.each(count, TIMES)


def run(bench):
    rows = []
    for name, body in CALLS.items():
        cells = [
            f"{each(bench, recoverable, body, tool):,.{digits}f}"
            for tool, digits in ((counting.instructions, 0), (counting.system_calls, 1))
            for recoverable in (False, True)
        ]
        rows.append([name, *cells])
    return Section(
        "Recoverable sessions",
        "What the journal of requests in flight ([recovery](recovery.md)) adds to the daemon's work for one call of an "
        "application: the same daemon, declared recoverable and not.",
        [Table("", ["call", "instructions", "recoverable", "system calls", "recoverable"], rows)],
    )
