"""Activations, declared like every pointwise function."""

from __future__ import annotations

import functools
import math

from autodiff.expr import Expr, Interval, build
from autodiff.ops.declare import NONZERO, REAL, exp, floating, no_bool, where
from autodiff.ops.declare import declare as declare_public
from autodiff.ops.pointwise import PointwiseOp

declare = functools.partial(declare_public, public=False)  # these are nn.functional's alone

AWAY_FROM_0 = NONZERO
AWAY_FROM_1: tuple[Interval, ...] = ((-3.0, -1.2), (-0.8, 0.8), (1.2, 3.0))
AWAY_FROM_3: tuple[Interval, ...] = ((-5.0, -3.2), (-2.8, 2.8), (3.2, 5.0))

# ---- of pieces that are straight ----


def _slope_vjp(g: Expr, y: Expr, x: Expr, slope: Expr) -> tuple[Expr, Expr]:
    positive = build("lt", 0, x)
    return where(positive, g, g * slope), where(positive, 0.0, g * x)


def _sloped(name: str, doc: str, grad_name: str, domain: tuple[Interval, ...]) -> PointwiseOp:
    """input above 0, slope * input below: for a number, a parameter or random numbers as slope."""
    return declare(name, 2, doc, _slope_vjp,
            expand=lambda x, slope: where(build("lt", 0, x), x, x * slope),
            domain=(AWAY_FROM_0, domain), reference=lambda x, slope: x if x > 0 else slope * x,
            grad_name=grad_name, check=floating(name), exact="-w")  # fmt: skip


leaky_relu = _sloped("leaky_relu", "input above 0, negative_slope * input below.",
        "LeakyReluBackward0", ((0.01, 0.5),))  # fmt: skip
prelu = _sloped(
    "prelu", "input above 0, weight * input below.", "PreluKernelBackward0", ((-1.0, 1.0),)
)
rrelu = _sloped(
    "rrelu", "input above 0, noise * input below.", "RreluWithNoiseBackward0", ((0.1, 0.4),)
)
hardtanh = declare("hardtanh", 3, "input clamped to [min_val, max_val].",
        lambda g, y, x, low, high: (
            where(build("le", x, low), 0.0, where(build("le", high, x), 0.0, g)),
            where(build("le", x, low), g, 0.0),
            where(build("le", high, x), g, 0.0),
        ),
        expand=lambda x, low, high: build("minimum", build("maximum", x, low), high),
        domain=(AWAY_FROM_1, ((-1.1, -0.9),), ((0.9, 1.1),)),
        reference=lambda x, low, high: min(max(x, low), high),
        check=no_bool("hardtanh", RuntimeError), exact="-xx")  # fmt: skip
threshold = declare("threshold", 3, "input above threshold, value elsewhere.",
        lambda g, y, x, limit, value: (
            where(build("le", x, limit), 0.0, g),
            None,
            where(build("le", x, limit), g, 0.0),
        ),
        expand=lambda x, limit, value: where(build("le", x, limit), value, x),
        domain=(AWAY_FROM_1, ((-1.1, -0.9),), REAL),
        reference=lambda x, limit, value: x if x > limit else value,
        check=no_bool("threshold", NotImplementedError), exact="-wx")  # fmt: skip


def _within(x: Expr, bound: Expr) -> Expr:
    return build("le", build("abs", x), bound)


hardshrink = declare("hardshrink", 2, "0 within [-lambd, lambd], input elsewhere.",
        lambda g, y, x, lambd: (where(_within(x, lambd), 0.0, g), None),
        expand=lambda x, lambd: where(_within(x, lambd), 0.0, x),
        domain=(AWAY_FROM_1, ((0.9, 1.1),)),
        reference=lambda x, lambd: 0.0 if abs(x) <= lambd else x,
        check=floating("hardshrink"), exact="-x")  # fmt: skip


softshrink = declare("softshrink", 2, "input moved towards 0 by lambd; 0 within [-lambd, lambd].",
        lambda g, y, x, lambd: (
            where(_within(x, lambd), 0.0, g),
            where(_within(x, lambd), 0.0, -g * build("sign", x)),
        ),
        domain=(AWAY_FROM_1, ((0.9, 1.1),)),
        reference=lambda x, lambd: x - max(min(x, lambd), -lambd),
        check=floating("softshrink"), exact="-x")  # fmt: skip


hardsigmoid = declare("hardsigmoid", 1, "min(max(input + 3, 0), 6) / 6.",
        lambda g, y, x: (
            where(build("lt", build("abs", x), 3), g * (1 / 6), 0.0),
        ),
        domain=AWAY_FROM_3,
        reference=lambda x: min(max(x + 3, 0), 6) / 6, check=floating("hardsigmoid"))  # fmt: skip
declare("hardswish_slope", 1, "input / 3 + 1/2 below 3, 1 elsewhere.",
        lambda g, y, x: (where(build("lt", x, 3), g / 3, 0.0),), domain=AWAY_FROM_3,
        reference=lambda x: x / 3 + 0.5 if x < 3 else 1.0, check=floating("hardswish"))  # fmt: skip
hardswish = declare("hardswish", 1, "input * min(max(input + 3, 0), 6) / 6.",
        lambda g, y, x: (
            where(build("le", x, -3), 0.0, g * build("hardswish_slope", x)),
        ),
        domain=AWAY_FROM_3,
        reference=lambda x: x * min(max(x + 3, 0), 6) / 6, check=floating("hardswish"))  # fmt: skip

# ---- exponential below 0 ----


def _below(x: Expr) -> Expr:
    return where(build("lt", x, 0), x, 0.0)  # not le: at 0 the slope is there, its slope is not


def _elu_vjp(g: Expr, y: Expr, x: Expr, alpha: Expr) -> tuple[Expr, Expr]:
    slope = where(build("le", x, 0), g * alpha * exp(_below(x)), g)
    return slope, g * build("expm1", _below(x))


elu = declare("elu", 2, "input above 0, alpha * (exp(input) - 1) below.", _elu_vjp,
        expand=lambda x, alpha: where(build("le", x, 0), alpha * build("expm1", _below(x)), x),
        result="float", domain=(AWAY_FROM_0, ((0.5, 2.0),)),
        reference=lambda x, alpha: x if x > 0 else alpha * math.expm1(x),
        check=floating("elu"), exact="-w")  # fmt: skip
# The fixed point of mean 0 and variance 1 (Klambauer et al., 2017).
SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
selu = declare(
    "selu",
    1,
    "ELU of the alpha, and times the scale, that keep mean 0 and variance 1 from layer to layer.",
    expand=lambda x: SELU_SCALE * build("elu", x, SELU_ALPHA),
    result="float",
    domain=AWAY_FROM_0,
    reference=lambda x: SELU_SCALE * (x if x > 0 else SELU_ALPHA * math.expm1(x)),
    grad_name="EluBackward0",
    check=floating("selu"),
)


def _celu_vjp(g: Expr, y: Expr, x: Expr, alpha: Expr) -> tuple[Expr, Expr]:
    z = _below(x) / alpha
    return where(build("le", x, 0), g * exp(z), g), g * (build("expm1", z) - z * exp(z))


celu = declare(
    "celu",
    2,
    "input above 0, alpha * (exp(input / alpha) - 1) below.",
    _celu_vjp,
    expand=lambda x, alpha: where(build("le", x, 0), alpha * build("expm1", _below(x) / alpha), x),
    result="float",
    domain=(AWAY_FROM_0, ((0.5, 2.0),)),
    reference=lambda x, alpha: x if x > 0 else alpha * math.expm1(x / alpha),
    check=floating("celu"),
    exact="-w",
)

# ---- smooth ----


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def _tilt(x: Expr) -> Expr:
    """sigmoid(-x) - sigmoid(x), by which the sigmoid's slope grows."""
    return build("logistic", -x) - build("logistic", x)


declare(
    "logistic",
    1,
    "sigmoid, the derivatives of which are exact at both ends: they do not come from the output.",
    lambda g, y, x: (g * build("sigmoid_slope", x),),
    expand=lambda x: build("sigmoid", x),
    result="float",
    reference=_logistic,
)
declare("sigmoid_slope", 1, "sigmoid(input) * sigmoid(-input).",
        lambda g, y, x: (g * (build("sigmoid_slope", x) * _tilt(x)),), result="float",
        reference=lambda x: _logistic(x) * _logistic(-x))  # fmt: skip
declare("gated", 2, "input * sigmoid(gate).",
        lambda g, y, x, gate: (build("gated", g, gate), g * x * build("sigmoid_slope", gate)),
        result="float", reference=lambda x, gate: x * _logistic(gate))  # fmt: skip


def _softplus(x: Expr, beta: Expr, threshold: Expr) -> Expr:
    z = x * beta
    linear = build("lt", threshold, z)
    return where(linear, x, build("log1p", exp(where(linear, 0.0, z))) / beta)


def _softplus_vjp(
    g: Expr, y: Expr, x: Expr, beta: Expr, threshold: Expr
) -> tuple[Expr, Expr, None]:
    linear, slope = build("lt", threshold, x * beta), build("logistic", x * beta)
    return where(linear, g, g * slope), where(linear, 0.0, g * (x * slope - y) / beta), None


softplus = declare("softplus", 3,
        "log(1 + exp(beta * input)) / beta; input itself where beta * input is above threshold.",
        _softplus_vjp, expand=_softplus, result="float",
        domain=(REAL, ((0.5, 2.0),), ((20.0, 20.0),)),
        reference=lambda x, beta, threshold: math.log1p(math.exp(beta * x)) / beta,
        check=floating("softplus"), exact="-ww")  # fmt: skip
logsigmoid = declare(
    "logsigmoid",
    1,
    "log(sigmoid(input)), as min(input, 0) - log(1 + exp(-|input|)), which is exact on both sides.",
    lambda g, y, x: (g * build("logistic", -x),),
    expand=lambda x: build("minimum", x, 0) - build("log1p", exp(-build("abs", x))),
    result="float",
    reference=lambda x: min(x, 0.0) - math.log1p(math.exp(-abs(x))),
    grad_name="LogSigmoidBackward0",
    check=floating("logsigmoid"),
)


def _of_mish(x: Expr) -> tuple[Expr, Expr, Expr, Expr]:
    """Whether tanh(log(1 + e)) is 1, where e = exp(x); else e, and n / (n + 2) = that, as a pair.

    n = e (e + 2): the tanh of a logarithm needs neither of them.
    """
    flat = build("lt", 20, x)
    e = exp(where(flat, 0.0, x))
    n = e * (e + 2)
    return flat, e, n, n + 2


def _mish(x: Expr) -> Expr:
    flat, _, n, d = _of_mish(x)
    return where(flat, x, x * (n / d))


def _mish_vjp(g: Expr, y: Expr, x: Expr) -> tuple[Expr]:
    flat, e, n, d = _of_mish(x)
    slope = build("fma", x / d, (e * 4) * ((e + 1) / d), n / d)
    return (where(flat, g, g * slope),)


mish = declare("mish", 1, "input * tanh(log(1 + exp(input))).", _mish_vjp, expand=_mish,
        result="float", reference=lambda x: x * math.tanh(math.log1p(math.exp(x))),
        check=floating("mish"))  # fmt: skip
silu = declare("silu", 1, "input * sigmoid(input).",
        lambda g, y, x: (g * build("silu_slope", x),),
        expand=lambda x: build("gated", x, x), result="float",
        reference=lambda x: x * _logistic(x), check=floating("silu"))  # fmt: skip
declare("silu_slope", 1, "sigmoid(input) * (input * sigmoid(-input) + 1).",
        lambda g, y, x: (g * (build("sigmoid_slope", x) * build("fma", x, _tilt(x), 2.0)),),
        result="float",
        reference=lambda x: _logistic(x) * (x * _logistic(-x) + 1))  # fmt: skip


def _normal_density(x: Expr) -> Expr:
    """The exponent's rounding error is put back: it would be magnified by x^2.

    Past 50 all is 0, though a square may be infinite.
    """
    near, at_zero = build("minimum", build("abs", x), 50), 1 / math.sqrt(2 * math.pi)
    square = near * near
    lost = build("fma", near, near, -square)
    return exp(square * -0.5) * build("fma", lost, -0.5 * at_zero, at_zero)


declare("normal_density", 1, "exp(-input^2 / 2) / sqrt(2 pi).", lambda g, y, x: (-(g * (x * y)),),
        expand=_normal_density, result="float",
        reference=lambda x: math.exp(-x * x / 2) / math.sqrt(2 * math.pi))  # fmt: skip


def _gelu_vjp(g: Expr, y: Expr, x: Expr) -> tuple[Expr]:
    below = build("fma", build("erf", x * math.sqrt(0.5)), 0.5, 0.5)
    return (g * build("fma", x, build("normal_density", x), below),)


gelu = declare("gelu", 1,
        "input * P(N < input) for N standard normal: input / 2 * (1 + erf(input / sqrt 2)).",
        _gelu_vjp, result="float", reference=lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2))),
        check=floating("gelu"))  # fmt: skip
gelu_tanh = declare(
    "gelu_tanh",
    1,
    "GELU's approximation input / 2 * (1 + tanh(sqrt(2/pi) (input + 0.044715 input^3))).",
    expand=lambda x: build("gated", x, (x * x * x * 0.044715 + x) * math.sqrt(8 / math.pi)),
    result="float",
    reference=lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    grad_name="GeluBackward0",
    check=floating("gelu"),
)
softsign = declare("softsign", 1, "input / (1 + |input|).",
        lambda g, y, x: (g / ((build("abs", x) + 1) * (build("abs", x) + 1)),),
        expand=lambda x: x / (build("abs", x) + 1), result="float", domain=AWAY_FROM_0,
        reference=lambda x: x / (1 + abs(x)), grad_name="DivBackward0",
        check=no_bool("softsign", NotImplementedError))  # fmt: skip
tanhshrink = declare("tanhshrink", 1, "input - tanh(input).",
        lambda g, y, x: (g * (build("tanh", x) * build("tanh", x)),),
        expand=lambda x: x - build("tanh", x), result="float", reference=lambda x: x - math.tanh(x),
        grad_name="SubBackward0", check=no_bool("tanhshrink", RuntimeError))  # fmt: skip
