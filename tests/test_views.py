"""Views, joins and splits: layouts, sharing and gradients as PyTorch has them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from golden.record_tensor import lines_of, outcome, recorded
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad


@pytest.mark.parametrize("line", [*lines_of("views"), *lines_of("join")])
def test_as_pytorch(line: str) -> None:
    assert outcome(ad, line) == recorded()[line]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["permute", "transpose", "slice", "select", "unsqueeze", "reshape"]),
        st.integers(0, 10**6),
    ),
    max_size=5,
)


def _permute(x: np.ndarray, pick: int) -> tuple[np.ndarray, object]:
    order = np.random.default_rng(pick).permutation(x.ndim).tolist()
    return x.transpose(order), lambda t: t.permute(*order)


def _transpose(x: np.ndarray, pick: int) -> tuple[np.ndarray, object]:
    if not x.ndim:
        return x, lambda t: t
    a, b = pick % x.ndim, pick // 7 % x.ndim
    return x.swapaxes(a, b), lambda t: t.transpose(a, b - x.ndim)


def _slice(x: np.ndarray, pick: int) -> tuple[np.ndarray, object]:
    if not x.ndim:
        return x, lambda t: t
    d, start, step = pick % x.ndim, pick // 5 % 3, 1 + pick // 11 % 3
    index = (slice(None),) * d + (slice(start, None, step),)
    return x[index], lambda t: t[index]


def _select(x: np.ndarray, pick: int) -> tuple[np.ndarray, object]:
    if not x.ndim or not x.shape[pick % x.ndim]:
        return x, lambda t: t
    d = pick % x.ndim
    i = pick // 3 % x.shape[d]
    return x.take(i, d), lambda t: t.select(d, i)


def _unsqueeze(x: np.ndarray, pick: int) -> tuple[np.ndarray, object]:
    d = pick % (x.ndim + 1)
    return np.expand_dims(x, d), lambda t: t.unsqueeze(d)


def _reshape(x: np.ndarray, pick: int) -> tuple[np.ndarray, object]:
    if pick % 2 and x.size:
        return x.reshape(-1), lambda t: t.reshape(-1)
    return x.reshape(*x.shape, 1), lambda t: t.reshape([*t.shape, 1])


MODEL = {
    "permute": _permute,
    "transpose": _transpose,
    "slice": _slice,
    "select": _select,
    "unsqueeze": _unsqueeze,
    "reshape": _reshape,
}


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=3), STEPS)
def test_chains_of_views_hold_what_numpy_says_and_scatter_their_gradient_back(
    shape: list[int], steps: list[tuple[str, int]]
) -> None:
    size = int(np.prod(shape))
    model = np.arange(size, dtype=float).reshape(shape)
    x = ad.arange(float(size), dtype=ad.float64).reshape(shape).requires_grad_()
    y = x
    for name, pick in steps:
        if model.ndim > 6:
            break
        model, step = MODEL[name](model, pick)
        y = step(y)  # type: ignore[operator]
    assert y.tolist() == model.tolist()
    assert y.shape == model.shape
    weights = np.arange(1.0, model.size + 1).reshape(model.shape)
    y.backward(ad.tensor(weights))
    expected = np.zeros(size)
    expected[model.reshape(-1).astype(int)] = weights.reshape(-1)  # elements are their positions
    assert x.grad is None or x.grad.tolist() == expected.reshape(shape).tolist()
    assert x.grad is not None or y is x


@settings(max_examples=60, deadline=None)
@given(STEPS, st.booleans())
def test_a_write_through_views_reaches_the_base(
    steps: list[tuple[str, int]], in_graph: bool
) -> None:
    model = np.arange(24.0).reshape(2, 3, 4)
    leaf = ad.arange(24.0, dtype=ad.float64).reshape(2, 3, 4).requires_grad_(in_graph)
    x = leaf.clone()
    y, part = x, model
    for name, pick in steps:
        if name != "reshape":  # which may copy
            part, step = MODEL[name](part, pick)
            y = step(y)  # type: ignore[operator]
    touched = part.reshape(-1).astype(int).tolist()
    y.mul_(3)
    expected = np.arange(24.0)
    expected[touched] *= 3
    assert x.reshape(-1).tolist() == expected.tolist()
    if in_graph:
        x.sum().backward()
        assert leaf.grad is not None
        slope = np.ones(24)
        slope[touched] = 3
        assert leaf.grad.reshape(-1).tolist() == slope.tolist()


STRIDES = st.tuples(st.integers(0, 9), st.integers(0, 9))


@settings(max_examples=500, deadline=None)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(STRIDES, STRIDES),
    st.tuples(st.integers(0, 9), st.integers(0, 9)),
)
def test_what_is_written_over_what_is_read(
    shape: tuple[int, int], strides: tuple[tuple[int, int], ...], offsets: tuple[int, int]
) -> None:
    """Regions of one memory, interleaved or not: as if what is read had been copied first."""
    memory = ad.arange(64.0)
    each = zip(strides, offsets, strict=True)
    x, y = (memory.as_strided(shape, steps, offset) for steps, offset in each)
    expected = x.tolist()
    try:
        y.copy_(x)
    except RuntimeError:
        return  # what is written shares elements with itself
    assert y.tolist() == expected


def test_columns_of_one_matrix_may_be_written_together() -> None:
    x = ad.arange(12.0).reshape(3, 4)
    ad.mul(x[:, :2], 2, out=x[:, 2:])
    assert x.tolist() == [[0, 1, 0, 2], [4, 5, 8, 10], [8, 9, 16, 18]]
    ad.mul(x[:, :2], 2, out=x[:, 1:3])
    assert x.tolist() == [[0, 0, 2, 2], [4, 8, 10, 10], [8, 16, 18, 18]]


def test_a_view_taken_in_place_unrecorded_keeps_what_came_before() -> None:
    leaf, other = (ad.ones(2, 3, requires_grad=True) for _ in range(2))
    made, part = other * 2, (other * 3)[0]
    with ad.no_grad():
        leaf.t_()
        made.unsqueeze_(0)
        part.unsqueeze_(0)
    assert leaf.is_leaf
    (leaf * ad.arange(2.0)).sum().backward()
    assert leaf.grad is not None
    assert leaf.grad.tolist() == [[0.0, 1.0]] * 3
    (made.sum() + part.sum()).backward()
    assert other.grad is not None
    assert other.grad.tolist() == [[5.0] * 3, [2.0] * 3]


SIDES = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 48, 50)


@pytest.mark.parametrize("d", [ad.uint8, ad.float16, ad.float32, ad.float64])
def test_transposed_copies_of_all_sizes_touch_nothing_else(d: ad.dtype) -> None:
    """Whole tiles, parts of them at either side, and rows further apart than they are long."""
    for rows, columns in itertools.product(SIDES, SIDES):
        x = (ad.arange(rows * (columns + 3)) % 251).to(d).view(rows, columns + 3)[:, :columns]
        room = ad.full((columns, rows + 5), 7, dtype=d)
        room[:, 2:-3].copy_(x.t())
        wanted = [[7, 7, *column, 7, 7, 7] for column in zip(*x.tolist(), strict=True)]
        assert room.tolist() == wanted, (rows, columns)
