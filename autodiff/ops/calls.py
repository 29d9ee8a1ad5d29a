"""How pointwise ops are called, by number of operands: in as few Python steps as there can be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from autodiff.anomaly import noting
from autodiff.node import mode, unrecorded
from autodiff.ops.numbers import numbers, operand
from autodiff.ops.written import written
from autodiff.shortcuts import quick
from autodiff.tensor import TENSOR_TYPES, Tensor, live_node, wrap

if TYPE_CHECKING:
    from autodiff.ops.pointwise import PointwiseOp


class _Late:
    """What a later module provides, so that imports point one way."""

    @staticmethod
    def beyond(op: PointwiseOp, tensors: Sequence[Tensor], error: TypeError) -> Tensor:
        """A call on operands without native memory, such as those of a batch."""
        raise error

    @staticmethod
    def foreign(op: PointwiseOp, x: Tensor, value: Any) -> Any:
        """An operator's result where its right operand is nothing of ours: Python asks that one."""
        return NotImplemented


late = _Late()


def _whole(op: PointwiseOp, xs: Sequence[Tensor]) -> Tensor:
    """A call at which there may be more to do: to renew the node of a view, to compile what the op
    is for such operands, or to tell what is wrong with them.
    """
    try:
        p = op.run(xs)
    except TypeError as error:
        return late.beyond(op, xs, error)
    y = wrap(p)
    if op.differentiable and (not unrecorded or mode.grad):
        edges = [live_node(x) for x in xs]
        wanted = sum([1 << i for i, edge in enumerate(edges) if edge is not None])
        if wanted:
            y._node = op.record(xs, edges, wanted, p)
    return y


NUMBER = [  # one that was no operand yet, or what is none
    "  if type(z) is not tensor:",
    "   given, z = z, operand(z)",
    "   if z is None:",
    "    return late.foreign(op, x, given)",
    "   if z is not given:",
    "    return fast(x, z)",
]
NAMES = ("x", "z", "w", "v", "u", "t")
PLAIN = frozenset([float, int])  # numbers that are operands as they are


def _written_out(n: int) -> Callable[..., Any]:
    """A call of n operands, of which all but the first may be numbers: what is native and common in
    one step.
    """
    xs = ", ".join(NAMES[:n])
    lines = [
        f" def behind({xs}):",
        *(NUMBER * (n == 2)),
        *[f"  if type({x}) in plain: {x} = operand({x})" for x in NAMES[1:n] if n > 2],
        f"  return whole(op, ({xs},))",
        " fast = native(op, 0, behind)",
        f" def call({xs}):",
        f"  return fast({xs})",
        " return call",
    ]
    scope = {"late": late, "operand": operand, "tensor": Tensor, "whole": _whole}
    scope |= {"plain": PLAIN, "__name__": __name__}  # whose a frame is
    return written("made", ["op", "native"], lines, scope)  # type: ignore[no-any-return]


_CALLS = {n: _written_out(n) for n in range(1, len(NAMES) + 1)}


def quick_call(
    op: PointwiseOp, flags: int = 0, behind: Callable[..., Any] | None = None
) -> Callable[..., Any]:
    """The native function that calls an op: see `shortcuts.quick`."""
    recipes = op.recipes

    def record(y: Tensor, wanted: int, *xs: Any) -> None:
        if not op.differentiable:
            recipes[wanted] = False
            return
        tensors: list[Any] = [operand(x) for x in xs]
        y._node = node = op.record(tensors, [x._node for x in tensors], wanted, y._p)
        recipes[wanted] = type(node), op, node.plan, node.plan.saved

    told = TENSOR_TYPES, numbers, unrecorded, mode, noting, recipes, record, behind
    return quick(op.native, flags, *told)


def caller(op: PointwiseOp) -> Callable[..., Tensor]:
    """The function that calls an op on as many tensors as it takes."""
    n = op.n_in
    if n not in _CALLS:
        return lambda *xs: _whole(op, xs)
    op.recipes = [None] * 2**n
    call: Callable[..., Tensor] = _CALLS[n](op, quick_call)
    call.__annotations__ = _ANNOTATIONS[n]
    return call


_ANNOTATIONS = {
    n: {x: "Any" if (n, x) == (2, "z") else "Tensor" for x in (*NAMES[:n], "return")}
    for n in _CALLS
}
