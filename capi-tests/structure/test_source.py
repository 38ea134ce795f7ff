"""What must hold of the Rust source itself: who imports whom, where unsafe may stand, panic=abort."""

import re
import subprocess

import pytest
from surface import REPO

SRC = REPO / "src"

# Imports only go down, from a layer to those below it.
LAYERS = [
    {"capi"},
    {"dispatch", "hl"},
    {"session"},
    {"decode", "encode", "transport", "mount", "passthrough", "recovery"},
    {"abi", "opt", "sync"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
# Imports within a layer, each with its reason.
SIDEWAYS = {
    ("recovery", "transport"): "memory that is shared and file descriptors that are sent need unsafe, which recovery does without",
    ("passthrough", "recovery"): "what is open is kept for a successor",
    ("mount", "transport"): "receiving and adopting file descriptors needs unsafe, which mount does without",
}
UNSAFE_ALLOWED = {"transport", "dispatch", "capi"}


def folder_of(path):
    """The room that a file belongs to: src/opt.rs and src/opt/... are both `opt`."""
    return path.relative_to(SRC).parts[0].removesuffix(".rs")


def without_tests(text):
    """The code without comments and without `#[cfg(test)] mod ... { }`; a brace closes what its column opened."""
    text = re.sub(r"^(\s*)#\[cfg\(test\)\]\n(?:\s*#\[.*\]\n)*\s*mod \w+ \{\n.*?^\1\}\n", "", text, flags=re.M | re.S)
    return re.sub(r"//[^\n]*", "", text)


def test_modules(folder):
    """Files below a folder that only `#[cfg(test)] mod name;` brings in."""
    found = set()
    for path in folder.rglob("*.rs"):
        for name in re.findall(r"#\[cfg\(test\)\]\n(?:\s*#\[.*\]\n)*\s*mod (\w+);", path.read_text()):
            inside = path.parent if path.name in ("mod.rs", "lib.rs") else path.parent / path.stem
            found |= {inside / f"{name}.rs", *(inside / name).rglob("*.rs")}
    return found


test_modules.__test__ = False


def imports(text):
    """The rooms that code names: `crate::room` and `use crate::{room, other::...}`."""
    found = set(re.findall(r"\bcrate::(\w+)", text))
    for group in re.findall(r"\bcrate::\{(.*?)\};", text, re.S):
        while "{" in group:
            group = re.sub(r"\{[^{}]*\}", "", group)
        found |= {re.match(r"\w+", part.strip())[0] for part in group.split(",") if part.strip()}
    return found


def wrong(room, target):
    if target == room or (room, target) in SIDEWAYS:
        return False
    return LEVEL[target] <= LEVEL[room]


def test_imports_only_go_down():
    tests = test_modules(SRC)
    problems, seen = [], 0
    for path in sorted(SRC.rglob("*.rs")):
        if path.name == "lib.rs" or path in tests:
            continue
        room = folder_of(path)
        assert room in LEVEL, f"{path}: {room} is in no layer"
        for target in imports(without_tests(path.read_text())):
            if target in LEVEL:
                seen += 1
                if wrong(room, target):
                    problems.append(f"{path.relative_to(REPO)}: {room} must not import {target}")
    assert seen, "no import found at all"
    assert problems == []


@pytest.mark.parametrize(
    "code, expected",
    [
        ("use crate::abi::wire;", {"abi"}),
        ("use crate::{abi::{c, wire}, opt};", {"abi", "opt"}),
        ("let x = crate::session::Session::new();", {"session"}),
        ("#[cfg(test)]\nmod tests {\n    use crate::capi;\n}\n", set()),
        ("// use crate::capi;", set()),
    ],
)
def test_what_counts_as_an_import(code, expected):
    assert imports(without_tests(code)) == expected


def test_the_rule_itself():
    assert wrong("abi", "opt") and wrong("session", "capi") and wrong("decode", "transport")
    assert not wrong("capi", "abi") and not wrong("session", "mount") and not wrong("opt", "opt")


def test_unsafe_is_forbidden_where_it_has_no_business():
    for room in (name for name in LEVEL if name not in UNSAFE_ALLOWED):
        for path in (SRC / room / "mod.rs", SRC / f"{room}.rs"):
            if path.exists():
                assert "#![forbid(unsafe_code)]" in path.read_text(), f"{path}: #![forbid(unsafe_code)] is missing"


@pytest.mark.parametrize("panic, refused", [("unwind", True), ("abort", False)])
def test_panic_must_abort(panic, refused, tmp_path):
    """The compiler is asked alone, without the dependencies: only this one message matters here."""
    command = ["rustc", "--edition", "2024", "--crate-type", "lib", "--emit", "metadata", "-C", f"panic={panic}"]
    done = subprocess.run([*command, SRC / "lib.rs", "--out-dir", tmp_path], capture_output=True, text=True, timeout=100)
    assert ('panic must be \\"abort\\"' in done.stderr) == refused, done.stderr


def test_every_profile_aborts():
    manifest = (REPO / "Cargo.toml").read_text()
    for profile in ("dev", "release"):
        section = re.search(rf"^\[profile\.{profile}\]\n(.*?)(?=^\[|\Z)", manifest, re.M | re.S)
        assert section and 'panic = "abort"' in section[1], profile
