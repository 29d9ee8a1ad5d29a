"""Every operation in scope against PyTorch's recorded values and first and second derivatives."""

from __future__ import annotations

import pytest
from facts import check_slopes, check_value
from golden.record_operations import FACTS

# PyTorch's derivatives of these have few places, or an epsilon in them.
LOOSE = ("gamma", "binary_cross_entropy(")


@pytest.mark.parametrize("line", FACTS.lines)
def test_as_pytorch(line: str) -> None:
    wanted, got = check_value(FACTS, line)
    check_slopes(wanted[2:], got[2:], 1e-8 if any(name in line for name in LOOSE) else 1e-12)
