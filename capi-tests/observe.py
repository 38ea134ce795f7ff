"""What can be seen of a process from outside: its memory, and its system calls."""

import mmap
import re
import struct
from pathlib import Path

# What strace says of memory that nobody else has. A receive buffer's size is no number of whole pages.
MAPPED = r"mmap\(NULL, (\d+), PROT_READ\|PROT_WRITE, MAP_PRIVATE\|MAP_ANONYMOUS, -1, 0\) += (0x[0-9a-f]+)"
# In front of a command, with the name of a log behind: the command keeps its process id.
TRACE_MAPPINGS = ("strace", "-D", "-f", "-e", "trace=mmap", "-o")
COUNT_CALLS = ("strace", "-f", "-c", "-o")


def kib(pid, name):
    """A figure of /proc/PID/status: VmRSS, RssAnon, RssFile."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{name}:\s+(\d+)", text, re.M).group(1))


def pages(size):
    return -(-size // mmap.PAGESIZE)


def receive_buffers(log):
    """Address and size of what a daemon under TRACE_MAPPINGS receives messages into."""
    found = [(int(start, 16), int(size)) for size, start in re.findall(MAPPED, log.read_text())]
    return [(start, size) for start, size in found if size % mmap.PAGESIZE]


def present(pid, start, size):
    """How many pages of a mapping are in memory. As root."""
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:
        pagemap.seek(start // mmap.PAGESIZE * 8)
        words = struct.unpack(f"={pages(size)}Q", pagemap.read(pages(size) * 8))
    return sum(word >> 63 for word in words)


def calls(log):
    """Of what COUNT_CALLS left: how many calls of each name."""
    rows = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+)(?: +\d+)? +(\w+)$", log.read_text(), re.M)
    assert rows, log.read_text()
    return {name: int(number) for number, name in rows if name != "total"}
