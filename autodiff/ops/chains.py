"""Products of many matrices, in the cheapest order."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from autodiff.ops.clones import clone
from autodiff.ops.contraction import matmul
from autodiff.ops.guard import must_be
from autodiff.ops.out import written
from autodiff.ops.stacking import check_tensors
from autodiff.tensor import Tensor


@functools.lru_cache
def _cheapest(sizes: tuple[int, ...]) -> dict[tuple[int, int], int]:
    """Where to split the product of matrices i to j, of sizes[i] x sizes[i + 1] and so on."""
    n = len(sizes) - 1
    cost = {(i, i): 0 for i in range(n)}
    split = {}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i, j], split[i, j] = min(
                (cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                for k in range(i, j)
            )
    return split


def _product(xs: Sequence[Tensor], split: dict[tuple[int, int], int], i: int, j: int) -> Tensor:
    """The product of xs[i] to xs[j]."""
    if i == j:
        return xs[i]
    middle = split[i, j]
    return matmul(_product(xs, split, i, middle), _product(xs, split, middle + 1, j))


def multi_dot(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """The product of matrices in the cheapest order; the first and the last may be vectors.

    >>> linalg.multi_dot([ad.ones(2, 3), ad.ones(3, 4), ad.ones(4)])
    tensor([12., 12.])
    """
    if not isinstance(tensors, (tuple, list)):
        raise must_be("multi_dot", "tensors", "tuple of Tensors", tensors)
    check_tensors("multi_dot", tensors)
    n = len(tensors)
    if n < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {n}")
    for place, x in (("first", tensors[0]), ("last", tensors[-1])):
        if x.ndim not in (1, 2):
            raise RuntimeError(
                f"multi_dot(): the {place} tensor must be 1D or 2D but got {x.ndim}D"
            )
    for i, x in enumerate(tensors[1:-1], 1):
        if x.ndim != 2:
            raise RuntimeError(f"multi_dot(): tensor {i} must be 2D but got {x.ndim}D")
    shapes = [tuple(x.shape) for x in tensors]
    for i, x in enumerate(tensors):
        if x._p.dtype != tensors[0]._p.dtype:
            raise RuntimeError(
                f"multi_dot(): all tensors must have be the same dtype but got tensor {i} is "
                f"{x.dtype!r} and tensor 0 is {tensors[0].dtype!r}"
            )
        if i and shapes[i - 1][-1] != shapes[i][0]:
            raise RuntimeError(
                f"multi_dot(): tensors {i - 1} and {i} with shapes {list(tensors[i - 1].shape)} "
                f"and {list(x.shape)} cannot be multiplied"
            )
    rows, columns = (shapes[i][i] if len(shapes[i]) == 2 else 1 for i in (0, -1))
    split = _cheapest((rows, *[shape[0] for shape in shapes[1:]], columns))
    return written("linalg_multi_dot", out, _product(tensors, split, 0, n - 1), *tensors)


def chain_matmul(*matrices: Any) -> Tensor:
    """The product of matrices in the cheapest order. RuntimeError where one is no matrix.

    >>> ad.chain_matmul(ad.ones(2, 3), ad.ones(3, 4), ad.ones(4, 1)).shape
    torch.Size([2, 1])
    """
    check_tensors("chain_matmul", matrices)
    for i, x in enumerate(matrices):
        if x.ndim != 2:
            raise RuntimeError(f"chain_matmul(): tensor {i} must be a matrix, got {x.ndim}-D")
    return clone(matrices[0]) if len(matrices) == 1 else multi_dot(matrices)
