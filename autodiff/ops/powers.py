"""Powers in double precision and of two, and common divisors."""

from __future__ import annotations

from typing import Any

from autodiff.dtypes import float32, float64, get_default_dtype
from autodiff.ops.arithmetic import clamp
from autodiff.ops.arithmetic import pow as power
from autodiff.ops.base import called
from autodiff.ops.cast import to_dtype
from autodiff.ops.comparing import result_type
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


@called("LdexpBackward0")
def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """input * 2^other; of integers, also where 2^other is none of the dtype's numbers.

    >>> ad.ldexp(ad.tensor([1.0]), ad.tensor([3]))
    tensor([8.])
    """
    if other.is_floating_point():
        y: Tensor = input * power(2.0, other)
        return y
    d = input.dtype if input.is_floating_point() else get_default_dtype()
    wide = float64 if d is float64 else float32
    y, left = to_dtype(input, wide), to_dtype(other, wide)
    for _ in range(3):  # of which the least number becomes the largest
        step = clamp(left, *((-969, 1023) if d is float64 else (-102, 127)))
        y, left = y * power(2.0, step), left - step
    found: Tensor = to_dtype(y, d)
    return found


def _integers(name: str, *xs: Tensor) -> tuple[Tensor, ...]:
    """Tensors of integers in their common dtype."""
    d = result_type(*xs)
    if d.is_floating_point or d.category == 0:
        raise NotImplementedError(f'"{name}_cpu" not implemented for {d.title!r}')
    return tuple(to_dtype(x, d) for x in xs)


def gcd(input: Tensor, other: Tensor) -> Tensor:
    """The greatest common divisors of integers, by Euclid's algorithm.

    >>> ad.gcd(ad.tensor([4, 9]), ad.tensor([6, 0]))
    tensor([2, 9])
    """
    input, other = _integers("gcd", input, other)
    a, b = input + other * 0, other + input * 0
    while bool((b != 0).any()):
        rest = a.fmod(b.masked_fill(b == 0, 1))
        a, b = a.where(b == 0, b), b.where(b == 0, rest)
    return a.abs()


def lcm(input: Tensor, other: Tensor) -> Tensor:
    """The least common multiples of integers, 0 of 0.

    >>> ad.lcm(ad.tensor([4, 9]), ad.tensor([6, 0]))
    tensor([12,  0])
    """
    input, other = _integers("lcm", input, other)
    common = gcd(input, other)
    result: Tensor = (input.floor_divide(common.masked_fill(common == 0, 1)) * other).abs()
    return result
