"""Cases of views, and of rearranging."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import autodiff as ad
from autodiff.nn import functional
from autodiff.testing.case import Case, read, sized, turned
from autodiff.testing.reference import Array, Index


def _same(x: Array) -> Any:
    return x.shape


def _flat(x: Array, columns: int) -> Array:
    values = x.flat()
    return Array((len(values) // columns, columns), lambda i: values[i[0] * columns + i[1]])


def flat_of(x: Array) -> Array:
    """The elements in order, as a vector."""
    values = x.flat()
    return Array((len(values),), lambda i: values[i[0]])


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


VIEWS = [
    Case("view", lambda x: x.contiguous().view(-1, 2), sized("m 2 n", low=1),
         lambda x: _flat(x, 2)),
    Case("reshape", lambda x: x.reshape(-1, 2), sized("m 2 n", low=1), lambda x: _flat(x, 2)),
    Case("flatten", lambda x: x.t().flatten(), sized("m n"), lambda x: flat_of(turned(x))),
    Case("expand", lambda x: x.expand(2, 3, -1), sized("1 n"), read(
        lambda x: (2, 3, x.shape[1]), lambda i, j, k: (0, k))),
    Case("permute", lambda x: x.permute(2, 0, 1), sized("l m n", low=1), read(
        lambda x: (x.shape[2], x.shape[0], x.shape[1]), lambda i, j, k: (j, k, i))),
    Case("transpose", lambda x: x.transpose(0, -1), sized("l m n"), read(
        lambda x: x.shape[::-1], lambda i, j, k: (k, j, i))),
    Case("t", lambda x: x.t(), sized("m n"), turned),
    Case("T", lambda x: x.T, sized("m n"), turned),
    Case("mT", lambda x: x.mT, sized("l m n"), read(
        lambda x: (x.shape[0], x.shape[2], x.shape[1]), lambda i, j, k: (i, k, j))),
    Case("select", lambda x: x.select(1, -1), sized("l 3 n"), read(
        lambda x: (x.shape[0], x.shape[2]), lambda i, k: (i, 2, k))),
    Case("slice", lambda x: x[1:, ::2], sized("3 5 n"), read(
        lambda x: (2, 3, x.shape[2]), lambda i, j, k: (i + 1, 2 * j, k))),
    Case("narrow", lambda x: x.narrow(0, 1, 2), sized("4 n"), read(
        lambda x: (2, x.shape[1]), lambda i, j: (i + 1, j))),
    Case("squeeze", lambda x: x.squeeze(1), sized("m 1 n"), read(
        lambda x: (x.shape[0], x.shape[2]), lambda i, k: (i, 0, k))),
    Case("unsqueeze", lambda x: x.unsqueeze(-1), sized("m n"), read(
        lambda x: (*x.shape, 1), lambda i, j, k: (i, j))),
    Case("alias", lambda x: x[...], sized("m n"), lambda x: x),
    Case("chunk", lambda x: x.chunk(2, 1)[1], sized("m 5"), read(
        lambda x: (x.shape[0], 2), lambda i, j: (i, j + 3))),
    Case("unbind", lambda x: x.unbind(1)[1], sized("m 2"), read(
        lambda x: x.shape[:1], lambda i: (i, 1))),
    Case("as_strided", lambda x: x.clone().reshape(-1).as_strided((2, 3), (1, 1), 1), sized("2 3"),
         read(lambda x: (2, 3), lambda i, j: divmod(i + j + 1, 3))),
    Case("as_strided_shared", lambda x: x.clone().unfold(0, 3, 1).as_strided((2, 2), (1, 2)),
         sized("5"), read(lambda x: (2, 2), lambda i, j: (i + 2 * j,))),
    Case("clone", lambda x: x.clone(), sized("m n"), lambda x: x),
    Case("contiguous", lambda x: x.t().contiguous(), sized("m n"), turned),
]  # fmt: skip


REARRANGED = [
    Case("movedim", lambda x: x.movedim(0, -1), sized("l m n"), read(
        lambda x: (*x.shape[1:], x.shape[0]), lambda i, j, k: (k, i, j))),
    Case("unflatten", lambda x: x.contiguous().unflatten(0, (2, -1)), sized("4 n"), read(
        lambda x: (2, 2, x.shape[1]), lambda i, j, k: (2 * i + j, k))),
    Case("unfold", lambda x: x.unfold(1, 2, 1), sized("m 4"), read(
        lambda x: (x.shape[0], 3, 2), lambda i, j, k: (i, j + k))),
    Case("tensor_split", lambda x: x.tensor_split(2, 1)[0], sized("m 5"), read(
        lambda x: (x.shape[0], 3), lambda i, j: (i, j))),
    Case("flip", lambda x: x.flip(0, 2), sized("3 m 2"), read(
        _same, lambda i, j, k: (2 - i, j, 1 - k))),
    Case("rot90", lambda x: x.rot90(1, (0, 2)), sized("3 m 2"), read(
        lambda x: x.shape[::-1], lambda i, j, k: (k, j, 1 - i))),
    Case("roll", lambda x: x.roll((1, -1), (0, 1)), sized("3 4"), read(
        _same, lambda i, j: ((i - 1) % 3, (j + 1) % 4))),
    Case("roll_flat", lambda x: x.roll(1), sized("2 3"), read(
        _same, lambda i, j: divmod((3 * i + j - 1) % 6, 3))),
    Case("repeat", lambda x: x.repeat(2, 1, 3), sized("2 3"), read(
        lambda x: (2, 2, 9), lambda _, j, k: (j, k % 3))),
    Case("repeat_interleave", lambda x: x.repeat_interleave(ad.tensor([2, 0, 1]), 1), sized("m 3"),
         read(_same, lambda i, j: (i, (0, 0, 2)[j]))),
    Case("repeat_interleave_each", lambda x: x.repeat_interleave(3, 1), sized("m 2 n"), read(
        lambda x: (x.shape[0], 6, x.shape[2]), lambda i, j, k: (i, j // 3, k))),
    Case("meshgrid", lambda x, y: math.prod(ad.meshgrid(x, y, indexing="ij")), sized("m", "n"),
         lambda x, y: Array((*x.shape, *y.shape), lambda i: x[i[:1]] * y[i[1:]])),
    Case("column_stack", lambda x, y: ad.column_stack((x, y)), sized("m", "m 2"),
         lambda x, y: Array((x.shape[0], 3), lambda i: y[i[0], i[1] - 1] if i[1] else x[i[:1]])),
    Case("diagonal", lambda x: x.diagonal(1, 2, 0), sized("3 m 3"), read(
        lambda x: (x.shape[1], 2), lambda i, j: (j + 1, i, j))),
    Case("diag_embed", lambda x: x.diag_embed(-1), sized("m 2"), _zeros_but(
        lambda x: (x.shape[0], 3, 3), lambda i, j, k: (i, k) if j == k + 1 else None)),
    Case("tril", lambda x: x.tril(1), sized("l 3 n"), _zeros_but(
        _same, lambda i, j, k: (i, j, k) if k - j <= 1 else None)),
    Case("pad", lambda x: functional.pad(x, (1, -1, 0, 2), value=0.5), sized("3 2"),
         lambda x: Array((5, 2), lambda i: x[i[0], 0] if i[0] < 3 and i[1] else 0.5)),
    Case("pad_reflect", lambda x: functional.pad(x, (2, 1), "reflect"), sized("m 3"), read(
        lambda x: (x.shape[0], 6), lambda i, j: (i, (2, 1, 0, 1, 2, 1)[j]))),
    Case("triu", lambda x: x.triu(), sized("2 n"), _zeros_but(
        _same, lambda i, j: (i, j) if j >= i else None)),
]  # fmt: skip
