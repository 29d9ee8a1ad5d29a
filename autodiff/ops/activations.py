"""Activations and element-wise losses, declared like every pointwise function."""

from __future__ import annotations

import functools
import math

from autodiff.expr import Expr, build
from autodiff.ops.declare import NONZERO, REAL, exp, where
from autodiff.ops.declare import declare as declare_public

declare = functools.partial(declare_public, public=False)  # these are nn.functional's alone

AWAY_FROM_0 = NONZERO
leaky_relu = declare(
    "leaky_relu",
    2,
    "input above 0, negative_slope * input below.",
    lambda g, y, x, slope: (
        where(build("lt", 0, x), g, g * slope),
        where(build("lt", 0, x), 0.0, g * x),
    ),
    expand=lambda x, slope: where(build("lt", 0, x), x, x * slope),
    domain=(AWAY_FROM_0, ((0.01, 0.5),)),
    reference=lambda x, slope: x if x > 0 else slope * x,
)
hardtanh = declare(
    "hardtanh",
    3,
    "input limited to [min_val, max_val].",
    lambda g, y, x, low, high: (
        where(build("le", x, low), 0.0, where(build("le", high, x), 0.0, g)),
        where(build("le", x, low), g, 0.0),
        where(build("le", high, x), g, 0.0),
    ),
    expand=lambda x, low, high: build("minimum", build("maximum", x, low), high),
    domain=(((-3.0, -1.2), (-0.8, 0.8), (1.2, 3.0)), ((-1.1, -0.9),), ((0.9, 1.1),)),
    reference=lambda x, low, high: min(max(x, low), high),
)


def _softplus(x: Expr, beta: Expr, threshold: Expr) -> Expr:
    z = x * beta
    linear = build("lt", threshold, z)
    return where(linear, x, build("log1p", exp(where(linear, 0.0, z))) / beta)


def _softplus_vjp(
    g: Expr, y: Expr, x: Expr, beta: Expr, threshold: Expr
) -> tuple[Expr, Expr, None]:
    linear, slope = build("lt", threshold, x * beta), build("sigmoid", x * beta)
    return where(linear, g, g * slope), where(linear, 0.0, g * (x * slope - y) / beta), None


softplus = declare(
    "softplus",
    3,
    "log(1 + exp(beta * input)) / beta; input itself where beta * input is above threshold.",
    _softplus_vjp,
    expand=_softplus,
    result="float",
    domain=(REAL, ((0.5, 2.0),), ((20.0, 20.0),)),
    reference=lambda x, beta, threshold: math.log1p(math.exp(beta * x)) / beta,
)


def _elu(x: Expr, alpha: Expr) -> Expr:
    positive = build("lt", 0, x)
    return where(positive, x, alpha * build("expm1", where(positive, 0.0, x)))


def _elu_vjp(g: Expr, y: Expr, x: Expr, alpha: Expr) -> tuple[Expr, Expr]:
    positive = build("lt", 0, x)
    below = where(positive, 0.0, x)
    to_alpha = where(positive, 0.0, g * build("expm1", below))
    return where(positive, g, g * alpha * exp(below)), to_alpha


elu = declare(
    "elu",
    2,
    "input above 0, alpha * (exp(input) - 1) below.",
    _elu_vjp,
    expand=_elu,
    result="float",
    domain=(AWAY_FROM_0, ((0.5, 2.0),)),
    reference=lambda x, alpha: x if x > 0 else alpha * math.expm1(x),
)
gelu = declare(
    "gelu",
    1,
    "input * P(N < input) for N standard normal: input / 2 * (1 + erf(input / sqrt 2)).",
    expand=lambda x: x * 0.5 * (build("erf", x * math.sqrt(0.5)) + 1),
    result="float",
    reference=lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2))),
)
gelu_tanh = declare(
    "gelu_tanh",
    1,
    "GELU's approximation input / 2 * (1 + tanh(sqrt(2/pi) (input + 0.044715 input^3))).",
    expand=lambda x: (
        x * 0.5 * (build("tanh", (x * x * x * 0.044715 + x) * math.sqrt(2 / math.pi)) + 1)
    ),
    result="float",
    reference=lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    grad_name="GeluBackward0",
)
silu = declare(
    "silu",
    1,
    "input * sigmoid(input).",
    expand=lambda x: x * build("sigmoid", x),
    result="float",
    reference=lambda x: x / (1 + math.exp(-x)),
)

# ---- losses, before they are reduced ----

squared_error = declare(
    "squared_error",
    2,
    "(input - target)^2.",
    expand=lambda a, b: (a - b) * (a - b),
    result="float",
    reference=lambda a, b: (a - b) ** 2,
    grad_name="MseLossBackward0",
)
absolute_error = declare(
    "absolute_error",
    2,
    "|input - target|.",
    expand=lambda a, b: build("abs", a - b),
    result="float",
    domain=(((0.0, 1.0),), ((1.2, 3.0),)),
    reference=lambda a, b: abs(a - b),
    grad_name="MeanAbsoluteErrorBackward0",
)
