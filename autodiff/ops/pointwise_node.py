"""The node that a pointwise call leaves: what it saves, and a step back for each input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from autodiff import dtypes
from autodiff.node import Node
from autodiff.shapes import Size
from autodiff.tensor import Tensor, wrap

if TYPE_CHECKING:
    from autodiff.ops.pointwise import Pieces, PointwiseOp


class Step:
    """How one input's cotangent is computed: None passes the output's on unchanged."""

    __slots__ = ("op", "picks", "whole")  # which, unlike a tuple's names, are read at once

    def __init__(
        self, op: PointwiseOp | Pieces | None, picks: tuple[int, ...], n_saved: int
    ) -> None:
        self.op = op
        self.picks = picks  # of what was saved
        self.whole = picks == tuple(range(n_saved))  # takes all of it as it is


class Plan:
    """What a node saves (inputs by position, then the output), and a step for each input."""

    __slots__ = ("joint", "kind", "saved", "steps", "swept")

    def __init__(
        self,
        saved: tuple[int, ...],
        kind: int,
        steps: tuple[Step | None, ...],
        joint: PointwiseOp | None,
        swept: tuple[Step | None, ...],
    ) -> None:
        self.saved = saved
        self.kind = kind  # of `saved`
        self.steps = steps
        self.joint = joint  # all steps that have an op, of the cotangent and all that is saved
        self.swept = swept  # the steps where nothing is recorded


# What is saved most often is gathered without a loop, its versions read from the result.
NOTHING, OUTPUT, FIRST, SECOND, BOTH, OTHER = range(6)


def kind_of(saved: tuple[int, ...], n: int) -> int:
    """Which of these are saved by a node of an op of n inputs."""
    common = {(): NOTHING, (0,): FIRST, (1,): SECOND, (0, 1): BOTH, (n,): OUTPUT}
    return OTHER if n == 1 and len(saved) == 2 else common.get(saved, OTHER)


class PointwiseNode(Node):
    """A recorded pointwise call."""

    if not TYPE_CHECKING:
        __slots__ = ()  # under names of its own
    op: PointwiseOp = Node._op
    plan: Plan = Node._told
    # of inputs unlike the output
    metas: tuple[tuple[Size, dtypes.dtype] | None, ...] | None = Node._like
    code, at = Node._code, Node._at

    def kind(self) -> str:
        op = self.op
        return op.grad_name if self.edges[-1] is None else op.tensors_name or op.grad_name

    def vjp(self, g: Tensor) -> Sequence[Tensor | None]:
        saved = self.unpack()
        grads: list[Tensor | None] = []
        for step in self.plan.steps:
            if step is None:
                grads.append(None)
            elif step.op is None:
                grads.append(g)
            elif len(step.picks) == 1:
                grads.append(step.op.call(g, self.restored(saved, step.picks[0])))
            else:
                grads.append(step.op.call(g, *[self.restored(saved, k) for k in step.picks]))
        return grads if self.metas is None else self.fit(grads)

    def sweep(self, g: Tensor) -> Sequence[Tensor | None]:
        saved = self.unpack()
        plan = self.plan
        joint = plan.joint
        grads: list[Tensor | None] = []
        results = joint.run_all(g, saved) if joint is not None else None
        for step in plan.swept:
            if step is None:
                grads.append(None)
            elif step.op is None:
                grads.append(g)
            elif results is not None:
                grads.append(next(results))
            else:
                given = saved if step.whole else [saved[k] for k in step.picks]
                grads.append(step.op.plain(g, given))
        return grads if self.metas is None else self.fit(grads)

    def restored(self, saved: tuple[Any, ...], k: int) -> Tensor:
        """The k-th saved descriptor as a tensor with its place in the graph."""
        i = self.plan.saved[k]
        return wrap(saved[k], self.edges[i] if i < self.op.n_in else self)

    def fit(self, grads: list[Tensor | None]) -> list[Tensor | None]:
        """Undo broadcasting and promotion: each cotangent gets its input's shape and dtype."""
        metas = self.metas or ()
        return [
            g if g is None or meta is None else g.sum_to_size(meta[0]).to(meta[1])
            for g, meta in zip(grads, metas, strict=True)
        ]


def metas(
    tensors: Sequence[Tensor], edges: Sequence[Node | None], which: int, out: Tensor | None
) -> tuple[tuple[Size, dtypes.dtype] | None, ...] | None:
    """Shape and dtype of the inputs with an edge whose bit is set (and unlike `out`, if given)."""
    metas: list[tuple[Size, dtypes.dtype] | None] = [None] * len(tensors)
    for i, edge in enumerate(edges):
        if edge is not None and which >> i & 1:
            x = tensors[i]
            if out is None or x.shape != out.shape or x.dtype is not out.dtype:
                metas[i] = (x.shape, x.dtype)
    return tuple(metas) if any(metas) else None
