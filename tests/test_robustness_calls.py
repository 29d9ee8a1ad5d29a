"""Every public function, each allocation of a right call failing in turn: MemoryError, no crash."""

from __future__ import annotations

import warnings

import pytest
from golden.record_bad_input import Row, render, rows, scope, spell

import autodiff as ad
from autodiff.native import lib

MOST = 1000  # allocations of one call


def right_call(row: Row) -> str:
    """The call a row stands for."""
    line = render(row, [(key, value) for key, _, value in row.args])
    if row.made is None:
        return line
    return f"{line}({spell([(key, value) for key, _, value in row.made])})"


def call_without(line: str, at: int) -> Exception | None:
    """What the call raises when the allocation of this number fails."""
    names = scope(ad, line)
    lib.ad_memory_fail(at)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(line, names)
    except Exception as failure:
        return failure.with_traceback(None)
    finally:
        lib.ad_memory_fail(0)
    return None


@pytest.mark.usefixtures("settings_kept")
@pytest.mark.parametrize("section", sorted({row.section for row in rows()}))
def test_a_call_without_memory_raises_memory_error(section: str) -> None:
    for row in rows():
        line = right_call(row)
        if row.section != section or call_without(line, 0) is not None:
            continue  # a call that is refused whatever memory there is
        for at in range(1, MOST):
            failure = call_without(line, at)
            if failure is None:
                break
            assert isinstance(failure, MemoryError), (line, at, failure)
            assert " 0 bytes" not in str(failure), (line, at, failure)
        else:
            raise AssertionError(f"{line} still allocates after {MOST} times")
