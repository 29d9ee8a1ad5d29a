"""Questions about the values of tensors, and about the types of results."""

from __future__ import annotations

from typing import Any

from autodiff import dtypes
from autodiff.changes import changes
from autodiff.dtypes import dtype
from autodiff.native import error, lib, looked_at
from autodiff.ops.reductions import KINDS
from autodiff.promotion import DIMENSIONED, NUMBER, ZERO_DIM, Operand, promote
from autodiff.tensor import Tensor

_ALL = KINDS["all"]


def result_type(tensor1: Any, tensor2: Any) -> dtype:
    """The dtype an operation on the two would compute in.

    >>> ad.result_type(ad.tensor([1, 2]), 1.5)
    torch.float32
    """
    if type(tensor1) is type(tensor2) is Tensor:
        p, q = tensor1._p, tensor2._p
        if p.dtype == q.dtype or (p.ndim > 0) == (q.ndim > 0):
            return dtypes.promote_types(tensor1.dtype, tensor2.dtype)
    operands = []
    for x in (tensor1, tensor2):
        if isinstance(x, Tensor):
            operands.append(Operand(x.dtype, DIMENSIONED if x.ndim else ZERO_DIM))
        else:
            operands.append(Operand(dtypes.of_value(x), NUMBER))
    return promote(operands)


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and elements.

    >>> ad.equal(ad.tensor([1, 2]), ad.tensor([1, 2]))
    True
    """
    if changes.recorder is not None:
        looked_at()
    found = lib.ad_equal(input._p, other._p)
    if found >= 0:
        return bool(found)
    same = (input == other)._p
    every = lib.ad_reduce_all(_ALL, same)
    if not every:
        raise error("equal", same)
    found = lib.ad_item_i64(every)
    lib.ad_free(every)
    return bool(found)


def isclose(
    input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """Whether |input - other| <= atol + rtol * |other|, element by element. RuntimeError of
    tolerances below 0.

    >>> ad.isclose(ad.tensor([1.0, 2.0]), ad.tensor([1.0, 2.1]))
    tensor([ True, False])
    """
    for name, tolerance in (("rtol", rtol), ("atol", atol)):
        if not tolerance >= 0:
            raise RuntimeError(f"{name} must be greater than or equal to zero, but got {tolerance}")
    a, b = input.detach(), other.detach()
    if a.dtype is not b.dtype:
        raise RuntimeError(f"{a.dtype!r} did not match {b.dtype!r}")
    equal = a == b
    if not a.is_floating_point():
        a, b = (x.to(dtypes.get_default_dtype()) for x in (a, b))
    near = equal.logical_or(((a - b).abs() <= atol + rtol * b.abs()).logical_and(b.isfinite()))
    return near.logical_or(a.isnan().logical_and(b.isnan())) if equal_nan else near


def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Whether all elements are close.

    >>> ad.allclose(ad.tensor([1.0]), ad.tensor([1.0 + 1e-7]))
    True
    """
    return bool(isclose(input, other, rtol, atol, equal_nan).all())
