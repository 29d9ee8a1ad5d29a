"""Cases of rearranging, and of writing at places: calls, shapes of operands, definitions."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import fmean
from typing import Any

import autodiff as ad
from autodiff.nn import functional
from autodiff.testing.reference import Array, Index

# Name, call, shapes of the operands as `sized` takes them, least size, definition.
Row = tuple[str, Callable[..., Any], tuple[str, ...], int, Callable[..., Array]]

ROWS = ad.tensor([[1, 0, 1], [1, 1, 0]])
PLACES = ad.tensor([2, 0])
MASK = ad.tensor([True, False, True])


def read(shape: Callable[[Array], Any], index: Callable[..., Index]) -> Callable[..., Array]:
    """A reference that reads, at each index of its result, one element of its operand."""
    return lambda x: Array(shape(x), lambda i: x[index(*i)])


def written(write: Callable[..., Any]) -> Callable[..., ad.Tensor]:
    """A function that writes to a copy of its first operand."""

    def call(x: ad.Tensor, *others: ad.Tensor) -> ad.Tensor:
        y = x.clone()
        write(y, *others)
        return y

    return call


def _same(x: Array) -> Any:
    return x.shape


def _zeros_but(
    shape: Callable[[Array], Any], index: Callable[..., Index | None]
) -> Callable[[Array], Array]:
    """The element of x at an index of its own, or 0 where there is none."""

    def reference(x: Array) -> Array:
        def value(i: Index) -> float:
            at = index(*i)
            return 0.0 if at is None else float(x[at])

        return Array(shape(x), value)

    return reference


def _scattered(
    join: Callable[[list[float]], float], include_self: bool = True
) -> Callable[[Array, Array], Array]:
    """Each element with what ROWS sends to it along dimension 0."""
    places = ROWS.tolist()

    def reference(x: Array, v: Array) -> Array:
        def value(i: Index) -> float:
            sent = [v[r, i[1]] for r in range(2) if places[r][i[1]] == i[0]]
            own = [x[i]] if include_self or not sent else []
            return join(own + sent)

        return Array(x.shape, value)

    return reference


def _reduce(kind: str, include_self: bool = True) -> Callable[..., ad.Tensor]:
    return lambda x, v: x.scatter_reduce(0, ROWS, v, kind, include_self=include_self)


REARRANGED: list[Row] = [
    ("movedim", lambda x: x.movedim(0, -1), ("l m n",), 0, read(
        lambda x: (*x.shape[1:], x.shape[0]), lambda i, j, k: (k, i, j))),
    ("unflatten", lambda x: x.contiguous().unflatten(0, (2, -1)), ("4 n",), 0, read(
        lambda x: (2, 2, x.shape[1]), lambda i, j, k: (2 * i + j, k))),
    ("unfold", lambda x: x.unfold(1, 2, 1), ("m 4",), 0, read(
        lambda x: (x.shape[0], 3, 2), lambda i, j, k: (i, j + k))),
    ("tensor_split", lambda x: x.tensor_split(2, 1)[0], ("m 5",), 0, read(
        lambda x: (x.shape[0], 3), lambda i, j: (i, j))),
    ("flip", lambda x: x.flip(0, 2), ("3 m 2",), 0, read(
        _same, lambda i, j, k: (2 - i, j, 1 - k))),
    ("rot90", lambda x: x.rot90(1, (0, 2)), ("3 m 2",), 0, read(
        lambda x: x.shape[::-1], lambda i, j, k: (k, j, 1 - i))),
    ("roll", lambda x: x.roll((1, -1), (0, 1)), ("3 4",), 0, read(
        _same, lambda i, j: ((i - 1) % 3, (j + 1) % 4))),
    ("roll_flat", lambda x: x.roll(1), ("2 3",), 0, read(
        _same, lambda i, j: divmod((3 * i + j - 1) % 6, 3))),
    ("repeat", lambda x: x.repeat(2, 1, 3), ("2 3",), 0, read(
        lambda x: (2, 2, 9), lambda _, j, k: (j, k % 3))),
    ("repeat_interleave", lambda x: x.repeat_interleave(ad.tensor([2, 0, 1]), 1), ("m 3",), 0,
     read(_same, lambda i, j: (i, (0, 0, 2)[j]))),
    ("repeat_interleave_each", lambda x: x.repeat_interleave(3, 1), ("m 2 n",), 0, read(
        lambda x: (x.shape[0], 6, x.shape[2]), lambda i, j, k: (i, j // 3, k))),
    ("meshgrid", lambda x, y: math.prod(ad.meshgrid(x, y, indexing="ij")), ("m", "n"), 0,
     lambda x, y: Array((*x.shape, *y.shape), lambda i: x[i[:1]] * y[i[1:]])),
    ("column_stack", lambda x, y: ad.column_stack((x, y)), ("m", "m 2"), 0,
     lambda x, y: Array((x.shape[0], 3), lambda i: y[i[0], i[1] - 1] if i[1] else x[i[:1]])),
    ("diagonal", lambda x: x.diagonal(1, 2, 0), ("3 m 3",), 0, read(
        lambda x: (x.shape[1], 2), lambda i, j: (j + 1, i, j))),
    ("diag_embed", lambda x: x.diag_embed(-1), ("m 2",), 0, _zeros_but(
        lambda x: (x.shape[0], 3, 3), lambda i, j, k: (i, k) if j == k + 1 else None)),
    ("tril", lambda x: x.tril(1), ("l 3 n",), 0, _zeros_but(
        _same, lambda i, j, k: (i, j, k) if k - j <= 1 else None)),
    ("pad", lambda x: functional.pad(x, (1, -1, 0, 2), value=0.5), ("3 2",), 0,
     lambda x: Array((5, 2), lambda i: x[i[0], 0] if i[0] < 3 and i[1] else 0.5)),
    ("pad_reflect", lambda x: functional.pad(x, (2, 1), "reflect"), ("m 3",), 0, read(
        lambda x: (x.shape[0], 6), lambda i, j: (i, (2, 1, 0, 1, 2, 1)[j]))),
    ("triu", lambda x: x.triu(), ("2 n",), 0, _zeros_but(
        _same, lambda i, j: (i, j) if j >= i else None)),
]  # fmt: skip

PLACED: list[Row] = [
    ("scatter", lambda x, v: x.scatter(1, ad.tensor([[2, 0]]), v), ("2 3", "1 2"), 0,
     lambda x, v: Array(x.shape, lambda i: x[i] if i[0] or i[1] == 1 else v[0, 1 - i[1] // 2])),
    ("scatter_add", lambda x, v: x.scatter_add(0, ROWS, v), ("2 3", "2 3"), 0,
     _scattered(math.fsum)),
    ("scatter_mean", _reduce("mean"), ("2 3", "2 3"), 0, _scattered(fmean)),
    ("scatter_mean_of_src", _reduce("mean", False), ("2 3", "2 3"), 0, _scattered(fmean, False)),
    ("scatter_prod", _reduce("prod"), ("2 3", "2 3"), 0, _scattered(math.prod)),
    ("scatter_prod_of_src", _reduce("prod", False), ("2 3", "2 3"), 0,
     _scattered(math.prod, False)),
    ("scatter_sum_of_src", _reduce("sum", False), ("2 3", "2 3"), 0,
     _scattered(math.fsum, False)),
    ("index_copy", lambda x, v: x.index_copy(1, PLACES, v), ("m 3", "m 2"), 0,
     lambda x, v: Array(x.shape, lambda i: x[i] if i[1] == 1 else v[i[0], 1 - i[1] // 2])),
    ("index_fill", lambda x: x.index_fill(0, PLACES, 2.0), ("3 n",), 0,
     lambda x: Array(x.shape, lambda i: x[i] if i[0] == 1 else 2.0)),
    ("index_fill_value", lambda x, v: x.index_fill(0, ROWS[:, 0], v), ("3 n", ""), 0,
     lambda x, v: Array(x.shape, lambda i: v[()] if i[0] == 1 else x[i])),
    ("take", lambda x: x.take(ad.tensor([[5, 0], [-1, 2]])), ("2 3",), 0, read(
        lambda x: (2, 2), lambda i, j: divmod((5, 0, 5, 2)[2 * i + j], 3))),
    ("put", written(lambda x, v: x.put_(ad.tensor([5, 0]), v)), ("2 3", "2"), 0,
     lambda x, v: Array(x.shape, lambda i: v[[{(1, 2): 0, (0, 0): 1}[i]]]
                        if i in ((1, 2), (0, 0)) else x[i])),
    ("put_added", lambda x, v: x.put(ad.tensor([1, 1]), v, accumulate=True), ("2 3", "2"), 0,
     lambda x, v: Array(x.shape, lambda i: x[i] + v[[0]] + v[[1]] if i == (0, 1) else x[i])),
    ("masked_scatter", lambda x, v: x.masked_scatter(MASK, v), ("2 3", "4"), 0,
     lambda x, v: Array(x.shape, lambda i: x[i] if i[1] == 1 else v[[2 * i[0] + i[1] // 2]])),
    ("embedding", lambda x: functional.embedding(ad.tensor([[1, 0], [1, 2]]), x), ("3 n",), 0,
     read(lambda x: (2, 2, x.shape[1]), lambda i, j, k: (((1, 0), (1, 2))[i][j], k))),
    ("embedding_bag_plain", lambda x: functional.embedding_bag(ad.tensor([[1, 0], [1, 1]]), x),
     ("2 n",), 0, lambda x: Array(x.shape, lambda i: x[1, i[1]] if i[0] else
                                  (x[1, i[1]] + x[0, i[1]]) / 2)),
    ("embedding_bag", lambda x, w: functional.embedding_bag(
        ad.tensor([1, 0, 1]), x, ad.tensor([0, 2]), mode="sum", per_sample_weights=w),
     ("2 n", "3"), 0, lambda x, w: Array(x.shape, lambda i: x[1, i[1]] * w[[2]] if i[0] else
                                         x[1, i[1]] * w[[0]] + x[0, i[1]] * w[[1]])),
    ("write_diagonal", written(lambda x, v: x.diagonal().mul_(v)), ("3 3", "3"), 0,
     lambda x, v: Array(x.shape, lambda i: x[i] * v[i[:1]] if i[0] == i[1] else x[i])),
    ("write_windows", written(lambda x, v: x.unfold(0, 2, 2).copy_(v)), ("5", "2 2"), 0,
     lambda x, v: Array(x.shape, lambda i: x[i] if i[0] == 4 else v[divmod(i[0], 2)])),
]  # fmt: skip
