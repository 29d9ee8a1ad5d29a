"""Pointwise calls that compute derivatives beside their value: backward is one product."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from autodiff.anomaly import note_line, noting
from autodiff.dtypes import HALF_CODES, HALVES
from autodiff.expr import Expr, inputs, topological
from autodiff.named import NamedTuple
from autodiff.node import Node, mode, unrecorded, unsavable, version_sum
from autodiff.ops.calls import late, quick_call
from autodiff.ops.derive import with_slopes
from autodiff.ops.pointwise import PointwiseOp, make_plan
from autodiff.ops.pointwise_node import OTHER, Plan, PointwiseNode, Step, metas
from autodiff.shortcuts import PLAIN
from autodiff.tensor import Tensor, live_node, wrap

_g, _slope = inputs(2)
_times = PointwiseOp("pointwise_vjp", _g * _slope, 2)
_times.as_first = True


class _Sloped(NamedTuple):
    """An op of the value and some derivatives, and a plan that saves these last."""

    op: PointwiseOp
    plan: Plan
    all_saved: bool  # one input or two, and both are saved


class SlopedOp(PointwiseOp):
    """An op of many steps, whose derivatives share much with its value.

    Where backward would compute slow functions again, a call that is recorded computes the
    derivatives too, and its node keeps them.
    """

    def __init__(self, name: str, root: Expr, n_in: int) -> None:
        super().__init__(name, root, n_in)
        self.sloped: dict[int, _Sloped | None] = {}
        if self.differentiable and not any(
            e.op == "cast" and e.value in HALVES for e in topological([root])
        ):
            self.call, self.flags = _caller(self, self.call), PLAIN

    def prepared(self, wanted: int) -> _Sloped | None:
        """How a call is made whose inputs want gradients where `wanted` has a bit."""
        found = with_slopes(self.root, self.n_in, wanted)
        if found is None:
            return None
        derived, slopes = found
        plan = make_plan(self, derived)
        n_saved = len(plan.saved) + len(slopes)
        places = {i: len(plan.saved) + k for k, i in enumerate(slopes)}
        swept = tuple(
            Step(_times, (places[i],), n_saved)
            if i in places
            else step and Step(step.op, step.picks, n_saved)
            for i, step in enumerate(plan.steps)
        )
        op = PointwiseOp(self.name, self.root, self.n_in, check=self.check, also=[*slopes.values()])
        all_saved = plan.saved in ((0,), (0, 1)) and len(plan.saved) == self.n_in
        return _Sloped(op, Plan(plan.saved, OTHER, plan.steps, None, swept), all_saved)

    def recorded(
        self,
        value: Callable[..., Tensor],
        xs: Sequence[Tensor],
        edges: Sequence[Node | None],
        wanted: int,
    ) -> Tensor:
        """A call that wants gradients: with derivatives where they are worth to be kept.

        `value` calls the op without them.
        """
        try:
            sloped = self.sloped[wanted]
        except KeyError:
            sloped = self.sloped[wanted] = self.prepared(wanted)
        if sloped is None:
            return value(*xs)
        ps = [x._p for x in xs]
        for p in ps:
            if p.dtype in HALF_CODES:  # in which a derivative would be rounded
                return value(*xs)
        try:
            found = sloped.op.results(ps)
        except TypeError as error:
            return late.beyond(self, xs, error)
        y = found[0]
        node = PointwiseNode()
        node.op = self
        node.plan = sloped.plan
        node.edges = edges
        if sloped.all_saved:
            found[0:1] = ps
            node.versions = versions = y.version0 + y.version1
            if versions < 0:
                raise unsavable()
        else:
            found[0:1] = [ps[i] for i in sloped.plan.saved]
            node.versions = version_sum(found)
        node.saved = tuple(found)
        if noting:
            note_line(node)
        unlike = y.unlike
        node.metas = metas(xs, edges, unlike, None) if unlike else None
        return wrap(y, node)


def _caller(op: SlopedOp, value: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The function that calls an op, with derivatives where they are wanted and worth to be kept.

    `value` calls it without them.
    """
    plain = quick_call(op, PLAIN)

    def unary(x: Tensor) -> Tensor:
        y: Tensor | None = plain(x)
        if y is not None:
            return y
        edge = x._node if x._base is None else live_node(x)
        if edge is None or (unrecorded and not mode.grad):
            return value(x)
        return op.recorded(value, (x,), (edge,), 1)

    def general(*xs: Tensor) -> Tensor:
        y: Tensor | None = plain(*xs)
        if y is not None:
            return y
        edges = [x._node if x._base is None else live_node(x) for x in xs]
        wanted = sum([1 << i for i, edge in enumerate(edges) if edge is not None])
        if not wanted or (unrecorded and not mode.grad):
            return value(*xs)
        return op.recorded(value, xs, edges, wanted)

    return unary if op.n_in == 1 else general
