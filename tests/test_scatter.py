"""The scatters of the native library against loops: all ways, dtypes and layouts, and threads."""

from __future__ import annotations

import operator
import random
from collections.abc import Callable
from typing import Any

import pytest

import autodiff as ad
from autodiff.native import get_num_threads, lib, set_num_threads

WAYS: dict[str, tuple[int, Callable[[Any, Any], Any]]] = {
    "set": (lib.AD_SCATTER_SET, lambda t, v: v),
    "add": (lib.AD_SCATTER_ADD, operator.add),
    "mul": (lib.AD_SCATTER_MUL, operator.mul),
    "max": (lib.AD_SCATTER_MAX, max),
    "min": (lib.AD_SCATTER_MIN, min),
}
SHAPES = [
    ((7,), (5,)),
    ((6, 5), (4, 5)),
    ((3, 70, 2), (2, 90, 2)),
    ((4, 3), (4, 1)),
    ((5, 2), (9, 2)),
]


def wrapped(value: Any, d: ad.dtype) -> Any:
    """A number as a dtype holds it."""
    if d is ad.bool:
        return bool(value)
    if d.is_floating_point:
        return value
    low, count = ad.iinfo(d).min, 2 ** (8 * d.itemsize)
    return (value - low) % count + low


@pytest.mark.parametrize(
    "d", [ad.bool, ad.uint8, ad.int8, ad.int16, ad.int32, ad.int64, ad.float32, ad.float64]
)
@pytest.mark.parametrize("way", WAYS)
def test_as_a_loop(way: str, d: ad.dtype) -> None:
    how, join = WAYS[way]
    draw = random.Random(f"{way}{d}")
    for shape, index_shape in SHAPES:
        for dim in range(len(shape)):
            sizes = [min(pair) for pair in zip(shape, index_shape, strict=True)]
            sizes[dim] = index_shape[dim]
            spread = [*shape[::-1], 2]
            room = ad.tensor([draw.randint(0, 3) for _ in range(ad.Size(spread).numel())], dtype=d)
            x = room.reshape(spread).select(-1, 1).permute(*reversed(range(len(shape))))
            n = ad.Size(sizes).numel()
            index = ad.tensor([draw.randrange(shape[dim]) for _ in range(n)]).reshape(sizes)
            values = ad.tensor([draw.randint(0, 3) for _ in range(n)], dtype=d).reshape(sizes)
            expected = {at: x[at].item() for at in places(shape)}
            for at in places(sizes):
                to = (*at[:dim], index[at].item(), *at[dim + 1 :])
                expected[to] = wrapped(join(expected[to], values[at].item()), d)
            assert not lib.ad_scatter(x._p, dim, index._p, values._p, how)
            assert x.reshape(-1).tolist() == list(expected.values())


def places(shape: Any) -> list[tuple[int, ...]]:
    """Every index of a shape."""
    found: list[tuple[int, ...]] = [()]
    for size in shape:
        found = [(*at, i) for at in found for i in range(size)]
    return found


@pytest.mark.parametrize("way", WAYS)
def test_the_same_bits_for_any_number_of_threads(way: str) -> None:
    ad.manual_seed(0)
    x, values = ad.randn(300, 200), ad.randn(900, 200)
    index = ad.randint(0, 300, (900, 200))
    before, found = get_num_threads(), []
    try:
        for threads in (1, 3):
            set_num_threads(threads)
            y = x.clone()
            assert not lib.ad_scatter(y._p, 0, index._p, values._p, WAYS[way][0])
            found.append(y.tolist())
    finally:
        set_num_threads(before)
    assert found[0] == found[1]


def test_a_nan_is_the_extreme() -> None:
    nan = float("nan")
    for kind in ("amax", "amin"):
        index = ad.tensor([0, 0, 1])
        y = ad.tensor([1.0, nan]).scatter_reduce(0, index, ad.tensor([nan, 2.0, 3.0]), kind)
        assert all(v != v for v in y.tolist())


def test_wrong_ways_and_indices_are_refused() -> None:
    x, index = ad.zeros(3), ad.tensor([3])
    assert lib.ad_scatter(x._p, 0, index._p, x[:1]._p, 0) == lib.AD_OVERLAP
    values = ad.ones(1)
    assert lib.ad_scatter(x._p, 0, index._p, values._p, 5) == lib.AD_BAD_ARG
    assert lib.ad_scatter(x._p, 0, index._p, values._p, -1) == lib.AD_BAD_ARG
    with pytest.raises(RuntimeError, match="index 3 is out of bounds for dimension 0 with size 3"):
        x.scatter_(0, index, values)
    with pytest.raises(RuntimeError, match="index -1 is out of bounds"):
        x.scatter_reduce(0, ad.tensor([-1]), values, "amax")
    assert x.tolist() == [0, 0, 0]


@pytest.mark.parametrize("reduce", ["", "sum", "prod", "mean", "amax"])
def test_an_empty_source_has_an_empty_gradient(reduce: str) -> None:
    x, src = ad.ones(3, 2, requires_grad=True), ad.ones(0, 2, requires_grad=True)
    index = ad.zeros(0, 2, dtype=ad.int64)
    y = x.scatter_reduce(0, index, src, reduce) if reduce else x.scatter(0, index, src)
    gx, gs = ad.autograd.grad(y.sum(), [x, src])
    assert gx.tolist() == [[1.0, 1.0]] * 3
    assert gs.shape == (0, 2)
    odd = ad.zeros(0, 5, dtype=ad.int64)  # is of no shape in particular
    assert x.scatter(0, odd, ad.ones(3, 2, requires_grad=True)).tolist() == x.tolist()


INDEX, NONE = ad.tensor([[0, 1, 0]]), ad.zeros(0, dtype=ad.int64)
COPIES: dict[str, Callable[[ad.Tensor], ad.Tensor]] = {
    "scatter": lambda x: x.scatter(0, INDEX, ad.ones(1, 3)),
    "scatter of a number": lambda x: x.scatter(0, INDEX, 1.0),
    "scatter_add": lambda x: x.scatter_add(0, INDEX, ad.ones(1, 3)),
    "index_add": lambda x: x.index_add(0, INDEX[0, :2], ad.ones(2, 3)),
    "index_copy": lambda x: x.index_copy(0, INDEX[0, :2], ad.ones(2, 3)),
    "index_fill": lambda x: x.index_fill(0, INDEX[0], 1.0),
    "index_put": lambda x: x.index_put((INDEX[0],), ad.ones(3)),
    "masked_scatter": lambda x: x.masked_scatter(ad.tensor([True, False, True]), ad.ones(4)),
}
IDLE: dict[str, Callable[[ad.Tensor], ad.Tensor]] = {
    "scatter": lambda x: x.scatter(0, NONE, ad.ones(2, 3)),
    "scatter_add": lambda x: x.scatter_add(0, NONE, ad.ones(2, 3)),
    "scatter_reduce": lambda x: x.scatter_reduce(0, NONE, ad.ones(2, 3), "sum"),
    "index_add": lambda x: x.index_add(0, NONE, ad.ones(0, 3)),
    "index_copy": lambda x: x.index_copy(0, NONE, ad.ones(0, 3)),
    "index_fill": lambda x: x.index_fill(0, NONE, 1.0),
    "index_put": lambda x: x.index_put((NONE,), ad.ones(0, 3)),
    "put": lambda x: x.put(NONE, ad.ones(0)),
    "masked_scatter": lambda x: x.masked_scatter(ad.tensor(False), ad.ones(2)),
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_that_is_written_to_is_one_node(name: str) -> None:
    x = ad.zeros(2, 3, requires_grad=True)
    y = COPIES[name](x)
    ((leaf, _), *_) = y.grad_fn.next_functions
    assert leaf.variable is x
    assert y.any()
    assert not x.any()


@pytest.mark.parametrize("name", IDLE)
def test_a_copy_to_which_nothing_is_written_is_no_leaf(name: str) -> None:
    x = ad.zeros(2, 3, requires_grad=True)
    y = IDLE[name](x)
    assert not y.is_leaf
    assert "Accumulate" not in y.grad_fn.name()
    with ad.no_grad():
        y.add_(1)
    assert not x.any()
    y.sum().backward()
    assert x.grad.tolist() == [[1.0] * 3] * 2


def test_gather_of_no_places_asks_for_no_shape() -> None:
    x = ad.ones(2, 3, requires_grad=True)
    for shape in ((0, 5), (3, 0, 1), (0,)):
        y = x.gather(0, ad.zeros(*shape, dtype=ad.int64))
        assert y.shape == shape
        y.sum().backward()
    assert x.grad.tolist() == [[0.0] * 3] * 2
    with pytest.raises(RuntimeError, match="Size does not match"):
        x.gather(0, ad.zeros(1, 5, dtype=ad.int64))


@pytest.mark.parametrize("dtype", [ad.float32, ad.int32, ad.bool, ad.int64])
@pytest.mark.parametrize("shape", [(0,), (0, 4), (3, 0), (0, 0, 2)])
def test_an_empty_index_may_be_of_any_dtype(dtype: ad.dtype, shape: tuple[int, ...]) -> None:
    x = ad.ones(3, 4, requires_grad=True)
    index = ad.empty(shape, dtype=dtype)
    x.gather(1, index).sum().backward()
    assert x.gather(1, index).shape == shape
    assert not x.grad.any()
    for y in (x.scatter(1, index, 2.0), x.scatter(1, index, x), x.scatter_add(1, index, x)):
        assert y.equal(x)
    for how in ("sum", "prod", "mean", "amax"):
        assert x.scatter_reduce(1, index, x, how).equal(x)
    assert ad.ones(()).gather(0, index[:0].reshape(0)).shape == (0,)
    if dtype is not ad.int64:
        with pytest.raises(RuntimeError, match=r"dtype of indices|number of dimensions"):
            ad.take_along_dim(x, index, 1)


@pytest.mark.parametrize("dtype", [ad.float32, ad.bool])
def test_an_index_of_something_is_of_integers(dtype: ad.dtype) -> None:
    x, index = ad.ones(3), ad.zeros(1, dtype=dtype)
    for call in (lambda: x.gather(0, index), lambda: x.scatter(0, index, 1.0)):
        with pytest.raises(RuntimeError, match="Expected dtype int64 for index"):
            call()
