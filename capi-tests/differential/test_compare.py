"""The comparison can fail: on made-up transcripts, and on a library with a seeded fault."""

import subprocess

import pytest

from . import programs
from .compare import BadTranscript, Deliberate, Transcript, compare, parse


def transcript(**cases):
    return Transcript("", {name: text.split("\n") for name, text in cases.items()})


def listed(search, replace, cases="*"):
    return Deliberate(["p"], ["l"], [cases], search, replace, "because")


def test_equal_transcripts():
    result = compare(transcript(a="x\ny", b="z"), transcript(a="x\ny", b="z"), [])
    assert (result.compared, result.differing, result.stale) == (2, {}, [])


@pytest.mark.parametrize("ours", [dict(a="y"), dict(a="x\nx"), dict(a=""), dict(b="x"), dict(a="x", b="x")])
def test_difference_is_seen(ours):
    assert compare(transcript(a="x"), transcript(**ours), []).differing


def test_listed_difference_is_accepted_only_as_listed():
    system, ours = transcript(a="minor 38", b="minor 38"), transcript(a="minor 46", b="minor 38")
    assert not compare(system, ours, [listed("minor 38", "minor 46", "a")]).differing
    assert compare(system, ours, [listed("minor 38", "minor 46")]).differing.keys() == {"b"}
    assert compare(system, ours, [listed("minor 38", "minor 45", "a")]).differing.keys() == {"a"}


def test_stale_entry_is_seen():
    same = transcript(a="x")
    assert compare(same, same, [listed("y", "z")]).stale
    assert compare(same, same, [listed("x", "z", "other")]).stale


def test_bad_transcripts():
    for text in ("stray", "a | begin\na | begin", "a | not begun"):
        with pytest.raises(BadTranscript):
            parse(text)


def test_library_output_belongs_to_its_case():
    assert parse("# library /l\na | begin\na | x\nprinted\nb | begin").cases == {"a": ["x", "printed"], "b": []}


def test_seeded_fault_is_found(binaries, on_system, tmp_path):
    """fuse_reply_lseek answers one too much: exactly the cases that reach it differ."""
    shim = tmp_path / "seeded.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", shim, programs.HERE / "seeded.c"], check=True)
    env = programs.environment(ours=False) | {"LD_PRELOAD": str(shim)}
    out, status, errors = programs.run(binaries("d_file"), env)
    assert status == 0, errors
    system = on_system("d_file")
    result = compare(system, parse(out), [])
    reached = [name for name, lines in system.cases.items() if any("answer lseek returned" in line for line in lines)]
    assert reached and list(result.differing) == reached
