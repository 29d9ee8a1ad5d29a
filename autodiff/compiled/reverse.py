"""The backward of a recorded call whose results have a graph: a tape of its own, and its node."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from autodiff.changes import changed, new_lock
from autodiff.compiled.record import Recorder, UnfitError, exported
from autodiff.graph import grad_between
from autodiff.hooks import hooks_hidden
from autodiff.native import describe, error, ffi, lib, take_failure
from autodiff.node import (
    AccumulateGrad,
    Cotangents,
    Node,
    behind,
    freed,
    mode,
    overwritten,
    unsavable,
)
from autodiff.ops.create import zeros
from autodiff.tensor import Tensor, _free, _gc, live_node, wrap

_finishing = new_lock()
ALONE = 8  # results up to which backward is recorded from each of them, too


class CompiledNode(Node):
    """A call of a compiled function: its backward is one native call too."""

    __slots__ = ("marks", "reverse")
    reverse: Reverse
    marks: list[int]  # the versions of what it saved

    def name(self) -> str:
        return "CompiledBackward0"

    def vjp(self, g: Any) -> Sequence[Tensor | None]:
        if mode.grad:
            raise RuntimeError(
                "a compiled function is not differentiated twice (create_graph=True): compile the "
                "whole step, with the gradient inside it, or call the function that was compiled"
            )
        if self.saved is None:
            raise freed(self)
        return self.reverse.run(self, tuple(g) if isinstance(g, Cotangents) else (g,))

    def taken(self, reads: Sequence[int]) -> list[Any]:
        """What it saved at these places; RuntimeError where that was written to."""
        saved: Any = self.saved
        for i in reads:
            if (more := lib.ad_version(saved[i]) - self.marks[i]) != 0:
                raise overwritten(self, [saved[i]], more)
        return [saved[i] for i in reads]


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
        n = call.reverse.n
        return (Cotangents(g if i == self.output_nr else None for i in range(n)),)


class Way:
    """The recorded backward from some of the results; made ready when it is first gone."""

    def __init__(
        self, recorder: Recorder, ys: list[Tensor], ends: list[Node], stops: set[Node], at: int
    ) -> None:
        self.shapes = [(y.shape, y.dtype) for y in ys]
        cotangents = [zeros(shape, dtype=d) for shape, d in self.shapes]
        self.tape, found = recorder.record_after(
            [g._p for g in cotangents], lambda: grad_between(ys, ends, stops, cotangents)
        )
        self.links = range(at, at + lib.ad_tape_links(self.tape))  # of what its node saves,
        self.watched: list[int] = []  # and what must be as it was
        self.wanted = [g is not None for g in found]
        self.ready = self.failed = False
        for g in found:
            if g is not None:
                exported(self.tape, g._p)
        lib.ad_tape_unlink(self.tape, recorder.tape)

    def run(self, node: CompiledNode, given: Sequence[Tensor | None]) -> list[Tensor | None]:
        """The cotangents of the ends."""
        node.taken(self.watched)
        saved = node.taken(self.links)
        with _finishing:
            if not self.ready and lib.ad_tape_finish(self.tape, sum(self.wanted), True):
                self.failed = True
                changed()  # so that the recording is looked at, and made anew
                raise error("compile")
            self.ready = True
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
                raise describe(failure, "the backward of a compiled function")
        made = iter(outs)
        return [wrap(_gc(next(made), _free)) if wanted else None for wanted in self.wanted]


class Reverse:
    """The recorded backward of the results `ys` of a call that was just recorded.

    From all results, and from each alone: what no gradient comes to is no zero, as a zero times
    inf is nan, and as a parameter that no gradient comes to has none.
    """

    def __init__(self, recorder: Recorder, ys: list[Tensor]) -> None:
        roots = [node for node in map(live_node, ys) if node is not None]
        found = list(enumerate(map(live_node, recorder.inputs)))
        inputs = {node: i for i, node in reversed(found) if node is not None}  # the first of equals
        self.leaves = (*leaves_of(roots, set(inputs)),)  # what is behind inputs is outside
        self.inputs = list(inputs.values())
        self.n, self.n_links = len(ys), 0
        self.ways: dict[tuple[int, ...], Way] = {}
        alone = [(i,) for i in range(self.n)] if self.n <= ALONE else []
        ways = dict.fromkeys([tuple(range(self.n)), *alone])
        seen = [watched(recorder.tape, [roots[i] for i in which]) for which in ways]
        self.watched = list(seen[0].values())
        with hooks_hidden(self.leaves):  # they are called by the backward that this is a part of
            try:
                for which in ways:
                    some, ends = [ys[i] for i in which], [*self.leaves, *inputs]
                    way = Way(recorder, some, ends, set(inputs), self.n_links)
                    self.ways[which], self.n_links = way, way.links.stop
            except RuntimeError as why:  # a graph that was gone through, or written over
                text = f"it returns what backward would refuse; detach() it: {why}"
                raise UnfitError(text) from why
        at = {storage: i for i, storage in enumerate(seen[0], self.n_links)}
        for way, some_seen in zip(self.ways.values(), seen, strict=True):
            way.watched = [at[storage] for storage in some_seen]

    def node(self, inputs: Sequence[Tensor], links: Sequence[Any]) -> CompiledNode:
        """The node of a run that left what backward reads in `links`."""
        node = CompiledNode()
        node.reverse = self
        edges = self.leaves
        node.edges = (
            (*edges, *[live_node(inputs[i]) for i in self.inputs]) if self.inputs else edges
        )
        node.saved = saved = (*links, *self.watched)
        node.versions = 0
        node.marks = [lib.ad_version(p) for p in saved]
        if any(mark < 0 for mark in node.marks):
            raise unsavable()
        return node

    def holds(self) -> bool:
        """Whether none of it failed for want of memory."""
        return not any(way.failed for way in self.ways.values())

    def run(self, node: CompiledNode, given: Sequence[Tensor | None]) -> Sequence[Tensor | None]:
        """The cotangents of the leaves, then of the arguments that have a graph."""
        which = tuple([i for i, g in enumerate(given) if g is not None])
        if which in self.ways:
            return self.ways[which].run(node, [given[i] for i in which])
        if self.n > ALONE:
            return self.ways[tuple(range(self.n))].run(node, given)
        several = [self.ways[(i,)].run(node, [given[i]]) for i in which]
        return [functools.reduce(added, column) for column in zip(*several, strict=True)]


def added(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    """The sum of what there is."""
    return b if a is None else a if b is None else a + b


def leaves_of(roots: list[Node], stops: set[Node]) -> list[AccumulateGrad]:
    """The leaves that roots lead to, not through `stops`."""
    edges = (edge for node in behind(roots, stops) for edge in node.edges if edge not in stops)
    return list(dict.fromkeys(edge for edge in edges if isinstance(edge, AccumulateGrad)))


def watched(tape: Any, roots: list[Node]) -> dict[int, Any]:
    """What nodes saved that was there before the call, by its storage: backward must find it
    unchanged.
    """
    saved = (p for node in behind(roots) for p in node.saved or () if ffi.typeof(p) is DESCRIPTOR)
    return {lib.ad_storage_id(p): p for p in saved if lib.ad_tape_knows(tape, p) == 1}


DESCRIPTOR = ffi.typeof("ad_tensor *")
