"""A recording that can be run: its tape, what it relies on, and what a run does to Python."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from autodiff.amp.policies import state as autocast_state
from autodiff.anomaly import place
from autodiff.changes import changes, new_lock
from autodiff.compiled.generated import MISS, make_runner
from autodiff.compiled.gradients import Gradients, plain_gradient
from autodiff.compiled.guards import Names
from autodiff.compiled.left import Left, unfit
from autodiff.compiled.record import Recorder, UnfitError, exported
from autodiff.compiled.reverse import Reverse
from autodiff.compiled.signature import graph_of, hooks_on, is_hooked, same_nodes
from autodiff.compiled.state import State
from autodiff.compiled.tree import constants, flatten, is_plain, same
from autodiff.native import describe, error, ffi, lib, take_failure
from autodiff.nn.module import Module
from autodiff.node import Node, mode
from autodiff.ops.draws import REFUSED
from autodiff.shapes import Size
from autodiff.tensor import Tensor, live_node


class _Last(threading.local):
    """What came of the last run that this thread asked for."""

    busy = False  # it did not begin, as another thread runs that tape,
    undone = False  # or was refused values, and left nothing behind

    def was_undone(self) -> bool:
        """Whether that is so, and was not asked yet."""
        found, self.undone = self.undone, False
        return found


last = _Last()
_refreshing = new_lock()


class Output:
    """A tensor of the result: an argument, an object that was there before, or made by the tape."""

    __slots__ = ("argument", "base", "base_given", "given", "live", "node")

    def __init__(self, given: Any = None, argument: int = -1) -> None:
        self.given = given
        self.argument = argument
        self.node: Node | None = None
        self.base = -1  # the argument it is a view of,
        self.base_given: Tensor | None = None  # or the object that was there before
        self.live = -1  # which of those with a graph that backward has yet to go through


class Recording:
    """What running a recorded call takes. UnfitError where it cannot be run."""

    def __init__(
        self,
        recorder: Recorder,
        names: Names,
        result: Any,
        fuse: bool = True,
        reuse_outputs: bool = False,
        before: Sequence[Recording] = (),
    ) -> None:
        start = time.perf_counter()
        if recorder.broken:
            raise UnfitError(recorder.broken, recorder.retry)
        if recorder.changed:
            raise unfit()
        self.tape, self.places, self.kept = recorder.tape, recorder.places, recorder.kept
        self.after, self.looks = recorder.after, recorder.looks
        self.caught = recorder.caught
        self.left = Left(recorder, result, names)
        self.take_state(recorder, names)
        self.take_inputs(recorder.inputs)
        self.left.lend(self.tape, {lib.ad_storage_id(x._p) for x in self.known})
        self.live: list[Tensor] = []
        self.spec = self.take_result((result, *self.left.values), recorder)
        made = [output for output in dict.fromkeys(self.outputs) if output.given is None]
        self.made = [output for output in made if output.argument < 0]
        lends = any(r.gradients.outlived(recorder.before) for r in before)
        self.gradients: Gradients = Gradients(recorder, self.known, lends)
        self.n_made = self.n_before_links = len(self.made)
        if self.live and any(self.left.reads):
            raise unfit()
        self.reverse = self.take_reverse(recorder, before) if self.live else None
        failed = lib.ad_tape_finish(self.tape, self.n_made, fuse)
        if failed or lib.ad_tape_undo(self.tape, self.caught):
            raise error("compile")
        kept = {*self.outputs[len(self.outputs) - self.n_left :]}  # as long as somebody likes
        reused = [i for i, output in enumerate(self.made) if output in kept] or [len(self.made)]
        if reuse_outputs and lib.ad_tape_reuse(self.tape, reused[0]):
            raise error("compile")
        owned = {leaf for leaf in map(live_node, self.known) if leaf is not None}
        self.hooked = list(owned.union(event.leaf for event in recorder.events))
        self.hooks = hooks_on(self.hooked)
        self.seconds = recorder.seconds + time.perf_counter() - start
        self.seen = -1
        self.quick: Callable[..., Any] | None = None  # made when it is run for the first time,
        self.called: Callable[..., Any] | None = None  # as are these
        self.runner: Callable[..., Any] | None = None

    # ---- what was recorded ----

    def take_state(self, recorder: Recorder, names: Names) -> None:
        """What the call has from elsewhere, and the modes that it was made in."""
        names.looked(recorder.looked)
        self.left.leave_out_of(names)
        if not names.hold():
            raise UnfitError("it assigns to a variable that it finds outside", retry=True)
        known = {*map(id, names.values())}.difference(map(id, self.left.old))
        names.called(recorder.called)
        self.left.leave_out_of(names)
        if self.left.is_known_by(names):
            raise unfit()
        if names.drawn and (why := names.refused()):
            raise UnfitError(why)
        names.drawn.clear()
        if names.reads_rates and self.after:
            raise UnfitError("it looks at numbers that a scheduler sets, and steps that")
        apart = {*map(id, [*self.left.old, *self.left.new])} - known
        values = [x for x in [*names.values(), *recorder.called] if id(x) not in apart]
        self.names = names
        self.state = State(
            *(values, recorder.stepped, "state" in names.asked.attributes),
            *(self.left.of_modules, self.left.added_to(), self.left.flags),
        )
        if not {module for module, _ in self.left.flags} <= {*self.state.modules}:
            raise unfit()
        self.known = [x for x in [*values, *self.state.tensors()] if isinstance(x, Tensor)]
        self.grad, self.inference, self.autocast = mode.grad, mode.inference, autocast_state()

    def take_inputs(self, inputs: list[Tensor]) -> None:
        """What the graphs of arguments are like. Refuse those that hooks wait for, or whose memory
        the call has from elsewhere too, now and at each run.
        """
        self.graphs = [*map(graph_of, inputs)]
        self.same = same_nodes(inputs)
        if any(map(is_hooked, inputs)):
            raise UnfitError("an argument has hooks")
        places = {lib.ad_storage_id(x._p) for x in inputs}
        for x in self.known:
            if lib.ad_storage_id(x._p) in places:
                raise UnfitError(
                    "an argument shares memory with what the function has from elsewhere"
                )
            if lib.ad_tape_capture(self.tape, x._p):
                raise error("compile")

    def take_result(self, result: Any, recorder: Recorder) -> Any:
        """The structure of the result, each tensor in it being one of `outputs`."""
        tensors: list[Tensor] = []
        spec = flatten(result, tensors, self.names.met)
        own: list[Tensor] = []
        flatten(result[0], own, self.names.met)
        self.n_left = len(tensors) - len(own)  # tensors that a run leaves elsewhere
        for value in constants(spec):
            if not is_plain(value) and type(value) is not Size:
                raise UnfitError(f"it returns a {type(value).__name__}")
        found = {id(y): y for y in tensors}
        taken = {i: self.take_output(y, recorder) for i, y in found.items()}
        self.outputs = [taken[id(y)] for y in tensors]
        return spec

    def take_output(self, y: Tensor, recorder: Recorder) -> Output:
        """Where one tensor of the result comes from."""
        inputs = recorder.inputs
        for i, x in enumerate(inputs):
            if y is x:
                return Output(argument=i)
        if any(y is x for x in self.known):
            return Output(given=y)
        output, node = Output(), live_node(y)
        if node is not None:
            if type(y) is not Tensor or node is y._acc:
                raise UnfitError("it returns a leaf that it makes")
            if recorder.has_spent(node):
                output.node = node
            else:
                output.live = len(self.live)
                self.live.append(y)
        for i, x in enumerate(inputs):
            if y._base is x:
                output.base = i
        if y._base is not None and any(y._base is x for x in self.known):
            output.base_given = y._base
        exported(self.tape, y._p)
        return output

    def lent_to(self, inputs: Sequence[Tensor]) -> list[Tensor] | None:
        """What a run takes behind these arguments: gradients, and what attributes of modules hold.

        None where there are none such.
        """
        found = self.left.lent()
        if found is None:
            return None
        for i, leaf in self.gradients.lent:
            g = plain_gradient(inputs[i]._acc if i >= 0 else leaf)
            if g is None:
                return None
            found.append(g)
        return found

    def take_reverse(self, recorder: Recorder, before: Sequence[Recording]) -> Reverse:
        """The backward of the results that have a graph; what it reads of the tape is made too."""
        self.n_made += self.gradients.n_pending
        self.n_before_links = self.n_made
        like = [r.reverse for r in before if r.reverse and r.reverse.n == len(self.live)]
        ways = [which for reverse in like for which in [*reverse.ways, *reverse.misses()]]
        reverse = Reverse(recorder, self.live, ways, self.known)
        if recorder.broken or recorder.changed:
            raise UnfitError(recorder.broken or "its backward changes what it relies on")
        self.n_made = max([self.n_made, *(i + 1 for i in reverse.saved)])
        self.live = []
        return reverse

    # ---- whether it holds ----

    def holds(self) -> bool:
        """Whether a run now does what the function would; prepares one if so."""
        count = changes.count  # what another thread changes from here on is yet to be seen
        if mode.grad is not self.grad or mode.inference is not self.inference:
            return False
        if autocast_state() != self.autocast:
            return False
        if self.reverse is not None and not self.reverse.holds():
            return False
        if not self.gradients.hold():
            return False
        if not self.names.hold() or not self.state.hold() or not self.left.hold():
            return False
        if hooks_on(self.hooked) != self.hooks:
            return False
        self.refresh(count)
        return True

    def refresh(self, count: int) -> None:
        """Write live numbers of now; all changes up to `count` are seen."""
        with _refreshing:  # lest a number of before be written after one of now
            for optimizer in self.state.optimizers:
                optimizer._refresh()
            self.seen = count

    def is_surpassed(self) -> bool:
        """Whether another recording would do what this one cannot, or not as fast."""
        missed = self.reverse is not None and bool(self.reverse.misses())
        return missed or self.gradients.outlived()

    def leads_to_itself(self) -> bool:
        """Whether it holds after a run as it did before, without a look at Python."""
        left = self.left.places or self.left.put
        apart = self.after or self.looks or left or self.caught
        return not apart and self.gradients.lead_to_themselves()

    # ---- running it ----

    def run(self, inputs: list[Tensor]) -> Any:
        """The result for these arguments; MISS where they do not fit or the tape is in use."""
        last.busy = False
        runner = self.runner = self.runner or make_runner(self)
        return runner(inputs)

    def drop(self) -> None:
        """Let go of what holds it in turn: its memory is free once no run is under way."""
        self.quick = self.called = self.runner = None

    def alike(self, inputs: Sequence[Tensor]) -> bool:
        """Whether looks at arguments show what they did."""
        return all(same(look(inputs[i]), was) for i, look, was in self.looks)

    def leave(self, *values: Any) -> None:
        """Set the attributes of modules that the call sets."""
        self.seen = self.left.leave(values, self.seen)

    def do_after(self) -> None:
        """Make the calls that are no part of the tape; live numbers may be others then."""
        count, live = changes.count, changes.live
        for call in self.after:
            call()
        now, of_live = changes.count, changes.live
        if self.seen == count and now - count == of_live - live:
            self.refresh(now)

    def settle(self) -> None:
        """Leave what the recorded call made to the tape: the next run may write over it."""
        self.left.settle()
        self.gradients.settle()

    def states(self) -> list[tuple[Any, Tensor]]:
        """Where the generators are that a run draws from."""
        return [(generator, generator.get_state()) for generator in dict.fromkeys(self.kept)]

    def failed(self, states: Iterable[tuple[Any, Tensor]] = ()) -> Any:
        """After a run that failed: MISS if nothing was done, else raises; gradients are as far.

        Where it was refused values, generators go back to the states of before.
        """
        failure = take_failure()
        if failure[0] in (lib.AD_STALE, lib.AD_BUSY, lib.AD_UNDONE):
            last.busy, last.undone = failure[0] == lib.AD_BUSY, failure[0] == lib.AD_UNDONE
            for generator, state in states if last.undone else ():
                generator.set_state(state)
            return MISS
        at = lib.ad_tape_position()
        source = lib.ad_tape_source(self.tape, at) if at >= 0 else 0
        self.gradients.put(source)
        for begun, module, flag, value in self.left.set_at:
            if begun <= source:
                Module.__setattr__(module, flag, value)
        name = ffi.string(lib.ad_tape_name(self.tape, at)).decode() if at >= 0 else "compile"
        where = f" (recorded at {place(*self.places[source])})" if at >= 0 else ""
        if failure[0] == lib.AD_BAD_ARG and name in REFUSED:
            raise RuntimeError(REFUSED[name][failure[1]] + where)
        found = describe(failure, name + where)
        of_lines = name in ("gather", "scatter_") and isinstance(found, IndexError)
        raise RuntimeError(str(found)) if of_lines else found  # as these raise it by themselves
