"""Losses of single elements, before they are reduced."""

from __future__ import annotations

import functools
import math

from autodiff.expr import Expr, build
from autodiff.ops.declare import POSITIVE, REAL, exp, where
from autodiff.ops.declare import declare as declare_public

declare = functools.partial(declare_public, public=False)  # these are nn.functional's alone

UNIT = ((0.1, 0.9),)
# Errors x - t well below 0.8 or above 1.2, where a loss goes from quadratic to linear.
ERRORS = (((-3.0, -1.9), (-0.3, 0.3), (1.9, 3.0)), ((-0.3, 0.3),), ((0.8, 1.2),))


def log(x: Expr) -> Expr:
    """The expression of `log`."""
    return build("log", x)


def _positive(x: Expr) -> Expr:
    """max(x, 0); a gradient passes where they are equal."""
    return build("clamp", x, 0.0, math.inf)


# ---- of an error: input - target ----


def _squared_error_vjp(g: Expr, y: Expr, x: Expr, t: Expr) -> tuple[Expr, Expr]:
    dx = (x - t) * (g * 2)
    return dx, -dx


squared_error = declare("squared_error", 2, "(input - target)^2.", _squared_error_vjp,
        result="float", reference=lambda x, t: (x - t) ** 2,
        grad_name="MseLossBackward0")  # fmt: skip
absolute_error = declare("absolute_error", 2, "|input - target|.",
        lambda g, y, x, t: (g * build("sign", x - t), -(g * build("sign", x - t))), result="float",
        domain=(((0.0, 1.0),), ((1.2, 3.0),)), reference=lambda x, t: abs(x - t),
        grad_name="AbsBackward0")  # fmt: skip


def _bounded_error_vjp(g: Expr, y: Expr, x: Expr, t: Expr, limit: Expr) -> tuple[Expr, Expr, Expr]:
    dx = where(build("lt", abs(x - t), limit), g, 0.0)
    return dx, -dx, g * where(build("lt", abs(x - t), limit), 0.0, build("sign", x - t))


declare("bounded_error", 3, "input - target within [-limit, limit].", _bounded_error_vjp,
        result="float", domain=ERRORS,
        reference=lambda x, t, limit: min(max(x - t, -limit), limit))  # fmt: skip


def _smooth_l1_vjp(g: Expr, y: Expr, x: Expr, t: Expr, beta: Expr) -> tuple[Expr, Expr, Expr]:
    slope = build("bounded_error", x, t, beta) / beta
    return g * slope, -(g * slope), -0.5 * g * (slope * slope)


smooth_l1 = declare("smooth_l1_loss", 3,
        "(input - target)^2 / (2 beta) where the error is below beta, |input - target| - beta / 2 "
        "elsewhere.",
        _smooth_l1_vjp,
        result="float", domain=ERRORS,
        reference=lambda x, t, beta: (
            (x - t) ** 2 / (2 * beta) if abs(x - t) < beta else abs(x - t) - beta / 2
        ),
        grad_name="SmoothL1LossBackward0")  # fmt: skip


def _huber_vjp(g: Expr, y: Expr, x: Expr, t: Expr, delta: Expr) -> tuple[Expr, Expr, Expr]:
    dx = g * build("bounded_error", x, t, delta)
    far = build("le", delta, abs(x - t))
    return dx, -dx, where(far, g * (abs(x - t) - delta), 0.0)


huber = declare(
    "huber_loss",
    3,
    "(input - target)^2 / 2 where the error is below delta, delta (|input - target| - delta / 2) "
    "elsewhere.",
    _huber_vjp,
    result="float",
    domain=ERRORS,
    reference=lambda x, t, delta: (
        (x - t) ** 2 / 2 if abs(x - t) < delta else delta * (abs(x - t) - delta / 2)
    ),
)

# ---- of a probability ----

LOG_LEAST = -100.0  # where a logarithm ends, so that the loss stays finite
SLOPE_EPS = 9.999999960041972e-13  # PyTorch's 1e-12, a float32, bounds the derivative
CURVE_EPS = 1e-12  # and a double the second


def _bce_slope_vjp(g: Expr, y: Expr, x: Expr, t: Expr) -> tuple[Expr, Expr]:
    root = (x + CURVE_EPS) * (1 - x + CURVE_EPS)
    curve = (x * x - 2 * x * t + t) / (root * root)
    return g * curve, -g / build("maximum", (1 - x) * x, CURVE_EPS)


declare("binary_cross_entropy_slope", 2,
        "The derivative of binary_cross_entropy, (input - target) / (input (1 - input)), bounded.",
        _bce_slope_vjp, expand=lambda x, t: (x - t) / build("maximum", (1 - x) * x, SLOPE_EPS),
        result="float", domain=(UNIT, UNIT),
        reference=lambda x, t: (x - t) / (x * (1 - x)))  # fmt: skip
binary_cross_entropy = declare("binary_cross_entropy", 2,
        "-(target log(input) + (1 - target) log(1 - input)), logarithms bounded by -100.",
        lambda g, y, x, t: (
            g * build("binary_cross_entropy_slope", x, t),
            g * (build("log1p", -x) - log(x)),
        ),
        expand=lambda x, t: (
            (t - 1) * build("maximum", build("log1p", -x), LOG_LEAST)
            - t * build("maximum", log(x), LOG_LEAST)
        ),
        result="float", domain=(UNIT, UNIT),
        reference=lambda x, t: -(t * math.log(x) + (1 - t) * math.log(1 - x)))  # fmt: skip
kl_div = declare("kl_div", 2,
        "target (log(target) - input), 0 log(0) being 0: input is a logarithm.",
        lambda g, y, x, t: (-g * t, g * (log(t) + t / t - x)),
        expand=lambda x, t: where(build("eq", t, 0), 0.0, t * log(t)) - t * x, result="float",
        domain=(REAL, POSITIVE), reference=lambda x, t: t * (math.log(t) - x),
        grad_name="SubBackward0")  # fmt: skip
kl_div_log = declare("kl_div_log_target", 2, "exp(target) (target - input): both are logarithms.",
        expand=lambda x, t: exp(t) * (t - x), result="float",
        reference=lambda x, t: math.exp(t) * (t - x), grad_name="MulBackward0")  # fmt: skip

# ---- of a logit ----


def _softplus(x: Expr) -> Expr:
    return -build("logsigmoid", -x)


def _bce_logits(x: Expr, t: Expr, positive: Expr) -> Expr:
    """positive softplus(-x) + (1 - t) softplus(x) with one exp: no term is below 0."""
    linear = where(build("lt", x, 0), -x * positive, x * (1 - t))
    tail = build("log1p", exp(-abs(x)))
    return linear + (tail if positive is t else (1 - t + positive) * tail)


def _bce_logits_slope(x: Expr, t: Expr, positive: Expr) -> Expr:
    """(1 - t) sigmoid(x) - positive sigmoid(-x), by the smaller of the two sigmoids."""
    below = build("lt", x, 0)
    least = build("sigmoid", where(below, x, -x))
    if positive is not t:
        least = least * (1 - t + positive)
    return where(below, least - positive, (1 - t) - least)


binary_cross_entropy_with_logits = declare(
    "binary_cross_entropy_with_logits",
    2,
    "binary_cross_entropy of sigmoid(input), exact for logits of any size.",
    lambda g, y, x, t: (g * _bce_logits_slope(x, t, t), -g * x),
    expand=lambda x, t: _bce_logits(x, t, t),
    result="float",
    domain=(REAL, UNIT),
    reference=lambda x, t: t * math.log1p(math.exp(-x)) + (1 - t) * math.log1p(math.exp(x)),
)
binary_cross_entropy_with_pos_weight = declare(
    "binary_cross_entropy_with_pos_weight",
    3,
    "binary_cross_entropy_with_logits, what positives cost multiplied by a weight.",
    lambda g, y, x, t, p: (
        g * _bce_logits_slope(x, t, p * t),
        g * (p * _softplus(-x) - _softplus(x)),
        g * (t * _softplus(-x)),
    ),
    expand=lambda x, t, p: _bce_logits(x, t, p * t),
    result="float",
    domain=(REAL, UNIT, POSITIVE),
    reference=lambda x, t, p: p * t * math.log1p(math.exp(-x)) + (1 - t) * math.log1p(math.exp(x)),
    grad_name="BinaryCrossEntropyWithLogitsBackward0",
)
soft_margin = declare("soft_margin_loss", 2, "log(1 + exp(-target input)).",
        expand=lambda x, t: _softplus(-(t * x)), result="float",
        reference=lambda x, t: math.log1p(math.exp(-t * x)))  # fmt: skip

# ---- of which side of a margin an element is ----

# Neither label, so that differences do not meet the jump at one: the labels are tested apart.
NO_LABEL = ((-0.6, 0.6),)
hinge_embedding = declare(
    "hinge_embedding_loss",
    3,
    "input where target is 1, max(0, margin - input) where it is -1, both added elsewhere.",
    expand=lambda x, t, margin: (
        where(build("eq", t, 1), 0.0, _positive(margin - x)) + where(build("eq", t, -1), 0.0, x)
    ),
    result="float",
    domain=(((-3.0, 0.4), (1.6, 3.0)), NO_LABEL, ((0.8, 1.2),)),
    reference=lambda x, t, margin: max(0.0, margin - x) + x,
    grad_name="AddBackward0",
)
margin_ranking = declare("margin_ranking_loss", 4, "max(0, margin - target (input1 - input2)).",
        expand=lambda a, b, t, margin: _positive(margin - t * (a - b)), result="float",
        domain=(((1.2, 3.0),), ((-0.6, 0.6),), ((-2.0, -0.5),), ((0.1, 0.5),)),
        reference=lambda a, b, t, margin: max(0.0, margin - t * (a - b)),
        grad_name="ClampMinBackward0")  # fmt: skip
