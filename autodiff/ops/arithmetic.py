"""The pointwise functions and operators as users call them."""

from __future__ import annotations

import builtins
import operator
from typing import Any

from autodiff import dtypes
from autodiff.expr import PRIMITIVES, ROOTS, Expr, Primitive, build, inputs, power
from autodiff.ops import bessel as bessel  # which declares
from autodiff.ops import elementwise, gamma, special
from autodiff.ops import incomplete as incomplete
from autodiff.ops.base import titled
from autodiff.ops.calling import apply, binary, unary
from autodiff.ops.calls import quick_call
from autodiff.ops.clamping import clamp
from autodiff.ops.declare import FUNCTIONS
from autodiff.ops.guard import must_be
from autodiff.ops.numbers import number, number_of
from autodiff.ops.older import scaled
from autodiff.ops.out import written
from autodiff.ops.pointwise import PointwiseOp
from autodiff.shortcuts import OF_CLASSES, OF_FLOATS
from autodiff.tensor import TENSOR_TYPES, Tensor

UNARY = {
    name: unary(f.op, f.primitive.doc)
    for name, f in FUNCTIONS.items()
    if f.public and f.primitive.arity == 1
}
BINARY = {
    name: binary(f.op, f.primitive.doc)
    for name, f in FUNCTIONS.items()
    if f.public and f.primitive.arity == 2
}

# ---- functions with arguments of their own ----


def scales(alpha: Any) -> bool:
    """Whether alpha changes what it multiplies. TypeError where it is no number."""
    if type(alpha) is int:
        return alpha != 1
    if not isinstance(dtypes.plain(alpha), (bool, int, float, Tensor)):
        raise TypeError(f"argument 'alpha' must be Number, not {type(alpha).__name__}")
    return True


def of_truths(alpha: Any, input: Any, other: Any) -> Any:
    """alpha; where an integer scales truths, whether it is not 0: their sum is a truth."""
    if type(alpha) is not int or getattr(input, "dtype", None) is not dtypes.bool:
        return alpha
    return bool(alpha) if getattr(other, "dtype", None) is dtypes.bool else alpha


def add(
    input: Any, other: Any, older: Any = None, *, alpha: Any = 1, out: Tensor | None = None
) -> Tensor:
    """input + alpha * other.

    >>> ad.add(ad.tensor([1, 2]), ad.tensor([3, 4]), alpha=10)
    tensor([31, 42])
    """
    if older is not None:
        other, alpha = scaled("add", "alpha", other, older)
    if scales(alpha):
        return apply(elementwise.add_scaled, (input, other, of_truths(alpha, input, other)), out)
    return apply(elementwise.add, (input, other), out)


def sub(
    input: Any, other: Any, older: Any = None, *, alpha: Any = 1, out: Tensor | None = None
) -> Tensor:
    """input - alpha * other.

    >>> ad.sub(ad.tensor([5, 6]), ad.tensor([1, 2]), alpha=2)
    tensor([3, 2])
    """
    if older is not None:
        other, alpha = scaled("sub", "alpha", other, older)
    if scales(alpha):
        return apply(elementwise.sub_scaled, (input, other, alpha), out)
    return apply(elementwise.sub, (input, other), out)


def rsub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """other - alpha * input.

    >>> ad.rsub(ad.tensor([1, 2]), 10)
    tensor([9, 8])
    """
    return titled(sub(other, input, alpha=alpha), f"RsubBackward{not isinstance(other, Tensor):d}")


_TRUNC_DIV = PointwiseOp("truncdiv", build("truncdiv", *inputs(2)), 2, "DivBackward2")
_FLOOR_DIV = elementwise.floor_divide.named("DivBackward2")


def division(rounding_mode: str | None) -> PointwiseOp:
    """The op that divides and rounds so. RuntimeError for an unknown mode."""
    if rounding_mode is None:
        return elementwise.div
    if rounding_mode == "floor":
        return _FLOOR_DIV
    if rounding_mode == "trunc":
        return _TRUNC_DIV
    raise RuntimeError(
        "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found "
        f"'{rounding_mode}'"
    )


def div(
    input: Any, other: Any, *, rounding_mode: str | None = None, out: Tensor | None = None
) -> Tensor:
    """input / other; rounding_mode "floor" or "trunc" rounds the quotient.

    >>> ad.div(ad.tensor([7, -7]), 2)
    tensor([ 3.5000, -3.5000])
    >>> ad.div(ad.tensor([7, -7]), 2, rounding_mode="floor")
    tensor([ 3, -4])
    """
    return apply(division(rounding_mode), (input, other), out)


POWERS: dict[float, PointwiseOp] = {
    2: elementwise.square,
    3: elementwise.cube,
    **{a: PointwiseOp("pow", build(name, *inputs(1)), 1) for a, name in ROOTS.items()},
}


def _of_input(name: str) -> PointwiseOp:
    """A power that keeps its input for backward, as PyTorch's do: its result may be written to."""
    root, kept = PRIMITIVES[name], f"{name}_of_input"

    def rule(g: Expr, y: Expr, x: Expr) -> tuple[Expr | None, ...]:
        return root.vjp(g, build(name, x), x) if root.vjp else ()

    PRIMITIVES[kept] = Primitive(kept, 1, root.result, rule, lambda x: build(name, x))
    return PointwiseOp("pow", build(kept, *inputs(1)), 1)


_POWERS = POWERS | {a: _of_input(name) for a, name in ROOTS.items()}
_at_once = quick_call(elementwise.pow_, OF_CLASSES)
_REAL, _FIRST_FLOAT = (int, float), dtypes.FIRST_FLOAT


def pow(input: Any, exponent: Any, *, out: Tensor | None = None) -> Tensor:
    """input to the power of exponent; small constant exponents need no logarithm.

    >>> ad.pow(ad.tensor([1.0, 2.0, 3.0]), 2)
    tensor([1., 4., 9.])
    """
    if type(exponent) is Tensor and out is None and (y := _at_once(input, exponent)) is not None:
        return y  # type: ignore[no-any-return]
    if type(input) in TENSOR_TYPES and type(exponent) in _REAL:
        op = _POWERS.get(exponent)
        if op is not None and input._p.dtype >= _FIRST_FLOAT:
            return op.call(input) if out is None else apply(op, (input,), out)
        if type(exponent) is int and exponent < 0 and input._p.dtype < _FIRST_FLOAT:
            raise RuntimeError("Integers to negative integer powers are not allowed.")
        return apply(elementwise.pow_number, (input, exponent), out)
    if isinstance(input, Expr):
        return power(input, exponent)  # type: ignore[return-value]
    if isinstance(exponent, Expr):
        return build("pow", input, exponent)  # type: ignore[return-value]
    op = elementwise.pow_ if type(input) in TENSOR_TYPES else elementwise.number_pow
    return apply(op, (input, exponent), out)


def power_of(input: Tensor, exponent: Any) -> Tensor:
    """`pow` as Python's operator."""
    if type(exponent) is int or type(exponent) is float:
        call = _CALLS.get(exponent)
        if call is not None and (y := call(input)) is not None:
            return y  # type: ignore[no-any-return]
    return pow(input, exponent)


_CALLS = {a: quick_call(op, OF_FLOATS | op.flags) for a, op in _POWERS.items()}
_CONDITIONS = (dtypes.bool.code, dtypes.uint8.code)
_choose = elementwise.where_.call


def where(
    condition: Any, input: Any = None, other: Any = None, *, out: Tensor | None = None
) -> Any:
    """input where condition is true, else other; of a condition alone, where it is true.

    >>> x = ad.tensor([-1.0, 2.0])
    >>> ad.where(x > 0, x, 0.0)
    tensor([0., 2.])
    """
    if type(condition) is type(input) is type(other) is Tensor and out is None:
        if condition._p.dtype in _CONDITIONS:
            return _choose(condition, input, other)
    elif input is None and other is None and isinstance(condition, Tensor):
        return condition.nonzero(as_tuple=True)
    if isinstance(condition, Tensor) and condition._p.dtype not in _CONDITIONS:
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype "
            f"{condition.dtype!r}"
        )
    return apply(elementwise.where_, (condition, input, other), out)


def heaviside(input: Any, values: Any, *, out: Tensor | None = None) -> Tensor:
    """0 below 0, 1 above it, `values` at 0; 0 of nan.

    >>> ad.heaviside(ad.tensor([-1.5, 0.0, 2.0]), ad.tensor([0.5]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    return apply(FUNCTIONS["heaviside"].op, (input, values), out)


BINARY["heaviside"] = heaviside


def addcmul(
    input: Any,
    tensor1: Any,
    tensor2: Any,
    older: Any = None,
    *,
    value: Any = 1,
    out: Tensor | None = None,
) -> Tensor:
    """input + value * tensor1 * tensor2.

    >>> ad.addcmul(ad.ones(2), ad.tensor([1.0, 2.0]), ad.tensor([3.0, 4.0]), value=0.5)
    tensor([2.5000, 5.0000])
    """
    if older is not None:
        tensor1, tensor2, value = scaled("addcmul", "value", tensor1, tensor2, older)
    return apply(elementwise.addcmul, (input, tensor1, tensor2, value), out)


def check_quotient(name: str, *operands: Any) -> None:
    """RuntimeError where the quotient would be one of integers."""
    for x in operands:
        if not isinstance(x, Tensor) or x._p.dtype >= dtypes.FIRST_FLOAT:
            return
    kinds = " and ".join(repr(x.dtype) for x in operands)
    raise RuntimeError(
        f"Integer division with {name} is not supported: tensor1 and tensor2 are {kinds}. Use "
        "input + value * (tensor1 / tensor2), or convert one of them to a float dtype."
    )


def addcdiv(
    input: Any,
    tensor1: Any,
    tensor2: Any,
    older: Any = None,
    *,
    value: Any = 1,
    out: Tensor | None = None,
) -> Tensor:
    """input + value * tensor1 / tensor2. RuntimeError where both are integers.

    >>> ad.addcdiv(ad.ones(2), ad.tensor([1.0, 2.0]), ad.tensor([2.0, 4.0]))
    tensor([1.5000, 1.5000])
    """
    if older is not None:
        tensor1, tensor2, value = scaled("addcdiv", "value", tensor1, tensor2, older)
    check_quotient("addcdiv", tensor1, tensor2)
    return apply(elementwise.addcdiv, (input, tensor1, tensor2, value), out)


def positive(input: Tensor) -> Tensor:
    """input itself. RuntimeError for bool.

    >>> ad.positive(ad.tensor([-1, 1]))
    tensor([-1,  1])
    """
    if not isinstance(input, Tensor):
        raise must_be("positive", "input", "Tensor", input, 1)
    if input.dtype is dtypes.bool:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


def lerp(input: Any, end: Any, weight: Any, *, out: Tensor | None = None) -> Tensor:
    """input + weight * (end - input), exactly end at a weight of 1. NotImplementedError for
    integers, RuntimeError for tensors of several dtypes.

    >>> ad.lerp(ad.tensor([0.0, 10.0]), ad.tensor([1.0, 20.0]), 0.5)
    tensor([ 0.5000, 15.0000])
    """
    return apply(elementwise.lerp, (input, end, weight), out)


_DECIMAL = PointwiseOp("round",
        build("div", build("round", build("mul", *inputs(2))), inputs(2)[1]), 2,
        "RoundBackward1")  # fmt: skip
_TENS = PointwiseOp("round", build("mul", build("round", build("div", *inputs(2))), inputs(2)[1]),
        2, "RoundBackward1")  # fmt: skip


def rounding(decimals: Any) -> tuple[Any, ...]:
    """The op that rounds so, and what it takes beside the tensor."""
    if not isinstance(decimals, int) or isinstance(decimals, bool):
        raise must_be("round", "decimals", "int", decimals)
    if decimals == 0:
        return (FUNCTIONS["round"].op,)
    return (_DECIMAL if decimals > 0 else _TENS), float(f"1e{builtins.abs(decimals)}")


def round(input: Any, *, decimals: int = 0, out: Tensor | None = None) -> Any:
    """The nearest integer, halves to even; with `decimals`, the nearest number of so many digits
    behind the point (or, if negative, with so many zeros before it), of floats.

    >>> ad.round(ad.tensor([1.25, 2.5]), decimals=1)
    tensor([1.2000, 2.5000])
    """
    op, *power = rounding(decimals)
    if power and isinstance(input, Tensor) and not input.is_floating_point():
        kind = input.dtype.title
        raise NotImplementedError(f'"round_cpu" not implemented for {kind!r} with decimals')
    return apply(op, (input, *power), out)


def logit(input: Any, eps: float | None = None, *, out: Tensor | None = None) -> Tensor:
    """log(input / (1 - input)); with `eps`, of input clamped to [eps, 1 - eps].

    >>> ad.logit(ad.tensor([0.5, 0.9]))
    tensor([0.0000, 2.1972])
    """
    return apply(special.logit, (input if eps is None else clamp(input, eps, 1 - eps),), out)


_ZERO = number(0)
_FINITE = {
    d.code: tuple(number(sign * dtypes.finfo(d).max) for sign in (-1, 1)) for d in dtypes.FLOATS
}


def replacing(
    input: Tensor, nan: float | None, posinf: float | None, neginf: float | None
) -> tuple[PointwiseOp, tuple[Tensor, ...]]:
    """What puts these numbers for nan and the infinities, and its operands besides input."""
    least, most = _FINITE[input._p.dtype]
    if nan is posinf is neginf is None:
        return special.nan_to_largest, (least, most)
    numbers = []
    for name, value, default in (
        ("nan", nan, _ZERO),
        ("posinf", posinf, most),
        ("neginf", neginf, least),
    ):
        if value is None:
            numbers.append(default)
            continue
        if type(value) is not float and not isinstance(dtypes.plain(value), (int, float)):
            raise must_be("nan_to_num", name, "float", value)
        numbers.append(number_of(float(value)))
    return special.nan_to_num, tuple(numbers)


def nan_to_num(
    input: Tensor,
    nan: float | None = None,
    posinf: float | None = None,
    neginf: float | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """input with `nan` (0) for nan, and the largest and smallest numbers of its dtype, or those
    given, for infinities. The gradient is that of input where nothing was replaced.

    >>> ad.nan_to_num(ad.tensor([1.0, float("nan"), float("inf")]), posinf=9.0)
    tensor([1., 0., 9.])
    """
    if input._p.dtype not in _FINITE:
        return written("nan_to_num", out, input.clone(), input)
    op, numbers = replacing(input, nan, posinf, neginf)
    return op.call(input, *numbers) if out is None else apply(op, (input, *numbers), out)


def order_of(n: Any) -> int:
    """The order of a polygamma function. TypeError, RuntimeError, ValueError where n is none."""
    if isinstance(n, bool) or not hasattr(n, "__index__"):
        raise must_be("polygamma", "n", "int", n)
    order = operator.index(n)
    if order < 0:
        raise RuntimeError(f"polygamma(n, x) does not support negative n: {n}")
    if order >= 2**63:
        raise ValueError(f"polygamma(): argument 'n' does not fit 64 bits: {n}")
    return order


def polygamma(n: int, input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The n-th derivative of `digamma`, which is that of order 0.

    Past order 170 it is inf or nan, past 100 nan of negative numbers.

    >>> ad.polygamma(1, ad.tensor([1.0]))  # pi^2 / 6
    tensor([1.6449])
    """
    return apply(gamma.polygamma_op(order_of(n)), (input,), out)
