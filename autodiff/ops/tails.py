"""What `autodiff.special` adds: the normal distribution and its inverse, entropy, Hurwitz' zeta."""

from __future__ import annotations

import functools
import math
import operator
from typing import Any

from autodiff.expr import Expr, build, differentiate
from autodiff.ops.base import backward_name
from autodiff.ops.declare import POSITIVE, REAL, declare, exp, where
from autodiff.ops.gamma import BERNOULLI, _erfinv_reference, _scaled_erfc
from autodiff.ops.special import PI, _both, _log, _log1p, _polynomial, _sqrt

_HALF = math.sqrt(0.5)


def _special(name: str, arity: int, doc: str, vjp: Any, **more: Any) -> None:
    grad_name = backward_name(f"special_{name}")
    declare(name, arity, doc, vjp, result="float", public=False,
            **{"grad_name": grad_name, **more})  # fmt: skip


# ---- the error function, scaled, and the normal distribution ----


_FAR = tuple(math.prod(range(1, 2 * k, 2)) * (-0.5) ** k for k in range(9))


def _erfcx(x: Expr) -> Expr:
    """Past 27, 1 / (x sqrt(pi)) times its asymptotic series."""
    square = x * x
    grown = exp(square) * (1 + build("fma", x, x, -square))
    near = where(x < 0.45, grown * (1 - build("erf", x)), _scaled_erfc(x))
    r = build("reciprocal", x)
    far = r * (1 / math.sqrt(PI)) * _polynomial(r * r, _FAR)
    return where(x < -27, math.inf, where(x > 27, far, near))


def _log_ndtr(x: Expr) -> Expr:
    t = x * -_HALF
    far = _log(build("erfcx", build("maximum", t, 0.0)) * 0.5) - t * t
    return where(x < -1, far, _log1p(build("erfc", -t) * -0.5))


def _ndtri(p: Expr) -> Expr:
    """By erfinv about a half; else Newton's steps on log erfc, from its asymptotic inverse."""
    outer = _log(build("minimum", p, 1 - p) * 2)
    w = build("maximum", -outer, 1.6)
    z = _sqrt(w - _log(w * PI) * 0.5)
    for _ in range(3):
        scaled = _scaled_erfc(z)
        z = z + (_log(scaled) - z * z + w) * scaled * (math.sqrt(PI) / 2)
    tail = where(outer == -math.inf, math.inf, z) * math.sqrt(2)
    middle = build("erfinv", p * 2 - 1) * math.sqrt(2)
    return where(_both(p > 0.1, p < 0.9), middle, where(p < 0.5, -tail, tail))


_special("erfcx", 1, "exp(input^2) erfc(input).",
         lambda g, y, x: (g * (x * y * 2 - 2 / math.sqrt(PI)),), expand=_erfcx,
         reference=lambda x: math.exp(x * x) * math.erfc(x))  # fmt: skip
_special("ndtr", 1, "The probability that a normal number is below input.",
         lambda g, y, x: (g * (exp(x * x * -0.5) * (1 / math.sqrt(2 * PI))),),
         expand=lambda x: build("erfc", x * -_HALF) * 0.5,
         reference=lambda x: math.erfc(-x * _HALF) / 2, grad_name="MulBackward1")  # fmt: skip
_special("log_ndtr", 1, "The logarithm of `ndtr`, where that is 0, too.",
         lambda g, y, x: (g * (math.sqrt(2 / PI) / build("erfcx", x * -_HALF)),),
         expand=_log_ndtr, reference=lambda x: math.log(math.erfc(-x * _HALF) / 2))  # fmt: skip
_special("ndtri", 1, "The number whose `ndtr` is input; nan outside [0, 1].",
         lambda g, y, x: (g * (math.sqrt(2 * PI) * exp(y * y * 0.5)),), expand=_ndtri,
         domain=((0.02, 0.98),),
         reference=lambda p: _erfinv_reference(2 * p - 1) / _HALF)  # fmt: skip

# ---- entropy ----


_special("entr", 1, "-input log(input), 0 at 0, -inf below.",
         lambda g, y, x: (g * (-1 - _log(x)),), domain=POSITIVE,
         expand=lambda x: where(x == 0, 0.0, where(x < 0, -math.inf, -x * _log(x))),
         reference=lambda x: -x * math.log(x))  # fmt: skip
_special("xlog1py", 2, "input * log1p(other), 0 where input is 0.",
         lambda g, z, x, y: (where(_both(x == 0, y <= -1), 0.0, g * _log1p(where(True, y, x))),
                             g * (x / (y + 1))),
         expand=lambda x, y: where(_both(x == 0, y == y), 0.0, x * _log1p(where(True, y, x))),
         domain=(REAL, POSITIVE),
         reference=lambda x, y: x * math.log1p(y))  # fmt: skip

# ---- zeta ----


def _zeta_positive(s: Expr, q: Expr) -> Expr:
    """Ten terms, the small ones first, and the rest by Euler and Maclaurin."""
    first = functools.reduce(operator.add, [build("pow", q + i, -s) for i in range(9, -1, -1)])
    r = build("reciprocal", q + 10)
    series: Any = 0.0
    for k, (p, n) in reversed(list(enumerate(BERNOULLI, 1))):
        rising = (s + (2 * k - 3)) * (s + (2 * k - 2)) if k > 1 else s
        series = (series + p / (n * math.factorial(2 * k))) * rising * (r * r if k > 1 else r)
    power = build("pow", q + 10, -s)
    rest = power * (0.5 + (q + 10) / (s - 1) + series)
    return first + where(power == 0, 0.0, rest)


def _zeta(s: Expr, q: Expr) -> Expr:
    """Below 0, where s must be an integer, what is below 0 is summed upwards from there."""
    q = where(True, q, s)
    part = q - build("floor", q)
    above = _zeta_positive(s, where(q > 0, q, part))
    below = _zeta_positive(s, 1 - part) - _zeta_positive(s, where(q > 0, 1.0, 1 - q))
    turned = where(build("remainder", s, 2.0) == 0, below, -below)
    value = where(q > 0, above, where(build("floor", s) == s, above + turned, math.nan))
    value = where(_both(q <= 0, part == 0), math.inf, value)
    return where(s == 1, math.inf, where(s < 1, math.nan, value))


def _zeta_reference(s: float, q: float) -> float:
    a = q + 40
    terms = math.fsum((q + i) ** -s for i in range(40))
    series = s / 12 / a - s * (s + 1) * (s + 2) / 720 / a**3
    series += s * (s + 1) * (s + 2) * (s + 3) * (s + 4) / 30240 / a**5
    return float(terms + a**-s * (a / (s - 1) + 0.5 + series))


_special("zeta", 2, "Hurwitz' zeta: the sum of (other + i)^-input over i >= 0.",
         lambda g, y, s, q: (differentiate(_zeta(s, q), g, [s])[0],
                             -g * s * build("zeta", s + 1, q)),
         expand=_zeta, domain=(((1.5, 6.0),), ((0.3, 4.0),)),
         reference=_zeta_reference)  # fmt: skip
