"""The pointwise family: an expression as one fused kernel call, differentiable at any order."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from autodiff import dtypes
from autodiff.anomaly import note_line, noting
from autodiff.descriptor import fresh
from autodiff.expr import PRIMITIVES, Expr
from autodiff.lower import compile_program
from autodiff.native import (
    NULL,
    describe,
    descriptors,
    error,
    ffi,
    hold,
    lib,
    op_number,
    take_failure,
)
from autodiff.node import Node, mode, unrecorded, unsavable, version_sum
from autodiff.ops.base import backward_name
from autodiff.ops.calls import caller, quick_call
from autodiff.ops.derive import Derived, derive, grad_name_of, in_pieces
from autodiff.ops.history import check_writable, rebase
from autodiff.ops.numbers import number
from autodiff.ops.pointwise_node import (
    BOTH,
    FIRST,
    OUTPUT,
    SECOND,
    Plan,
    PointwiseNode,
    Step,
    kind_of,
    metas,
)
from autodiff.promotion import Operand, check_reach, computed_in, decode_key
from autodiff.shortcuts import TO
from autodiff.tensor import Tensor, live_node, tensor_of, wrap


class PointwiseOp:
    """An expression of n inputs, compiled for each combination of operand types it meets.

    `call(*tensors)` runs it and records a node where a gradient is wanted.
    """

    flags = 0  # of what calls it natively
    as_first = False  # whether results are of the first operand's dtype, as cotangents are

    def __init__(
        self,
        name: str,
        root: Expr,
        n_in: int,
        grad_name: str | tuple[str, str] | None = None,
        check: Callable[[Sequence[Operand]], None] | None = None,
        also: Sequence[Expr] = (),
        exact: str = "",
    ) -> None:
        most = MAX_INPUTS + 2 if also else MAX_INPUTS  # of several results there is no vjp
        if n_in > most:
            raise ValueError(
                f"{name}: a pointwise function takes at most {most} inputs, got {n_in}"
            )
        self.name = name
        self.root = root
        self.roots = [root, *also]  # the results of `run_all`; those of one root alone are recorded
        self.n_in = n_in
        self.exact = exact  # which numbers are refused that the dtype does not hold: `check_reach`
        self.check = check  # raises for operand types that are refused: once a variant, not a call
        names = (
            grad_name if isinstance(grad_name, tuple) else (grad_name or backward_name(name), "")
        )
        self.grad_name, self.tensors_name = names  # the latter, where the last input has a history
        self.differentiable = _is_differentiable(root)
        told = sum((how != "-") << i for i, how in enumerate(exact))
        native = lib.ad_op_new(n_in, len(self.roots), told)
        if not native:
            raise error(name)
        self.native = ffi.gc(native, lib.ad_op_free)
        lib.ad_op_number(self.native, op_number(name))
        self.plans: dict[int, Plan] = {}
        self.recipes: list[Any] = []  # what is native has of them: `quick`
        self.call: Callable[..., Tensor] = caller(self)

    def __repr__(self) -> str:
        return f"<pointwise {self.name}: {self.root!r}>"

    def named(self, grad_name: str, tensors_name: str = "") -> PointwiseOp:
        """The same function, the nodes of which are called so."""
        other = copy.copy(self)
        other.grad_name, other.tensors_name = grad_name, tensors_name
        other.call = caller(other)
        return other

    def specialise(self, failure: tuple[int, int, int, int], tensors: Sequence[Tensor]) -> None:
        """After a failed call: compile the variant that was missing, or raise the failure."""
        if failure[0] != lib.AD_NO_VARIANT:
            raise describe(failure, self.name, *[x._p for x in tensors])
        key = failure[1]
        operands = decode_key(key, self.n_in)
        if self.check is not None:
            self.check(operands)
        if self.exact:
            check_reach(self.name, key, self.exact, computed_in(self.root, operands))
        program = compile_program(self.roots, operands, self.as_first)
        if dtypes.get_default_dtype().code != key >> 60 & 15:
            _take_default()
            return  # another thread changed the default: to be tried again
        if lib.ad_op_add(self.native, key % 2**64, program):
            raise error(self.name)

    def run(self, tensors: Sequence[Tensor]) -> Any:
        """Run natively: a new descriptor."""
        ps = [x._p for x in tensors]
        if self.n_in <= len(_NATIVE):
            pw = _NATIVE[self.n_in - 1]
            while not (p := pw(self.native, *ps)):
                self.specialise(take_failure(), tensors)
            return p
        outs = descriptors([NULL])
        while lib.ad_pw(self.native, self.n_in, ps, 1, outs):
            self.specialise(take_failure(), tensors)
        return hold(outs[0])

    def run_all(self, g: Tensor, others: Sequence[Any]) -> Iterator[Tensor]:
        """As `plain`, all results by one native call."""
        return map(wrap, self.results([g._p, *others]))

    def results(self, given: Sequence[Any]) -> list[Any]:
        """New descriptors of all results, by one native call."""
        n = self.n_in
        if n <= len(_NATIVE):
            pw = _NATIVE[n - 1]
            while not (p := pw(self.native, *given)):
                self.specialise(take_failure(), list(map(wrap, given)))
            found = [p]
            for _ in self.roots[1:]:
                found.append(_next())
            return found
        outs = descriptors([NULL] * len(self.roots))
        while lib.ad_pw(self.native, n, given, len(self.roots), outs):
            self.specialise(take_failure(), list(map(wrap, given)))
        return [hold(p) for p in outs]

    def write_all(self, given: Sequence[Any], outs: Sequence[Any]) -> None:
        """Write the results of some descriptors over others; nothing is recorded."""
        while lib.ad_pw(self.native, self.n_in, given, len(outs), outs):
            self.specialise(take_failure(), list(map(wrap, given)))

    def write_steps(self, given: Sequence[Any], out: Any, reverse: bool) -> None:
        """Write over `out` the results of one index of the first dimension after another.

        A step may read what those before it wrote. Nothing is recorded.
        """
        while lib.ad_pw_steps(self.native, reverse, len(given), given, 1, [out]):
            self.specialise(take_failure(), list(map(wrap, given)))

    def plain(self, g: Tensor, others: Sequence[Any]) -> Tensor:
        """The result for g and the tensors of some descriptors, not recorded."""
        n = len(others)
        if n == 1:
            p = _pw2(self.native, g._p, others[0])
        elif n == 0:
            p = _pw1(self.native, g._p)
        elif n == 2:
            p = _pw3(self.native, g._p, others[0], others[1])
        elif n == 3:
            p = _pw4(self.native, g._p, others[0], others[1], others[2])
        else:
            return wrap(self.run((g, *map(wrap, others))))
        return tensor_of(p or self.recover(g, *map(wrap, others)))

    def recover(self, *tensors: Tensor) -> Any:
        """The result of a call that failed natively for want of a variant; raises otherwise."""
        self.specialise(take_failure(), tensors)
        return self.run(tensors)

    @functools.cached_property
    def to(self) -> Callable[..., Tensor | None]:
        """Of what to write the result to, and operands: that, if nothing else is to be seen to."""
        return quick_call(self, TO)

    def into(self, out: Tensor, tensors: Sequence[Tensor]) -> Tensor:
        """Write the result over `out`, an in-place write if it is one of the inputs."""
        if not unrecorded or mode.grad:
            if out._node is not None or out._base is not None:
                check_writable(out, self.name)
            for x in tensors:
                if x._node is not None or x._base is not None:
                    if self.differentiable or _loses(out, tensors):
                        return self.into_graph(out, tensors)
                    break
        self.write(out, tensors)
        return out

    def into_graph(self, out: Tensor, tensors: Sequence[Tensor]) -> Tensor:
        """The same where an input may want a gradient."""
        edges = [live_node(x) for x in tensors]
        wanted = sum(1 << i for i, edge in enumerate(edges) if edge is not None)
        if not wanted:
            self.write(out, tensors)
            return out
        node = self.record(tensors, edges, wanted, _NO_RESULT)
        node.saved = self.kept(node, tensors, out)
        version_sum(node.saved)  # refuses what cannot be saved before anything is written
        self.write(out, tensors)
        node.versions = version_sum(node.saved)
        if node.saved and noting:
            note_line(node)
        node.metas = metas(tensors, edges, (1 << self.n_in) - 1, out)
        rebase(out, node)
        return out

    def write(self, out: Tensor, tensors: Sequence[Tensor]) -> None:
        """Run natively, into `out`; nothing is recorded."""
        native, to, n = self.native, out._p, len(tensors)
        while (
            _pw_to(native, to, tensors[0]._p, tensors[1]._p, NULL, NULL)
            if n == 2
            else _pw_to(native, to, tensors[0]._p, tensors[1]._p, tensors[2]._p, NULL)
            if n == 3
            else _pw_to(native, to, *[x._p for x in tensors], *_ABSENT[n])
            if n <= 4
            else lib.ad_pw(native, n, [x._p for x in tensors], 1, [to])
        ):
            failure = take_failure()
            if failure[0] == lib.AD_BAD_SHAPE:
                raise RuntimeError(
                    f"{self.name}: output with shape {list(out.shape)} doesn't match the broadcast "
                    f"shape of {' and '.join(str(list(x.shape)) for x in tensors)}"
                )
            self.specialise(failure, tensors)

    def kept(self, node: PointwiseNode, tensors: Sequence[Tensor], out: Tensor) -> tuple[Any, ...]:
        """What a node saves, inputs that a write to `out` will change being copied first."""
        changing = lib.ad_storage_id(out._p)
        given = [tensors[i]._p if i < self.n_in else None for i in node.plan.saved]
        return tuple(
            out._p
            if p is None
            else fresh(lib.ad_clone(p), self.name, p)
            if lib.ad_storage_id(p) == changing
            else p
            for p in given
        )

    def record(
        self, tensors: Sequence[Tensor], edges: Sequence[Node | None], wanted: int, p: Any
    ) -> PointwiseNode:
        """The node of a call whose result is p; bit i of `wanted`: input i wants a gradient."""
        try:
            plan = self.plans[wanted]
        except KeyError:
            plan = self.plans[wanted] = make_plan(self, derive(self.root, self.n_in, wanted))
        node = PointwiseNode()
        node.op = self
        node.plan = plan
        node.edges = edges
        kind = plan.kind
        if not kind:  # NOTHING
            node.saved = ()
        else:
            versions = 0
            if kind == SECOND:
                node.saved = (tensors[1]._p,)
                versions = p.version1
            elif kind == OUTPUT:
                node.saved = (p,)
            elif kind == BOTH:
                node.saved = (tensors[0]._p, tensors[1]._p)
                versions = p.version0 + p.version1
            elif kind == FIRST:
                node.saved = (tensors[0]._p,)
                versions = p.version0
            else:
                n = self.n_in
                node.saved = tuple([tensors[k]._p if k < n else p for k in plan.saved])
                versions = version_sum(node.saved)
            if versions < 0:
                raise unsavable()
            node.versions = versions
            if noting and p is not _NO_RESULT:  # whose node is not whole yet
                note_line(node)
        unlike = p.unlike & wanted
        node.metas = metas(tensors, edges, unlike, None) if unlike else None
        return node


class Pieces:
    """An expression of more inputs than an op takes: several ops, one after another."""

    as_first = False

    def __init__(self, name: str, root: Expr, n_in: int, grad_name: str) -> None:
        self.ops = [
            (PointwiseOp(name, piece, len(needs), grad_name), needs)
            for piece, needs in in_pieces(root, n_in, MAX_INPUTS)
        ]

    def call(self, *tensors: Tensor) -> Tensor:
        """The result, recorded where a gradient is wanted."""
        known = [*tensors]
        for op, needs in self.ops:
            known.append(op.call(*[known[i] for i in needs]))
        return known[-1].to(tensors[0].dtype) if self.as_first else known[-1]

    def plain(self, g: Tensor, others: Sequence[Any]) -> Tensor:
        """The result for g and the tensors of some descriptors, not recorded."""
        return self.call(g, *map(wrap, others))


_pw1, _pw2, _pw3, _pw4, _pw_to = lib.ad_pw1, lib.ad_pw2, lib.ad_pw3, lib.ad_pw4, lib.ad_pw_to
_NATIVE, _next = (_pw1, _pw2, _pw3, _pw4), lib.ad_next
_ABSENT = [(NULL,) * (4 - n) for n in range(5)]
_NO_RESULT = number(0)._p  # stands for one where a node is made before its result
MAX_INPUTS = 8  # the vjp takes the cotangent and the output besides


def _is_differentiable(root: Expr) -> bool:
    if root.op == "cast":
        return bool(root.value.is_floating_point)
    return root.op not in PRIMITIVES or PRIMITIVES[root.op].result != "bool"


def _loses(out: Tensor, tensors: Sequence[Tensor]) -> bool:
    """Whether a write of what has no gradient parts `out` from the one it had."""
    return out.is_floating_point() and any(x is out for x in tensors)


def make_plan(op: PointwiseOp, derived: Derived) -> Plan:
    """The steps of a vjp: one op of (cotangent, what it needs of inputs and output) each."""
    name = f"{op.name}_vjp"
    steps: list[Step | None] = []
    for step in derived.steps:
        if step is None or isinstance(step, Expr):
            steps.append(None if step is None else Step(None, (), 0))
        else:
            root, picks = step
            grad_name = grad_name_of(root, op.grad_name)
            kind = PointwiseOp if len(picks) < MAX_INPUTS else Pieces
            op_back = kind(name, root, 1 + len(picks), grad_name)
            op_back.as_first = True
            steps.append(Step(op_back, picks, len(derived.saved)))
    joint = None
    if derived.joint:
        first, *rest = derived.joint
        joint = PointwiseOp(name, first, 1 + len(derived.saved), also=rest)
        joint.as_first = True
    each = tuple(steps)
    return Plan(derived.saved, kind_of(derived.saved, op.n_in), each, joint, each)


def _take_default() -> None:
    lib.ad_op_default(dtypes.get_default_dtype().code)


_take_default()
dtypes.default_hooks.append(_take_default)
