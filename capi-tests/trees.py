"""Trees of files to put through a mount, and their checksums."""

import hashlib
import os
import random
import shutil
from pathlib import Path


def make_tree(root, files, seed=1):
    """Makes files of different sizes in nested folders under an existing folder; returns its checksums."""
    dice = random.Random(seed)
    root = Path(root)
    for i in range(files):
        folder = root / f"dir{i % 23}" / f"sub{i % 5}"
        folder.mkdir(parents=True, exist_ok=True)
        size = dice.choice([0, 1, 511, 4096, 4097, dice.randrange(20_000)])
        (folder / f"file{i}").write_bytes(dice.randbytes(size))
    os.symlink("dir0/sub0", root / "link")
    return checksums(root)


def checksums(root):
    """What there is under a folder: kind and contents by relative path."""
    root = Path(root)
    found = {}
    for folder, dirs, names in os.walk(root):
        for name in dirs + names:
            path = Path(folder) / name
            key = str(path.relative_to(root))
            if path.is_symlink():
                found[key] = f"-> {os.readlink(path)}"
            elif path.is_dir():
                found[key] = "dir"
            elif not path.is_file():
                found[key] = "special"
            else:
                found[key] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def copy_rename_delete(source, target):
    """Copies a tree, renames all of its files and a folder, compares, and deletes; returns the differences."""
    expected = checksums(source)
    shutil.copytree(source, target, symlinks=True)
    wrong = differences(expected, checksums(target))
    for path in list(Path(target).rglob("file*")):
        path.rename(path.with_name(f"renamed-{path.name}"))
    os.rename(f"{target}/dir1", f"{target}/moved")
    wrong += differences({_renamed(key): value for key, value in expected.items()}, checksums(target))
    shutil.rmtree(target)
    return wrong + [f"{target} is still there"] * os.path.lexists(target)


def _renamed(path):
    """What copy_rename_delete makes of a path."""
    first, *rest = path.split("/")
    parts = ["moved" if first == "dir1" else first, *rest]
    if parts[-1].startswith("file"):
        parts[-1] = f"renamed-{parts[-1]}"
    return "/".join(parts)


def differences(expected, found):
    """The paths that differ between two results of checksums()."""
    return sorted(key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key))
