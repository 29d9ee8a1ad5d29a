"""Indexing: recorded facts, and random index expressions against NumPy, both read and written."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from golden.record_tensor import lines_of, outcome, recorded
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad


@pytest.mark.parametrize("line", lines_of("index"))
def test_as_pytorch(line: str) -> None:
    assert outcome(ad, line) == recorded()[line]


Shape = tuple[int, ...]
SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)


@st.composite
def slices(draw: Any, size: int) -> slice:
    bound = st.none() | st.integers(-size - 2, size + 2)
    return slice(draw(bound), draw(bound), draw(st.none() | st.integers(1, 3)))


@st.composite
def positions(draw: Any, size: int, shape: Shape) -> np.ndarray:
    count = math.prod(shape)
    values = draw(st.lists(st.integers(-size, size - 1), min_size=count, max_size=count))
    return np.array(values, dtype=np.int64).reshape(shape)


@st.composite
def expressions(draw: Any, shape: Shape) -> tuple[Any, ...]:
    """An index as NumPy takes it: ints, slices, None, Ellipsis, index arrays and masks."""
    common = draw(st.sampled_from([(), (1,), (2,), (3,), (2, 1), (0,)]))
    first = draw(st.integers(0, len(shape)))
    last = draw(st.integers(first, len(shape)))
    before = draw_items(draw, shape[:first], common)
    if first == last and draw(st.booleans()):
        return (*before, *draw_items(draw, shape[last:], common))
    after = draw_items(draw, shape[last:], common)
    return (*before, Ellipsis, *after) if after or draw(st.booleans()) else tuple(before)


def draw_items(draw: Any, shape: Shape, common: Shape) -> list[Any]:
    """An item for each dimension of a shape, with a few None between."""
    items: list[Any] = []
    dim = 0
    while dim < len(shape):
        size = shape[dim]
        width = 1
        kinds = ["slice", "mask", *["int", "array", "list"] * bool(size)]
        if not any(item is None for item in items):  # more could exceed 8 dimensions
            kinds.append("none")
        kind = draw(st.sampled_from(kinds))
        if kind == "none":
            items.append(None)
            continue
        if kind == "mask":
            width = draw(st.integers(1, min(2, len(shape) - dim)))
            extent = shape[dim : dim + width]
            total = math.prod(extent)
            bits = draw(st.lists(st.booleans(), min_size=total, max_size=total))
            items.append(np.array(bits, dtype=bool).reshape(extent))
        elif kind == "slice":
            items.append(draw(slices(size)))
        elif kind == "int":
            items.append(draw(st.integers(-size, size - 1)))
        else:
            array = draw(positions(size, common if kind == "array" else (2,)))
            items.append(array if kind == "array" else array.tolist())
        dim += width
    return items


CASES = SHAPES.flatmap(lambda shape: st.tuples(st.just(shape), expressions(shape)))


def ours(index: tuple[Any, ...], as_they_are: bool) -> tuple[Any, ...]:
    """The index, its arrays as tensors or left NumPy's."""
    if as_they_are:
        return index
    return tuple(ad.tensor(i) if isinstance(i, np.ndarray) else i for i in index)


def is_mask(item: Any) -> bool:
    return isinstance(item, np.ndarray) and item.dtype == bool


def read(a: np.ndarray, index: tuple[Any, ...]) -> np.ndarray:
    """a[index] with PyTorch's order of dimensions: integers are taken before the arrays.

    An index tensor without dimensions counts as an integer.
    """
    index = tuple(int(i) if getattr(i, "shape", None) == () else i for i in index)
    consumed = sum(
        i.ndim if is_mask(i) else 1 for i in index if i is not None and i is not Ellipsis
    )
    spelled: list[Any] = []
    for item in index:
        if isinstance(item, np.ndarray) and item.ndim == 0 and not is_mask(item):
            item = int(item)  # PyTorch selects, where NumPy gathers
        spelled += [slice(None)] * (a.ndim - consumed) if item is Ellipsis else [item]
    basic: list[Any] = []
    arrays: list[Any] = []
    for item in spelled:
        if isinstance(item, (list, np.ndarray)):
            basic += [slice(None)] * (item.ndim if is_mask(item) else 1)
            arrays.append(item)
        else:
            basic.append(item)
            if not isinstance(item, int):
                arrays.append(slice(None))
    view = a[tuple(basic)]
    return view[tuple(arrays)] if arrays else view


def outcome_of(function: Any) -> Any:
    try:
        return function()
    except IndexError:
        return "IndexError"


@settings(max_examples=400, deadline=None)
@given(CASES, st.booleans())
def test_reads_as_numpy_and_scatters_its_gradient(
    case: tuple[Shape, tuple[Any, ...]], as_they_are: bool
) -> None:
    shape, index = case
    model = np.arange(float(math.prod(shape))).reshape(shape)
    x = ad.tensor(model).requires_grad_()
    expected = outcome_of(lambda: read(model, index))
    got = outcome_of(lambda: x[ours(index, as_they_are)])
    if isinstance(expected, str) or isinstance(got, str):
        assert isinstance(got, str) == isinstance(expected, str)
        return
    assert got.shape == expected.shape
    assert got.tolist() == expected.tolist()
    weights = np.arange(1.0, expected.size + 1).reshape(expected.shape)
    slope = np.zeros(model.size)
    np.add.at(slope, expected.reshape(-1).astype(int), weights.reshape(-1))
    got.backward(ad.tensor(weights))
    assert x.grad is not None
    assert x.grad.tolist() == slope.reshape(shape).tolist()


@settings(max_examples=400, deadline=None)
@given(CASES, st.sampled_from(["number", "full", "last", "leading ones"]), st.booleans())
def test_writes_as_numpy_with_gradients_of_both_sides(
    case: tuple[Shape, tuple[Any, ...]], form: str, as_they_are: bool
) -> None:
    shape, index = case
    size = math.prod(shape)
    where = outcome_of(lambda: read(np.arange(size).reshape(shape), index))
    if isinstance(where, str):
        return
    positions = where.reshape(-1).tolist()
    if len(set(positions)) < len(positions):
        return  # which of two writes to one place comes last is not defined
    target = {
        "number": (),
        "full": where.shape,
        "last": where.shape[-1:],
        "leading ones": (1, *where.shape),
    }[form]
    if len(target) > 8:
        return
    given_values = np.arange(float(math.prod(target))).reshape(target) + 100
    leaf = ad.arange(float(size), dtype=ad.float64).reshape(shape).requires_grad_()
    values = ad.tensor(given_values).requires_grad_()
    x = leaf.clone()
    x[ours(index, as_they_are)] = values
    wide = np.broadcast_to(
        given_values.reshape(target[1:]) if form == "leading ones" else given_values, where.shape
    )
    expected = np.arange(float(size))
    expected[positions] = wide.reshape(-1)
    assert x.reshape(-1).tolist() == expected.tolist()
    apart = leaf.detach().clone()
    apart[ours(index, as_they_are)] = 100.0 if form == "number" else values.detach()
    assert apart.reshape(-1).tolist() == expected.tolist()
    assert apart._version > 0 or not positions
    weights = np.arange(1.0, size + 1)
    (x.reshape(-1) * ad.tensor(weights)).sum().backward()
    assert leaf.grad is not None
    assert values.grad is not None
    slope = weights.copy()
    slope[positions] = 0
    assert leaf.grad.reshape(-1).tolist() == slope.tolist()
    assert values.grad.sum().item() == weights[positions].sum()
    if form == "full":
        assert values.grad.reshape(-1).tolist() == weights[positions].tolist()


def test_a_constant_written_into_a_graph_tensor_cuts_it_there() -> None:
    x = ad.ones(3, requires_grad=True)
    y = x * 2
    y[1] = 7
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2.0, 0.0, 2.0]


def test_an_index_that_changes_before_backward_is_an_error() -> None:
    x = ad.ones(3, requires_grad=True)
    index = ad.tensor([0, 1])
    y = x[index].sum()
    index[0] = 2
    with pytest.raises(RuntimeError, match="index tensor was written to"):
        y.backward()


def test_second_order_through_indexing() -> None:
    x = ad.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = (x[[0, 2, 2]] ** 3).sum()
    (g,) = ad.autograd.grad(y, x, create_graph=True)
    (h,) = ad.autograd.grad(g.sum(), x)
    assert h.tolist() == [6.0, 0.0, 36.0]


@pytest.mark.parametrize("value", [(), (1,), (5,), (4, 5), (1, 5), (1, 1, 1), (2, 5), (6, 4, 5)])
@pytest.mark.parametrize(("first", "dims"), [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (2, 1)])
def test_a_mask_is_written_to_as_its_places_are(value: Shape, first: int, dims: int) -> None:
    """Value, gradients and refusals, whether or not the value is the same for each place."""
    x, v = ad.arange(60.0).reshape(3, 4, 5), ad.rand(value) + 1

    def written(index: Any) -> Any:
        leaves = [x.clone().requires_grad_(), v.clone().requires_grad_()]
        y = leaves[0] * 2
        y[index] = leaves[1]
        return [y.detach(), *ad.autograd.grad((y * y).sum(), leaves)]

    mask = (x % 3 > 0)[(0,) * first + (slice(None),) * dims + (0,) * (3 - dims - first)]
    before = (slice(None),) * first
    masks = mask if not first else (*before, mask)
    places = (*before, *mask.nonzero(as_tuple=True))
    found = [outcomes(written, index) for index in (masks, places)]
    if isinstance(found[0], str):
        assert found[0] == found[1]
    else:
        assert all(ad.allclose(*pair) for pair in zip(*found, strict=True))


def outcomes(call: Any, index: Any) -> Any:
    """What a call gives, or what it raises."""
    try:
        return call(index)
    except (RuntimeError, IndexError) as failure:
        return f"{type(failure).__name__}: {failure}"


@pytest.mark.parametrize(
    ("index", "same"),
    [
        ((..., ...), (...,)),
        ((..., 0, ...), (..., 0)),
        ((0, ..., ...), (0, ...)),
        ((None, ..., ..., ...), (None, ...)),
        ((..., ad.tensor([1, 0]), ...), (..., ad.tensor([1, 0]))),
        ((ad.tensor([1]), ..., ...), (ad.tensor([1]), ...)),
    ],
)
def test_dots_after_the_first_stand_for_nothing(index: Any, same: Any) -> None:
    x = ad.arange(24.0).reshape(2, 3, 4)
    assert x[index].tolist() == x[same].tolist()
    x[index] = 0.0
    assert not x[same].any()


@given(st.integers(-4, 3), st.integers(-5, 4) | st.just(2**70))
def test_two_ints_are_one_after_the_other(i: int, j: int) -> None:
    x, raised = ad.arange(12).reshape(3, 4).clone(), []
    for take in (lambda: x[i, j], lambda: x[i][j]):
        try:
            view = take()
            view += 100  # of x's own memory
        except (IndexError, TypeError, ValueError, OverflowError) as error:
            raised.append(type(error))
    assert raised == [] or raised[0] is raised[1]
    if not raised:
        assert x[i].tolist()[j] >= 200
        assert (x >= 100).sum() == 1
