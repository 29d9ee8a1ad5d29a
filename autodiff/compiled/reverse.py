"""The backward of a recorded call whose results have a graph: a tape of its own, and its node."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from autodiff.changes import changed, new_lock, recorder_here
from autodiff.compiled.graphs import Graph, attributes, mapped, take_saved
from autodiff.compiled.record import CAPTURED, Recorder, UnfitError, exported
from autodiff.graph import grad_between
from autodiff.hooks import hooks_hidden
from autodiff.native import describe, error, ffi, hold, lib, take_failure
from autodiff.node import (
    AccumulateGrad,
    Cotangents,
    Node,
    behind,
    freed,
    mode,
    overwritten,
    recomputed,
)
from autodiff.ops.create import zeros
from autodiff.tensor import Tensor, live_node, wrap

_finishing = new_lock()
ALONE = 3  # results up to which backward is recorded from each of them, too
MOST = 8  # ways that may be recorded


class CompiledNode(Node):
    """A call of a compiled function: its backward is one native call too."""

    __slots__ = ()
    reverse: Reverse = Node._op
    marks: list[int] = Node._told  # the versions of what it saved

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
        if isinstance(g, Arrived):
            found: Any = g
            return self.reverse.run(self, g.order[::-1], [found[i] for i in g.order[::-1]])
        return self.reverse.run(self, (0,), (g,))

    def taken(self, reads: Sequence[int]) -> list[Any]:
        """What it saved at these places; RuntimeError where that was written to."""
        saved: Any = self.saved
        for i in reads:
            if (more := lib.ad_version(saved[i]) - self.marks[i]) != 0:
                raise overwritten(self, [saved[i]], more)
        return [saved[i] for i in reads]

    def check(self, p: Any) -> None:
        """RuntimeError where what was there before the call was written to since."""
        if (at := self.reverse.at.get(lib.ad_storage_id(p))) is not None:
            self.taken([at])


class Arrived(Cotangents):
    """The cotangents of several outputs, and the order in which they came."""

    order: tuple[int, ...]

    def __new__(cls, found: Iterable[Tensor | None], order: tuple[int, ...]) -> Arrived:
        made = super().__new__(cls, found)
        made.order = order
        return made

    def __add__(self, other: Any) -> Arrived:
        return Arrived(super().__add__(other), (*self.order, *other.order))


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
        at, n = self.output_nr, call.reverse.n
        return (Arrived((g if i == at else None for i in range(n)), (at,)),)


class Way:
    """The recorded backward from some of the results; made ready when it is first gone."""

    def __init__(
        self,
        recorder: Recorder,
        ys: list[Tensor],
        walk: Callable[[list[Tensor]], Any],
        saved: dict[int, int],
    ) -> None:
        cotangents = [zeros(y.shape, dtype=y.dtype) for y in ys]
        given = [g._p for g in cotangents]
        self.tape, found = recorder.record_after(given, lambda: walk(cotangents))
        exports = [lib.ad_tape_linked(self.tape, i) for i in range(lib.ad_tape_links(self.tape))]
        self.links = [saved.setdefault(i, len(saved)) for i in exports]  # of what its node saves,
        self.watched: list[int] = []  # and what must be as it was
        self.wanted = [g is not None for g in found]
        self.ready = self.failed = False
        for g in found:
            if g is not None:
                exported(self.tape, g._p)
        lib.ad_tape_unlink(self.tape, recorder.tape)

    def run(self, node: CompiledNode, given: Sequence[Tensor]) -> list[Tensor | None]:
        """The cotangents of the ends."""
        node.taken(self.watched)
        saved = node.taken(self.links)
        with _finishing:
            if not self.ready and lib.ad_tape_finish(self.tape, sum(self.wanted), True):
                self.failed = True
                changed()  # so that the recording is looked at, and made anew
                raise error("compile")
            self.ready = True
        if recorder := recorder_here():
            recorder.stay_eager("its backward goes beyond what it makes")
        outs = ffi.new("ad_tensor *[]", len(self.wanted) + 1)
        outer = lib.ad_tape_pause()  # or a watch, which sees what comes in and out
        try:
            self.run_tape([g.contiguous() for g in given], saved, outs)
        finally:
            lib.ad_tape_resume(outer)
        made = iter(outs)
        return [wrap(hold(next(made))) if wanted else None for wanted in self.wanted]

    def run_tape(self, gs: list[Tensor], saved: list[Any], outs: Any) -> None:
        """Run the tape, when no other thread does."""
        cloned = False
        while lib.ad_tape_run(self.tape, len(gs) + len(saved), [*[g._p for g in gs], *saved], outs):
            failure = take_failure()
            if failure[0] == lib.AD_STALE and not cloned:
                gs, cloned = [g.clone() for g in gs], True  # memory that the tape knows otherwise
            elif failure[0] != lib.AD_BUSY:
                raise describe(failure, "the backward of a compiled function")


class Region:
    """What lies between results `ys` and the ends of their backward, while that is recorded."""

    def __init__(self, recorder: Recorder, ys: list[Tensor], known: Iterable[Tensor]) -> None:
        self.ys = ys
        self.roots = [node for node in map(live_node, ys) if node is not None]
        found = list(enumerate(map(live_node, recorder.inputs)))
        inputs = {node: i for i, node in reversed(found) if node is not None}  # the first of equals
        graphs = {live_node(x) for x in known if not x.is_leaf}
        outer = {node for node in behind(self.roots, inputs) if node in graphs}
        self.inputs = inputs
        self.stops = {*inputs, *outer}  # what is behind those is outside
        first = [node for node in arriving(self.roots, self.stops) if node in outer]
        self.leaves = (*self.reached(), *reversed(first))  # the last is gone through first
        self.ends = [*self.leaves, *inputs]
        self.given_up = {node: recomputed[node] for node in self.nodes() if node in recomputed}

    def nodes(self) -> Iterable[Node]:
        """Those in between."""
        return behind(self.roots, self.stops)

    def reached(self) -> list[AccumulateGrad]:
        """The leaves that results lead to, not through `stops`."""
        edges = (edge for node in self.nodes() for edge in node.edges if edge not in self.stops)
        return list(dict.fromkeys(edge for edge in edges if isinstance(edge, AccumulateGrad)))

    def walk(self, which: tuple[int, ...], cotangents: list[Tensor]) -> list[Tensor | None]:
        """The cotangents of the ends, from some of the results."""
        return grad_between([self.ys[i] for i in which], self.ends, self.stops, cotangents)

    def give_up(self) -> None:
        """Have nodes give up again what a walk computed anew, as each way does so itself."""
        for node, again in self.given_up.items():
            node.saved, recomputed[node] = None, again
            part = getattr(again, "__self__", None)  # of a checkpoint
            if part is not None:
                part.forget()


class Reverse:
    """The recorded backward of the results `ys` of a call that was just recorded.

    From all results, and of few from each alone: what no gradient comes to is no zero, as a zero
    times inf is nan, and as a parameter that no gradient comes to has none. For any other choice
    among them, or another order, there is their graph; what was wanted of it twice is recorded
    when the call is, the next time (`ways`).
    """

    def __init__(
        self,
        recorder: Recorder,
        ys: list[Tensor],
        ways: Iterable[tuple[int, ...]] = (),
        known: Iterable[Tensor] = (),
    ) -> None:
        region = Region(recorder, ys, known)
        self.leaves = region.leaves
        self.inputs = list(region.inputs.values())
        self.n = len(ys)
        self.saved: dict[int, int] = {}  # exports of the first tape, and their places in the node
        self.ways: dict[tuple[int, ...], Way] = {}
        self.graph: Graph | None = None
        self.missed: Counter[tuple[int, ...]] = Counter()
        alone = [(i,) for i in range(self.n)] if self.n <= ALONE else []
        wanted = [*dict.fromkeys([tuple(range(self.n)), *alone, *ways])]
        seen = {way: watched(recorder.tape, [region.roots[i] for i in way]) for way in wanted}
        everything = seen[wanted[0]]
        self.watched = list(everything.values())
        with hooks_hidden(self.leaves):  # they are called by the backward that this is a part of
            try:
                for which in wanted:
                    self.record(recorder, region, which)
                    if self.n == 2 and self.graph is None and (1, 0) not in wanted:
                        wanted.append((1, 0))  # then these are all
            except RuntimeError as why:  # a graph that was gone through, or written over
                text = f"it returns what backward would refuse; detach() it: {why}"
                raise UnfitError(text) from why
        self.at = {storage: i for i, storage in enumerate(everything, len(self.saved))}
        for which, way in self.ways.items():
            way.watched = [self.at[storage] for storage in seen.get(which, everything)]

    def record(self, recorder: Recorder, region: Region, which: tuple[int, ...]) -> None:
        """Record a way; of the first of several, keep the graph that serves all others."""
        is_first = self.n > 1 and not self.ways

        def walk(cotangents: list[Tensor]) -> list[Tensor | None]:
            found = region.walk(which, cotangents)
            if is_first:  # all that may be of use
                take_saved(region.nodes())
            return found

        way = Way(recorder, [region.ys[i] for i in which], walk, self.saved)
        region.give_up()
        if is_first:
            self.graph = graph_of(recorder, way, region)
        self.ways[which] = way

    def holds(self) -> bool:
        """Whether none of it failed for want of memory, or is missed."""
        return not any(way.failed for way in self.ways.values()) and not self.misses()

    def run(
        self, node: CompiledNode, which: tuple[int, ...], gs: Sequence[Tensor]
    ) -> Sequence[Tensor | None]:
        """The cotangents of the leaves, then of the arguments that have a graph."""
        if which in self.ways:
            return self.ways[which].run(node, gs)
        assert self.graph is not None
        self.missed[which] += 1
        if self.misses():
            changed()  # so that the recording is looked at, and made anew
        return self.graph.run(node, which, gs)

    def misses(self) -> list[tuple[int, ...]]:
        """The ways that are gone again and again, and are not recorded."""
        return [
            which for which, times in self.missed.items() if times > 1 and len(self.ways) < MOST
        ]


def graph_of(recorder: Recorder, way: Way, region: Region) -> Graph | None:
    """The graph behind results; None where it cannot be kept, and there are but two."""
    try:
        return Graph(recorder.tape, way.tape, region.roots, region.ends, region.stops)
    except UnfitError:
        if len(region.roots) > 2 or keeps_made(region.nodes(), way.tape):
            raise
        return None


def keeps_made(nodes: Iterable[Node], tape: Any) -> bool:
    """Whether going through nodes left in them what another way, and another run, make anew."""
    found = False

    def look(p: Any) -> Any:
        nonlocal found
        found |= lib.ad_tape_knows(tape, p) > CAPTURED
        return p

    for node in nodes:
        with contextlib.suppress(UnfitError):
            mapped([value for _, value in attributes(node)], look, None)
    return found


def arriving(roots: list[Node], stops: set[Node]) -> list[Node]:
    """Those of `stops` that a walk from roots comes to, in its order."""
    uses = Counter(edge for node in behind(roots, stops) for edge in node.edges)
    found, ready = [], [root for root in dict.fromkeys(roots) if not uses[root]]
    while ready:
        node = ready.pop()
        if node in stops:
            found.append(node)
            continue
        for edge in node.edges:
            uses[edge] -= 1
            if edge is not None and not uses[edge]:
                ready.append(edge)
    return found


def watched(tape: Any, roots: list[Node]) -> dict[int, Any]:
    """What nodes saved that was there before the call, by its storage: backward must find it
    unchanged.
    """
    found = {}

    def take(p: Any) -> Any:
        if lib.ad_tape_knows(tape, p) == CAPTURED:
            found[lib.ad_storage_id(p)] = p
        return p

    for node in behind(roots):
        with contextlib.suppress(UnfitError):
            mapped(node.saved, take, None)
    return found
