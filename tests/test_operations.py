"""Every operation in scope against PyTorch's recorded values and first and second derivatives."""

from __future__ import annotations

import pytest
from facts import check_failure, check_slopes, near
from golden.record_operations import lines, outcome, recorded

import autodiff as ad

# PyTorch's derivatives of these have few places, or an epsilon in them.
LOOSE = ("gamma", "binary_cross_entropy(")


@pytest.mark.parametrize("line", lines())
def test_as_pytorch(line: str) -> None:
    wanted, got = recorded()[line], outcome(ad, line)
    if isinstance(wanted, str) or isinstance(got, str):
        check_failure(wanted, got)
        return
    assert near(got[0], wanted[0])
    check_slopes(wanted[3:], got[3:], 1e-8 if any(name in line for name in LOOSE) else 1e-12)
