"""Cases of reading and writing at places."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import fmean

import autodiff as ad
from autodiff.nn import functional
from autodiff.testing.case import Case, overwritten, read, sized, written
from autodiff.testing.cases_shapes import flat_of
from autodiff.testing.reference import Array, Index

TWICE = ad.tensor([[1, 0], [2, 2]])
SHIFTED = [(0, 0), (1, 2), (0, 1)]
ROWS = ad.tensor([[1, 0, 1], [1, 1, 0]])
PLACES = ad.tensor([2, 0])
MASK = ad.tensor([True, False, True])


def _mask() -> ad.Tensor:
    """One that a compiled function makes itself."""
    return ad.tensor([True, False, True])


def _sorted(k: int | None) -> Callable[[Array], Array]:
    """The first k of each column in order."""

    def reference(x: Array) -> Array:
        rows, cols = x.shape
        columns = [sorted(x[r, c] for r in range(rows)) for c in range(cols)]
        return Array((rows if k is None else k, cols), lambda i: columns[i[1]][i[0]])

    return reference


def _cat(a: Array, b: Array, c: Array) -> Array:
    rows = [(x, j) for x in (a, b, c) for j in range(x.shape[1])]
    return Array((a.shape[0], len(rows)), lambda i: rows[i[1]][0][i[0], rows[i[1]][1]])


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


INDEXING = [
    Case("index", lambda x: x[TWICE], sized("3 n"), read(
        lambda x: (2, 2, x.shape[1]), lambda i, j, k: ([[1, 0], [2, 2]][i][j], k))),
    Case("index_pair", lambda x: x[:, [0, 1, 0], [0, 2, 1]], sized("m 2 3"), read(
        lambda x: (x.shape[0], 3), lambda i, j: (i, *SHIFTED[j]))),
    Case("index_mask", lambda x: x[_mask()], sized("3 n"), read(
        lambda x: (2, x.shape[1]), lambda i, j: (2 * i, j))),
    Case("index_put", written(lambda x, v: x.__setitem__(([1, 2],), v)), sized("3 n", "2 n"),
         overwritten(lambda i, j: None if i == 0 else (i - 1, j))),
    Case("index_put_broadcast", written(lambda x, v: x.__setitem__(_mask(), v)), sized("3 n", "n"),
         overwritten(lambda i, j: None if i == 1 else (j,))),
    Case("index_add", written(lambda x, v: x.index_put_((ad.tensor([0, 0]),), v, accumulate=True)),
         sized("2 n", "2 n"), lambda x, v: Array(
             x.shape, lambda i: x[i] if i[0] else x[i] + v[0, i[1]] + v[1, i[1]])),
    Case("index_select", lambda x: x.index_select(1, ad.tensor([2, 0, 2])), sized("m 3"), read(
        lambda x: x.shape, lambda i, j: (i, [2, 0, 2][j]))),
    Case("gather", lambda x: x.gather(0, TWICE), sized("3 2"), read(
        lambda x: (2, 2), lambda i, j: ([[1, 0], [2, 2]][i][j], j))),
    Case("index_add_dim", lambda x, v: x.index_add(1, ad.tensor([1, 1]), v, alpha=2),
         sized("m 3", "m 2"), lambda x, v: Array(
             x.shape, lambda i: x[i] if i[1] != 1 else x[i] + 2 * (v[i[0], 0] + v[i[0], 1]))),
    Case("sort", lambda x: x.sort(0).values, sized("m n", low=1, distinct=True), _sorted(None)),
    Case("unique", lambda x: x.unique(), sized("m n", distinct=True),
         lambda x: flat_of(Array((len(x.flat()),), lambda i: sorted(x.flat())[i[0]]))),
    Case("argsort", lambda x: x.argsort(1, descending=True), sized("m n", low=1, distinct=True),
         lambda x: Array(x.shape, lambda i: sorted(
             range(x.shape[1]), key=lambda j: -x[i[0], j])[i[1]]), False),
    Case("scatter_amax", lambda x: x.scatter_reduce(0, ad.tensor([[1, 0]]), x[2:], "amax"),
         sized("3 2", distinct=True), lambda x: Array(x.shape, lambda i: max(
             x[i], x[2, i[1]] if i[0] == 1 - i[1] else x[i]))),
    Case("topk", lambda x: x.topk(1, 0, largest=False)[0], sized("m n", low=1, distinct=True),
         _sorted(1)),
    Case("masked_fill", lambda x: x.masked_fill(_mask(), 2.0), sized("m 3"),
         lambda x: Array(x.shape, lambda i: x[i] if i[1] == 1 else 2.0)),
    Case("masked_select", lambda x: x.masked_select(_mask()), sized("2 3"), read(
        lambda x: (4,), lambda i: (i // 2, i % 2 * 2))),
    Case("copy", written(lambda x, v: x.copy_(v)), sized("m n", "n"),
         overwritten(lambda i, j: (j,))),
    Case("write_slice", written(lambda x, v: x.__setitem__((slice(None), slice(1, None)), v)),
         sized("m 3", "m 2"), overwritten(lambda i, j: None if j == 0 else (i, j - 1))),
    Case("write_product", written(lambda x, v: x.t()[1:].mul_(v)), sized("m 3", "m"),
         lambda x, v: Array(x.shape, lambda i: x[i] if i[1] == 0 else x[i] * v[i[:1]])),
    Case("cat", lambda a, b, c: ad.cat([a, b, c], 1), sized("m j", "m k", "m l"), _cat),
    Case("stack", lambda a, b: ad.stack([a, b], 1), sized("m n", "m n", low=1),
         lambda a, b: Array((a.shape[0], 2, a.shape[1]), lambda i: (a, b)[i[1]][i[0], i[2]])),
]  # fmt: skip


PLACED = [
    Case("scatter", lambda x, v: x.scatter(1, ad.tensor([[2, 0]]), v), sized("2 3", "1 2"),
         lambda x, v: Array(x.shape, lambda i: x[i] if i[0] or i[1] == 1 else v[0, 1 - i[1] // 2])),
    Case("scatter_add", lambda x, v: x.scatter_add(0, ROWS, v), sized("2 3", "2 3"),
         _scattered(math.fsum)),
    Case("scatter_mean", _reduce("mean"), sized("2 3", "2 3"), _scattered(fmean)),
    Case("scatter_mean_of_src", _reduce("mean", False),
         sized("2 3", "2 3"), _scattered(fmean, False)),
    Case("scatter_prod", _reduce("prod"), sized("2 3", "2 3"), _scattered(math.prod)),
    Case("scatter_prod_of_src", _reduce("prod", False), sized("2 3", "2 3"),
         _scattered(math.prod, False)),
    Case("scatter_sum_of_src", _reduce("sum", False), sized("2 3", "2 3"),
         _scattered(math.fsum, False)),
    Case("index_copy", lambda x, v: x.index_copy(1, PLACES, v), sized("m 3", "m 2"),
         lambda x, v: Array(x.shape, lambda i: x[i] if i[1] == 1 else v[i[0], 1 - i[1] // 2])),
    Case("index_fill", lambda x: x.index_fill(0, PLACES, 2.0), sized("3 n"),
         lambda x: Array(x.shape, lambda i: x[i] if i[0] == 1 else 2.0)),
    Case("index_fill_value", lambda x, v: x.index_fill(0, ROWS[:, 0], v), sized("3 n", ""),
         lambda x, v: Array(x.shape, lambda i: v[()] if i[0] == 1 else x[i])),
    Case("take", lambda x: x.take(ad.tensor([[5, 0], [-1, 2]])), sized("2 3"), read(
        lambda x: (2, 2), lambda i, j: divmod((5, 0, 5, 2)[2 * i + j], 3))),
    Case("put", written(lambda x, v: x.put_(ad.tensor([5, 0]), v)), sized("2 3", "2"),
         lambda x, v: Array(x.shape, lambda i: v[[{(1, 2): 0, (0, 0): 1}[i]]]
                            if i in ((1, 2), (0, 0)) else x[i])),
    Case("put_added", lambda x, v: x.put(ad.tensor([1, 1]), v, accumulate=True), sized("2 3", "2"),
         lambda x, v: Array(x.shape, lambda i: x[i] + v[[0]] + v[[1]] if i == (0, 1) else x[i])),
    Case("masked_scatter", lambda x, v: x.masked_scatter(MASK, v), sized("2 3", "4"),
         lambda x, v: Array(x.shape, lambda i: x[i] if i[1] == 1 else v[[2 * i[0] + i[1] // 2]])),
    Case("embedding", lambda x: functional.embedding(ad.tensor([[1, 0], [1, 2]]), x), sized("3 n"),
         read(lambda x: (2, 2, x.shape[1]), lambda i, j, k: (((1, 0), (1, 2))[i][j], k))),
    Case("embedding_bag_plain", lambda x: functional.embedding_bag(ad.tensor([[1, 0], [1, 1]]), x),
         sized("2 n"), lambda x: Array(x.shape, lambda i: x[1, i[1]] if i[0] else
                                      (x[1, i[1]] + x[0, i[1]]) / 2)),
    Case("embedding_bag", lambda x, w: functional.embedding_bag(
            ad.tensor([1, 0, 1]), x, ad.tensor([0, 2]), mode="sum", per_sample_weights=w),
         sized("2 n", "3"), lambda x, w: Array(x.shape, lambda i: x[1, i[1]] * w[[2]] if i[0] else
                                             x[1, i[1]] * w[[0]] + x[0, i[1]] * w[[1]])),
    Case("write_diagonal", written(lambda x, v: x.diagonal().mul_(v)), sized("3 3", "3"),
         lambda x, v: Array(x.shape, lambda i: x[i] * v[i[:1]] if i[0] == i[1] else x[i])),
    Case("write_windows", written(lambda x, v: x.unfold(0, 2, 2).copy_(v)), sized("5", "2 2"),
         lambda x, v: Array(x.shape, lambda i: x[i] if i[0] == 4 else v[divmod(i[0], 2)])),
]  # fmt: skip
