"""Tensors of nested lists and back: what the native way takes is what Python's way makes of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from large import digest

import autodiff as ad
from autodiff import values
from autodiff.ops import convert

NUMBERS = st.one_of(
    st.booleans(),
    st.integers(-5, 5),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([None, "1", 2**63, -(2**63), 2**1030, ad.tensor(3)]),
)
PLAIN = st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats())
SEQUENCES = st.sampled_from([list, tuple])
DTYPES = st.sampled_from([None, *ad.dtypes.ALL])


@contextmanager
def in_python() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convert, "of_lists", lambda *given: None)
        patch.setattr(values, "to_lists", lambda *given: None)
        yield


@st.composite
def nested(draw: st.DrawFn, leaves: st.SearchStrategy[Any], ragged: bool) -> Any:
    """Mostly of one length at each level."""
    shape = draw(st.lists(st.integers(1 - ragged, 3), max_size=4))

    def part(depth: int) -> Any:
        if depth == len(shape) or (ragged and draw(st.integers(0, 30)) == 0):
            return draw(leaves)
        n = shape[depth] + (ragged and draw(st.integers(0, 20)) == 0)
        return draw(SEQUENCES)(part(depth + 1) for _ in range(n))

    return part(0)


def made(data: Any, d: ad.dtype | None) -> Any:
    """What is made, or the error."""
    try:
        x = ad.tensor(data, dtype=d)
    except (TypeError, ValueError, RuntimeError) as error:
        return type(error), str(error)
    return digest([x]), x.stride(), x.is_leaf, x.requires_grad


def check_both_ways(data: Any, d: ad.dtype | None) -> None:
    found = made(data, d)
    with in_python():
        assert found == made(data, d)


@pytest.mark.filterwarnings("ignore:To copy construct")  # a tensor alone
@given(nested(NUMBERS, ragged=True), DTYPES)
def test_anything(data: Any, d: ad.dtype | None) -> None:
    check_both_ways(data, d)


@given(nested(PLAIN, ragged=False), DTYPES, st.sampled_from([ad.float32, ad.float64, ad.float16]))
def test_plain_numbers(data: Any, d: ad.dtype | None, default: ad.dtype) -> None:
    before = ad.get_default_dtype()
    ad.set_default_dtype(default)
    try:
        check_both_ways(data, d)
    finally:
        ad.set_default_dtype(before)


@given(st.sampled_from(ad.dtypes.ALL), st.lists(st.integers(0, 4), max_size=4), st.data())
def test_back_again(d: ad.dtype, shape: list[int], data: st.DataObject) -> None:
    x = (ad.arange(1, 1 + ad.zeros(shape).numel()) * 37 % 101 - 50).to(d).reshape(shape)
    x = x.permute(data.draw(st.permutations(range(len(shape)))))
    if shape and data.draw(st.booleans()):
        x = x[:: data.draw(st.integers(1, 3))]
    found = x.tolist()
    with in_python():
        assert repr(found) == repr(x.tolist())
    if x.numel():
        assert digest([ad.tensor(found, dtype=d)]) == digest([x.contiguous()])


def test_the_native_way_is_taken() -> None:
    """Else there is nothing to compare."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convert, "_Elements", None)
        assert ad.tensor([[1, 2.5], [3, True]]).tolist() == [[1.0, 2.5], [3.0, 1.0]]
        assert ad.tensor(True).dtype is ad.bool


def test_too_deep_too_many_and_without_end() -> None:
    deep: Any = 1.0
    for _ in range(8):
        deep = [deep]
    assert ad.tensor(deep).shape == (1,) * 8
    with pytest.raises(ValueError, match="at most 8 dimensions"):
        ad.tensor([deep])
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="at most 8 dimensions"):
        ad.tensor(endless)


def test_lists_that_change_meanwhile() -> None:
    """Another thread lengthens and shortens what is read: a tensor comes, or an error."""
    rows = [[float(i)] * 8 for i in range(64)]
    done = threading.Event()

    def change() -> None:
        while not done.is_set():
            rows[5].append(1.0)
            rows[5].pop()
            rows[7] = [2.0] * 8

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(300):
            try:
                assert ad.tensor(rows).shape == (64, 8)
            except ValueError as error:
                assert "expected sequence of length 8" in str(error)  # noqa: PT017
    finally:
        done.set()
        thread.join()
