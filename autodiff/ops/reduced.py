"""A pointwise loss and its mean or sum: one node, whose vjp is one fused kernel for each input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autodiff.dtypes import float32
from autodiff.expr import Expr, differentiate, inputs, topological
from autodiff.native import describe, lib, take_failure
from autodiff.ops.base import Op, OpNode
from autodiff.ops.derive import renumber
from autodiff.ops.numbers import number_of
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.reductions import KINDS, mean, sum
from autodiff.ops.views import _expand
from autodiff.tensor import Tensor, wrap

REDUCED: dict[str, ReducedLoss] = {}
_REDUCTIONS = {kind: KINDS[kind] for kind in ("mean", "sum")}
_pw2_reduced = lib.ad_pw2_reduced


class ReducedLoss:
    """A pointwise op followed by a reduction: "mean", "sum" or "none" of one."""

    def __init__(self, each: PointwiseOp) -> None:
        self.each = each
        self.steps: dict[int, tuple[PointwiseOp, list[int], int]] = {}
        op = Op(f"{each.name}_reduced", self._forward, self._rule, saves=tuple(range(each.n_in)),
                shaped=False, grad_name=each.grad_name, sweep=self._sweep)  # fmt: skip
        self.op = op  # of tensors known to be alike in shape and dtype
        REDUCED[each.name] = self

    def __call__(self, reduction: str, *tensors: Tensor) -> Tensor:
        """The loss of tensors that broadcast, and of numbers as 0-d tensors."""
        if reduction == "none":
            return self.each.call(*tensors)
        if len(tensors) == 2:
            y = self.of_two(*tensors, reduction)
            if y is not None:
                return y
        first = tensors[0]._p
        if first.dtype >= float32.code and all(_alike(x, tensors[0]) for x in tensors):
            return self.op.on(tensors, reduction)
        loss = self.each.call(*tensors)
        return mean(loss) if reduction == "mean" else sum(loss)

    def of_two(self, x: Tensor, z: Tensor, reduction: str) -> Tensor | None:
        """The mean or sum of the losses of two tensors; None where they are not alike."""
        kind = _REDUCTIONS.get(reduction) if reduction.__class__ is str else None
        if kind is None:
            return None
        p = _pw2_reduced(self.each.native, x._p, z._p, kind)
        if p:
            return self.op.result_of((x, z), p, (reduction,))
        failure = take_failure()
        if failure[0] == lib.AD_NO_MEMORY:
            raise describe(failure, self.each.name, x._p, z._p)
        return None

    def _forward(self, *args: Any) -> Any:
        *ps, kind = args
        return lib.ad_reduce_all(_REDUCTIONS[kind], self.each.call(*map(wrap, ps))._p)

    def _sweep(self, node: OpNode, g: Tensor) -> Sequence[Tensor | None]:
        saved = node.unpack()
        scale = self._scale(node, saved[0])._p
        grads: list[Tensor | None] = []
        for i, edge in enumerate(node.edges):
            if edge is None:
                grads.append(None)
                continue
            step = self.steps.get(i)
            op, picks, like_first = step if step is not None else self._derived(i)
            given = saved if len(picks) == len(saved) else [saved[k] for k in picks]
            gx = op.plain(g, (scale, *given))
            grads.append(_filled(gx, saved[0]) if gx._p.unlike & like_first else gx)
        return grads

    def _scale(self, node: OpNode, first: Any) -> Tensor:
        """What the cotangent of each element is multiplied by."""
        return number_of(1.0 / ((node.args[0] == "mean" and first.numel) or 1))

    def _rule(self, node: OpNode, g: Tensor, *saved: Tensor) -> Sequence[Tensor | None]:
        scale = self._scale(node, saved[0]._p)
        return [
            None if edge is None else self._vjp(i, node, g, scale, saved)
            for i, edge in enumerate(node.edges)
        ]

    def _vjp(self, i: int, node: OpNode, g: Tensor, scale: Any, saved: Sequence[Tensor]) -> Tensor:
        step, picks, _ = self._derived(i)
        gx = step.call(g, scale, *[saved[k] for k in picks])
        return _filled(gx, saved[0]._p)

    def _derived(self, i: int) -> tuple[PointwiseOp, list[int], int]:
        if i not in self.steps:
            self.steps[i] = self._derive(i)
        return self.steps[i]

    def _derive(self, i: int) -> tuple[PointwiseOp, list[int], int]:
        """The cotangent of input i from that of the result, its scale, and the inputs it needs.

        At last the bits of what is `unlike` a cotangent which has not the first input's shape.
        """
        n = self.each.n_in
        symbols = {e.value: e for e in topological([self.each.root]) if e.op == "input"}
        g, scale = inputs(n + 2)[n:]
        (dx,) = differentiate(self.each.root, g * scale, [symbols[i]])
        dx = Expr("zeros_like", (g,)) if dx is None else dx
        picks = sorted({e.value for e in topological([dx]) if e.op == "input"} - {n, n + 1})
        place = {n: 0, n + 1: 1, **{k: 2 + at for at, k in enumerate(picks)}}
        name = self.each.grad_name.replace("Backward0", "BackwardBackward0")
        (root,) = renumber([dx], place)
        step = PointwiseOp(f"{self.each.name}_vjp", root, 2 + len(picks), name)
        return step, picks, 1 << 2 if 0 in picks else -1


def _filled(gx: Tensor, first: Any) -> Tensor:
    """A cotangent of the shape of the first input's descriptor, whatever it was computed from."""
    p = gx._p
    return gx if p.ndim == first.ndim and p.numel == first.numel else _expand(gx, wrap(first).shape)


def _alike(x: Tensor, first: Tensor) -> bool:
    """Whether x has the shape and dtype of the first tensor, or is a number."""
    p = x._p
    return bool(p.number) or (p.dtype == first._p.dtype and x.shape == first.shape)
