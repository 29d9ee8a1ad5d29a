"""The regularized incomplete gamma functions, P(a, x) and Q(a, x) = 1 - P(a, x).

Where a is large and x near it by Temme's uniform expansion, elsewhere by the power series of P or
the continued fraction of Q, whichever is quick, each of operands moved to where it holds.
"""

from __future__ import annotations

import functools
import math
from typing import Any

from autodiff.expr import Expr, build, const
from autodiff.ops.declare import BOTH, declare, exp, where
from autodiff.ops.gamma import NEAR_2, STIRLING
from autodiff.ops.special import PI, _abs, _both, _either, _floating, _log, _polynomial, _sqrt

LARGE = 20.0  # a, from which Temme's expansion has all digits for x from 0.4 a to 2 a
BELOW, ABOVE = 0.4, 2.0
SERIES, FRACTION, ALTERNATING = 64, 60, 26  # terms of each


@functools.cache
def _temme() -> list[tuple[float, ...]]:
    """c_k of a^-k as polynomials of eta: DLMF 8.12.11, less what is below a unit of float64."""
    alpha = [0.0, 1.0]  # of x / a - 1 in eta: DLMF 8.12.9 says mu mu' = eta (1 + mu)
    for m in range(2, 64):
        cross = sum(alpha[i] * (m + 1 - i) * alpha[m + 1 - i] for i in range(2, m))
        alpha.append((alpha[m - 1] - cross) / (m + 1))
    first = [-1 / 3] + [m * alpha[m] for m in range(3, 64)]
    rows = [first]
    while len(rows) < 13:
        last = rows[-1]
        rows.append([(n + 2) * last[n + 2] - last[1] * first[n] for n in range(len(last) - 2)])
    kept = []
    for k, row in enumerate(rows):
        small = [n for n, d in enumerate(row) if abs(d) * 0.8**n * LARGE**-k > 2e-18]
        kept.append(tuple(row[: small[-1] + 1]) if small else (0.0,))
    return kept


def _least(a: Any, b: Any) -> Expr:
    return build("minimum", a, b)


def _most(a: Any, b: Any) -> Expr:
    return build("maximum", a, b)


def _distance(a: Expr, x: Expr) -> Expr:
    """phi = x / a - 1 - log(x / a), which is eta^2 / 2."""
    s = (x - a) / (x + a)
    square = s * s
    tail = _polynomial(square, tuple(1 / (2 * k + 3) for k in range(12)))
    far = where(_abs(s) < 0.2, 2.0, x / a)
    return where(
        _abs(s) < 0.2, square * 2 * (build("reciprocal", 1 - s) - s * tail), far - 1 - _log(far)
    )


def _prefactor(a: Expr, x: Expr) -> Expr:
    """x^a exp(-x) / gamma(a + 1)."""
    large, small = _most(a, 5.0), _least(a, 5.0)
    r = build("reciprocal", large)
    missed = r * _polynomial(r * r, STIRLING)  # by Stirling's formula
    far = exp(-large * _distance(large, x) - missed) * _sqrt(r * (1 / (2 * PI)))
    limited = _least(x, 3000.0)  # from where on exp(-x) is 0, and x^a may be infinite
    half = exp(limited * -0.5)
    near = half * build("pow", limited, small) * exp(-build("lgamma", small + 1)) * half
    return where(a < 5, near, far)


def _by_series(a: Expr, x: Expr) -> Expr:
    """P over the prefactor."""
    total = const(1.0)
    for n in range(SERIES, 0, -1):
        total = build("fma", x / (a + n), total, 1.0)
    return total


def _by_fraction(a: Expr, x: Expr) -> Expr:
    """Q over the prefactor."""
    d = x - a
    f = d + (2 * FRACTION + 1)
    for k in range(FRACTION, 0, -1):
        f = d + (2 * k - 1) + (a - k) * k / f
    return a / f


def _small_upper(a: Expr, x: Expr) -> Expr:
    """Q of a <= 1 and x <= 2, where 1 - P would cancel."""
    total = const(0.0)
    for n in range(ALTERNATING, 0, -1):
        total = (total + build("reciprocal", a + n)) * (x * (-1 / n))
    whole = a > 0.5
    z = where(whole, a - 1, a)
    log_gamma = z * _polynomial(z, NEAR_2) - where(whole, 0.0, build("log1p", a))  # of a + 1
    power = a * _log(x) - log_gamma
    return -build("expm1", power) - exp(power) * a * total


def _uniform(a: Expr, x: Expr, upper: bool) -> Expr:
    phi = _distance(a, x)
    eta = build("sign", x - a) * _sqrt(phi * 2)
    r = build("reciprocal", a)
    total = const(0.0)
    for row in reversed(_temme()):
        total = total * r + _polynomial(eta, row)
    rest = exp(-a * phi) * _sqrt(r * (1 / (2 * PI))) * total
    side = eta * _sqrt(a * 0.5)
    return build("erfc", side) * 0.5 + rest if upper else build("erfc", -side) * 0.5 - rest


def _share(a: Expr, x: Expr, upper: bool) -> Expr:
    """P, or Q if upper, of finite a > 0 and x > 0."""
    big, tiny = a >= LARGE, _both(a <= 1, x <= 2)
    border = _most(a + 1, 2.0)
    least, most = where(big, a * BELOW, border), where(big, a * ABOVE, border)
    factor = _prefactor(a, x)
    low = factor * _by_series(a, _least(x, least))
    high = factor * _by_fraction(a, _most(x, most))
    among = _most(a, LARGE)
    middle = _uniform(among, _least(_most(x, among * BELOW), among * ABOVE), upper)
    if upper:
        small = _small_upper(_least(a, 1.0), _least(x, 2.0))
        low = where(tiny, small, 1 - low)
    else:
        high = 1 - high
    value: Expr = where(x <= least, low, where(x >= most, high, middle))
    return value


def _incomplete(upper: bool) -> Any:
    none, all_ = (1.0, 0.0) if upper else (0.0, 1.0)

    def expand(a: Expr, x: Expr) -> Expr:
        finite = _both(_both(a > 0, a < math.inf), _both(x > 0, x < math.inf))
        body = _share(where(finite, a, 1.0), where(finite, x, 1.0), upper)
        start = _either(x == 0, _both(a == math.inf, x < math.inf))
        edge = where(start, none, where(a >= 0, all_, x))  # x for its dtype alone
        known = _both(_both(a >= 0, x >= 0), _both(a + x > 0, _least(a, x) < math.inf))
        return where(finite, body, where(known, edge, math.nan))

    return expand


def _declare(name: str, of: str, upper: bool) -> None:
    def vjp(g: Expr, y: Expr, a: Expr, x: Expr) -> tuple[Expr, Expr]:
        a = where(True, a, x)  # in the result's dtype
        density = exp(build("xlogy", a - 1, x) - x - build("lgamma", a))
        return Expr("missing", (), f"{name}: input"), (-g if upper else g) * density

    def reference(a: float, x: float) -> float:
        term = total = 1.0
        for n in range(1, 400):
            term *= x / (a + n)
            total += term
        lower = total * math.exp(a * math.log(x) - x - math.lgamma(a + 1))
        return 1 - lower if upper else lower

    declare(name, 2, f"{of} of a = input and x = other; nan where one is negative or both are 0.",
            vjp, expand=_incomplete(upper), result="float", domain=(((1.0, 30.0),), ((0.3, 40.0),)),
            reference=reference, check=_floating(f"{name}_cpu"), tensors=BOTH)  # fmt: skip


_declare("igamma", "The regularized lower incomplete gamma function P(a, x)", False)
_declare("igammac", "The regularized upper incomplete gamma function Q(a, x)", True)
