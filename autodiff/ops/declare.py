"""How a pointwise function is declared, and the table of all that are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autodiff import dtypes
from autodiff.expr import PRIMITIVES, Expr, Interval, Primitive, Rule, build, inputs
from autodiff.named import NamedTuple
from autodiff.ops.pointwise import PointwiseOp
from autodiff.promotion import NUMBER, Operand

REAL: tuple[Interval, ...] = ((-3.0, 3.0),)
POSITIVE: tuple[Interval, ...] = ((0.1, 3.0),)
NONZERO: tuple[Interval, ...] = ((-3.0, -0.2), (0.2, 3.0))
APART = (((-3.0, -1.6), (-0.4, 0.4), (1.6, 3.0)), ((-1.4, -0.6), (0.6, 1.4)))  # never equal
UNIT_CELLS: tuple[Interval, ...] = ((-2.9, -2.6), (-1.4, -1.1), (0.1, 0.4), (1.6, 1.9))


Check = Callable[[Sequence[Operand]], None]


class Function(NamedTuple):
    """A declared pointwise function: its primitive, and the op that runs it."""

    primitive: Primitive
    op: PointwiseOp
    public: bool  # `autodiff.<name>`; others are reached through nn.functional

    @property
    def name(self) -> str:
        """The public name."""
        return self.primitive.name


FUNCTIONS: dict[str, Function] = {}


def declare(
    name: str,
    arity: int,
    doc: str,
    vjp: Rule | None = None,
    *,
    expand: Callable[..., Expr] | None = None,
    result: str = "same",
    domain: tuple[Interval, ...] | tuple[tuple[Interval, ...], ...] = REAL,
    reference: Callable[..., Any] | None = None,
    grad_name: str | tuple[str, str] | None = None,
    public: bool = True,
    check: Check | None = None,
    tensors: Sequence[str] = (),
    exact: str = "",
) -> PointwiseOp:
    """Declare one function. `domain` is one for all operands, or one for each; `check` raises for
    operand types that the function refuses; `tensors` names operands, the first ones, that must
    not be numbers of Python; `exact` tells which numbers the dtype must hold (`check_reach`).
    """
    each = domain if isinstance(domain[0][0], tuple) else (domain,) * arity
    primitive = Primitive(name, arity, result, vjp, expand, reference, each, doc)
    PRIMITIVES[name] = primitive
    if tensors:
        check = no_number(name, tensors, check)
    op = PointwiseOp(name, build(name, *inputs(arity)), arity, grad_name, check, exact=exact)
    FUNCTIONS[name] = Function(primitive, op, public)
    return op


def floating(name: str) -> Check:
    """The check of a function that takes floating-point numbers alone."""

    def check(operands: Sequence[Operand]) -> None:
        d = operands[0].dtype
        if not d.is_floating_point:
            raise NotImplementedError(
                f'"{name}" not implemented for {d.title!r}: it takes floating-point numbers'
            )

    return check


def no_bool(name: str, error: type[Exception]) -> Check:
    """The check of a function that takes any numbers, but no truths."""

    def check(operands: Sequence[Operand]) -> None:
        if operands[0].dtype is dtypes.bool:
            raise error(f"\"{name}\" not implemented for 'Bool': it takes numbers")

    return check


def no_number(name: str, tensors: Sequence[str], then: Check | None) -> Check:
    """The check of a function whose first operands, so named, must be tensors."""

    def check(operands: Sequence[Operand]) -> None:
        for i, (operand, argument) in enumerate(zip(operands, tensors, strict=False), start=1):
            if operand.kind == NUMBER:
                raise TypeError(
                    f"{name}(): argument '{argument}' (position {i}) must be Tensor, not "
                    f"{_TYPES.get(operand.dtype, float).__name__}"
                )
        if then is not None:
            then(operands)

    return check


_TYPES = {dtypes.bool: bool, dtypes.int64: int}  # of numbers of Python
FIRST = ("input",)
BOTH = ("input", "other")


def where(c: Any, a: Any, b: Any) -> Expr:
    """The expression of `where`."""
    return build("where", c, a, b)


def exp(x: Expr) -> Expr:
    """The expression of `exp`."""
    return build("exp", x)


# Instructions that only rules and expansions use.
for _name, _arity, _rule in (
    ("copy", 1, lambda g, y, x: (g,)),
    ("zeros_like", 1, None),
    ("ones_like", 1, None),
    ("fma", 3, lambda g, y, a, b, c: (g * b, g * a, g)),
):
    PRIMITIVES[_name] = Primitive(_name, _arity, "same", _rule)
