"""What a run of a recorded call does to gradients, and what they must be before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autodiff.compiled.record import ARGUMENT, MADE, READ, Event, Recorder, UnfitError, exported
from autodiff.compiled.state import NONE
from autodiff.native import error, lib
from autodiff.node import AccumulateGrad, Pending
from autodiff.tensor import Tensor, live_node, own

End = tuple[AccumulateGrad, Any, Any]  # a leaf, its .grad after the recorded call, and after a run


class Gradients:
    """The gradients of leaves that are not of a recorded call alone.

    UnfitError where a run could not do the same. With `lends`, those that are only read may be
    others at each run; `known`: the tensors that the call has from elsewhere.
    """

    def __init__(self, recorder: Recorder, known: Sequence[Tensor], lends: bool) -> None:
        self.tape = recorder.tape
        self.needs: list[tuple[AccumulateGrad, Any]] = []  # leaves, and what .grad must be before
        self.n_pending = 0
        self.by_argument: list[tuple[int, Any]] = []  # arguments that are leaves, and their .grad
        self.lent: list[tuple[int, AccumulateGrad]] = []  # whose .grad is one more argument
        puts = [event for event in recorder.events if event.value is not READ]
        put = {event.leaf for event in puts}
        fixed = [*known, *(x for x, _ in recorder.looked)]
        fixed += [event.value for event in puts if event.value is not None]  # or another's gradient
        places = {lib.ad_storage_id(x._p) for x in fixed}
        firsts: dict[AccumulateGrad, tuple[Any, int]] = {}
        for event in recorder.events:
            firsts.setdefault(event.leaf, (event.value, event.at))
        self.ends: list[End] = []
        for leaf, first in firsts.items():
            before, after, owner = recorder.before[leaf], leaf.grad, leaf.variable
            if owner is None or self._origin(owner) == MADE:
                continue  # a leaf of this call alone
            if isinstance(after, Tensor) and live_node(after) is not None:
                raise UnfitError("it leaves a gradient that has a graph, not one that is detached")
            arguments = [i for i, x in enumerate(recorder.inputs) if x._acc is leaf]
            lends_it = leaf not in put if arguments else lends and first[0] is READ
            lent = lends_it and self._lend(before, places)
            if lent:
                self.lent.append((arguments[0] if arguments else -1, leaf))
                if after is before:
                    continue
            elif isinstance(before, Tensor) and self._origin(before) == ARGUMENT:
                raise UnfitError("a gradient has the memory of an argument, or of another", True)
            if arguments:
                self._take_argument(arguments[0], before, after)
            else:
                self._take_leaf(leaf, before, first, lent)
        self.leaves = [(leaf, stands) for leaf, _, stands in self.ends]  # what .grad is after a run
        self.events = self._in_between(puts)

    def _take_argument(self, i: int, before: Any, after: Any) -> None:
        if before is not None or not isinstance(after, Tensor):
            raise UnfitError("it adds to the gradient of an argument, or clears it")
        self.by_argument.append((i, self._pending(after)))

    def _take_leaf(
        self, leaf: AccumulateGrad, before: Any, first: tuple[Any, int], lent: bool
    ) -> None:
        value, at = first
        used = isinstance(before, Tensor) and self._origin(before) >= 0
        if (value is not None or used) and not lent:
            self.needs.append((leaf, before))
        if leaf.grad is not before or value is None:
            gone = at == 0 if value is None else before is None  # whenever a run begins
            self.ends.append((leaf, leaf.grad, self._pending(leaf.grad, gone)))

    def _in_between(self, puts: list[Event]) -> list[Event]:
        """What is put on the way to the ends, which is looked at where a run fails there."""
        ends = {leaf: end for leaf, *end in self.ends}
        events = [event for event in puts if event.leaf in ends]
        for event in events:
            end, stands = ends[event.leaf]
            event.value = stands if event.value is end else self._pending(event.value)
        return events

    def _origin(self, x: Tensor) -> int:
        """Where the tape has a tensor's memory from."""
        return int(lib.ad_tape_knows(self.tape, x._p))

    def _lend(self, g: Any, places: set[int]) -> bool:
        """Whether a gradient that was there may be another one at each run."""
        if type(g) is not Tensor or g._node is not None or lib.ad_storage_id(g._p) in places:
            return False
        lent = lib.ad_tape_lend(self.tape, g._p)
        if lent < 0:
            raise error("compile")
        return bool(lent)

    def _pending(self, g: Any, gone: bool = True) -> Any:
        """What stands for a gradient after each run; `gone` where the next call begins without."""
        if not isinstance(g, Tensor) or self._origin(g) != MADE:
            return g
        tape, i = self.tape, exported(self.tape, g._p)
        self.n_pending += 1
        if not gone and lib.ad_tape_keep(tape, i):
            raise error("compile")
        return Pending(lambda: own(lib.ad_tape_get(tape, i), "compile"))

    def hold(self) -> bool:
        """Whether they are what a run relies on."""
        return all(leaf.grad is before for leaf, before in self.needs)

    def outlived(self, gradients: Mapping[AccumulateGrad, Any] = NONE) -> bool:
        """Whether a leaf has another gradient, by now or of these, than a run would take."""
        found = ((gradients.get(leaf, leaf.grad), before) for leaf, before in self.needs)
        return any(isinstance(was, Tensor) and g is not None and g is not was for g, was in found)

    def lead_to_themselves(self) -> bool:
        """Whether they are after a run what they must be before it."""
        after = dict(self.leaves)
        if self.by_argument or any(leaf in after for _, leaf in self.lent):
            return False
        return all(after.get(leaf, before) is before for leaf, before in self.needs)

    def put(self, source: int) -> None:
        """Have them be what they were after a call that was recorded."""
        for event in self.events:
            if event.at <= source:
                event.leaf.grad = event.value

    def settle(self) -> None:
        """Leave the recorded call's to the tape."""
        for leaf, end, stands in self.ends:
            if leaf.grad is end and stands is not end:  # and not what another thread put since
                leaf.grad = stands
        self.ends = []


def plain_gradient(leaf: AccumulateGrad | None) -> Tensor | None:
    """The gradient of a leaf, where it is a tensor without a graph."""
    g = None if leaf is None else leaf.made()
    return g if g.__class__ is Tensor and g._node is None else None
