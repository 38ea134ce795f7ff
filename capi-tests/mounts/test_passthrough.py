"""passthrough_ll, compiled unchanged, under concurrent work on a tree of 2,000 files."""

import shutil

import pytest
from trees import checksums, copy_rename_delete, differences, make_tree

PROCESSES = 8
LOOPS = {"threads": (), "single": ("-s",), "clone_fd": ("-o", "clone_fd")}
CACHES = {
    "never": ("-o", "cache=never"),
    "auto": ("-o", "cache=auto"),
    "always": ("-o", "cache=always"),
    "writeback": ("-o", "writeback,cache=always"),
}


@pytest.fixture(scope="module")
def tree(build_folder):
    """tree(files): a folder with that many files, to copy."""
    made = {}

    def make(files):
        if files not in made:
            made[files] = build_folder / f"tree-{files}"
            made[files].mkdir()
            make_tree(made[files], files)
        return made[files]

    return make


def serve(guard, library, example, options):
    """Mounts passthrough_ll on a folder, and returns that."""
    source = guard.folder("source")
    command = [example(library, "passthrough_ll"), "-f", "-o", f"source={source}", *options, guard.mountpoint]
    return guard.daemon(library, command), source


@pytest.mark.parametrize(
    ("name", "loop", "files"),
    [("so4", "threads", 2000), ("so4", "single", 500), ("so4", "clone_fd", 500), ("so3", "threads", 500)],
)
def test_concurrent_processes(libs, guard, example, tree, name, loop, files):
    """Each process has the whole tree to copy, rename and delete."""
    daemon, source = serve(guard, libs[name], example, LOOPS[loop])
    calls = [(copy_rename_delete, tree(files), guard.mountpoint / f"copy{i}") for i in range(PROCESSES)]
    assert guard.children(calls, timeout=200) == [[]] * PROCESSES
    assert checksums(source) == {}
    daemon.stop()


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("cache", CACHES)
def test_cache_modes(library, guard, example, tree, loop, cache):
    """What was written through the mount is what the mount shows, and what arrived in the source."""
    daemon, source = serve(guard, library, example, LOOPS[loop] + CACHES[cache])
    original, copy = tree(200), guard.mountpoint / "kept"
    busy = [(copy_rename_delete, original, guard.mountpoint / f"copy{i}") for i in range(2)]
    assert guard.children([*busy, (shutil.copytree, original, copy, True)], timeout=60) == [[], [], copy]
    expected = checksums(original)
    assert differences(expected, guard.child(checksums, copy)) == []
    daemon.stop()
    assert differences(expected, checksums(source / "kept")) == []
