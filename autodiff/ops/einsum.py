"""Einstein's summation: any sum of products of elements, as views, sums and matrix products."""

from __future__ import annotations

from typing import Any

from autodiff.dtypes import SCALAR_NAMES
from autodiff.dtypes import bool as boolean
from autodiff.native import lib
from autodiff.ops.contraction import _multiply
from autodiff.ops.diagonals import diagonal
from autodiff.ops.einsum_plan import Labels, Plan, Step, parsed, plan_of, refused, sublist
from autodiff.ops.views import _permute, reshape, squeeze
from autodiff.tensor import Tensor

BOOL = boolean.code
_TENSORS = {Tensor}


def _arranged(step: Step, k: int, x: Tensor) -> Tensor:
    summed, order, shape = step.summed[k], step.orders[k], step.shapes[k]
    x = x.sum(summed) if summed else x
    x = x if order is None else _permute(x, order)
    return x if shape is None else reshape(x, shape)


def _run(step: Step, operands: list[Tensor]) -> Tensor:
    x = operands[step.i]
    if step.j < 0:
        return x.sum(step.summed[0])
    a, b = _arranged(step, 0, x), _arranged(step, 1, operands[step.j])
    if not step.inner:
        return a * b
    dtypes = a._p.dtype, b._p.dtype
    if BOOL in dtypes:
        raise NotImplementedError("einsum(): \"bmm\" not implemented for 'Bool'")
    if dtypes[0] != dtypes[1]:
        raise RuntimeError(
            f"expected scalar type {SCALAR_NAMES[dtypes[0]]} but found {SCALAR_NAMES[dtypes[1]]}"
        )
    y, shape = _multiply(a, b, 0), step.shapes[2]
    return y if shape is None else reshape(y, shape)


def _arguments(args: tuple[Any, ...]) -> tuple[tuple[Labels, ...], Labels | None, list[Any]]:
    if len(args) < 2:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one "
            "operand and its subscripts list"
        )
    if isinstance(args[0], str):
        given = args[1] if len(args) == 2 and isinstance(args[1], (list, tuple)) else args[1:]
        return (*parsed(args[0]), list(given))
    if not isinstance(args[0], Tensor):
        raise TypeError(
            f"einsum(): the equation must be a str, or the first operand a Tensor, not "
            f"{type(args[0]).__name__}"
        )
    terms = tuple(tuple(sublist(labels)) for labels in args[1::2])
    output = tuple(sublist(args[-1])) if len(args) % 2 else None
    return terms, output, list(args[: len(terms) * 2 : 2])


def einsum(*args: Any) -> Tensor:
    """The sum of products that an equation names: with "ij,jk->ik", of a and b, it is a @ b.

    Each letter is a dimension; those not after the arrow are summed over, and without an arrow
    those that occur twice. A letter repeated in one operand takes its diagonal; "..." stands for
    dimensions that broadcast. Operands may also be followed by lists of labels, as in
    (a, [0, 1], b, [1, 2], [0, 2]). Products of several operands go in the cheapest order.

    >>> a, b = ad.tensor([[1, 2], [3, 4]]), ad.tensor([10, 1])
    >>> ad.einsum("ij,j->i", a, b)
    tensor([12, 34])
    >>> ad.einsum("ii", a)
    tensor(5)
    """
    plan, operands = _planned(args)
    if plan.prepared:
        operands = list(operands)
        for k, x in enumerate(operands):
            for first, second in plan.diagonals[k]:
                x = diagonal(x, 0, first, second)
            for d in reversed(plan.dropped[k]):
                x = squeeze(x, d)
            operands[k] = x
    for step in plan.steps:
        y = _run(step, operands)
        if step.j >= 0:
            operands = [x for k, x in enumerate(operands) if k not in (step.i, step.j)]
            operands.append(y)
        else:
            operands = [y]
    (y,) = operands
    if plan.order is not None:
        y = _permute(y, plan.order)
    return y[...] if any(y is x for x in args) else y


_PLANS: dict[tuple[Any, ...], Plan] = {}  # by equation and shape keys


def _planned(args: tuple[Any, ...]) -> tuple[Plan, list[Tensor]]:
    """The plan of a call, and its operands."""
    key: tuple[Any, ...] = ()
    if args and type(args[0]) is str and set(map(type, args[1:])) == _TENSORS:
        key = (args[0], *[lib.ad_shape_key(x._p) for x in args[1:]])
        plan = _PLANS.get(key)
        if plan is not None:
            return plan, list(args[1:])
    terms, output, operands = _arguments(args)
    for k, x in enumerate(operands):
        if not isinstance(x, Tensor):
            raise TypeError(
                f"einsum(): expected Tensor as element {k} in argument 1, but got "
                f"{type(x).__name__}"
            )
    if len(operands) != len(terms):
        word = "fewer" if len(operands) < len(terms) else "more"
        raise refused(f"{word} operands were provided than specified in the equation")
    plan = plan_of(terms, output, tuple(x.shape for x in operands))
    if key and 0 not in key:  # a shape too large for a key
        if len(_PLANS) >= 512:
            _PLANS.clear()
        _PLANS[key] = plan
    return plan, operands
