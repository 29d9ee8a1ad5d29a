"""Diagonals: taken, made, and what lies below or above them."""

from __future__ import annotations

import operator
from typing import Any

from autodiff.dtypes import dtype
from autodiff.native import NULL, lib, take_failure
from autodiff.ops.assign import copy_, replace_
from autodiff.ops.base import Op, titled
from autodiff.ops.cast import to_dtype
from autodiff.ops.create import full
from autodiff.shapes import dim_index
from autodiff.tensor import Tensor, own

Dtype = dtype | None


_diagonal: Op = Op("diagonal", lib.ad_diagonal,
        lambda node, g: (_diag_embed(g, node.shape, *node.args),), view=True)  # fmt: skip
_diag_embed: Op = Op(
    "diag_embed",
    lambda p, shape, k, d1, d2: lib.ad_diag_embed(p, len(shape), shape, k, d1, d2),
    lambda node, g: (_diagonal(g, *node.args[1:]),),
    shaped=False,
)


def _plane(name: str, dim1: int, dim2: int, ndim: int) -> tuple[int, int]:
    d1, d2 = dim_index(dim1, ndim), dim_index(dim2, ndim)
    if d1 == d2:
        raise RuntimeError(
            f"{name}: diagonal dimensions cannot be identical {dim1}, {dim2} (of {ndim})"
        )
    return d1, d2


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal of two dimensions as a new last one; `offset` counts upwards. A view.

    >>> ad.arange(6).reshape(2, 3).diagonal(1).tolist()
    [1, 5]
    """
    p = input._p
    if type(offset) is type(dim1) is type(dim2) is int:
        try:
            y = lib.ad_diagonal(p, offset, dim1, dim2)
        except OverflowError:
            y = NULL
        if y:
            return _diagonal.result(input, y, (offset, dim1, dim2))
        take_failure()  # which is worded below, or there is none
    d1, d2 = _plane("diagonal", dim1, dim2, p.ndim)
    return _diagonal(input, operator.index(offset), d1, d2)


def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Zeros, with the last dimension of the input as the diagonal of two new ones.

    >>> ad.diag_embed(ad.tensor([1, 2])).tolist()
    [[1, 0], [0, 2]]
    """
    n = input._p.ndim
    d1, d2 = _plane("diag_embed", dim1, dim2, n + 1)
    k, shape = operator.index(offset), [*input.shape]
    size = shape.pop() + abs(k)
    if d1 + 1 == d2 == n:
        shape += size, size
    else:
        for d in sorted((d1, d2)):
            shape.insert(d, size)
    return _diag_embed.call(input, shape, k, d1, d2)


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A copy of a matrix's diagonal, or the matrix that has the vector there and zeros elsewhere.

    >>> ad.diag(ad.tensor([[1, 2], [3, 4]])).tolist()
    [1, 4]
    """
    p, k = input._p, operator.index(diagonal)
    if p.ndim not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {p.ndim}D")
    if p.ndim == 1:
        size = p.numel + abs(k)
        return _diag_embed(input, [size, size], k, 0, 1)
    return titled(_diagonal(input, k, 0, 1).clone(), "DiagonalBackward0_copy")


def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """The matrix that has the elements on its diagonal, and zeros elsewhere.

    >>> ad.diagflat(ad.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    return diag_embed(input.reshape(-1), offset)


# ---- triangles ----


_FAR = 2**62
_tril: Op = Op("tril", lambda p, k: lib.ad_triangle(p, k, True),
        lambda node, g: (_tril(g, *node.args),), shaped=False)  # fmt: skip
_triu: Op = Op("triu", lambda p, k: lib.ad_triangle(p, k, False),
        lambda node, g: (_triu(g, *node.args),), shaped=False)  # fmt: skip


def _triangular(op: Op, x: Tensor, diagonal: Any) -> Tensor:
    if x._p.ndim < 2:
        raise RuntimeError(f"{op.name}: input tensor must have at least 2 dimensions, got {x.ndim}")
    if type(diagonal) is not int or not -_FAR < diagonal < _FAR:
        diagonal = max(-_FAR, min(operator.index(diagonal), _FAR))
    return op(x, diagonal)


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The elements of matrices on and below a diagonal, which counts upwards; zeros above.

    >>> ad.ones(2, 3).tril().tolist()
    [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]]
    """
    return _triangular(_tril, input, diagonal)


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The elements of matrices on and above a diagonal, which counts upwards; zeros below.

    >>> ad.ones(2, 3).triu(1).tolist()
    [[0.0, 1.0, 1.0], [0.0, 0.0, 1.0]]
    """
    return _triangular(_triu, input, diagonal)


def tril_(x: Tensor, diagonal: int = 0) -> Tensor:
    """`tril`, written over the tensor."""
    return replace_(x, tril(x, diagonal))


def triu_(x: Tensor, diagonal: int = 0) -> Tensor:
    """`triu`, written over the tensor."""
    return replace_(x, triu(x, diagonal))


def fill_diagonal_(x: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Write a number to the main diagonal, in place; with `wrap` again and again in tall matrices.

    A tensor of more than two dimensions must have them of one size.

    >>> ad.zeros(2, 2).fill_diagonal_(5)
    tensor([[5., 0.],
            [0., 5.]])
    """
    shape = x.shape
    if len(shape) < 2:
        raise RuntimeError("dimensions must larger than 1")
    if len(shape) == 2:
        region = _diagonal(x, 0, 0, 1)
    elif len(set(shape)) > 1:
        raise RuntimeError(f"all dimensions of input must be of equal length, got {shape}")
    else:
        region = x.as_strided(shape[:1], [sum(x.stride())])
    copy_(region, full((), fill_value, dtype=x.dtype))
    rows, columns = shape[:2]
    if wrap and len(shape) == 2 and rows > columns + 1:
        for start in range(columns + 1, rows, columns + 1):
            fill_diagonal_(x[start:], fill_value)
    return x


def _positions(
    name: str, row: int, col: int, offset: int, lower: bool, d: Dtype, requires_grad: bool
) -> Tensor:
    for what, size in (("row", row), ("col", col)):
        if operator.index(size) < 0:
            raise RuntimeError(f"{what} must be non-negative, got {size}")
    k = max(-_FAR, min(operator.index(offset), _FAR))
    x: Tensor = own(lib.ad_triangle_indices(row, col, k, lower), name)
    x = x if d is None else to_dtype(x, d)
    return x.requires_grad_() if requires_grad else x


def tril_indices(
    row: int, col: int, offset: int = 0, *, dtype: Dtype = None, requires_grad: bool = False
) -> Tensor:
    """Where a row x col matrix is on or below a diagonal: rows and columns, (2, count).

    >>> ad.tril_indices(2, 2).tolist()
    [[0, 1, 1], [0, 0, 1]]
    """
    return _positions("tril_indices", row, col, offset, True, dtype, requires_grad)


def triu_indices(
    row: int, col: int, offset: int = 0, *, dtype: Dtype = None, requires_grad: bool = False
) -> Tensor:
    """Where a row x col matrix is on or above a diagonal: rows and columns, (2, count).

    >>> ad.triu_indices(2, 2).tolist()
    [[0, 0, 1], [0, 1, 1]]
    """
    return _positions("triu_indices", row, col, offset, False, dtype, requires_grad)
