"""Tensors print as in PyTorch: every recorded case, on a stand-in that is only shape and values."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from golden.record_repr import GOLDEN, SEVERAL, several

import autodiff as ad
from autodiff._format import (
    get_printoptions,
    printoptions,
    set_printoptions,
    tensor_text,
)

RECORDED = json.loads(GOLDEN.read_text())
CASES: list[dict[str, Any]] = RECORDED["cases"]


class Values:
    """A row-major array that counts how many values were asked for."""

    fetched = 0

    def __init__(self, shape: Sequence[int], flat: Sequence[Any]) -> None:
        self.shape = tuple(shape)
        self.flat = flat

    def __getitem__(self, index: Any) -> Values:
        inner = math.prod(self.shape[1:])
        if isinstance(index, int):
            assert 0 <= index < self.shape[0]
            return Values(self.shape[1:], self.flat[index * inner : (index + 1) * inner])
        start, stop, step = index.indices(self.shape[0])
        assert step == 1
        return Values((stop - start, *self.shape[1:]), self.flat[start * inner : stop * inner])

    def tolist(self) -> Any:
        Values.fetched += len(self.flat)
        if not self.shape:
            return self.flat[0]
        if len(self.shape) == 1:
            return list(self.flat)
        return [self[i].tolist() for i in range(self.shape[0])]


@pytest.fixture(autouse=True)
def _restore_options() -> Iterator[None]:
    yield
    set_printoptions(profile="default")


def values_of(case: dict[str, Any]) -> Values:
    numel = math.prod(case["shape"])
    return Values(case["shape"], list(itertools.islice(itertools.cycle(case["values"]), numel)))


def case_name(case: dict[str, Any]) -> str:
    extras = [f"{k}={case[k]}" for k in ("options", "requires_grad", "grad_fn") if k in case]
    return " ".join([case["dtype"], str(case["shape"]), str(case["values"][:4]), *extras])


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_prints_as_pytorch(case: dict[str, Any]) -> None:
    set_printoptions(**case.get("options", {}))
    text = tensor_text(
        values_of(case),
        case["dtype"],
        requires_grad=case.get("requires_grad", False),
        grad_fn=case.get("grad_fn"),
    )
    assert text == case["text"]


def test_fetches_only_the_edges() -> None:
    Values.fetched = 0
    tensor_text(Values((100, 100, 100), range(1_000_000)), "int64")
    assert Values.fetched == 6**3


def test_default_dtype_has_no_suffix() -> None:
    x = Values((1,), [1.5])
    assert tensor_text(x, "float64", default_dtype="float64") == "tensor([1.5000])"
    expected = "tensor([1.5000], dtype=torch.float32)"
    assert tensor_text(x, "float32", default_dtype="float64") == expected


@pytest.mark.parametrize("line", SEVERAL)
def test_several_tensors_print_as_pytorch_s(line: str) -> None:
    assert several(ad, line) == RECORDED["several"][line]


def test_options_are_kept_but_for_sci_mode() -> None:
    set_printoptions(precision=2, sci_mode=True)
    set_printoptions(linewidth=50)
    assert get_printoptions() == {
        "precision": 2,
        "threshold": 1000,
        "edgeitems": 3,
        "linewidth": 50,
        "sci_mode": None,
    }


def test_printoptions_ends_with_its_block() -> None:
    before = get_printoptions()
    with printoptions(profile="full", sci_mode=True):
        assert get_printoptions()["threshold"] == math.inf
    assert get_printoptions() == before


def test_bad_options_change_nothing() -> None:
    before = get_printoptions()
    with pytest.raises(ValueError, match="precision must not be negative, got -1"):
        set_printoptions(precision=-1)
    with pytest.raises(ValueError, match="profile must be one of default, short, full, got 'x'"):
        set_printoptions(profile="x")
    assert get_printoptions() == before
