"""fsx, the file system exerciser: random reads, writes, mappings, truncations and copies of one file, each compared
with what the file must hold."""

import pytest
from harness import FSX

CACHES = {"auto": "cache=auto", "writeback": "writeback,cache=always"}  # without a cache no shared mapping
OPERATIONS, SEED = 4000, 42

pytestmark = pytest.mark.skipif(not FSX.exists(), reason=f"{FSX} is not installed: run make setup")


@pytest.mark.parametrize("cache", CACHES)
def test_fsx(library, guard, example, cache):
    source = guard.folder("source")
    options = f"source={source},{CACHES[cache]}"
    daemon = guard.daemon(library, [example(library, "passthrough_ll"), "-f", "-o", options, guard.mountpoint])
    command = [FSX, "-N", OPERATIONS, "-S", SEED, "-P", guard.work, guard.mountpoint / "file"]
    done = guard.run(library, command, timeout=100)
    assert done.returncode == 0, f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
    daemon.stop()
