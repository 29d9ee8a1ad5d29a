"""Pointwise functions written as programs of the machine's instructions: inverse and hyperbolic
functions, logarithms and exponentials of other bases, and functions of two operands near them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from autodiff.dtypes import SCALAR_NAMES
from autodiff.expr import Expr, build, by_width
from autodiff.ops.declare import (
    APART,
    BOTH,
    FIRST,
    NONZERO,
    POSITIVE,
    REAL,
    Check,
    declare,
    exp,
    where,
)
from autodiff.promotion import Operand, promote

LN2, LN10, PI = math.log(2), math.log(10), math.pi
HUGE = 2.0**28  # whose square is finite in float32, and drowns 1 in float64


def _abs(x: Expr) -> Expr:
    return build("abs", x)


def _sqrt(x: Expr) -> Expr:
    return build("sqrt", x)


def _log(x: Expr) -> Expr:
    return build("log", x)


def _log1p(x: Expr) -> Expr:
    return build("log1p", x)


def _either(a: Expr, b: Expr) -> Expr:
    return build("logical_or", a, b)


def _both(a: Expr, b: Expr) -> Expr:
    return build("logical_and", a, b)


def _floating(name: str) -> Check:
    """The check of a function whose operands must promote to a floating-point dtype."""

    def check(operands: Sequence[Operand]) -> None:
        d = promote(operands)
        if not d.is_floating_point:
            raise NotImplementedError(
                f'"{name}" not implemented for {SCALAR_NAMES[d.code]!r}: one of its operands must '
                "be of floating-point numbers"
            )

    return check


def _odd(x: Expr, of_abs: Expr) -> Expr:
    """The odd function that is `of_abs` where x is positive; it keeps the sign of zero."""
    return where(x == 0, x, where(x < 0, -of_abs, of_abs))


# ---- hyperbolic functions ----


def _grown(t: Expr) -> Expr:
    """exp(t) / 2, finite as long as that is."""
    half = exp(t * 0.5)
    return half * 0.5 * half


def _sinh(x: Expr) -> Expr:
    t = _abs(x)
    e = build("expm1", t)
    return _odd(x, where(t < 20, (e + e / (e + 1)) * 0.5, _grown(t)))


def _cosh(x: Expr) -> Expr:
    t = _abs(x)
    return where(t < 20, (exp(t) + build("reciprocal", exp(t))) * 0.5, _grown(t))


def _asinh(x: Expr) -> Expr:
    t = _abs(x)
    square = t * t
    near = _log1p(t + square / (1 + _sqrt(square + 1)))
    return _odd(x, where(t > HUGE, _log(t) + LN2, near))


def _acosh(x: Expr) -> Expr:
    u = x - 1
    near = _log1p(u + _sqrt(u * (u + 2)))
    return where(x < 1, math.nan, where(x > HUGE, _log(x) + LN2, near))


def _atanh(x: Expr) -> Expr:
    t = _abs(x)
    return _odd(x, _log1p(2 * t / (1 - t)) * 0.5)


declare("sinh", 1, "The hyperbolic sine.", lambda g, y, x: (g * build("cosh", x),),
        expand=_sinh, result="float", reference=math.sinh)  # fmt: skip
declare("cosh", 1, "The hyperbolic cosine.", lambda g, y, x: (g * build("sinh", x),),
        expand=_cosh, result="float", reference=math.cosh)  # fmt: skip
declare("asinh", 1, "The inverse hyperbolic sine.",
        lambda g, y, x: (g * build("rsqrt", x * x + 1),),
        expand=_asinh, result="float", reference=math.asinh)  # fmt: skip
declare("acosh", 1, "The inverse hyperbolic cosine; nan below 1.",
        lambda g, y, x: (g * build("rsqrt", x * x - 1),),
        expand=_acosh, result="float", domain=((1.2, 3.0),), reference=math.acosh)  # fmt: skip
declare("atanh", 1, "The inverse hyperbolic tangent; nan outside [-1, 1].",
        lambda g, y, x: (g / (1 - x * x),),
        expand=_atanh, result="float", domain=((-0.8, 0.8),), reference=math.atanh)  # fmt: skip

# ---- angles ----

# (asin(r) - r) / r^3 as a polynomial of r^2 up to 1/4, and to 2^-30 of asin.
ASIN = (
    0.1666666666666666, 0.0749999999999852, 0.04464285714625971, 0.030381944131723904,
    0.022372174018642, 0.01735234558536547, 0.013972267475878652, 0.011465241329460696,
    0.010437689001264516, 0.0048605199554003775, 0.019301931373775005, -0.01823902502655983,
    0.0313437283039093,
)  # fmt: skip
SHORT_ASIN = (
    0.16666666317990475, 0.07500098521753663, 0.044598108349549734, 0.031115312098652086,
    0.017081690440573172, 0.03379965498897963,
)  # fmt: skip
REST = (-4.371139000186241e-08, 6.123233995736766e-17)  # what pi / 2 loses in either type


def _polynomial(x: Expr, coefficients: tuple[float, ...]) -> Expr:
    """Horner's rule; the constant coefficient comes first."""
    total: Expr | float = coefficients[-1]
    for c in coefficients[-2::-1]:
        total = build("fma", total, x, c)
    return total  # type: ignore[return-value]


def _from_odd(r: Expr, short: tuple[float, ...], long: tuple[float, ...]) -> Expr:
    """r + r^3 p(r^2)."""
    z = r * r
    p = by_width(_polynomial(z, short), _polynomial(z, long))
    return build("fma", r * z, p, r)


def _atan2(a: Expr, b: Expr) -> Expr:
    y, x = _abs(a), _abs(b)
    low, high = build("minimum", x, y), build("maximum", x, y)
    ratio = where(high == 0, 0.0, where(low == high, 1.0, low / high))
    acute = build("atan", where(_either(a != a, b != b), math.nan, ratio))
    steep = where(y > x, PI / 2 - acute, acute)
    return build("copysign", where(build("copysign", 1.0, b) < 0, PI - steep, steep), a)


def _arc(x: Expr) -> tuple[Expr, Expr]:
    """Whether |x| > 1/2, and asin |x|; there half of acos |x|: its sine is sqrt((1 - |x|) / 2)."""
    t = _abs(x)
    far = t > 0.5
    r = where(far, _sqrt(0.5 - 0.5 * t), t)
    return far, _from_odd(r, SHORT_ASIN, ASIN)


def _less(r: Expr) -> Expr:
    """pi / 2 - r."""
    part = PI / 2 - r
    return by_width(part + REST[0], part + REST[1])


def _asin(x: Expr) -> Expr:
    far, r = _arc(x)
    return _odd(x, where(far, _less(r * 2), r))


def _acos(x: Expr) -> Expr:
    far, r = _arc(x)
    twice = r * 2
    return where(far, where(x < 0, PI - twice, twice), _less(where(x < 0, -r, r)))


def _atan2_vjp(g: Expr, y: Expr, a: Expr, b: Expr) -> tuple[Expr, Expr]:
    square = a * a + b * b
    scaled = where(square == 0, 0.0, g / where(square == 0, 1.0, square))
    return scaled * b, scaled * -a


UNIT = ((-0.8, 0.8),)
declare("atan", 1, "The angle whose tangent is input, in [-pi/2, pi/2].",
        lambda g, y, x: (g / (x * x + 1),), result="float", reference=math.atan)  # fmt: skip
declare("asin", 1, "The angle whose sine is input, in [-pi/2, pi/2]; nan outside [-1, 1].",
        lambda g, y, x: (g * build("rsqrt", 1 - x * x),),
        expand=_asin, result="float", domain=UNIT, reference=math.asin)  # fmt: skip
declare("acos", 1, "The angle whose cosine is input, in [0, pi]; nan outside [-1, 1].",
        lambda g, y, x: (-g * build("rsqrt", 1 - x * x),),
        expand=_acos, result="float", domain=UNIT, reference=math.acos)  # fmt: skip
declare("tan", 1, "The tangent of radians.", lambda g, y, x: (g * (1 + y * y),),
        result="float", domain=((-1.3, 1.3),), reference=math.tan)  # fmt: skip
declare("atan2", 2, "The angle of the point (other, input), in [-pi, pi].", _atan2_vjp,
        expand=_atan2, result="float", domain=(NONZERO, NONZERO),
        reference=math.atan2, tensors=BOTH)  # fmt: skip
declare("deg2rad", 1, "Degrees as radians.", expand=lambda x: x * (PI / 180),
        result="float", reference=math.radians)  # fmt: skip
declare("rad2deg", 1, "Radians as degrees.", expand=lambda x: x * (180 / PI),
        result="float", reference=math.degrees)  # fmt: skip


def _sinc(x: Expr) -> Expr:
    angle = where(x == 0, 1.0, x) * PI
    return where(x == 0, 1.0, build("sin", angle) / angle)


def _sinc_vjp(g: Expr, y: Expr, x: Expr) -> tuple[Expr]:
    safe = where(x == 0, 1.0, x)
    near = g * (x * (-PI * PI / 3))  # the series, for the derivative of this at 0
    return (where(x == 0, near, g * ((build("cos", safe * PI) - y) / safe)),)


declare("sinc", 1, "sin(pi input) / (pi input), 1 at 0.", _sinc_vjp, expand=_sinc,
        result="float", domain=NONZERO,
        reference=lambda x: math.sin(PI * x) / (PI * x))  # fmt: skip

# ---- logarithms and exponentials ----


def _log_of(base: float) -> Callable[..., Any]:
    """log x / log base; a whole number where x is that power of the base, or next to it."""

    def expand(x: Expr) -> Expr:
        near = _log(x) * (1 / math.log(base))
        whole = build("round", near)
        off = _abs(near - whole)
        snaps = by_width(off <= _abs(near) * 2.0**-23, off <= _abs(near) * 2.0**-51)
        return where(snaps, whole, near)

    return expand


declare("log2", 1, "The logarithm of base 2; nan below 0.", lambda g, y, x: (g / (x * LN2),),
        expand=_log_of(2.0), result="float", domain=POSITIVE,
        reference=math.log2)  # fmt: skip
declare("log10", 1, "The logarithm of base 10; nan below 0.", lambda g, y, x: (g / (x * LN10),),
        expand=_log_of(10.0), result="float", domain=POSITIVE,
        reference=math.log10)  # fmt: skip


declare("exp2", 1, "2 to the input.", lambda g, y, x: (g * y * LN2,),
        result="float", reference=lambda x: 2.0**x)  # fmt: skip


def _logaddexp(base: float) -> Callable[..., Any]:
    power, log = ("exp", math.log(2)) if base == math.e else ("exp2", 1.0)
    scale = 1.0 if base == math.e else 1 / LN2

    def expand(a: Expr, b: Expr) -> Expr:
        far, most = build(power, -_abs(a - b)), build("maximum", a, b)
        return where(a == b, most + log, most + _log1p(far) * scale)

    return expand


def _logaddexp_reference(a: float, b: float) -> float:
    return math.log(math.exp(a) + math.exp(b))


declare("logaddexp", 2, "log(exp(input) + exp(other)).",
        lambda g, y, a, b: (g / (1 + exp(b - a)), g / (1 + exp(a - b))),
        expand=_logaddexp(math.e), result="float", check=_floating("logaddexp"),
        reference=_logaddexp_reference, tensors=BOTH)  # fmt: skip
declare("logaddexp2", 2, "log2(2^input + 2^other).",
        lambda g, y, a, b: (g / (1 + build("exp2", b - a)), g / (1 + build("exp2", a - b))),
        expand=_logaddexp(2.0), result="float", check=_floating("logaddexp2"),
        reference=lambda a, b: math.log2(2**a + 2**b), tensors=BOTH)  # fmt: skip


def _log_as(y: Expr, x: Expr) -> Expr:
    """log y in the dtype that both are promoted to."""
    return _log(where(True, y, x))


def _xlogy(x: Expr, y: Expr) -> Expr:
    return where(_both(x == 0, y == y), 0.0, x * _log_as(y, x))


declare("xlogy", 2, "input * log(other), 0 where input is 0.",
        lambda g, z, x, y: (where(_both(x == 0, y <= 0), 0.0, g * _log_as(y, x)), g * (x / y)),
        expand=_xlogy, result="float", domain=(REAL, POSITIVE),
        reference=lambda x, y: x * math.log(y))  # fmt: skip

# ---- parts of numbers, and larger or smaller ones that are no nan ----


def _hypot(a: Expr, b: Expr) -> Expr:
    x, y = _abs(a), _abs(b)
    high, low = build("maximum", x, y), build("minimum", x, y)
    ratio = where(high == 0, 0.0, low / high)
    infinite = _either(x == math.inf, y == math.inf)
    return where(infinite, math.inf, high * _sqrt(ratio * ratio + 1))


declare("hypot", 2, "sqrt(input^2 + other^2), without overflow between.",
        lambda g, y, a, b: (g * (a / y), g * (b / y)), expand=_hypot, result="float",
        domain=(NONZERO, NONZERO), check=_floating("hypot"), reference=math.hypot,
        tensors=BOTH)  # fmt: skip
declare("frac", 1, "The part behind the point, with the sign of input.",
        lambda g, y, x: (g,), expand=lambda x: x - build("trunc", x),
        domain=((-1.8, -1.2), (0.2, 0.8)), check=_floating("frac"),
        reference=lambda x: math.fmod(x, 1.0))  # fmt: skip
declare("signbit", 1, "Whether an element has a minus sign, as -0 has; False of nan.",
        expand=lambda x: build("copysign", 1.0, x) < 0, result="bool",
        domain=((-3.0, 3.0), (0.0, 0.0), (-0.0, -0.0)),
        reference=lambda x: math.copysign(1.0, x) < 0)  # fmt: skip


def _same_dtype(operands: Sequence[Operand]) -> None:
    if operands[0].dtype is not operands[1].dtype:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")


declare("copysign", 2, "The magnitude of input with the sign of other, also of -0.",
        lambda g, y, a, b: (g * (build("sign", a) * build("sign", y)), None),
        result="float", domain=NONZERO, reference=math.copysign,
        tensors=FIRST)  # fmt: skip


def _heaviside(x: Expr, values: Expr) -> Expr:
    at_zero = where(x == 0, values, build("zeros_like", values))
    return where(x > 0, build("ones_like", values), at_zero)


declare("heaviside", 2, "0 below 0, 1 above it, `values` at 0; 0 of nan.",
        expand=_heaviside, domain=NONZERO,
        reference=lambda x, v: float(x > 0), check=_same_dtype,
        tensors=("input", "values"))  # fmt: skip


def _numeric_extremum(name: str) -> Callable[..., Any]:
    def expand(a: Expr, b: Expr) -> Expr:
        return where(a != a, b, where(b != b, a, build(name, a, b)))

    return expand


def _winner(larger: bool) -> Callable[..., Any]:
    def vjp(g: Expr, y: Expr, a: Expr, b: Expr) -> tuple[Expr, Expr]:
        first = _either(a >= b if larger else a <= b, b != b)
        return where(first, g, 0.0), where(first, 0.0, g)

    return vjp


declare("fmax", 2, "The larger of two; a number wins over nan.", _winner(True),
        expand=_numeric_extremum("maximum"), domain=APART,
        reference=max, tensors=BOTH)  # fmt: skip
declare("fmin", 2, "The smaller of two; a number wins over nan.", _winner(False),
        expand=_numeric_extremum("minimum"), domain=APART,
        reference=min, tensors=BOTH)  # fmt: skip

# ---- functions whose public form has arguments of its own (arithmetic.py) ----


def _logit_vjp(g: Expr, y: Expr, x: Expr) -> tuple[Expr]:
    return (where(_either(x < 0, x > 1), math.nan, g / (x * (1 - x))),)


logit = declare("logit", 1, "log(input / (1 - input)).", _logit_vjp,
        expand=lambda x: _log(x / (1 - x)), result="float", domain=((0.1, 0.4), (0.6, 0.9)),
        reference=lambda x: math.log(x / (1 - x)))  # fmt: skip


def _to_number(x: Expr, nan: Expr, above: Expr, below: Expr) -> Expr:
    return where(x != x, nan, where(x == math.inf, above, where(x == -math.inf, below, x)))


nan_to_num = declare("nan_to_num", 4, "input with other numbers for nan and infinities.",
        expand=_to_number, reference=lambda x, nan, above, below: x)  # fmt: skip


nan_to_largest = declare("nan_to_largest", 3, "The same with 0 and the largest numbers.",
        lambda g, y, x, least, most: (where(build("isfinite", x), g, 0.0), None, None),
        domain=(REAL, ((-5.0, -4.0),), ((4.0, 5.0),)), public=False, check=_floating("nan_to_num"),
        reference=lambda x, least, most: x, grad_name="NanToNumBackward0")  # fmt: skip
