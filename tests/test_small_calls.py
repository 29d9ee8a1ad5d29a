"""Pointwise calls on few elements, which no loop is laid out for, give what a loop gives."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from large import digest

import autodiff as ad

MANY = 3000  # elements: of several blocks
BINARY: dict[str, Callable[..., Any]] = {
    **{f.__name__: f for f in (operator.add, operator.sub, operator.mul, operator.truediv)},
    **{f.__name__: f for f in (operator.lt, operator.le, operator.eq, operator.ne, operator.pow)},
    **{f.__name__: f for f in (ad.maximum, ad.atan2, ad.fmod, ad.floor_divide, ad.logical_xor)},
}
UNARY: dict[str, Callable[..., Any]] = {
    **{f.__name__: f for f in (ad.exp, ad.relu, ad.tanh, ad.logical_not, ad.sign, ad.square)},
    "clamp": lambda x: x.clamp(-0.5, 1),
    "where": lambda x: ad.where(x > 0, x, 2),
}
SHAPES = [(), (1,), (1, 1), (2, 3), (7,), (4, 1, 5), (1023,), (1024,), (1025,), (0,), (3, 0)]


def drawn(d: ad.dtype, seed: int) -> ad.Tensor:
    """Some elements are equal, and none is a zero that an integer is divided by."""
    x = (ad.randn(MANY, generator=ad.Generator().manual_seed(seed)) * 4).round() / 2
    return ad.where(x.to(d) == 0, ad.ones((), dtype=d), x.to(d))


def start(x: ad.Tensor, shape: tuple[int, ...]) -> ad.Tensor:
    return x[: math.prod(shape)].reshape(shape)


def same(found: Any, whole: Any, shape: tuple[int, ...]) -> None:
    expected = start(whole, shape)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert digest([found]) == digest([expected])


dtypes = st.sampled_from(ad.dtypes.ALL)
shapes = st.sampled_from(SHAPES)


def tried(f: Callable[..., Any], *xs: Any) -> Any:
    """What it gives, or the error it raises: not every op takes every dtype."""
    try:
        return f(*xs)
    except (TypeError, RuntimeError, NotImplementedError) as error:
        return type(error)


@given(st.sampled_from([*BINARY]), dtypes, dtypes, shapes, st.integers(0, 3))
def test_two_operands_of_one_shape(
    name: str, d: ad.dtype, e: ad.dtype, shape: tuple[int, ...], seed: int
) -> None:
    x, y, f = drawn(d, seed), drawn(e, seed + 1), BINARY[name]
    whole = tried(f, x, y)
    found = tried(f, start(x, shape), start(y, shape))
    if isinstance(whole, type):
        assert found is whole
    else:
        same(found, whole, shape)


@given(
    st.sampled_from([*BINARY]), dtypes, shapes, st.sampled_from([True, 2, -3, 0.5]), st.booleans()
)
def test_an_operand_and_a_number(
    name: str, d: ad.dtype, shape: tuple[int, ...], number: Any, first: bool
) -> None:
    x, f = drawn(d, 0), BINARY[name]
    call = (lambda x: f(number, x)) if first else (lambda x: f(x, number))
    whole = tried(call, x)
    found = tried(call, start(x, shape))
    if isinstance(whole, type):
        assert found is whole or not start(x, shape).numel()
    else:
        same(found, whole, shape)


@given(
    st.sampled_from([*BINARY]), dtypes, dtypes, shapes, st.sampled_from(SHAPES[:3]), st.booleans()
)
def test_an_operand_and_one_element(
    name: str, d: ad.dtype, e: ad.dtype, shape: tuple[int, ...], one: tuple[int, ...], first: bool
) -> None:
    x, y = drawn(d, 0), drawn(e, 1)
    f = BINARY[name] if not first else (lambda x, y: BINARY[name](y, x))
    many, element = start(x, shape), start(y, one)
    apart = ad.stack([many, many], -1)[..., 0]  # a loop reads it
    found, expected = tried(f, many, element), tried(f, apart, element)
    if isinstance(expected, type):
        assert found is expected
    else:
        assert found.shape == expected.shape
        assert digest([found]) == digest([expected])


@given(dtypes, dtypes, shapes, st.sampled_from([(0, 1, 2), (0, 0, 1), (0, 1, 0), (0, 1, 1)]))
def test_where(
    d: ad.dtype, e: ad.dtype, shape: tuple[int, ...], which: tuple[int, int, int]
) -> None:
    for c in (drawn(ad.float32, 2) > 0, drawn(ad.uint8, 2) - 1):
        xs = [c, drawn(d, 0), drawn(e, 1)]
        whole = tried(ad.where, *[xs[i] for i in which])
        found = tried(ad.where, *[start(xs[i], shape) for i in which])
        if isinstance(whole, type):
            assert found is whole
        else:
            same(found, whole, shape)


@given(st.sampled_from([*UNARY]), dtypes, shapes)
def test_one_operand(name: str, d: ad.dtype, shape: tuple[int, ...]) -> None:
    x, f = drawn(d, 0), UNARY[name]
    whole = tried(f, x)
    found = tried(f, start(x, shape))
    if isinstance(whole, type):
        assert found is whole
    else:
        same(found, whole, shape)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("to", ad.dtypes.ALL, ids=str)
@pytest.mark.parametrize("d", ad.dtypes.ALL, ids=str)
def test_conversions(d: ad.dtype, to: ad.dtype, shape: tuple[int, ...]) -> None:
    x = drawn(d, 0)
    same(start(x, shape).to(to), x.to(to), shape)


@given(
    st.sampled_from([*BINARY]),
    st.sampled_from([ad.float32, ad.float64, ad.int64]),
    st.lists(st.integers(1, 6), min_size=2, max_size=4),
    st.data(),
)
def test_operands_that_lie_alike_otherwise(
    name: str, d: ad.dtype, shape: list[int], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(shape))))
    other = data.draw(st.sampled_from([order, sorted(order), order[::-1]]))
    x, y = drawn(d, 0)[: math.prod(shape)], drawn(d, 1)[: math.prod(shape)]
    x, y = x.reshape(shape).permute(order), y.reshape(shape).contiguous().permute(other)
    if x.shape != y.shape:
        y = y.flatten().reshape(x.shape)
    found = BINARY[name](x, y)
    assert digest([found]) == digest([BINARY[name](x.contiguous(), y.contiguous())])
    if 1 not in shape:
        assert found.stride() == x.stride()
