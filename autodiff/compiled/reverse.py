"""The backward of a recorded call whose results have a graph: a tape of its own, and its node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autodiff.compiled.record import Recorder, UnfitError, exported
from autodiff.graph import grad_between
from autodiff.hooks import hooks_hidden
from autodiff.native import error, ffi, lib, take_failure
from autodiff.node import AccumulateGrad, Cotangents, Node, mode, version_sum
from autodiff.ops.create import zeros
from autodiff.tensor import Tensor, _free, _gc, live_node, wrap

__all__ = ["Reverse"]


class CompiledNode(Node):
    """A call of a compiled function: its backward is one native call too."""

    __slots__ = ("reverse",)
    reverse: Reverse

    def name(self) -> str:
        return "CompiledBackward0"

    def vjp(self, g: Any) -> Sequence[Tensor | None]:
        if mode.grad:
            raise RuntimeError(
                "a compiled function is not differentiated twice (create_graph=True): compile the "
                "whole step, with the gradient inside it, or call the function that was compiled"
            )
        saved = self.unpack()[: self.reverse.n_links]
        given = tuple(g) if isinstance(g, Cotangents) else (g,)
        return self.reverse.run(given, saved)


class CompiledOutput(Node):
    """One of several outputs of a compiled call."""

    __slots__ = ("output_nr",)

    def __init__(self, call: CompiledNode, output_nr: int) -> None:
        self.edges = (call,)
        self.saved = ()
        self.versions = 0
        self.output_nr = output_nr

    def name(self) -> str:
        return "CompiledBackward0"

    def vjp(self, g: Tensor) -> Sequence[Any]:
        call: Any = self.edges[0]
        n = len(call.reverse.shapes)
        return (Cotangents(g if i == self.output_nr else None for i in range(n)),)


class Reverse:
    """The recorded backward of the results `ys` of a call that was just recorded."""

    def __init__(self, recorder: Recorder, ys: list[Tensor]) -> None:
        roots = [node for node in map(live_node, ys) if node is not None]
        found = list(enumerate(map(live_node, recorder.inputs)))
        inputs = {node: i for i, node in reversed(found) if node is not None}  # the first of equals
        self.leaves = (*leaves_of(roots, set(inputs)),)  # what is behind inputs is outside
        self.inputs = list(inputs.values())
        self.shapes = [(y.shape, y.dtype) for y in ys]
        self.watched = watched(recorder.tape, roots)
        cotangents = [zeros(shape, dtype=d) for shape, d in self.shapes]
        with hooks_hidden(self.leaves):  # they are called by the backward that this is a part of
            try:
                tape = recorder.record_after(
                    [g._p for g in cotangents],
                    lambda: grad_between(ys, [*self.leaves, *inputs], set(inputs), cotangents),
                )
            except RuntimeError as why:  # a graph that was gone through, or written over
                text = f"it returns what backward would refuse; detach() it: {why}"
                raise UnfitError(text) from why
        self.tape, found = tape
        self.n_links = lib.ad_tape_links(self.tape)
        self.wanted = [g is not None for g in found]
        for g in found:
            if g is not None:
                exported(self.tape, g._p)
        if lib.ad_tape_finish(self.tape, sum(self.wanted), True):
            raise error("compile")

    def node(self, inputs: Sequence[Tensor], links: Sequence[Any]) -> CompiledNode:
        """The node of a run that left what backward reads in `links`."""
        node = CompiledNode()
        node.reverse = self
        edges = self.leaves
        node.edges = (
            (*edges, *[live_node(inputs[i]) for i in self.inputs]) if self.inputs else edges
        )
        node.saved = saved = (*links, *self.watched)
        node.versions = version_sum(saved) if saved else 0
        return node

    def run(self, given: Sequence[Tensor | None], saved: Sequence[Any]) -> list[Tensor | None]:
        """The cotangents of the leaves, then of the arguments that have a graph."""
        gs = [
            zeros(shape, dtype=d) if g is None else g.contiguous()
            for g, (shape, d) in zip(given, self.shapes, strict=True)
        ]
        outs = ffi.new("ad_tensor *[]", len(self.wanted) + 1)
        while lib.ad_tape_run(self.tape, len(gs) + len(saved), [*[g._p for g in gs], *saved], outs):
            failure = take_failure()
            if failure[0] == lib.AD_STALE:
                gs = [g.clone() for g in gs]  # memory that the tape knows otherwise
            elif failure[0] != lib.AD_BUSY:
                raise RuntimeError(f"the backward of a compiled function failed: {failure}")
        made = iter(outs)
        return [wrap(_gc(next(made), _free)) if wanted else None for wanted in self.wanted]


def leaves_of(roots: list[Node], stops: set[Node]) -> list[AccumulateGrad]:
    """The leaves that roots lead to, not through `stops`."""
    found: dict[AccumulateGrad, None] = {}
    seen: set[Node] = set(roots) | stops
    stack = [root for root in roots if root not in stops]
    while stack:
        for edge in stack.pop().edges:
            if edge is None or edge in seen:
                continue
            seen.add(edge)
            if isinstance(edge, AccumulateGrad):
                found[edge] = None
            else:
                stack.append(edge)
    return list(found)


def watched(tape: Any, roots: list[Node]) -> list[Any]:
    """What nodes saved that was there before the call: backward must find it unchanged."""
    found: dict[int, Any] = {}
    seen, stack = set(roots), list(roots)
    while stack:
        node = stack.pop()
        for p in node.saved or ():
            if ffi.typeof(p) is DESCRIPTOR and lib.ad_tape_knows(tape, p) == 1:
                found[lib.ad_storage_id(p)] = p
        for edge in node.edges:
            if edge is not None and edge not in seen:
                seen.add(edge)
                stack.append(edge)
    return list(found.values())


DESCRIPTOR = ffi.typeof("ad_tensor *")
