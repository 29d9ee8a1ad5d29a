"""Result dtypes are PyTorch's, for every pair of dtypes, 0-d tensors and Python numbers."""

from __future__ import annotations

import json

import pytest
from golden.record_promotion import GOLDEN, combinations, letters

import autodiff as ad

RECORDED: dict[str, str] = json.loads(GOLDEN.read_text())["letters"]
# Functions that also take what PyTorch refuses: numbers first, bools as integers of one bit.
LENIENT = {"abs", "relu", "pow", "floor_divide", "remainder", "fmod"}
LENIENT |= {"lt", "le", "gt", "ge", "eq", "ne", "bitwise_left_shift", "bitwise_right_shift"}
OF_BOOL_IS_BOOL = {"square"}  # int64 in PyTorch


@pytest.mark.parametrize("name", RECORDED)
def test_result_dtype(name: str) -> None:
    got, expected = letters(ad, name), RECORDED[name]
    for args, ours, theirs in zip(combinations(ad, name), got, expected, strict=True):
        if theirs == "x" and name in LENIENT:
            continue
        if name in OF_BOOL_IS_BOOL and args[0].dtype is ad.bool:
            theirs = "b"
        assert ours == theirs, args


@pytest.mark.parametrize("text", ["b - i", "i - b", "b - 1", "i - True", "1 - b", "i.sub_(b)"])
def test_bools_are_not_subtracted(text: str) -> None:
    with pytest.raises(RuntimeError, match="Subtraction, the `-` operator, with a bool tensor"):
        eval(text, {"b": ad.tensor([True]), "i": ad.tensor([1])})
