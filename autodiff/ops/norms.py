"""Norms of vectors and matrices."""

from __future__ import annotations

import math
from typing import Any

from autodiff.descriptor import fresh
from autodiff.dtypes import HALF_CODES, dtype, float32, plain
from autodiff.expr import build, inputs
from autodiff.native import NULL, lib
from autodiff.ops.base import OUTPUT, Op, OpNode
from autodiff.ops.declare import where
from autodiff.ops.guard import must_be
from autodiff.ops.matrices import check_float
from autodiff.ops.numbers import number_of
from autodiff.ops.out import written
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.reductions import KINDS, _restore
from autodiff.ops.views import unsqueeze
from autodiff.shapes import dim_index, dim_mask, mask_dims
from autodiff.tensor import Tensor, own, wrap

INF = math.inf

# ---- of vectors ----


# The reductions of these orders.
_REDUCTIONS = {1: "sum_abs", 2: "norm", INF: "max_abs", -INF: "min_abs"}
_AT_ONCE = (1, 2, INF)  # those that one native call takes, of all elements


def _share() -> PointwiseOp:
    """g / y, and 0 where y is 0."""
    g, y = inputs(2)
    nothing = build("eq", y, 0)
    return PointwiseOp("norm_share", where(nothing, 0.0, g / where(nothing, 1.0, y)), 2)


def _power() -> PointwiseOp:
    """g (|x| / y)^e sign(x), and 0 where x or y is 0."""
    g, x, y, e = inputs(4)
    none, nothing = build("eq", x, 0), build("eq", y, 0)
    ratio = where(none, 1.0, build("abs", x)) / where(nothing, 1.0, y)
    slope = g * build("pow", ratio, e) * build("sign", x)
    return PointwiseOp("norm_power", where(nothing, 0.0, slope), 4)


def _signed() -> PointwiseOp:
    g, x = inputs(2)
    return PointwiseOp("norm_sign", g * build("sign", x), 2, "MulBackward0")


_SHARE, _POWER, _SIGNED = _share(), _power(), _signed()


def _norm_of(x: Tensor, mask: int, keepdim: bool, order: float) -> Tensor:
    p = (x.abs() ** order if order else (x != 0).to(x.dtype))._p
    y = own(lib.ad_reduce(KINDS["sum"], p, mask, keepdim, p.dtype), "vector_norm", p)
    return y ** (1 / order) if order else y


def _norm_forward(p: Any, mask: int, keepdim: bool, order: float) -> Any:
    if mask + 1 == 1 << p.ndim and order in _AT_ONCE:
        y = lib.ad_norm(1, [p], order, p.dtype)
        return lib.ad_view(fresh(y, "vector_norm", p), p.ndim, [1] * p.ndim) if keepdim else y
    if order in _REDUCTIONS:
        return lib.ad_reduce(KINDS[_REDUCTIONS[order]], p, mask, keepdim, p.dtype)
    if p.dtype in HALF_CODES:
        wide = fresh(lib.ad_contiguous(p, float32.code), "vector_norm", p)
        y = fresh(_norm_forward(wide, mask, keepdim, order), "vector_norm", p)
        return lib.ad_contiguous(y, p.dtype)
    return lib.ad_alias(_norm_of(wrap(p), mask, keepdim, order)._p)


def norm_slope(order: float, g: Tensor, x: Tensor, y: Tensor, dims: tuple[int, ...]) -> Tensor:
    """dx = g (|x| / y)^(order - 1) sign(x), 0 where that is 0 / 0, of norms y that keep `dims`."""
    if order == 2:
        return _SHARE.call(g, y) * x
    if order == 0:
        return x.new_zeros(x.shape)
    if order == 1:
        return _SIGNED.call(g, x.detach())
    if order in (INF, -INF):
        hits = (x.detach().abs() == y.detach()).to(x.dtype)
        counts = hits.sum(dims, keepdim=True) if dims else hits
        return g * (hits / counts * x.detach().sign())
    return _POWER.call(g, x, y, number_of(float(order - 1)))


def _norm_rule(node: OpNode, g: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor]:
    mask, _, order = node.args
    if order == 2:
        return (_restore(node, _SHARE.call(g, y)) * x,)
    dims = mask_dims(mask, x.ndim)
    return (norm_slope(order, _restore(node, g), x, _restore(node, y), dims),)


_norm: Op = Op("vector_norm", _norm_forward, _norm_rule, saves=(0, OUTPUT),
        grad_name="LinalgVectorNormBackward0")  # fmt: skip


def _order(name: str, value: Any) -> float:
    value = value.item() if isinstance(value, Tensor) and value.ndim == 0 else plain(value)
    if not isinstance(value, (int, float)):
        raise must_be(name, "ord", "Number", value, 2)
    return value


def _in_dtype(name: str, x: Tensor, d: dtype | None) -> Tensor:
    check_float(name, x)
    if d is None or d is x.dtype:
        return x
    if not d.is_floating_point or d.itemsize < x.dtype.itemsize:
        raise RuntimeError(
            f"{name}: the dtype of the input ({x.dtype.title}) should be convertible "
            f"without narrowing to the specified dtype ({d.title})"
        )
    return x.to(d)


def vector_norm(
    x: Tensor,
    ord: float = 2,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: dtype | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """(the sum of |x|^ord)^(1/ord) over `dim`: an int, a tuple, or all.

    The largest magnitude for inf, the smallest for -inf, the number of nonzeros for 0.

    >>> linalg.vector_norm(ad.tensor([3.0, 4.0]))
    tensor(5.)
    >>> linalg.vector_norm(ad.tensor([3.0, -4.0]), ord=float("inf"))
    tensor(4.)
    """
    plain = dim is None and dtype is None and out is None and keepdim is False
    if plain and type(ord) in (int, float):
        p = x._p
        y = lib.ad_norm(1, [p], ord, p.dtype) if p.numel and ord in _AT_ONCE else NULL
        if y:
            return _norm.result(x, y, ((1 << p.ndim) - 1, False, ord))
    order = _order("linalg_vector_norm", ord)
    y = _in_dtype("linalg.vector_norm", x, dtype)
    mask = dim_mask(dim, y.ndim)
    if (order < 0 or order == INF) and not y.numel():
        empty = [d for d in range(y.ndim) if mask >> d & 1 and not y.shape[d]]
        if empty:
            what = f"the dimension {empty[0]}" if dim is not None else "an empty tensor"
            raise RuntimeError(
                f"linalg.vector_norm cannot compute the {order:g} norm on {what} because the "
                "operation does not have an identity"
            )
    return written("linalg_vector_norm", out, _norm(y, mask, keepdim, order), x)


# ---- of matrices ----


def _two_dims(name: str, x: Tensor, dim: Any) -> tuple[int, int]:
    n = x._p.ndim
    if n < 2:
        raise RuntimeError(f"{name}: The input tensor A must have at least 2 dimensions.")
    if not isinstance(dim, (tuple, list)) or len(dim) != 2:
        raise RuntimeError(
            f"{name}: dim must be a 2-tuple. Got {dim}; ord is a str or for matrices"
        )
    first, second = dim_index(dim[0], n), dim_index(dim[1], n)
    if first == second:
        raise RuntimeError(f"{name}: dims must be different. Got ({dim[0]}, {dim[1]})")
    return first, second


def matrix_norm(
    A: Tensor,
    ord: Any = "fro",
    dim: Any = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: dtype | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """A norm of matrices: "fro", the root of the sum of squares; 1, the largest sum of magnitudes
    down a column, inf along a row; -1 and -inf, the smallest; 2, -2 and "nuc", the largest, the
    smallest and the sum of the singular values.

    >>> linalg.matrix_norm(ad.tensor([[3.0, 0.0], [0.0, 4.0]]))
    tensor(5.)
    """
    name = "linalg.matrix_norm"
    plain = type(ord) is str and ord == "fro" and dim == (-2, -1) and dtype is None and out is None
    if plain and A._p.ndim >= 2 and A.is_floating_point():
        return _norm.call(A, 3 << A._p.ndim - 2, keepdim, 2)
    x = _in_dtype(name, A, dtype)
    if not isinstance(ord, str):
        _order("linalg_matrix_norm", ord)
    rows, cols = _two_dims(name, A, dim)
    if ord == "fro":
        y = _norm.call(x, 1 << rows | 1 << cols, keepdim, 2)
        return y if out is None else written("linalg_matrix_norm", out, y, A)
    if ord in ("nuc", 2, -2):
        y = _of_singular_values(x, ord, rows, cols, keepdim)
        return written("linalg_matrix_norm", out, y, A)
    if isinstance(ord, str) or ord not in (1, -1, INF, -INF):
        raise RuntimeError(
            f"linalg.matrix_norm: Order {ord} not supported (of type {type(ord).__name__})."
        )
    inner, outer = (rows, cols) if abs(ord) == 1 else (cols, rows)
    sums = vector_norm(x, 1, inner, keepdim)
    at = outer if keepdim or outer < inner else outer - 1
    y = _largest(sums, at, keepdim) if ord > 0 else sums.amin(at, keepdim)
    return written("linalg_matrix_norm", out, y, A)


def _largest(norms: Tensor, dim: int, keepdim: bool = False) -> Tensor:
    """The greatest of norms: 0 where there are none."""
    return norms.amax(dim, keepdim) if norms.shape[dim] else norms.sum(dim, keepdim)


def _of_singular_values(x: Tensor, order: Any, rows: int, cols: int, keepdim: bool) -> Tensor:
    from autodiff.ops.spectral import svdvals

    rest = [d for d in range(x.ndim) if d not in (rows, cols)]
    values = svdvals(x.permute(*rest, rows, cols))
    y = (
        values.sum(-1)
        if order == "nuc"
        else _largest(values, -1)
        if order == 2
        else values.amin(-1)
    )
    for d in sorted((rows, cols)) if keepdim else ():
        y = unsqueeze(y, d)
    return y


def norm(
    A: Tensor,
    ord: Any = None,
    dim: Any = None,
    keepdim: bool = False,
    *,
    out: Tensor | None = None,
    dtype: dtype | None = None,
) -> Tensor:
    """`vector_norm` or, of two dimensions, `matrix_norm`; without `ord`, of all elements.

    >>> linalg.norm(ad.tensor([3.0, 4.0]))
    tensor(5.)
    """
    if ord is None and dim is None and out is None:
        return vector_norm(A, 2, None, keepdim, dtype=dtype)
    if dim is not None:
        dims = dim if isinstance(dim, (tuple, list)) else (dim,)
        if ord is not None and len(dims) not in (1, 2):
            raise RuntimeError(
                f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dims)}"
            )
        matrix = ord is not None and len(dims) == 2
    else:
        dims = None
        if ord is not None and A.ndim not in (1, 2):
            raise RuntimeError(
                "linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got "
                f"{A.ndim}D."
            )
        matrix = ord is not None and A.ndim == 2
    if matrix or isinstance(ord, str):
        y = matrix_norm(A, ord, dims or (-2, -1), keepdim, dtype=dtype)
    else:
        y = vector_norm(A, 2 if ord is None else ord, dims, keepdim, dtype=dtype)
    return written("linalg_norm", out, y, A)


def frobenius_norm(
    input: Tensor, dim: Any, keepdim: bool = False, *, out: Tensor | None = None
) -> Tensor:
    """The root of the sum of squares along one dimension or two, or, if `dim` names none, of all.

    >>> ad.frobenius_norm(ad.tensor([[3.0, 4.0]]), 1)
    tensor([5.])
    """
    if dim is None:
        raise TypeError("frobenius_norm(): argument 'dim' must be ints, not NoneType")
    if isinstance(dim, (tuple, list)) and len(dim) > 2:
        raise RuntimeError(f"Expected at most 2 dimensions, but got {len(dim)} dimensions instead.")
    return vector_norm(input, 2, dim, keepdim, out=out)


def nuclear_norm(
    input: Tensor, dim: Any = (-2, -1), keepdim: bool = False, *, out: Tensor | None = None
) -> Tensor:
    """The sum of the singular values of matrices; `nuclear_norm(input, keepdim)` is it, too.

    >>> ad.nuclear_norm(ad.tensor([[3.0, 0.0], [0.0, 4.0]]))
    tensor(7.)
    """
    if isinstance(dim, bool):
        dim, keepdim = (-2, -1), dim
    if not isinstance(dim, (int, tuple, list)):
        raise must_be("nuclear_norm", "dim", "two ints", dim)
    return matrix_norm(input, "nuc", dim, keepdim, out=out)
