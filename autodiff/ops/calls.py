"""How pointwise ops are called, by number of operands: in as few Python steps as there can be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from autodiff.native import lib
from autodiff.node import mode, unrecorded
from autodiff.ops.numbers import numbers, operand
from autodiff.ops.written import written
from autodiff.tensor import TENSOR_TYPES, Tensor, live_node, tensor_of, wrap

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


def _unary(op: PointwiseOp) -> Callable[..., Tensor]:
    pw1, native, new = lib.ad_pw1, op.native, tensor_of

    def call(x: Tensor) -> Tensor:
        try:
            p = pw1(native, x._p)
        except TypeError as error:
            return late.beyond(op, (x,), error)
        if not p:
            p = op.recover(x)
        y = new(p)
        edge = x._node if x._base is None else live_node(x)
        if edge is not None and op.differentiable and (not unrecorded or mode.grad):
            y._node = op.record((x,), (edge,), 1, p)
        return y

    return call


def _binary(op: PointwiseOp) -> Callable[..., Tensor]:
    pw2, native, tensor, known, new = lib.ad_pw2, op.native, Tensor, numbers, tensor_of

    def call(x: Tensor, z: Any) -> Tensor:
        kind = type(z)
        if kind is not tensor:
            table = known.get(kind)
            found = None if table is None else table.get(z)
            if found is not None:
                z = found
            elif kind not in TENSOR_TYPES:
                given, z = z, operand(z)
                if z is None:
                    return late.foreign(op, x, given)  # type: ignore[no-any-return]
        try:
            p = pw2(native, x._p, z._p)
        except TypeError as error:
            return late.beyond(op, (x, z), error)
        if not p:
            p = op.recover(x, z)
        y = new(p)
        edge = x._node if x._base is None else live_node(x)
        edge2 = z._node if z._base is None else live_node(z)
        unlinked = edge is edge2 is None
        if not unlinked and op.differentiable and (not unrecorded or mode.grad):
            wanted = 2 if edge is None else 1 if edge2 is None else 3
            y._node = op.record((x, z), (edge, edge2), wanted, p)
        return y

    return call


def _written_out(n: int) -> Callable[[PointwiseOp], Callable[..., Tensor]]:
    """The same of n tensors: a loop over them would take as long as a small operation."""
    xs = [f"x{i}" for i in range(n)]
    each, ps = ", ".join(xs), ", ".join(f"{x}._p" for x in xs)
    edges = [f"edge{i}" for i in range(n)]
    lines = [
        f" def call({each}):",
        "  try:",
        f"   p = pw(op.native, {ps})",
        "  except TypeError as error:",
        f"   return late.beyond(op, ({each}), error)",
        "  if not p:",
        f"   p = op.recover({each})",
        "  y = tensor_of(p)",
        *(f"  edge{i} = x{i}._node if x{i}._base is None else live_node(x{i})" for i in range(n)),
        f"  unlinked = {' is '.join(edges)} is None",
        "  if not unlinked and op.differentiable and (not unrecorded or mode.grad):",
        f"   wanted = {' | '.join(f'(edge{i} is not None) << {i}' for i in range(n))}",
        f"   y._node = op.record(({each}), ({', '.join(edges)}), wanted, p)",
        "  return y",
        " return call",
    ]
    scope = {"late": late, "live_node": live_node, "mode": mode, "tensor_of": tensor_of}
    scope |= {"pw": getattr(lib, f"ad_pw{n}"), "unrecorded": unrecorded}
    return written("made", ["op"], lines, scope)  # type: ignore[no-any-return]


def _general(op: PointwiseOp) -> Callable[..., Tensor]:
    def call(*xs: Tensor) -> Tensor:
        try:
            p = op.run(xs)
        except TypeError as error:
            return late.beyond(op, xs, error)
        return _linked(op, xs, p)

    return call


def _linked(op: PointwiseOp, xs: Sequence[Tensor], p: Any) -> Tensor:
    """The result of a call, with its node where a gradient is wanted."""
    y = wrap(p)
    if op.differentiable and (not unrecorded or mode.grad):
        edges, wanted, bit = [], 0, 1
        for x in xs:
            edge = x._node if x._base is None else live_node(x)
            edges.append(edge)
            if edge is not None:
                wanted |= bit
            bit <<= 1
        if wanted:
            y._node = op.record(xs, edges, wanted, p)
    return y


_CALLS: dict[int, Callable[[PointwiseOp], Callable[..., Tensor]]] = {
    1: _unary,
    2: _binary,
    3: _written_out(3),
    4: _written_out(4),
}


def caller(op: PointwiseOp) -> Callable[..., Tensor]:
    """The function that calls an op on as many tensors as it takes."""
    return _CALLS.get(op.n_in, _general)(op)
