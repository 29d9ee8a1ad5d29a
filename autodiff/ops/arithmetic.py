"""The pointwise functions and operators as users call them."""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable
from typing import Any

from autodiff import dtypes
from autodiff.dtypes import dtype
from autodiff.expr import Expr, build, inputs, power
from autodiff.lower import DIMENSIONED, NUMBER, ZERO_DIM, Operand, promote
from autodiff.ops import elementwise, gamma, special
from autodiff.ops.declare import FUNCTIONS, declare
from autodiff.ops.pointwise import PointwiseOp, number, operand
from autodiff.tensor import TENSOR_TYPES, Tensor

_PLAIN = {Tensor}  # the types of operands that need no look


def apply(op: PointwiseOp, args: tuple[Any, ...], out: Tensor | None = None) -> Tensor:
    """Run an op on tensors, numbers or (while a pointwise function is traced) expressions.

    Of expressions an expression, whatever the type says: that is what users have.
    """
    if out is None and set(map(type, args)) == _PLAIN:
        return op.call(*args)
    if any_expr(args):
        return build(op.name, *args)  # type: ignore[return-value]
    tensors = []
    for i, arg in enumerate(args):
        x = operand(arg)
        if x is None:
            name = "input" if i == 0 else "other"
            raise TypeError(
                f"{op.name}(): argument '{name}' (position {i + 1}) must be Tensor, "
                f"not {type(arg).__name__}"
            )
        tensors.append(x)
    if builtins.all(x._p.number for x in tensors):
        raise TypeError(
            f"{op.name}(): argument 'input' (position 1) must be Tensor, not "
            f"{type(args[0]).__name__}"
        )
    if out is None:
        return op.call(*tensors)
    if not isinstance(out, Tensor):
        raise TypeError(f"{op.name}(): argument 'out' must be Tensor, not {type(out).__name__}")
    if out._node is not None or builtins.any(x.requires_grad for x in tensors):
        raise RuntimeError(
            f"{op.name}(): functions with out=... arguments don't support automatic "
            "differentiation, "
            "but one of the arguments requires grad."
        )
    return op.into(out, tensors)


def any_expr(args: tuple[Any, ...]) -> bool:
    """Whether an argument is an expression: a pointwise function is being traced."""
    return builtins.any(isinstance(arg, Expr) for arg in args)


# ---- functions made from declarations ----


def _named(function: Callable[..., Any], name: str, doc: str) -> Callable[..., Any]:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


def unary(op: PointwiseOp, doc: str) -> Callable[..., Any]:
    """The function of one tensor."""
    call = op.call

    def function(input: Tensor, *, out: Tensor | None = None) -> Tensor:
        if type(input) in TENSOR_TYPES and out is None:
            return call(input)
        return apply(op, (input,), out)

    return _named(function, op.name, doc)


def binary(op: PointwiseOp, doc: str) -> Callable[..., Any]:
    """The function of two operands."""
    call = op.call

    def function(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
        if type(input) in TENSOR_TYPES and type(other) in TENSOR_TYPES and out is None:
            return call(input, other)
        return apply(op, (input, other), out)

    return _named(function, op.name, doc)


def inplace(name: str, op: PointwiseOp) -> Callable[..., Tensor]:
    """The method that writes its result over its tensor."""

    def written(value: Any) -> Tensor:
        x = operand(value)
        if x is None:
            kind = type(value).__name__
            raise TypeError(f"{name}(): argument must be Tensor or number, not {kind}")
        return x

    def unary(self: Tensor) -> Tensor:
        return op.into(self, (self,))

    def binary(self: Tensor, other: Any) -> Tensor:
        return op.into(self, (self, written(other)))

    def several(self: Tensor, *others: Any) -> Tensor:
        return op.into(self, (self, *map(written, others)))

    methods: dict[int, Callable[..., Tensor]] = {1: unary, 2: binary}
    method = methods.get(op.n_in, several)
    return _named(method, name, f"`{op.name}`, written over the tensor.")


def reflected(name: str, op: PointwiseOp) -> Callable[..., Any]:
    """The method behind a Python operator whose left operand is no tensor."""
    call = op.call

    def method(self: Tensor, other: Any) -> Tensor:
        x = operand(other)
        return NotImplemented if x is None else call(x, self)

    return _named(method, name, f"`{op.name}` with the operands swapped.")


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


def _scaled(other: Any, alpha: Any) -> Any:
    if not isinstance(alpha, (bool, int, float, Tensor)):
        raise TypeError(f"argument 'alpha' must be Number, not {type(alpha).__name__}")
    return other if alpha == 1 else other * alpha


def add(input: Any, other: Any, *, alpha: Any = 1, out: Tensor | None = None) -> Tensor:
    """input + alpha * other.

    >>> ad.add(ad.tensor([1, 2]), ad.tensor([3, 4]), alpha=10)
    tensor([31, 42])
    """
    return apply(elementwise.add, (input, _scaled(other, alpha)), out)


def sub(input: Any, other: Any, *, alpha: Any = 1, out: Tensor | None = None) -> Tensor:
    """input - alpha * other.

    >>> ad.sub(ad.tensor([5, 6]), ad.tensor([1, 2]), alpha=2)
    tensor([3, 2])
    """
    return apply(elementwise.sub, (input, _scaled(other, alpha)), out)


def rsub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """other - alpha * input.

    >>> ad.rsub(ad.tensor([1, 2]), 10)
    tensor([9, 8])
    """
    return apply(elementwise.sub, (other, _scaled(input, alpha)))


_TRUNC_DIV = PointwiseOp("truncdiv", build("truncdiv", *inputs(2)), 2, "DivBackward1")


def _division(rounding_mode: str | None) -> PointwiseOp:
    if rounding_mode is None:
        return elementwise.div
    if rounding_mode == "floor":
        return elementwise.floor_divide
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
    return apply(_division(rounding_mode), (input, other), out)


_POWERS: dict[float, PointwiseOp] = {
    2: elementwise.square,
    3: elementwise.cube,
    0.5: PointwiseOp("pow", build("sqrt", *inputs(1)), 1),
    -0.5: PointwiseOp("pow", build("rsqrt", *inputs(1)), 1),
    -1.0: PointwiseOp("pow", build("reciprocal", *inputs(1)), 1),
}


def pow(input: Any, exponent: Any, *, out: Tensor | None = None) -> Tensor:
    """input to the power of exponent; small constant exponents need no logarithm.

    >>> ad.pow(ad.tensor([1.0, 2.0, 3.0]), 2)
    tensor([1., 4., 9.])
    """
    if type(input) in TENSOR_TYPES and type(exponent) in (int, float):
        if input._p.dtype >= dtypes.FIRST_FLOAT and exponent in _POWERS:
            op = _POWERS[exponent]
            return op.call(input) if out is None else apply(op, (input,), out)
        if type(exponent) is int and exponent < 0 and input._p.dtype < dtypes.FIRST_FLOAT:
            raise RuntimeError("Integers to negative integer powers are not allowed.")
        return apply(elementwise.pow_number, (input, exponent), out)
    if type(input) is type(exponent) is Tensor and out is None:
        return elementwise.pow_.call(input, exponent)
    if isinstance(input, Expr):
        return power(input, exponent)  # type: ignore[return-value]
    if isinstance(exponent, Expr):
        return build("pow", input, exponent)  # type: ignore[return-value]
    op = elementwise.pow_ if type(input) in TENSOR_TYPES else elementwise.number_pow
    return apply(op, (input, exponent), out)


_CONDITIONS = (dtypes.bool.code, dtypes.uint8.code)


def where(
    condition: Any, input: Any = None, other: Any = None, *, out: Tensor | None = None
) -> Any:
    """input where condition is true, else other; of a condition alone, where it is true.

    >>> x = ad.tensor([-1.0, 2.0])
    >>> ad.where(x > 0, x, 0.0)
    tensor([0., 2.])
    """
    if input is None and other is None and isinstance(condition, Tensor):
        return condition.nonzero(as_tuple=True)
    if isinstance(condition, Tensor) and condition._p.dtype not in _CONDITIONS:
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype "
            f"{condition.dtype!r}"
        )
    if type(condition) is type(input) is type(other) is Tensor and out is None:
        return elementwise.where_.call(condition, input, other)
    return apply(elementwise.where_, (condition, input, other), out)


def clamp(input: Any, min: Any = None, max: Any = None, *, out: Tensor | None = None) -> Tensor:
    """input limited to [min, max], numbers or tensors; either may be left out.

    >>> ad.clamp(ad.tensor([-2.0, 0.5, 2.0]), -1, 1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if min is None:
        return apply(_CLAMP_MAX, (input, max), out)
    if max is None:
        return apply(_CLAMP_MIN, (input, min), out)
    return apply(elementwise.clamp, (input, min, max), out)


def _one_sided(name: str, instr: str) -> PointwiseOp:
    """clamp with one bound: where both are equal the gradient goes to the input."""
    lower = instr == "maximum"

    def vjp(g: Expr, y: Expr, x: Expr, bound: Expr) -> tuple[Expr, Expr]:
        outside = build("lt", x, bound) if lower else build("lt", bound, x)
        return build("where", outside, 0.0, g), build("where", outside, g, 0.0)

    return declare(
        name,
        2,
        f"input limited {'from below by min' if lower else 'from above by max'}.",
        vjp,
        expand=lambda x, bound: build(instr, x, bound),
        domain=(((-3.0, -0.8), (0.8, 3.0)), ((-0.5, 0.5),)),
        reference=builtins.max if lower else builtins.min,
        grad_name="ClampBackward0",
    )


_CLAMP_MIN = _one_sided("clamp_min", "maximum")
_CLAMP_MAX = _one_sided("clamp_max", "minimum")
clamp_min = binary(_CLAMP_MIN, "input limited from below by min.")
clamp_max = binary(_CLAMP_MAX, "input limited from above by max.")


def addcmul(
    input: Any, tensor1: Any, tensor2: Any, *, value: Any = 1, out: Tensor | None = None
) -> Tensor:
    """input + value * tensor1 * tensor2.

    >>> ad.addcmul(ad.ones(2), ad.tensor([1.0, 2.0]), ad.tensor([3.0, 4.0]), value=0.5)
    tensor([2.5000, 5.0000])
    """
    return apply(elementwise.addcmul, (input, tensor1, tensor2, value), out)


def addcdiv(
    input: Any, tensor1: Any, tensor2: Any, *, value: Any = 1, out: Tensor | None = None
) -> Tensor:
    """input + value * tensor1 / tensor2.

    >>> ad.addcdiv(ad.ones(2), ad.tensor([1.0, 2.0]), ad.tensor([2.0, 4.0]))
    tensor([1.5000, 1.5000])
    """
    return apply(elementwise.addcdiv, (input, tensor1, tensor2, value), out)


def positive(input: Tensor) -> Tensor:
    """input itself. RuntimeError for bool.

    >>> ad.positive(ad.tensor([-1, 1]))
    tensor([-1,  1])
    """
    if not isinstance(input, Tensor):
        raise TypeError(
            f"positive(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}"
        )
    if input.dtype is dtypes.bool:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


def lerp(input: Any, end: Any, weight: Any, *, out: Tensor | None = None) -> Tensor:
    """input + weight * (end - input).

    >>> ad.lerp(ad.tensor([0.0, 10.0]), ad.tensor([1.0, 20.0]), 0.5)
    tensor([ 0.5000, 15.0000])
    """
    return apply(elementwise.lerp, (input, end, weight), out)


def logit(input: Any, eps: float | None = None, *, out: Tensor | None = None) -> Tensor:
    """log(input / (1 - input)); with `eps`, of input limited to [eps, 1 - eps].

    >>> ad.logit(ad.tensor([0.5, 0.9]))
    tensor([0.0000, 2.1972])
    """
    return apply(special.logit, (input if eps is None else clamp(input, eps, 1 - eps),), out)


def _replacements(input: Tensor, **given: Any) -> list[float]:
    """The numbers that stand for nan and the infinities, in the order of `given`."""
    largest = dtypes.finfo(input.dtype).max
    values = []
    for (name, value), default in zip(given.items(), (0.0, largest, -largest), strict=True):
        if not isinstance(value, (int, float, type(None))):
            raise TypeError(
                f"nan_to_num(): argument '{name}' must be float, not {type(value).__name__}"
            )
        values.append(default if value is None else float(value))
    return values


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
    if not input.is_floating_point():
        return input.clone() if out is None else out.copy_(input)
    args = (input, *_replacements(input, nan=nan, posinf=posinf, neginf=neginf))
    return apply(special.nan_to_num, args, out)


def _order(n: Any) -> int:
    if isinstance(n, bool) or not hasattr(n, "__index__"):
        raise TypeError(f"polygamma(): argument 'n' must be int, not {type(n).__name__}")
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
    return apply(gamma.polygamma_op(_order(n)), (input,), out)


# ---- in place, with arguments of their own ----


def polygamma_(self: Tensor, n: int) -> Tensor:
    """`polygamma` of order n, written over the tensor.

    >>> ad.tensor([1.0]).polygamma_(1)
    tensor([1.6449])
    """
    return gamma.polygamma_op(_order(n)).into(self, (self,))


def logit_(self: Tensor, eps: float | None = None) -> Tensor:
    """`logit`, written over the tensor."""
    limited = self if eps is None else clamp_(self, eps, 1 - eps)
    return special.logit.into(limited, (limited,))


def nan_to_num_(
    self: Tensor,
    nan: float | None = None,
    posinf: float | None = None,
    neginf: float | None = None,
) -> Tensor:
    """`nan_to_num`, written over the tensor."""
    if not self.is_floating_point():
        return self
    values = [number(x) for x in _replacements(self, nan=nan, posinf=posinf, neginf=neginf)]
    return special.nan_to_num.into(self, (self, *values))


def add_(self: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """self + alpha * other, written over self."""
    return _ADD_(self, _scaled(other, alpha))


def sub_(self: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """self - alpha * other, written over self."""
    return _SUB_(self, _scaled(other, alpha))


def div_(self: Tensor, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """self / other, written over self."""
    return inplace("div_", _division(rounding_mode))(self, other)


def pow_(self: Tensor, exponent: Any) -> Tensor:
    """self to the power of exponent, written over self."""
    if type(exponent) in (int, float) and self.is_floating_point() and exponent in _POWERS:
        return _POWERS[exponent].into(self, (self,))
    return inplace("pow_", elementwise.pow_)(self, exponent)


def clamp_(self: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """self limited to [min, max], written over self."""
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if max is None:
        return inplace("clamp_", _CLAMP_MIN)(self, min)
    if min is None:
        return inplace("clamp_", _CLAMP_MAX)(self, max)
    return inplace("clamp_", elementwise.clamp)(self, min, max)


def addcmul_(self: Tensor, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Tensor:
    """self + value * tensor1 * tensor2, written over self."""
    return inplace("addcmul_", elementwise.addcmul)(self, tensor1, tensor2, value)


def addcdiv_(self: Tensor, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Tensor:
    """self + value * tensor1 / tensor2, written over self."""
    return inplace("addcdiv_", elementwise.addcdiv)(self, tensor1, tensor2, value)


_ADD_ = inplace("add_", elementwise.add)
_SUB_ = inplace("sub_", elementwise.sub)


# ---- questions about values and types ----


def result_type(tensor1: Any, tensor2: Any) -> dtype:
    """The dtype an operation on the two would compute in.

    >>> ad.result_type(ad.tensor([1, 2]), 1.5)
    torch.float32
    """
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
    return input.shape == other.shape and bool((input.detach() == other.detach()).all())


def isclose(
    input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """Whether |input - other| <= atol + rtol * |other|, element by element.

    >>> ad.isclose(ad.tensor([1.0, 2.0]), ad.tensor([1.0, 2.1]))
    tensor([ True, False])
    """
    a, b = input.detach(), other.detach()
    if a.dtype is not b.dtype:
        raise RuntimeError(f"{a.dtype!r} did not match {b.dtype!r}")
    near = (a == b).logical_or(((a - b).abs() <= atol + rtol * b.abs()).logical_and(b.isfinite()))
    return near.logical_or(a.isnan().logical_and(b.isnan())) if equal_nan else near


def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Whether all elements are close.

    >>> ad.allclose(ad.tensor([1.0]), ad.tensor([1.0 + 1e-7]))
    True
    """
    return bool(isclose(input, other, rtol, atol, equal_nan).all())
