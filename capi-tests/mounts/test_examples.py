"""The distribution's small example daemons, compiled unchanged, serve a mount as their sources say."""

import os
import time

import pytest


@pytest.mark.parametrize("options", [(), ("-s",), ("-o", "clone_fd")], ids=["threads", "single", "clone_fd"])
def test_hello(library, guard, example, options):
    daemon = guard.daemon(library, [example(library, "hello_ll"), "-f", *options, guard.mountpoint])

    def use():
        path = guard.mountpoint / "hello"
        assert os.listdir(guard.mountpoint) == ["hello"]
        assert path.read_text() == "Hello World!\n"
        assert (path.stat().st_size, path.stat().st_mode) == (13, 0o100444)
        with pytest.raises(FileNotFoundError):
            (guard.mountpoint / "other").read_text()
        with pytest.raises(PermissionError):
            path.open("r+")

    guard.child(use)
    daemon.stop()


def readings(path, seconds):
    """The different contents that a file shows, one after the other."""
    seen = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        text = path.read_text()
        if text not in seen[-1:]:
            seen.append(text)
        time.sleep(0.1)
    return seen


@pytest.mark.parametrize("name", ["notify_inval_inode", "notify_store_retrieve"])
@pytest.mark.parametrize("options", [(), ("-s",)], ids=["threads", "single"])
def test_notify_makes_updates_visible(library, guard, example, name, options):
    """The contents change each second: the kernel has them cached, and sees the change only by the notification."""
    path = guard.mountpoint / "current_time"
    daemon = guard.daemon(library, [example(library, name), "-f", *options, "--update-interval=1", guard.mountpoint])
    seen = guard.child(readings, path, 2.8)
    assert len(seen) >= 3, daemon.output()
    assert all(text.startswith("The current time is ") for text in seen)
    assert daemon.is_running(), daemon.output()  # its assertions on each notification held
    daemon.stop()


@pytest.mark.parametrize("name", ["notify_inval_inode", "notify_store_retrieve"])
def test_without_notify_the_cache_is_kept(library, guard, example, name):
    """The counter-check: without the notification the old contents stay.

    One change is let pass: in one of some hundred runs the kernel reads anew, on the system's library as well.
    """
    command = [example(library, name), "-f", "--no-notify", "--update-interval=1", guard.mountpoint]
    daemon = guard.daemon(library, command)
    assert len(guard.child(readings, guard.mountpoint / "current_time", 2.8)) <= 2
    daemon.stop()
