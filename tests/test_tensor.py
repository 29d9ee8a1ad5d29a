"""Conversions, arithmetic, promotion, reductions, products and in-place writes as PyTorch's."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from golden.record_tensor import lines_of, outcome, recorded
from hypothesis import given, settings
from hypothesis import strategies as st
from threaded import side_by_side

import autodiff as ad

THEMES = ["convert", "reduce", "matmul", "arithmetic", "windows", "seldom", "layouts"]


@pytest.mark.parametrize("line", [line for theme in THEMES for line in lines_of(theme)])
def test_as_pytorch(line: str) -> None:
    assert outcome(ad, line) == recorded()[line]


@given(st.sampled_from(ad.dtypes.ALL), st.sampled_from([1, 5, 1024, 1025, 2500]), st.data())
def test_equal_is_that_no_element_differs(d: ad.dtype, n: int, data: st.DataObject) -> None:
    x = (ad.arange(n) % 2).to(d)
    y, apart = x.clone(), ad.zeros(n, 2, dtype=d)
    apart[:, 0] = x
    assert ad.equal(x, y)
    assert ad.equal(x, apart[:, 0])
    at = data.draw(st.integers(0, n - 1))
    y[at] = 1 - int(x[at])
    assert not ad.equal(x, y)
    assert not ad.equal(apart[:, 0], y)
    assert not ad.equal(x, x.view(1, n))
    if d.is_floating_point:
        y[at] = math.nan
        assert not ad.equal(y, y)
        assert ad.equal(ad.zeros(n, dtype=d), -ad.zeros(n, dtype=d))


# ---- conversions that PyTorch leaves to the CPU are at least never wild ----


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30, -1e30, 3e9, -1.0, 256.0])
@pytest.mark.parametrize("source", [ad.float32, ad.float64])
@pytest.mark.parametrize("target", [ad.int64, ad.int32, ad.int16, ad.int8, ad.uint8])
def test_floats_out_of_range_give_some_integer_of_the_dtype(
    value: float, source: ad.dtype, target: ad.dtype
) -> None:
    many = ad.full((33,), value, dtype=source).to(target)
    low, high = ad.iinfo(target).min, ad.iinfo(target).max
    found = set(many.tolist())
    assert len(found) == 1, "the lanes of a vector agree with the tail"
    assert low <= found.pop() <= high
    assert ad.full((33,), value, dtype=source).to(ad.bool).tolist() == [True] * 33


def test_python_conversions_of_special_values_raise_as_python_does() -> None:
    with pytest.raises(ValueError, match="NaN"):
        int(ad.tensor(math.nan))
    with pytest.raises(OverflowError):
        int(ad.tensor(math.inf))
    assert math.isnan(float(ad.tensor(math.nan)))


# ---- dtype promotion of every operator, against PyTorch's rule written down plainly ----

DTYPES = [ad.bool, ad.uint8, ad.int8, ad.int16, ad.int32, ad.int64, ad.float32, ad.float64]
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "<": lambda a, b: a < b,
    "max": lambda a, b: ad.maximum(ad.as_tensor(a), ad.as_tensor(b)),
}


def category(d: ad.dtype) -> int:
    return 0 if d is ad.bool else 2 if d.is_floating_point else 1


def expected_dtype(symbol: str, a: tuple[ad.dtype, int], b: tuple[ad.dtype, int]) -> ad.dtype:
    """The wider category wins; within one, a tensor with dimensions wins over one without."""
    (da, na), (db, nb) = a, b
    result = ad.promote_types(da, db)
    if (na == 0) != (nb == 0):
        strong, weak = (da, db) if na else (db, da)
        result = strong if category(strong) >= category(weak) else ad.promote_types(da, db)
    if symbol == "/" and not result.is_floating_point:
        return ad.float32
    return ad.bool if symbol == "<" else result


@pytest.mark.parametrize("symbol", OPERATORS)
@pytest.mark.parametrize("a", DTYPES, ids=repr)
@pytest.mark.parametrize("b", DTYPES, ids=repr)
def test_promotion(symbol: str, a: ad.dtype, b: ad.dtype) -> None:
    for na in (0, 1):
        for nb in (0, 1):
            x, y = ad.ones([2] * na, dtype=a), ad.ones([2] * nb, dtype=b)
            result = OPERATORS[symbol](x, y)
            assert result.dtype is expected_dtype(symbol, (a, na), (b, nb)), (na, nb)
            assert result.shape == ((2,) if na or nb else ())


# ---- integers, exactly ----

INTS = st.integers(-(2**63), 2**63 - 1)
LIMITS = {
    d: (ad.iinfo(d).min, 2 ** (8 * d.itemsize)) for d in DTYPES if 0 < d.code < ad.float16.code
}
INTEGER_OPS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
}


def wrapped(value: int, d: ad.dtype) -> int:
    low, count = LIMITS[d]
    return (value - low) % count + low


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(LIMITS)), st.sampled_from(list(INTEGER_OPS)), INTS, INTS)
def test_integers_wrap_around(d: ad.dtype, symbol: str, a: int, b: int) -> None:
    a, b = wrapped(a, d), wrapped(b, d)
    if symbol in ("//", "%") and b == 0:
        b = 1
    x, y = ad.tensor([a] * 9, dtype=d), ad.tensor([b] * 9, dtype=d)
    result = INTEGER_OPS[symbol](x, y)
    assert result.dtype is d
    assert result.tolist() == [wrapped(INTEGER_OPS[symbol](a, b), d)] * 9


@settings(max_examples=200, deadline=None)
@given(INTS, INTS)
def test_integers_compare_exactly(a: int, b: int) -> None:
    x, y = ad.tensor([a]), ad.tensor([b])
    results = [x < y, x <= y, x == y, x != y, x > y, x >= y]
    assert [r.item() for r in results] == [a < b, a <= b, a == b, a != b, a > b, a >= b]


# ---- reductions over any dimensions, against NumPy ----

REDUCTIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "sum": (lambda x, d, k: x.sum(d, k), np.sum),
    "mean": (lambda x, d, k: x.mean(d, k), np.mean),
    "amax": (lambda x, d, k: x.amax(d, k), np.max),
    "amin": (lambda x, d, k: x.amin(d, k), np.min),
    "any": (lambda x, d, k: x.any(d, k), np.any),
    "all": (lambda x, d, k: x.all(d, k), np.all),
}


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(list(REDUCTIONS)),
    st.lists(st.integers(1, 4), max_size=4),
    st.randoms(use_true_random=False),
    st.booleans(),
)
def test_reductions_over_dimensions(name: str, shape: list[int], rng: Any, keepdim: bool) -> None:
    dims = rng.sample(range(len(shape)), rng.randint(0, len(shape))) if shape else []
    given_dims = tuple(d - len(shape) if rng.random() < 0.5 else d for d in dims)
    values = np.array([rng.randint(-4, 4) for _ in range(math.prod(shape))], dtype=float)
    order = rng.sample(range(len(shape)), len(shape))
    a = values.reshape(shape).transpose(order)
    x = ad.tensor(values).reshape(shape).permute(*order) if shape else ad.tensor(values).reshape(())
    function, model = REDUCTIONS[name]
    result = function(x, given_dims, keepdim)
    # without dims PyTorch reduces all of them, but for any and all
    axis = given_dims if name in ("any", "all") else given_dims or None
    expected = model(a, axis=axis, keepdims=keepdim)
    assert result.shape == np.shape(expected)
    assert np.array_equal(result.numpy(), expected)


# ---- the version counter, and what it guards ----


def test_every_write_counts() -> None:
    x = ad.zeros(4)
    writes: list[Callable[[], Any]] = [
        lambda: x.add_(1),
        lambda: x[0].fill_(2),
        lambda: x.__setitem__(0, 1),
        lambda: x.__setitem__([0, 1], 1),
        lambda: x.view(2, 2).t().mul_(2),
        lambda: x.copy_(ad.ones(4)),
        lambda: x.zero_(),
        lambda: x.clamp_(0, 1),
        lambda: ad.add(ad.ones(4), 1, out=x),
        lambda: x.masked_fill_(x > 0, 1),
        lambda: x.detach().exp_(),
    ]
    for count, write in enumerate(writes, start=1):
        write()
        assert x._version == count


@pytest.mark.parametrize(
    "use",
    [
        lambda x, y: x * y,
        lambda x, y: x @ y,
        lambda x, y: y.log() * x,
        lambda x, y: x / y,
        lambda x, y: (y * y).prod() * x,
        lambda x, y: y.amax() * x,
        lambda x, y: ad.where(y > 0, x, y) * y,
    ],
)
def test_a_saved_tensor_that_was_written_to_is_an_error(use: Callable[..., Any]) -> None:
    x = ad.ones(3, requires_grad=True)
    y = ad.ones(3, requires_grad=True) * 2
    z = use(x, y).sum()
    y.detach().add_(1)
    with pytest.raises(RuntimeError, match=r"modified by an inplace operation.*Backward0"):
        z.backward()


@pytest.mark.parametrize(
    ("write", "slope"),
    [
        (lambda y: y.mul_(y.detach() * 0 + 3), 3.0),
        (lambda y: y.mul_(2).add_(1), 2.0),
        (lambda y: y.pow_(2), 4.0),
        (lambda y: y.mul_(y), 4.0),
        (lambda y: y.div_(y.clone()), 0.0),
        (lambda y: y.sub_(1).neg_(), -1.0),
        (lambda y: y.fill_(3.0), 0.0),
        (lambda y: y.zero_(), 0.0),
        (lambda y: y.copy_(ad.ones(2)), 0.0),
        (lambda y: y.clamp_(0, 5), 1.0),
        (lambda y: y.add_(y.clone()), 2.0),
    ],
)
def test_gradients_pass_through_in_place_operations(write: Any, slope: float) -> None:
    x = ad.full((2,), 2.0, requires_grad=True)
    y = x * 1
    assert write(y) is y
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == pytest.approx([slope, slope], rel=1e-6)


def test_a_long_chain_goes_backward_without_recursion() -> None:
    x = ad.ones(1, requires_grad=True)
    y = x
    for _ in range(20 * sys.getrecursionlimit()):
        y = y + 1
    y.backward()
    assert x.grad is not None
    assert x.grad.item() == 1
    del y


def test_graphs_on_several_threads() -> None:
    def work(seed: int) -> None:
        for step in range(50):
            x = ad.full((10,), float(seed + step), requires_grad=True)
            (x * x).sum().backward()
            assert x.grad is not None
            assert x.grad.tolist() == [2.0 * (seed + step)] * 10

    side_by_side(*[partial(work, i) for i in range(4)])


def test_bools_of_any_byte_can_be_looked_at() -> None:
    flags = ad.zeros(4, dtype=ad.bool)  # as memory that is not set may hold
    flags.view(ad.uint8).copy_(ad.tensor([1, 2, 190, 0]))
    assert flags.tolist() == [True, True, True, False]
    assert flags.view(2, 2).tolist() == [[True, True], [True, False]]
    assert repr(flags) == "tensor([ True,  True,  True, False])"


def test_strides_are_those_of_the_memory() -> None:
    rows, long = ad.zeros(2, 3, 4), ad.zeros(70_000)
    layouts = [
        rows, rows.permute(2, 0, 1), rows[:, ::2], rows[:, :, 3], rows.expand(5, 2, 3, 4),
        rows.reshape(2, 3, 2, 2, 1).permute(4, 3, 2, 1, 0), long[::3], long.expand(3, 70_000),
        long.reshape(2, 35_000).t(), ad.zeros(()),
    ]  # fmt: skip
    for x in layouts * 2:  # what is asked again is told from what was asked before
        found = [step // x.element_size() for step in x.numpy().strides]
        assert x.stride() == tuple(found)
        assert [x.stride(d) for d in range(x.ndim)] == found
