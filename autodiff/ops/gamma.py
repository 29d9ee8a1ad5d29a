"""The gamma function's logarithm and that one's derivatives, the rest of the error function and its
inverse: programs of the machine's instructions.

Each polynomial interpolates at Chebyshev's points, with an error below half a unit of float64
unless another is told. docs/accuracy.md tells the largest errors.
"""

from __future__ import annotations

import functools
import math
import operator
from typing import Any

from autodiff.expr import Expr, build, by_width
from autodiff.ops.declare import FUNCTIONS, declare, exp, where
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.special import PI, _abs, _log, _odd, _polynomial, _sqrt

# ---- the error function's complement and inverse ----

# exp(x^2) erfc(x) (1 + 2x) in (x - 4) / (x + 4), x from 0.45 to 27.5.
ERFC = (
    1.2329951186255526, -0.13962111684056155, 0.015379652102608946, 0.06809705425457561,
    -0.10103906603564207, 0.09373283500261556, -0.06633036582791768, 0.03716751546570344,
    -0.016197733869067032, 0.005031970646588061, -0.0007577745931819219, -0.00019926046664633812,
    0.00015062719294057714, -2.4385759195330552e-05, -1.123663518129975e-05, 5.67908065482032e-06,
    3.1774340763513205e-07, -7.818647357881766e-07, 5.166951642369644e-08, 7.419897899138629e-08,
    -6.721863269935161e-09,
)  # fmt: skip
# erfinv(x) / x, to 2^-27 in w = -log(1 - x^2) up to 5, and to 2^-23 in (sqrt w - 4) / (sqrt w + 4).
CENTRE = (
    0.8862269294433731, 0.23201347310748227, 0.011550900732630565, -0.0023400270757833017,
    -0.00012002570136587074, 3.8981637368426895e-05, 6.531430799205241e-06, -2.696533465757212e-06,
    3.440101487642903e-07, -2.0418841975426785e-08, 4.671932509038665e-10,
)  # fmt: skip
TAIL = (
    3.8397836620365533, 8.075948464674466, 8.156714466230413, 7.7912059820602755, 8.274486733327425,
    7.244545742679723, 13.898516105585253, -15.700645656233382, 12.494822850823144,
    132.02403321978755, -38.517364444984004,
)  # fmt: skip
# The same to 2^-27, in w - 2.5 and sqrt w - 3.1.
SHORT_CENTRE = (
    1.5014093592824884, 0.2466402861534537, -0.0041773867810806125, -0.0012527418784500101,
    0.00021834443942358376, -4.963347852370748e-06, -3.4627047575821273e-06, 4.6617066330962354e-07,
    2.3232644196495966e-08, -8.79105641677982e-09,
)  # fmt: skip
SHORT_TAIL = (
    2.933231653823572, 1.0033560469621317, 0.007461293625576894, -0.005694887589856179,
    0.004108634343446729, -0.002724315739008003, 0.0013653231922270128, -0.00028030965775469345,
    -0.00020368943087803194, 0.00012592172365517306,
)  # fmt: skip


def _bell(x: Expr) -> Expr:
    """exp(-x^2), with the digits that rounding takes off the square."""
    square = x * x
    return exp(-square) * (1 - build("fma", x, x, -square))


def _scaled_erfc(x: Expr) -> Expr:
    """exp(x^2) erfc(x) of x >= 0.45."""
    return _polynomial((x - 4) / (x + 4), ERFC) / (x * 2 + 1)


def _erfinv(x: Expr) -> Expr:
    """A first guess, which is as good as float32, and a step of Halley's with the residual that is
    not small by cancellation.
    """
    a = _abs(x)
    w = -_log((1 - a) * (1 + a))
    root = _sqrt(w)
    short = where(w < 5, _polynomial(w - 2.5, SHORT_CENTRE), _polynomial(root - 3.1, SHORT_TAIL))
    y = a * where(w < 5, _polynomial(w, CENTRE), _polynomial((root - 4) / (root + 4), TAIL))
    bell = _bell(y)
    missed = where(a < 0.5, build("erf", y) - a, (1 - a) - bell * _scaled_erfc(y))
    step = missed * (math.sqrt(PI) / 2) / bell
    found = by_width(a * short, y - step / (y * step + 1))
    return _odd(x, where(a == 1, math.inf, found))


def _erfinv_reference(x: float) -> float:
    from statistics import NormalDist  # slow to import

    return NormalDist(0, math.sqrt(0.5)).inv_cdf((x + 1) / 2)


declare("erfc", 1, "1 - erf(input), with all digits also where that is small.",
        lambda g, y, x: (-g * (2 / math.sqrt(PI) * exp(-x * x)),),
        result="float", reference=math.erfc)  # fmt: skip
declare("erfinv", 1, "The number whose erf is input; nan outside [-1, 1].",
        lambda g, y, x: (g * (math.sqrt(PI) / 2 * exp(y * y)),),
        expand=_erfinv, result="float", domain=((-0.9, 0.9),),
        reference=_erfinv_reference)  # fmt: skip

# ---- gamma ----

# log gamma(2 + z) / z, |z| <= 1/2.
NEAR_2 = (
    0.42278433509846713, 0.3224670334241132, -0.06735230105319563, 0.02058080842778338,
    -0.007385551028935545, 0.002890510330865901, -0.0011927539009983087, 0.0005096695196526673,
    -0.00022315497746292723, 9.945761692157133e-05, -4.4923727564247656e-05, 2.050601970174762e-05,
    -9.45628851510172e-06, 4.3828545383846665e-06, -1.9743106888421067e-06, 9.242852225162277e-07,
    -5.811277768921246e-07, 2.7475390051909663e-07,
)  # fmt: skip
# What Stirling's formula misses of log gamma, times x, and what log x - 1/2x misses of digamma,
# times -x^2: of 1/x^2, from x = 4.5 and x = 6 on.
STIRLING = (
    0.08333333333333333, -0.002777777777765266, 0.0007936507868185768, -0.0005952366440120043,
    0.0008415942827924871, -0.0019078367038283701, 0.006044731242028588, -0.02090064226333019,
    0.048187985364672455,
)  # fmt: skip
DIGAMMA = (
    0.08333333333333333, -0.008333333333329406, 0.0039682539644546435, -0.004166665241793544,
    0.007575487397643579, -0.0210636118621335, 0.08143630505895555, -0.3678576332203617,
    1.239167986437427,
)  # fmt: skip


def _mirrored(x: Expr) -> tuple[Expr, Expr]:
    """1 - x of a negative x, and the angle from the next multiple of pi to pi x."""
    return where(x < 0, 1 - x, x), (x - build("round", x + 0.0)) * PI


def _lgamma_positive(x: Expr) -> Expr:
    """From gamma(x + 1) = x gamma(x) and its values about 2, or by Stirling's formula."""
    whole = build("floor", x + 0.5)
    z = x - whole
    product = where(whole < 4, x - 1, (x - 1) * (x - 2))
    product = where(whole < 2, where(whole < 1, x * (x + 1), x), where(whole < 3, 1.0, product))
    log = _log(where(x < 4.5, product, x))
    near = z * _polynomial(z, NEAR_2) + where(whole < 2, -log, log)
    r = build("reciprocal", x)
    far = (x - 0.5) * (log - 1) + (math.log(2 * PI) / 2 - 0.5 + r * _polynomial(r * r, STIRLING))
    return where(x < 4.5, near, far)


def _lgamma(x: Expr) -> Expr:
    """Below 0 by gamma(x) gamma(1 - x) = pi / sin(pi x)."""
    positive, angle = _mirrored(x)
    value = _lgamma_positive(positive)
    below = math.log(PI) - _log(_abs(build("sin", angle))) - value
    return where(x < 0, where(value == math.inf, math.inf, below), value)  # not inf - inf


def _digamma(x: Expr) -> Expr:
    """From digamma(x + 1) = digamma(x) + 1/x, six times; below 0 by that of 1 - x."""
    positive, angle = _mirrored(x)
    t = positive * (positive + 5)
    # the sum of 1/(x + i), i from 0 to 5, whose outer two have the product t, and so on inwards
    shares = (positive * 2 + 5) * ((t * 3 + 20) * t + 24) / (t * (t + 4) * (t + 6))
    a = where(positive < 6, positive + 6, positive)
    r = build("reciprocal", a)
    far = _log(a) - r * (0.5 + r * _polynomial(r * r, DIGAMMA))
    value = far - where(positive < 6, shares, 0.0)
    cotangent = build("cos", angle) / build("sin", angle)
    below = where(angle == 0, math.nan, value - PI * cotangent)
    return where(x == 0, -build("reciprocal", x), where(x < 0, below, value))


# The Bernoulli numbers of even index, from that of 2 on.
BERNOULLI = ((1, 6), (-1, 30), (1, 42), (-1, 30), (5, 66), (-691, 2730), (7, 6), (-3617, 510))
LARGEST = 170  # whose factorial is a float64
LARGEST_BELOW_0 = 12  # by derivatives of the cotangent, whose terms cancel the more the higher
WHOLE = 30  # whose factorial is a float32 with room for what it is multiplied by
BESIDE = 10  # poles to either side that count otherwise


def _power(x: Expr, n: int) -> Expr:
    """x^n, by squaring where that rounds few times."""
    if n > 8:
        return build("pow", x, float(n))
    half = x if n == 1 else _power(x, n // 2)
    return half if n == 1 else half * half * x if n % 2 else half * half


def _rooted(count: int, n: int) -> tuple[float, float]:
    """What r is multiplied by before its n-th power is taken, and what after, to make count r^n:
    where count is large it could overflow, and r^n underflow, though the product does neither.
    """
    if n <= WHOLE:
        return 1.0, float(count)
    from fractions import Fraction  # slow to import

    root = math.exp(math.log(count) / n)
    return root, float(Fraction(count) / Fraction(root) ** n)


def _scaled(root: float, x: Expr) -> Expr:
    inverse = build("reciprocal", x)
    return inverse if root == 1.0 else inverse * root


def _polygamma_positive(n: int, x: Expr) -> Expr:
    """The sum of n! / (x + i)^(n + 1) over i >= 0: the first ones, and the rest by Euler and
    Maclaurin.
    """
    shift = 10 + min(n, LARGEST)
    root, factor = _rooted(math.factorial(min(n, LARGEST)), n + 1)
    terms = [_power(_scaled(root, x + i), n + 1) for i in reversed(range(shift))]
    first = functools.reduce(operator.add, terms)  # the small ones first
    if n > LARGEST:
        return first * math.inf
    r = build("reciprocal", x + shift)
    rising, factors = 1, []
    for k, (p, q) in enumerate(BERNOULLI):
        rising *= (n + 2 * k) * (n + 2 * k + 1)
        factors.append(p * rising / (q * math.factorial(2 * k + 2)))
    u = r * r
    rest = build("fma", u, _polynomial(u, tuple(factors)), r * (n / 2) + 1)
    root, last = _rooted(math.factorial(n - 1), n)
    return first * factor + _power(_scaled(root, x + shift), n) * rest * last


def _polygamma_below(n: int, x: Expr) -> Expr:
    """The same sum of a large n below 0: the poles that are nearest to x outweigh all others."""
    pole, pairs = build("floor", x), []
    for i in reversed(range(BESIDE)):  # in pairs, that may cancel each other
        left, right = pole - i, pole + (i + 1)
        beyond, before = (build("pow", x - at, float(-n - 1)) for at in (left, right))
        pairs.append(beyond + where(right < 1, before, 0.0))
    total = functools.reduce(operator.add, pairs)
    if n > LARGEST:
        return where(total < 0, -math.inf, math.inf)
    return total * float(math.factorial(n))


def _cotangent_derivative(n: int) -> list[int]:
    """The n-th derivative of cot as a polynomial of it, by cot' = -1 - cot^2."""
    p = [0, 1]
    for _ in range(n):
        slope = [k * c for k, c in enumerate(p)][1:]
        p = [-(a + b) for a, b in zip([*slope, 0, 0], [0, 0, *slope], strict=True)]
    return p


def _polygamma(n: int, x: Expr) -> Expr:
    """Below 0 by the derivatives of digamma(1 - x) - digamma(x) = pi cot(pi x)."""
    positive, angle = _mirrored(x)
    sign = -1.0 if n % 2 == 0 else 1.0
    value = _polygamma_positive(n, positive)
    if n > LARGEST_BELOW_0:
        return sign * where(x < 0, _polygamma_below(n, x), value)
    cotangent = build("cos", angle) / build("sin", angle)
    parity = (n + 1) % 2
    factors = [float(c) * PI ** (n + 1) for c in _cotangent_derivative(n)[parity::2]]
    of_square = _polynomial(cotangent * cotangent, tuple(factors))
    slope = of_square * cotangent if parity else of_square
    return where(x < 0, -value - slope, sign * value)


def _reference(n: int) -> Any:
    """The recurrence up to 40, above or below 0, and few terms of the series there."""

    def polygamma(x: float) -> float:
        start, total, b = x, 0.0, [p / q for p, q in BERNOULLI[:6]]
        while x < start + 40:
            total += 1 / x ** (n + 1)
            x += 1
        if n == 0:
            series = sum(c / (2 * k * x ** (2 * k)) for k, c in enumerate(b, 1))
            return math.log(x) - 1 / (2 * x) - series - total
        series = 1 / (n * x**n) + 1 / (2 * x ** (n + 1))
        for k, c in enumerate(b, 1):
            rising = math.prod(range(n + 1, n + 2 * k))
            series += c * rising / (math.factorial(2 * k) * x ** (n + 2 * k))
        return float((-1) ** (n + 1) * math.factorial(n) * (total + series))

    return polygamma


ANYWHERE = ((-1.7, -1.3), (-0.7, -0.3), (0.2, 9.0))


def polygamma_op(n: int) -> PointwiseOp:
    """The n-th derivative of digamma, declared when it is first wanted."""
    name = f"polygamma_{n}" if n else "digamma"
    if name not in FUNCTIONS:
        declare(name, 1, f"The derivative of digamma of order {n}.",
                lambda g, y, x: (g * build(polygamma_op(n + 1).name, x),),
                expand=lambda x: _polygamma(n, x), result="float", domain=ANYWHERE,
                reference=_reference(n), public=False, grad_name="PolygammaBackward0")  # fmt: skip
    return FUNCTIONS[name].op


declare("lgamma", 1, "The logarithm of |gamma(input)|; gamma(n + 1) = n!.",
        lambda g, y, x: (g * build("digamma", x),), expand=_lgamma, result="float",
        domain=ANYWHERE, reference=math.lgamma)  # fmt: skip
declare("digamma", 1, "The derivative of lgamma; nan at the integers below 0.",
        lambda g, y, x: (g * build("polygamma_1", x),), expand=_digamma, result="float",
        domain=ANYWHERE, reference=_reference(0))  # fmt: skip
polygamma_op(1)
