"""Tensors put together from pieces, and triangles, against plain Python."""

import math
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native_tensors import (
    NativeError,
    layouts,
    owned,
    positions,
    shape_of,
    shapes,
    tensor,
    values_of,
)

import autodiff as ad
from autodiff.native import NULL, lib

Piece = tuple[int, int, int]


@st.composite
def pieces(draw: st.DrawFn, size: int) -> Piece:
    """Some of a dimension, in order, backwards or one again and again; or of nothing."""
    step = draw(st.sampled_from([-1, 0, 1]))
    start = draw(st.integers(-1, size - 1))
    room = {-1: start + 1, 0: 3, 1: size - start}[step] if start >= 0 else 3
    return start, step, draw(st.integers(0, room))


@settings(max_examples=40)
@given(st.data(), shapes(), st.sampled_from(["bool", "float32", "int64"]))
def test_pieces(data: st.DataObject, shape: tuple[int, ...], dtype: str) -> None:
    values = [k % 2 if dtype == "bool" else k + 1 for k in range(math.prod(shape))]
    x = tensor(values, dtype, data.draw(layouts(shape)))
    plans = [data.draw(st.lists(pieces(n), max_size=3)) for n in shape]
    flat = [number for plan in plans for number in (len(plan), *sum(plan, ()))]
    zero = tensor([0], dtype, data.draw(layouts([])))
    y = owned(lib.ad_pieces(x, len(flat), flat, zero))
    taken = [
        [start if start < 0 else start + step * k for start, step, n in plan for k in range(n)]
        for plan in plans
    ]
    at = dict(zip(positions(shape), values, strict=True))
    assert shape_of(y) == tuple(len(each) for each in taken)
    assert values_of(y) == [at.get(place, 0) for place in product(*taken)]


@pytest.mark.parametrize(
    "plan",
    [[], [1], [-1], [1, 0, 1, 4], [1, 3, 1, 1], [1, 0, -1, 2], [1, 0, 2, 1], [1, 0, 1, -1],
     [1, -2, 1, 1], [1, -1, 1, 1], [2, 0, 1, 1], [1, 0, 1, 3, 0], [2, 0, 0, 2**62, 0, 0, 2**62]],
)  # fmt: skip
def test_bad_plans(plan: list[int]) -> None:
    x = ad.arange(3)
    with pytest.raises(NativeError):
        owned(lib.ad_pieces(x._p, len(plan), plan, NULL))


@settings(max_examples=20)
@given(st.data(), shapes(), st.integers(-4, 4) | st.sampled_from([-(2**63), 2**63 - 1]))
def test_triangle(data: st.DataObject, shape: tuple[int, ...], diagonal: int) -> None:
    shape = (*shape[:1], 3, 2)
    values = list(range(1, math.prod(shape) + 1))
    x = tensor(values, "float32", data.draw(layouts(shape)))
    for lower in (False, True):
        y = owned(lib.ad_triangle(x, diagonal, lower))
        kept = [
            v * ((at[-1] - at[-2] <= diagonal) if lower else (at[-1] - at[-2] >= diagonal))
            for at, v in zip(positions(shape), values, strict=True)
        ]
        assert values_of(y) == kept


@pytest.mark.parametrize("dtype", [ad.bool, ad.float32, ad.float64])
def test_long_rows(dtype: ad.dtype) -> None:
    """Rows that are moved in parts, to every place of a cache line."""
    x = (ad.arange(3 * 5000).reshape(3, 5000) * 7919 % 251).to(dtype)
    rows = x.tolist()
    for shift in (1, 17, 63, 2500):
        assert x.roll(shift, 1).tolist() == [row[-shift:] + row[:-shift] for row in rows]
    assert x.t().flip(1).tolist() == [list(row)[::-1] for row in zip(*rows, strict=True)]
