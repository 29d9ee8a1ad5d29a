"""Powers in double precision and of two."""

from __future__ import annotations

from typing import Any

from autodiff.dtypes import float64
from autodiff.expr import PRIMITIVES, Expr, Primitive, build, by_width, inputs
from autodiff.ops.arithmetic import pow as power
from autodiff.ops.base import called
from autodiff.ops.cast import to_dtype
from autodiff.ops.declare import where
from autodiff.ops.pointwise import PointwiseOp
from autodiff.tensor import Tensor


def float_power(input: Any, exponent: Any) -> Tensor:
    """input to the power of the exponent, both as float64; either may be a number.

    >>> ad.float_power(ad.tensor([1, 2]), 2)
    tensor([1., 4.], dtype=torch.float64)
    """
    if not (isinstance(input, Tensor) or isinstance(exponent, Tensor)):
        kinds = f"({type(input).__name__}, {type(exponent).__name__})"
        raise TypeError(f"float_power(): one of the operands must be a Tensor, not {kinds}")
    each = [to_dtype(x, float64) if isinstance(x, Tensor) else x for x in (input, exponent)]
    return power(*each)


def float_power_(self: Tensor, exponent: Any) -> Tensor:
    """`float_power` in place. RuntimeError where the dtype is not float64.

    >>> ad.tensor([3.0], dtype=ad.float64).float_power_(2)
    tensor([9.], dtype=torch.float64)
    """
    if self.dtype is not float64:
        raise RuntimeError(
            f"the base given to float_power_ has dtype {self.dtype.title} but the "
            "operation's result requires dtype Double"
        )
    result: Tensor = self.pow_(exponent)
    return result


def _step(n: Expr) -> Expr:
    """The nearest exponent of which a power of 2 is neither infinite nor denormal."""

    def limited(least: int, most: int) -> Expr:
        return build("minimum", build("maximum", n, least), most)

    return by_width(limited(-126, 127), limited(-1022, 1023))


def _scaled(x: Expr, n: Expr) -> Expr:
    """By three factors, of which the least number becomes the largest; the last alone rounds."""
    n = where(True, n, x) * 1.0
    last = _step(n)
    first = _step(n - last)
    for step in (first, _step(n - last - first), last):
        x = x * build("exp2", step)
    return x


PRIMITIVES["ldexp"] = Primitive(
    "ldexp", 2, vjp=lambda g, y, x, n: (build("ldexp", g, n), None), expand=_scaled
)
_ldexp = PointwiseOp("ldexp", build("ldexp", *inputs(2)), 2, "LdexpBackward0")


@called("LdexpBackward0")
def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """input * 2^other; of integers, also where 2^other is none of the dtype's numbers.

    >>> ad.ldexp(ad.tensor([1.0]), ad.tensor([3]))
    tensor([8.])
    """
    if other.is_floating_point():
        y: Tensor = input * power(2.0, other)
        return y
    return _ldexp.call(input, other)
