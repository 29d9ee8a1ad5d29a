"""Pointwise functions with arguments of their own, written over their tensor."""

from __future__ import annotations

from typing import Any

from autodiff.ops import elementwise, gamma, special
from autodiff.ops.arithmetic import (
    POWERS,
    check_quotient,
    division,
    of_truths,
    order_of,
    replacing,
    rounding,
    scales,
)
from autodiff.ops.calling import inplace
from autodiff.ops.clamping import CLAMP_MAX, CLAMP_MIN, CLAMPED
from autodiff.ops.numbers import number
from autodiff.ops.older import scaled
from autodiff.tensor import Tensor


def polygamma_(self: Tensor, n: int) -> Tensor:
    """`polygamma` of order n, written over the tensor.

    >>> ad.tensor([1.0]).polygamma_(1)
    tensor([1.6449])
    """
    return gamma.polygamma_op(order_of(n)).into(self, (self,))


def logit_(self: Tensor, eps: float | None = None) -> Tensor:
    """`logit`, written over the tensor."""
    limited = self if eps is None else clamp_(self, eps, 1 - eps)
    return special.logit.into(limited, (limited,))


def nan_to_num_(
    self: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """`nan_to_num`, written over the tensor."""
    if not self.is_floating_point():
        return self
    op, numbers = replacing(self, nan, posinf, neginf)
    return op.into(self, (self, *numbers))


def add_(self: Tensor, other: Any, older: Any = None, *, alpha: Any = 1) -> Tensor:
    """self + alpha * other, written over self."""
    if older is not None:
        other, alpha = scaled("add_", "alpha", other, older)
    if scales(alpha):
        return _ADD_SCALED_(self, other, of_truths(alpha, self, other))
    return _ADD_(self, other)


def sub_(self: Tensor, other: Any, older: Any = None, *, alpha: Any = 1) -> Tensor:
    """self - alpha * other, written over self."""
    if older is not None:
        other, alpha = scaled("sub_", "alpha", other, older)
    return _SUB_SCALED_(self, other, alpha) if scales(alpha) else _SUB_(self, other)


def div_(self: Tensor, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """self / other, written over self."""
    return inplace("div_", division(rounding_mode))(self, other)


def pow_(self: Tensor, exponent: Any) -> Tensor:
    """self to the power of exponent, written over self."""
    if type(exponent) in (int, float) and self.is_floating_point() and exponent in POWERS:
        return POWERS[exponent].into(self, (self,))
    if type(exponent) is int and exponent < 0 and not self.is_floating_point():
        raise RuntimeError("Integers to negative integer powers are not allowed.")
    tensors = isinstance(exponent, Tensor)
    return inplace("pow_", elementwise.pow_ if tensors else elementwise.pow_number)(self, exponent)


def clamp_(self: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """self clamped to [min, max], written over self."""
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if max is None:
        return inplace("clamp_", CLAMPED[isinstance(min, Tensor)][1])(self, min)
    if min is None:
        return inplace("clamp_", CLAMPED[isinstance(max, Tensor)][2])(self, max)
    return inplace("clamp_", CLAMPED[isinstance(min, Tensor)][0])(self, min, max)


clamp_min_, clamp_max_ = inplace("clamp_min_", CLAMP_MIN), inplace("clamp_max_", CLAMP_MAX)


def lerp_(self: Tensor, end: Any, weight: Any) -> Tensor:
    """self + weight * (end - self), written over self."""
    return inplace("lerp_", elementwise.lerp)(self, end, weight)


def round_(self: Tensor, *, decimals: int = 0) -> Tensor:
    """`round`, written over self."""
    op, *power = rounding(decimals)
    rounded: Tensor = op.into(self, (self, *map(number, power)))
    return rounded


def addcmul_(
    self: Tensor, tensor1: Any, tensor2: Any, older: Any = None, *, value: Any = 1
) -> Tensor:
    """self + value * tensor1 * tensor2, written over self."""
    if older is not None:
        tensor1, tensor2, value = scaled("addcmul_", "value", tensor1, tensor2, older)
    return inplace("addcmul_", elementwise.addcmul)(self, tensor1, tensor2, value)


def addcdiv_(
    self: Tensor, tensor1: Any, tensor2: Any, older: Any = None, *, value: Any = 1
) -> Tensor:
    """self + value * tensor1 / tensor2, written over self."""
    if older is not None:
        tensor1, tensor2, value = scaled("addcdiv_", "value", tensor1, tensor2, older)
    check_quotient("addcdiv_", tensor1, tensor2)
    return inplace("addcdiv_", elementwise.addcdiv)(self, tensor1, tensor2, value)


_ADD_ = inplace("add_", elementwise.add)
_SUB_ = inplace("sub_", elementwise.sub)
_ADD_SCALED_ = inplace("add_", elementwise.add_scaled)
_SUB_SCALED_ = inplace("sub_", elementwise.sub_scaled)
