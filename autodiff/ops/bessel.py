"""The modified Bessel functions of the first kind, of order 0 and 1, and these times exp(-|x|).

By the power series up to 20 (float32: 10), whose terms are all positive, and beyond by the
asymptotic series, whose least term is below half a unit of the dtype there.
"""

from __future__ import annotations

import functools
import math
from typing import Any

from autodiff.expr import Expr, build, by_width
from autodiff.ops.declare import declare, exp, where
from autodiff.ops.special import PI, _abs, _polynomial

# Where the series meet, and how many terms of each there are. In float32 the coefficients of more
# would be subnormal, which is slow.
SHORT, LONG = (10.0, 20, 14), (20.0, 46, 34)


@functools.cache
def _near_terms(order: int) -> tuple[float, ...]:
    """Of (x/2)^2: 1 / (k! (k + order)!)."""
    return tuple(1 / (math.factorial(k) * math.factorial(k + order)) for k in range(46))


@functools.cache
def _far_terms(order: int) -> tuple[float, ...]:
    """Of 1/x: each term the last times ((2k - 1)^2 - 4 order^2) / 8k."""
    from fractions import Fraction  # slow to import

    terms = [Fraction(1)]
    for k in range(1, 34):
        terms.append(terms[-1] * ((2 * k - 1) ** 2 - 4 * order**2) / (8 * k))
    return tuple(map(float, terms))


def _bessel(order: int, scaled: bool) -> Any:
    def value(x: Expr, limit: float, near_terms: int, far_terms: int) -> Expr:
        t = _abs(x)
        half = t * 0.5
        series = _polynomial(half * half, _near_terms(order)[:near_terms])
        near = (half * series if order else series) * (exp(-t) if scaled else 1.0)
        r = build("reciprocal", t)
        far = _polynomial(r, _far_terms(order)[:far_terms]) * build("rsqrt", t) / math.sqrt(2 * PI)
        if not scaled:
            far = far * exp(half) * exp(half)  # finite as long as the product is
        y = where(t <= limit, near, far)
        return where(x < 0, -y, y) if order else y

    return lambda x: by_width(value(x, *SHORT), value(x, *LONG))


def _reference(order: int, scaled: bool) -> Any:
    """The power series, summed exactly."""

    def value(x: float) -> float:
        from fractions import Fraction

        square, total, term = Fraction(x) ** 2 / 4, Fraction(0), Fraction(1)
        for k in range(40):
            total += term
            term = term * square / ((k + 1) * (k + 1 + order))
        power = float(total * (Fraction(x) / 2) ** order)
        return power * math.exp(-abs(x)) if scaled else power

    return value


def _slope_of_i1(scaled: bool) -> Any:
    """I1' = I0 - I1 / x, a half about 0, where 1 / x may be too large."""

    def vjp(g: Expr, y: Expr, x: Expr) -> tuple[Expr]:
        zero = _abs(x) < 1e-30
        safe = where(zero, 1.0, x)
        less = build("reciprocal", safe) + (build("sign", x) if scaled else 0.0)
        return (g * where(zero, 0.5, build("i0e" if scaled else "i0", x) - y * less),)

    return vjp


_SCALED = "exp(-|input|) times "
_DOC = "the modified Bessel function of the first kind of order "
declare("i0", 1, _DOC.capitalize() + "0.", lambda g, y, x: (g * build("i1", x),),
        expand=_bessel(0, False), result="float", reference=_reference(0, False))  # fmt: skip
declare("i0e", 1, f"{_SCALED}{_DOC}0.",
        lambda g, y, x: (g * (build("i1e", x) - build("sign", x) * y),),
        expand=_bessel(0, True), result="float", reference=_reference(0, True), public=False,
        grad_name="SpecialI0EBackward0")  # fmt: skip
declare("i1", 1, _DOC.capitalize() + "1.", _slope_of_i1(False),
        expand=_bessel(1, False), result="float", reference=_reference(1, False), public=False,
        grad_name="SpecialI1Backward0")  # fmt: skip
declare("i1e", 1, f"{_SCALED}{_DOC}1.", _slope_of_i1(True),
        expand=_bessel(1, True), result="float", reference=_reference(1, True), public=False,
        grad_name="SpecialI1EBackward0")  # fmt: skip
