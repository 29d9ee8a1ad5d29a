"""Every pointwise function but the activations, each declared once: its instruction or expansion,
its derivative, the domain it is tested on, an independent reference, and its documentation.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

from autodiff import dtypes
from autodiff.expr import PRIMITIVES, Expr, Interval, Primitive, Rule, build, inputs
from autodiff.ops.declare import (
    APART,
    BOTH,
    FIRST,
    NONZERO,
    POSITIVE,
    REAL,
    UNIT_CELLS,
    Check,
    declare,
    exp,
    floating,
    no_bool,
    where,
)
from autodiff.ops.pointwise import PointwiseOp
from autodiff.promotion import NUMBER, Operand, promote

# ---- arithmetic ----

add = declare("add", 2, "input + other.", lambda g, y, a, b: (g, g), reference=lambda a, b: a + b)
sub = declare("sub", 2, "input - other.", lambda g, y, a, b: (g, -g), result="number",
        reference=lambda a, b: a - b)  # fmt: skip
mul = declare(
    "mul", 2, "input * other.", lambda g, y, a, b: (g * b, g * a), reference=lambda a, b: a * b
)
div = declare("div", 2, "input / other, in floating point.",
        lambda g, y, a, b: (g / b, -g * (a / b / b)), result="float", domain=(REAL, NONZERO),
        reference=lambda a, b: a / b)  # fmt: skip


def _alpha_fits(operands: Sequence[Operand]) -> None:
    """RuntimeError where a product with alpha would not have the dtype of the result."""
    d, alpha = promote(operands[:2]), operands[2].dtype
    if alpha.is_floating_point and not d.is_floating_point:
        raise RuntimeError(
            "For integral input tensors, argument alpha must not be a floating point number."
        )
    if alpha is dtypes.bool and d is not dtypes.bool:
        raise RuntimeError("Boolean alpha only supported for Boolean results.")


add_scaled = declare("add_scaled", 3, "input + alpha * other.",
        expand=lambda a, b, alpha: a + b * alpha, reference=lambda a, b, alpha: a + b * alpha,
        grad_name="AddBackward0", public=False, check=_alpha_fits, exact="--x")  # fmt: skip
sub_scaled = declare("sub_scaled", 3, "input - alpha * other.",
        expand=lambda a, b, alpha: a - b * alpha, reference=lambda a, b, alpha: a - b * alpha,
        grad_name="SubBackward0", public=False, check=_alpha_fits, exact="--x")  # fmt: skip
rsub = PointwiseOp("rsub", build("sub", *inputs(2)[::-1]), 2, "RsubBackward1")
rdiv = PointwiseOp("div", build("div", *inputs(2)[::-1]), 2, "MulBackward0")
neg = declare("neg", 1, "-input.", lambda g, y, x: (-g,), result="number", reference=lambda x: -x)
abs_ = declare("abs", 1, "The absolute value.", lambda g, y, x: (g * build("sign", x),),
        domain=NONZERO, reference=abs)  # fmt: skip
sign = declare("sign", 1, "-1, 0 or 1 by the sign.", domain=NONZERO,
        reference=lambda x: math.copysign(1.0, x) if x else 0.0)  # fmt: skip
square = declare(
    "square",
    1,
    "input * input.",
    expand=lambda x: x * x * 1,  # of bools, int64
    reference=lambda x: x * x,
    grad_name="PowBackward0",
)
cube = declare("cube", 1, "input * input * input.", expand=lambda x: x * x * x,
        reference=lambda x: x**3, public=False, grad_name="PowBackward0")  # fmt: skip
reciprocal = declare("reciprocal", 1, "1 / input.", lambda g, y, x: (-g * (y * y),), result="float",
        domain=NONZERO, reference=lambda x: 1.0 / x)  # fmt: skip
sqrt = declare("sqrt", 1, "The square root; nan below 0.", lambda g, y, x: (g / (2 * y),),
        result="float", domain=POSITIVE, reference=math.sqrt)  # fmt: skip
rsqrt = declare("rsqrt", 1, "1 / sqrt(input).", lambda g, y, x: (-0.5 * g * (y * y * y),),
        result="float", domain=POSITIVE, reference=lambda x: 1.0 / math.sqrt(x))  # fmt: skip


def _pow_vjp(g: Expr, y: Expr, a: Expr, b: Expr) -> tuple[Expr, Expr]:
    unclear = build("logical_not", build("lt", 0, build("abs", a)))  # 0 or nan: 0 a^-1 is nan
    constant = build("logical_and", unclear, build("eq", b, 0))
    base = where(constant, 0.0, g * (b * build("pow", a, b - 1)))
    at_zero = build("logical_and", build("eq", a, 0), build("le", 0, b))
    return base, where(at_zero, 0.0, g * (y * build("log", a)))


pow_ = declare("pow", 2,
        "input to the power of exponent. Derivatives: d/da = b a^(b-1), d/db = a^b log a.",
        _pow_vjp, domain=(POSITIVE, (*REAL, (0.0, 0.0))), reference=lambda a, b: a**b,
        grad_name="PowBackward1")  # fmt: skip
pow_number = PointwiseOp("pow", pow_.root, 2, "PowBackward0", exact="-h")
number_pow = PointwiseOp("pow", pow_.root, 2, "PowBackward2")
floor_divide = declare("floor_divide", 2,
        "floor(input / other). RuntimeError for an integer divided by zero.",
        expand=lambda a, b: build("floordiv", a, b),
        domain=(((0.1, 0.4), (1.1, 1.4)), ((1.5, 1.9),)),
        reference=lambda a, b: a // b)  # fmt: skip
PRIMITIVES["floordiv"] = Primitive("floordiv", 2)
PRIMITIVES["truncdiv"] = Primitive("truncdiv", 2)
remainder = declare("remainder", 2, "Python's %: the remainder has the sign of other.",
        lambda g, y, a, b: (g, -g * build("floordiv", a, b)),
        domain=(((0.1, 0.4), (2.15, 2.35)), ((0.6, 0.7),)), reference=lambda a, b: a % b,
        grad_name=("RemainderBackward0", "RemainderBackward1"))  # fmt: skip
fmod = declare("fmod", 2, "C's fmod: the remainder has the sign of input.",
        lambda g, y, a, b: (g, -g * build("truncdiv", a, b)),
        domain=(((0.1, 0.4), (2.15, 2.35)), ((0.6, 0.7),)), reference=math.fmod, tensors=FIRST,
        grad_name=("FmodBackward0", "FmodBackward1"))  # fmt: skip


def _of_one_float(operands: Sequence[Operand]) -> None:
    floating("lerp")(operands)
    d = operands[0].dtype
    for name, other in zip(("end", "weight"), operands[1:], strict=True):
        if other.kind != NUMBER and other.dtype is not d:
            raise RuntimeError(f"lerp: expected {d} for `{name}`, as of input, not {other.dtype}")


addcmul = declare("addcmul", 4, "input + value * tensor1 * tensor2.",
        expand=lambda x, a, b, value: build("fma", value * a, b, x),
        reference=lambda x, a, b, value: x + value * a * b, exact="---w")  # fmt: skip
addcdiv = declare("addcdiv", 4, "input + value * tensor1 / tensor2.",
        expand=lambda x, a, b, value: x + value * a / b, domain=(REAL, REAL, NONZERO, REAL),
        result="float", reference=lambda x, a, b, value: x + value * a / b,
        exact="---w")  # fmt: skip
lerp = declare("lerp", 3, "input + weight * (end - input), at a weight of 1 end itself.",
        lambda g, y, a, b, w: (g * (1.0 - w), g * w, g * (b - a)),  # 1 less an int might wrap
        reference=lambda a, b, w: a + w * (b - a), tensors=("input", "end"), check=_of_one_float,
        grad_name=("LerpBackward0", "LerpBackward1"), exact="--w")  # fmt: skip


def _extremum(wins: str) -> Rule:
    """The larger (or smaller) operand gets the cotangent; equal ones share it."""

    def vjp(g: Expr, y: Expr, a: Expr, b: Expr) -> tuple[Expr, Expr]:
        shared = where(build("eq", a, b), g / 2, g)
        a_less, b_less = build("lt", a, b), build("lt", b, a)
        a_loses, b_loses = (a_less, b_less) if wins == "larger" else (b_less, a_less)
        return where(a_loses, 0.0, shared), where(b_loses, 0.0, shared)

    return vjp


maximum = declare("maximum", 2, "The larger of two; nan wins.", _extremum("larger"), domain=APART,
        reference=max, tensors=BOTH)  # fmt: skip
minimum = declare("minimum", 2, "The smaller of two; nan wins.", _extremum("smaller"), domain=APART,
        reference=min, tensors=BOTH)  # fmt: skip


def _clamp_vjp(g: Expr, y: Expr, x: Expr, low: Expr, high: Expr) -> tuple[Expr, Expr, Expr]:
    below, above = build("lt", x, low), build("lt", high, x)
    inside = where(build("le", low, x), where(build("le", x, high), g, 0.0), 0.0)  # nan is outside
    to_low = where(build("lt", low, high), where(below, g, 0.0), 0.0)
    to_high = where(build("lt", high, low), g, where(above, g, 0.0))
    return inside, to_low, to_high


clamp = declare("clamp", 3, "input clamped to [min, max].", _clamp_vjp,
        expand=lambda x, low, high: build("minimum", build("maximum", x, low), high),
        domain=(((-3.0, -1.2), (-0.8, 0.8), (1.2, 3.0)), ((-1.1, -0.9),), ((0.9, 1.1),)),
        reference=lambda x, low, high: min(max(x, low), high), exact="-xx")  # fmt: skip

# ---- rounding ----

_reference: Callable[..., Any]
for _name, _doc, _reference in (
    ("floor", "The largest integer not above.", math.floor),
    ("ceil", "The smallest integer not below.", math.ceil),
    ("trunc", "The integer part.", math.trunc),
    ("round", "The nearest integer, halves to even.", round),
):
    declare(_name, 1, _doc, result="number", domain=UNIT_CELLS,
            reference=lambda x, f=_reference: float(f(x)))  # fmt: skip

# ---- comparisons and logic ----

SOME_EQUAL: tuple[Interval, ...] = ((-1.0, -1.0), (0.0, 0.0), (1.0, 1.0), (-3.0, 3.0))
SPECIAL: tuple[Interval, ...] = (
    (-3.0, 3.0),
    (math.inf, math.inf),
    (-math.inf, -math.inf),
    (math.nan, math.nan),
)
for _name, _reference, _doc in (
    ("lt", operator.lt, "input < other."),
    ("le", operator.le, "input <= other."),
    ("gt", operator.gt, "input > other."),
    ("ge", operator.ge, "input >= other."),
    ("eq", operator.eq, "input == other."),
    ("ne", operator.ne, "input != other."),
):
    _instr = {"gt": "lt", "ge": "le"}.get(_name)
    declare(_name, 2, _doc,
            expand=None if _instr is None else lambda a, b, i=_instr: build(i, b, a), result="bool",
            domain=SOME_EQUAL, reference=_reference, tensors=FIRST)  # fmt: skip
for _name, _arity, _reference, _doc in (
    ("logical_not", 1, operator.not_, "Whether input is zero."),
    ("logical_and", 2, lambda a, b: bool(a and b), "Whether both are nonzero."),
    ("logical_or", 2, lambda a, b: bool(a or b), "Whether either is nonzero."),
    ("logical_xor", 2, lambda a, b: bool(a) != bool(b), "Whether exactly one is nonzero."),
):
    declare(_name, _arity, _doc, result="bool", domain=SOME_EQUAL, reference=_reference,
            tensors=BOTH)  # fmt: skip
for _name, _reference, _doc in (
    ("isnan", math.isnan, "Whether an element is nan."),
    ("isinf", math.isinf, "Whether an element is infinite."),
    ("isfinite", math.isfinite, "Whether an element is neither infinite nor nan."),
):
    declare(_name, 1, _doc, result="bool", domain=SPECIAL, reference=_reference)
where_ = declare("where", 3, "input where condition, else other.",
        lambda g, y, c, a, b: (None, where(c, g, 0.0), where(c, 0.0, g)), result="where",
        reference=lambda c, a, b: a if c else b, exact="-nn")  # fmt: skip

# ---- bits ----

INTEGERS: tuple[Interval, ...] = ((-9.0, 9.0), (-(2.0**40), 2.0**40))
for _name, _arity, _reference, _doc in (
    ("bitwise_and", 2, operator.and_, "Bits set in both; logical and of bools."),
    ("bitwise_or", 2, operator.or_, "Bits set in either; logical or of bools."),
    ("bitwise_xor", 2, operator.xor, "Bits set in one of them; logical xor of bools."),
    ("bitwise_not", 1, operator.invert, "Bits inverted; logical not of bools."),
):
    declare(_name, _arity, _doc, result="bits", domain=INTEGERS, reference=_reference)
for _name, _instr, _reference, _doc in (
    ("bitwise_left_shift", "shl", operator.lshift, "input's bits moved left by other."),
    (
        "bitwise_right_shift",
        "shr",
        operator.rshift,
        "input's bits moved right by other, keeping the sign.",
    ),
):
    PRIMITIVES[_instr] = Primitive(_instr, 2, "bits")
    declare(_name, 2, _doc, expand=lambda a, b, i=_instr: build(i, a, b), result="bits",
            domain=(INTEGERS, ((0.0, 20.0),)), reference=_reference)  # fmt: skip


def _common(name: str) -> Check:
    def check(operands: Sequence[Operand]) -> None:
        d = promote(operands)
        if d.is_floating_point or d is dtypes.bool:
            raise NotImplementedError(f'"{name}_cpu" not implemented for {d.title!r}')

    return check


def _lcm(a: Expr, b: Expr) -> Expr:
    common = build("gcd", a, b)
    return build("abs", build("truncdiv", a, where(common == 0, 1, common)) * b)


declare("gcd", 2, "The greatest common divisors of integers; 0 of zeros.", result="bits",
        domain=INTEGERS, reference=math.gcd, tensors=BOTH, check=_common("gcd"))  # fmt: skip
declare("lcm", 2, "The least common multiples of integers; 0 of 0.", expand=_lcm, result="bits",
        domain=INTEGERS[:1], reference=math.lcm, tensors=BOTH, check=_common("lcm"))  # fmt: skip

# ---- transcendental ----

declare("exp", 1, "e to the input.", lambda g, y, x: (g * y,), result="float", reference=math.exp)
declare("expm1", 1, "exp(input) - 1, exact near 0.", lambda g, y, x: (g * (y + 1),), result="float",
        reference=math.expm1)  # fmt: skip
declare("log", 1, "The natural logarithm; nan below 0.", lambda g, y, x: (g / x,), result="float",
        domain=POSITIVE, reference=math.log)  # fmt: skip
declare("log1p", 1, "log(1 + input), exact near 0.", lambda g, y, x: (g / (x + 1),), result="float",
        domain=((-0.8, 3.0),), reference=math.log1p)  # fmt: skip
declare("sin", 1, "The sine of radians.", lambda g, y, x: (g * build("cos", x),), result="float",
        reference=math.sin)  # fmt: skip
declare("cos", 1, "The cosine of radians.", lambda g, y, x: (-g * build("sin", x),), result="float",
        reference=math.cos)  # fmt: skip
tanh = declare("tanh", 1, "The hyperbolic tangent.", lambda g, y, x: (g * (1 - y * y),),
        result="float", reference=math.tanh)  # fmt: skip
declare("erf", 1, "The error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0.",
        lambda g, y, x: (g * (2 / math.sqrt(math.pi) * exp(-x * x)),), result="float",
        reference=math.erf)  # fmt: skip
sigmoid = declare("sigmoid", 1, "1 / (1 + exp(-input)).", lambda g, y, x: (g * ((1 - y) * y),),
        result="float", reference=lambda x: 1 / (1 + math.exp(-x)))  # fmt: skip
relu = declare("relu", 1, "max(input, 0).", lambda g, y, x: (where(build("le", y, 0), 0.0, g),),
        expand=lambda x: build("maximum", x, 0), domain=NONZERO, reference=lambda x: max(x, 0.0),
        check=no_bool("relu", RuntimeError))  # fmt: skip
