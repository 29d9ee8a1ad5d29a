"""How pointwise ops are called, by number of operands: in as few Python steps as there can be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from autodiff.native import quick
from autodiff.node import mode, unrecorded
from autodiff.ops.numbers import numbers, operand
from autodiff.ops.written import written
from autodiff.tensor import Tensor, live_node, wrap

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
    "  if y is None and type(z) is not tensor:",
    "   given, z = z, operand(z)",
    "   if z is None:",
    "    return late.foreign(op, x, given)",
    "   y = fast(x, z)",
]


def _written_out(n: int) -> Callable[[PointwiseOp, Callable[..., Tensor | None]], Any]:
    """A call of n operands, the second of two of which may be a number: what is native and common
    in one step, and its node.
    """
    xs = ["x", "z"][:n] if n < 3 else [f"x{i}" for i in range(n)]
    each = "".join(f"{x}, " for x in xs)
    lines = [
        f" def call({each}):",
        f"  y = fast({each})",
        *(NUMBER * (n == 2)),
        "  if y is None:",
        f"   return whole(op, ({each}))",
        "  wanted = y._node",
        "  if wanted is not None:",
        "   y._node = None",
        "   if op.differentiable and (not unrecorded or mode.grad):",
        *(["    z = z if type(z) is tensor else operand(z)"] * (n == 2)),
        f"    y._node = op.record(({each}), ({''.join(f'{x}._node, ' for x in xs)}), wanted, y._p)",
        "  return y",
        " return call",
    ]
    scope = {"late": late, "mode": mode, "operand": operand, "tensor": Tensor, "whole": _whole}
    scope |= {"unrecorded": unrecorded, "__name__": __name__}  # whose a frame is
    return written("made", ["op", "fast"], lines, scope)  # type: ignore[no-any-return]


_CALLS = {n: _written_out(n) for n in (1, 2, 3, 4)}


def caller(op: PointwiseOp) -> Callable[..., Tensor]:
    """The function that calls an op on as many tensors as it takes."""
    if op.n_in not in _CALLS:
        return lambda *xs: _whole(op, xs)
    call = _CALLS[op.n_in](op, quick(op.native, numbers))
    call.__annotations__ = {"x": Tensor, "z": Any, "return": Tensor}
    return call  # type: ignore[no-any-return]
