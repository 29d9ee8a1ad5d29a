"""Random programs on tensors do what they do in eager calls, bit for bit."""

from __future__ import annotations

import os

import pytest
import tensor_programs

COUNT = 25 if os.environ.get("AUTODIFF_TEST_PROFILE") == "few" else 100


@pytest.mark.parametrize("first", range(0, 8 * COUNT, COUNT))
def test_programs_are_those_of_eager(first: int) -> None:
    replayed = sum(bool(tensor_programs.check(seed).runs) for seed in range(first, first + COUNT))
    assert replayed > COUNT // 2
