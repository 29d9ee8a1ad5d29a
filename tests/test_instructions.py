"""No piece of work takes many more instructions than it did: a guard that needs no clock.

`cd tests && python -m golden instructions` records the counts; benchmarks/ tell about time.
"""

from __future__ import annotations

import json
import os
import shutil

import pytest
from golden.record_instructions import GOLDEN, compiler
from instructions import ISA, WORK, count, of_extension

from autodiff import _native
from autodiff.native import lib

RECORDED = json.loads(GOLDEN.read_text())
MORE, FEWER = 1.10, 0.75  # of what was recorded
ANOTHER_COMPILER = 2.0  # its code differs; an algorithm gone wrong still shows


def reason_to_skip() -> str:
    """Why instructions cannot be counted here, "" where they can."""
    if os.environ.get("AUTODIFF_SANITIZE"):
        return "a build with sanitizers executes more"
    if not lib.ad_isa_available(ISA.encode()):
        return f"the counts are of {ISA}, which this machine does not have"
    if shutil.which("valgrind") is None:
        return "valgrind is not installed"
    return ""


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    if reason := reason_to_skip():
        pytest.skip(reason)
    return count(tmp_path_factory.mktemp("callgrind"))


@pytest.mark.slow
def test_counts(counts: dict[str, int]) -> None:
    assert verdicts(counts, RECORDED["counts"], compiler(), RECORDED["compiler"]) == []


def verdicts(counts: dict[str, int], recorded: dict[str, int], here: str, there: str) -> list[str]:
    """What is wrong with counts here, beside those recorded there."""
    same = major(here) == major(there)
    most = MORE if same else ANOTHER_COMPILER
    found = []
    for name, number in counts.items():
        ratio = number / recorded[name]
        if ratio > most:
            found.append(f"{name}: {number} for {recorded[name]} instructions: slower")
        elif same and ratio < FEWER:
            found.append(f"{name}: {number} for {recorded[name]} instructions: record again")
    return found


def major(compiler: str) -> str:
    return compiler.partition(".")[0]


def test_every_work_is_recorded() -> None:
    assert RECORDED["isa"] == ISA
    assert list(RECORDED["counts"]) == list(WORK)


@pytest.mark.parametrize(
    ("number", "here", "said"),
    [
        (1000, "gcc 12.2.0", ""),
        (1099, "gcc 12.3.0", ""),
        (1101, "gcc 12.3.0", "slower"),
        (751, "gcc 12.2.0", ""),
        (749, "gcc 12.2.0", "record again"),
        (1101, "gcc 13.1.0", ""),
        (749, "clang 12.2.0", ""),
        (2001, "clang 18.1.8", "slower"),
    ],
)
def test_tolerance(number: int, here: str, said: str) -> None:
    found = verdicts({"work": number}, {"work": 1000}, here, "gcc 12.2.0")
    assert [text.rpartition(": ")[2] for text in found] == ([said] if said else [])


def test_only_own_instructions_count() -> None:
    """Of two functions of ours and one of another file, without what they call."""
    ours = os.path.realpath(_native.__file__)
    dump = f"""version: 1
events: Ir
ob=(1) /usr/bin/python
fn=(1) main
3 1000
ob=(2) {ours}
fn=(2) ad_pw
5 20
+2 3
cob=(1)
cfn=(1)
calls=4 0
* 5000
-1 4
ob=(1)
fn=(3) more
7 100
ob=(2)
fn=(4) ad_pw2
* 50
totals: 6177
"""
    assert of_extension(dump) == 20 + 3 + 4 + 50
