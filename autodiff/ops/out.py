"""Results that are written to a tensor of the caller's: `out=` where no kernel writes there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from autodiff.anomaly import warn
from autodiff.changes import changed_of
from autodiff.grad_mode import no_grad
from autodiff.node import mode
from autodiff.ops.assign import copy_
from autodiff.ops.create import renewed
from autodiff.ops.guard import must_be
from autodiff.shortcuts import store
from autodiff.tensor import Tensor

if TYPE_CHECKING:
    from autodiff.dtypes import dtype

# An `out` of these must have the result's very dtype; of others one that it can be cast to.
_VERY = """
abs addbmm addmm addmv alias_copy all amax amin any argmax argmin argsort as_strided_copy baddbmm
bitwise_not bmm ceil chain_matmul cross detach_copy diag diagonal_copy
dot expand_copy float_power floor frac gather heaviside histc index_add index_copy index_reduce
index_select inner isin isneginf isposinf linalg_cholesky linalg_cross linalg_det linalg_eigvalsh
linalg_inv linalg_lu_solve linalg_matrix_norm linalg_multi_dot linalg_norm linalg_solve
linalg_solve_triangular linalg_svdvals linalg_vecdot linalg_vector_norm log_softmax logcumsumexp
masked_select matmul median mm msort mv nan_to_num nan_to_largest nanmedian nanquantile neg nonzero
permute_copy quantile renorm round scatter scatter_add scatter_reduce select_copy sgn sign signbit
slice_copy slice_scatter softmax squeeze_copy t_copy take take_along_dim tensordot transpose_copy
tril triu trunc unfold_copy unsqueeze_copy vdot view_copy where
"""
_EXACT = frozenset(_VERY.split())
_FLAGS = ("all", "any")  # whose `out` may also be of uint8
_JOINED = ("cat", "column_stack", "dstack", "hstack", "stack", "vstack")


def check_dtype(function: str, out: Tensor, d: dtype, exact: bool = False) -> None:
    """RuntimeError where the results of a function, of dtype d, cannot be put into `out`."""
    to = out.dtype
    if to is d or (not exact and function in _FLAGS and to.name in ("bool", "uint8")):
        return
    if exact or function in _EXACT:
        raise RuntimeError(
            f"{function}(): Expected out tensor to have dtype {d.name}, but got {to.name} instead"
        )
    if d.category > to.category:
        kind = TypeError if function in _JOINED else RuntimeError
        raise kind(
            f"{function}(): result type {d.title} can't be cast to the desired output type "
            f"{to.title}"
        )


def check_out(function: str, out: Tensor, *given: Tensor) -> None:
    """TypeError where `out` is no tensor; RuntimeError where it, or one given, wants gradients."""
    if not isinstance(out, Tensor):
        raise must_be(function, "out", "Tensor", out)
    if not mode.grad:
        return
    for x in (out, *given):
        if (x._node is not None or x._base is not None) and x.requires_grad:
            raise RuntimeError(
                f"{function}(): functions with out=... arguments don't support automatic "
                "differentiation, but one of the arguments requires grad."
            )


def asked(function: str, d: dtype | None, out: Tensor) -> None:
    """RuntimeError where a caller asks for a dtype that `out` does not have."""
    if d is not None and d is not out.dtype:
        raise RuntimeError(
            f"{function}(): dtype {d.title} does not match dtype of out parameter "
            f"({out.dtype.title})"
        )


def fit(function: str, out: Tensor, shape: Sequence[int], *given: Tensor) -> Tensor:
    """`out`, checked, and made to fit as PyTorch does: a warning where it held elements."""
    check_out(function, out, *given)
    if out.shape != tuple(shape):
        if out.numel():
            warn(
                f"{function}(): an output with one or more elements was resized since it had shape "
                f"{list(out.shape)}, which does not match the required output shape {list(shape)}. "
                "Give an out of the right shape, or one without elements."
            )
        out._p = renewed(function, out, shape)._p
        out._base = out._base_node = None
        changed_of(out)
    return out


def put(function: str, out: Tensor, y: Tensor) -> Tensor:
    """`out`, with y written to it, made to fit and converted."""
    if store(out, y):  # as is mostly the case
        return out
    check_dtype(function, out, y.dtype)
    with no_grad():
        return copy_(fit(function, out, y.shape), y)


def written(function: str, out: Tensor | None, y: Tensor, *given: Tensor) -> Tensor:
    """y, or where there is an `out`, that, with y written to it."""
    if out is None:
        return y
    check_out(function, out, *given)
    return put(function, out, y)


def written_all(
    function: str,
    out: Sequence[Tensor] | None,
    ys: Sequence[Tensor],
    *given: Tensor,
    converts: bool = False,
) -> Sequence[Tensor]:
    """The same of several results, whose dtypes must be out's unless the function converts."""
    if out is None:
        return ys
    if not isinstance(out, (tuple, list)) or len(out) != len(ys):
        raise TypeError(f"{function}(): argument 'out' must be a tuple of {len(ys)} Tensors")
    for to, y in zip(out, ys, strict=True):
        check_out(function, to, *given)
        check_dtype(function, to, y.dtype, exact=not converts)
    return [put(function, to, y) for to, y in zip(out, ys, strict=True)]
