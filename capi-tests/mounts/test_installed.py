"""The distribution's own daemons, unmodified, with LD_LIBRARY_PATH on our library."""

import os
import subprocess

import pytest
from trees import checksums, differences, make_tree


@pytest.fixture
def overlay(guard, binary_library):
    """A mounted fuse-overlayfs: its lower and upper folder and what the lower one holds."""
    lower, upper, work = (guard.folder(name) for name in ("lower", "upper", "workdir"))
    content = make_tree(lower, 200)
    folders = f"lowerdir={lower},upperdir={upper},workdir={work}"
    daemon = guard.daemon(binary_library, ["fuse-overlayfs", "-f", "-o", folders, guard.mountpoint])
    yield lower, upper, content
    daemon.stop()
    assert checksums(lower) == content  # whatever was done above


def test_overlay_shows_the_lower_tree(guard, overlay):
    assert differences(overlay[2], guard.child(checksums, guard.mountpoint)) == []


def test_overlay_copies_up_what_is_written(guard, overlay):
    lower, upper, _ = overlay
    name = "dir3/sub3/file3"

    def write():
        path = guard.mountpoint / name
        with path.open("ab") as file:
            file.write(b"more")
        return path.read_bytes()

    assert guard.child(write) == (lower / name).read_bytes() + b"more" == (upper / name).read_bytes()


def test_overlay_hides_what_is_deleted(guard, overlay):
    lower, upper, _ = overlay

    def delete():
        folder = guard.mountpoint / "dir3" / "sub3"
        before = sorted(os.listdir(folder))
        (folder / "file3").unlink()
        assert not (folder / "file3").exists()
        return before, sorted(os.listdir(folder))

    before, after = guard.child(delete)
    assert before == sorted(os.listdir(lower / "dir3" / "sub3"))
    assert after == [name for name in before if name != "file3"]
    whiteouts = [upper / "dir3/sub3/file3", upper / "dir3/sub3/.wh.file3"]  # as a device, or as a file
    assert any(path.exists() or path.is_char_device() for path in whiteouts)


def test_overlay_renames(guard, overlay):
    lower, _, content = overlay

    def rename():
        folder = guard.mountpoint / "dir4" / "sub4"
        (folder / "file4").rename(guard.mountpoint / "moved")
        (guard.mountpoint / "new").mkdir()
        (guard.mountpoint / "new" / "file").write_text("new")
        (guard.mountpoint / "new").rename(guard.mountpoint / "newer")
        return checksums(guard.mountpoint)

    found = guard.child(rename)
    assert found.pop("moved") == content["dir4/sub4/file4"]
    assert found.pop("newer") == "dir" and found.pop("newer/file")
    assert differences(content, found) == ["dir4/sub4/file4"]


def test_overlay_holds_many_new_files(guard, overlay):
    _, upper, content = overlay

    def fill():
        (guard.mountpoint / "many").mkdir()
        return make_tree(guard.mountpoint / "many", 200, seed=2)

    written = guard.child(fill)
    everything = content | {f"many/{key}": value for key, value in written.items()} | {"many": "dir"}
    assert differences(everything, guard.child(checksums, guard.mountpoint)) == []
    stored = {key: value for key, value in checksums(upper / "many").items() if "/.wh." not in f"/{key}"}
    assert differences(written, stored) == []


@pytest.mark.parametrize("options", [(), ("-s",)], ids=["threads", "single"])
def test_squashfuse(guard, binary_library, options):
    tree, image = guard.folder("tree"), guard.work / "image.squashfs"
    content = make_tree(tree, 500)
    subprocess.run(["mksquashfs", tree, image, "-quiet", "-no-progress"], check=True, timeout=60)
    daemon = guard.daemon(binary_library, ["squashfuse_ll", "-f", *options, image, guard.mountpoint])
    found = guard.children([(checksums, guard.mountpoint)] * 4)
    assert [differences(content, one) for one in found] == [[]] * 4
    daemon.stop()
