"""Parts of floating-point numbers, and what is asked of complex ones, of which there are none."""

from __future__ import annotations

import math
import warnings
from typing import Any

from autodiff.dtypes import (
    HALVES,
    bfloat16,
    dtype,
    float16,
    float32,
    float64,
    get_default_dtype,
    int16,
    int32,
    int64,
)
from autodiff.expr import PRIMITIVES, Expr, Primitive, build, by_width, inputs
from autodiff.named import NamedTuple
from autodiff.native import lib
from autodiff.ops.arithmetic import where
from autodiff.ops.assign import masked_fill
from autodiff.ops.base import Op, OpNode
from autodiff.ops.bytes import reinterpreted
from autodiff.ops.comparing import result_type
from autodiff.ops.convert import Dtype
from autodiff.ops.create import arange, ones_like
from autodiff.ops.declare import BOTH, no_number
from autodiff.ops.declare import where as choice
from autodiff.ops.guard import must_be
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.returned import returned
from autodiff.ops.stacking import broadcast_tensors
from autodiff.tensor import Tensor, wrap

# bits of the fraction, the exponent of 1, and an integer of the same size
_PARTS: dict[dtype, tuple[int, int, dtype]] = {
    float16: (10, 15, int16),
    bfloat16: (7, 127, int16),
    float32: (23, 127, int32),
    float64: (52, 1023, int64),
}


def _refused(name: str, d: dtype) -> NotImplementedError:
    return NotImplementedError(f'"{name}" not implemented for {d.title!r}: it takes floats')


# As PyTorch's rule: the number moves with x, unless it is y already.
PRIMITIVES["nextafter"] = Primitive(
    "nextafter", 2, vjp=lambda g, y, a, b: (choice(a == b, 0.0, g), g * 0.0)
)
_nextafter = PointwiseOp(
    "nextafter", build("nextafter", *inputs(2)), 2, check=no_number("nextafter", BOTH, None)
)


def _half_rule(node: OpNode, g: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    return masked_fill(g, x.detach() == y.detach(), 0), g.new_zeros(g.shape)


def _next_half(p: Any, q: Any) -> Any:
    x, y = wrap(p), wrap(q)
    d = x.dtype
    whole = _PARTS[d][2]
    bits = reinterpreted(x.contiguous(), whole)
    away = (y > x) == (x > 0)
    least = reinterpreted(ones_like(bits), d)  # of bits 1
    moved = reinterpreted(bits + (away.to(whole) * 2 - 1), d)
    moved = where(x == 0, least.copysign(y), moved)
    moved = where(x == y, y, moved)
    return lib.ad_alias(where(x.isnan() | y.isnan(), x + y, moved)._p)


_nextafter_half: Op = Op("nextafter", _next_half, _half_rule, saves=(0, 1), shaped=False)


def nextafter(input: Tensor, other: Tensor) -> Tensor:
    """The next number of its dtype after input in the direction of other, whose derivative is 1 by
    input where they differ, else 0. NotImplementedError of integers.

    >>> ad.nextafter(ad.tensor([1.0]), ad.tensor([2.0])) - 1
    tensor([1.1921e-07])
    """
    d = result_type(input, other)
    if d not in _PARTS:
        raise _refused("nextafter", d)
    if d in HALVES:
        return _nextafter_half.on(broadcast_tensors(input.to(d), other.to(d)))
    return _nextafter.call(input, other)


@returned("frexp")
class frexp_result(NamedTuple):
    """What `frexp` returns."""

    mantissa: Tensor
    exponent: Tensor


_x = inputs(1)[0]


def _parts(x: Expr) -> tuple[Expr, Expr]:
    """Mantissa and exponent: the logarithm's integer part is off by one at most."""
    size, one, zero = build("abs", x), build("ones_like", x), build("zeros_like", x)
    small = by_width(size < 2.0**-126, size < 2.0**-1022)
    lift = choice(small, one * 64, zero)
    lifted = x * build("exp2", lift)
    plain = build("logical_or", size == 0, build("logical_not", build("isfinite", x)))
    number = choice(plain, one, build("abs", lifted))  # lest powers be infinite
    n = build("floor", build("log", number) * (1 / math.log(2))) + 1
    near = lifted * build("exp2", -n)  # exact, as each power of 2 is
    off = choice(build("abs", near) >= 1, one, choice(build("abs", near) < 0.5, -one, zero))
    mantissa = choice(plain, x, near * build("exp2", -off))
    return mantissa, choice(plain, zero, n + off - lift)


_mantissa = PointwiseOp("frexp", _parts(_x)[0], 1, "FrexpBackward0")
_exponent = PointwiseOp("frexp", _parts(_x)[1].to(int32), 1)


def frexp(input: Tensor) -> frexp_result:
    """input = mantissa * 2^exponent, |mantissa| in [1/2, 1); the exponents of 0, infinities and nan
    are 0, and have no derivative. RuntimeError of integers.

    >>> ad.frexp(ad.tensor([3.0]))
    torch.return_types.frexp(
    mantissa=tensor([0.7500]),
    exponent=tensor([2], dtype=torch.int32))
    """
    if not input.is_floating_point():
        raise RuntimeError("torch.frexp() only supports floating-point dtypes")
    return frexp_result(_mantissa.call(input), _exponent.call(input))


def range(
    start: Any, end: Any, step: Any = 1, *, dtype: Dtype = None, requires_grad: bool = False
) -> Tensor:
    """start, start + step, ... up to the end, which is included: floats unless told otherwise.

    `arange` took its place.

    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     ad.range(1, 4)
    tensor([1., 2., 3., 4.])
    """
    warnings.warn(
        "torch.range is deprecated and will be removed in a future release because its behavior is "
        "inconsistent with Python's range builtin. Instead, use torch.arange, which produces "
        "values in [start, end).",
        UserWarning,
        stacklevel=3,
    )
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if (step > 0) != (start <= end) and start != end:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    if not all(math.isfinite(v) for v in (start, end, step)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    n = int((end - start) / step) + 1
    d = dtype or get_default_dtype()
    y: Tensor = arange(n, dtype=float64 if d.is_floating_point else int64) * step + start
    return y.to(d).requires_grad_(requires_grad)


# ---- what there is to say of real numbers ----


def isreal(input: Tensor) -> Tensor:
    """True for each element.

    >>> ad.isreal(ad.tensor([1.5]))
    tensor([True])
    """
    return ones_like(input).bool()


def is_conj(input: Tensor) -> bool:
    """False: nothing is complex.

    >>> ad.is_conj(ad.ones(1))
    False
    """
    return bool(input._p.ndim < 0)


def is_complex(input: Tensor) -> bool:
    """False: no dtype is complex.

    >>> ad.is_complex(ad.ones(1))
    False
    """
    return input.dtype.is_complex


def is_neg(input: Tensor) -> bool:
    """False: no tensor is negated when it is read.

    >>> ad.is_neg(ad.ones(1))
    False
    """
    return bool(input._p.ndim < 0)


def real(input: Tensor) -> Tensor:
    """The tensor itself: all numbers are real; so `conj`, `resolve_conj` and `resolve_neg`.

    >>> x = ad.ones(1)
    >>> ad.real(x) is x, ad.conj(x) is x
    (True, True)
    """
    return input[...] if input._p.ndim < 0 else input


def imag(input: Tensor) -> Tensor:
    """RuntimeError: there are no complex numbers, of which this is a part.

    >>> ad.imag(ad.ones(2))
    Traceback (most recent call last):
    RuntimeError: imag is not implemented for tensors with non-complex dtypes.
    """
    if isinstance(input, Tensor):
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    raise must_be("imag", "input", "Tensor", input)


_angle = PointwiseOp("angle", choice(_x < 0, math.pi, choice(build("isnan", _x), _x, 0.0)), 1)


def angle(input: Tensor) -> Tensor:
    """pi for negative numbers, 0 for others, nan for nan.

    >>> ad.angle(ad.tensor([1.0, -1.0]))
    tensor([0.0000, 3.1416])
    """
    return _angle.call(input)
