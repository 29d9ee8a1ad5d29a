"""A recording that can be run: its tape, what it relies on, and what a run does to Python."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from autodiff.anomaly import place
from autodiff.changes import changes
from autodiff.compiled.guards import Names, is_same
from autodiff.compiled.record import PUT, READ, Recorder, UnfitError, exported
from autodiff.compiled.reverse import Reverse
from autodiff.compiled.state import State
from autodiff.compiled.tree import TENSOR, constants, flatten, is_plain, unflatten
from autodiff.hooks import hooks_now
from autodiff.native import describe, error, ffi, lib, take_failure
from autodiff.node import AccumulateGrad, Node, Pending, mode, unrecorded
from autodiff.tensor import Tensor, _free, _gc, bare, live_node, own

__all__ = ["MISS", "Recording", "UnfitError", "is_hooked", "same_nodes"]

MISS = object()
MADE = 2


class Output:
    """A tensor of the result: an argument, an object that was there before, or made by the tape."""

    __slots__ = ("argument", "base", "given", "live", "node")

    def __init__(self, given: Any = None, argument: int = -1) -> None:
        self.given = given
        self.argument = argument
        self.node: Node | None = None
        self.base = -1  # the argument it is a view of
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
    ) -> None:
        start = time.perf_counter()
        if recorder.broken:
            raise UnfitError(recorder.broken, recorder.retry)
        if recorder.changed or self.leaves_changes(recorder, result):
            raise UnfitError("it changes what it relies on", retry=True)
        names.looked(recorder.looked)
        if not names.hold():
            raise UnfitError("it assigns to a variable that it finds outside", retry=True)
        names.called(recorder.called)
        self.tape = recorder.tape
        self.places = recorder.places
        self.kept = recorder.kept
        self.after = recorder.after
        self.names = names
        self.state = State([*names.values(), *recorder.called], recorder.stepped)
        self.grad, self.inference = mode.grad, mode.inference
        self.graphs = [live_node(x) is not None for x in recorder.inputs]
        self.same = same_nodes(recorder.inputs)
        if any(map(is_hooked, recorder.inputs)):
            raise UnfitError("an argument has hooks")
        self.check_apart(recorder.inputs)
        self.outputs: list[Output] = []
        self.live: list[Tensor] = []
        self.spec = self.take_result(result, recorder.inputs)
        self.made = [output for output in self.outputs if output.given is None]
        self.made = [output for output in self.made if output.argument < 0]
        self.take_events(recorder)
        self.n_made = self.n_before_links = len(self.made)
        self.reverse = self.take_reverse(recorder) if self.live else None
        if lib.ad_tape_finish(self.tape, self.n_made, fuse):
            raise error("compile")
        if reuse_outputs and lib.ad_tape_reuse(self.tape, len(self.made)):
            raise error("compile")
        known = [x for x in [*names.values(), *self.state.tensors()] if isinstance(x, Tensor)]
        owned = {leaf for leaf in map(live_node, known) if leaf is not None}
        self.hooked = list(owned.union(event.leaf for event in recorder.events))
        self.hooks = hooks_on(self.hooked)
        self.seconds = recorder.seconds + time.perf_counter() - start
        self.seen = -1
        self.runs = 0
        self.was_busy = False  # the last run that did not begin
        self.quick: Callable[..., Any] | None = None  # made when it is run for the first time

    # ---- what was recorded ----

    def leaves_changes(self, recorder: Recorder, result: Any) -> bool:
        """Whether an object that was changed, and is no result, outlives the call."""
        made: list[Tensor] = []
        flatten(result, made)
        alive = [x for x in (ref() for ref in recorder.touched) if x is not None]
        return any(all(x is not y for y in made) for x in alive)

    def check_apart(self, inputs: list[Tensor]) -> None:
        """Refuse arguments whose memory the call has from elsewhere too."""
        places = {lib.ad_storage_id(x._p) for x in inputs}
        values = [v for v in self.names.values() if isinstance(v, Tensor)]
        for x in [*values, *self.state.tensors()]:
            if lib.ad_storage_id(x._p) in places:
                raise UnfitError(
                    "an argument shares memory with what the function has from elsewhere"
                )

    def take_result(self, result: Any, inputs: list[Tensor]) -> Any:
        """The structure of the result, each tensor in it being one of `outputs`."""
        tensors: list[Tensor] = []
        spec = flatten(result, tensors)
        for value in constants(spec):
            if not is_plain(value):
                raise UnfitError(f"it returns a {type(value).__name__}")
        for y in tensors:
            self.outputs.append(self.take_output(y, inputs))
        return spec

    def take_output(self, y: Tensor, inputs: list[Tensor]) -> Output:
        """Where one tensor of the result comes from."""
        for i, x in enumerate(inputs):
            if y is x:
                return Output(argument=i)
        if any(y is x for x in [*self.names.values(), *self.state.tensors()]):
            return Output(given=y)
        output = Output()
        if y._node is not None:
            if type(y) is not Tensor or y._node is y._acc:
                raise UnfitError("it returns a leaf that it makes")
            if is_spent(y._node):
                output.node = y._node
            else:
                output.live = len(self.live)
                self.live.append(y)
        for i, x in enumerate(inputs):
            if y._base is x:
                output.base = i
        exported(self.tape, y._p)
        return output

    def take_events(self, recorder: Recorder) -> None:
        """What becomes of gradients, and what they must be before."""
        self.leaves: list[tuple[AccumulateGrad, Any]] = []  # and what .grad is after a run
        self.needs: list[tuple[AccumulateGrad, Any]] = []  # and what it must be before
        self.by_argument: list[tuple[int, Any]] = []  # arguments that are leaves, and their .grad
        self.events = [event for event in recorder.events if event.value is not READ]
        firsts: dict[AccumulateGrad, Any] = {}
        for event in recorder.events:
            firsts.setdefault(event.leaf, event.value)
            event.value = None if event.value is None else PUT  # a gradient takes memory
        for leaf, first in firsts.items():
            before, after, owner = recorder.before[leaf], leaf.grad, leaf.variable
            if owner is None or lib.ad_tape_knows(self.tape, owner._p) == MADE:
                continue  # a leaf of this call alone
            arguments = [i for i, x in enumerate(recorder.inputs) if x._acc is leaf]
            if arguments:
                if before is not None or not isinstance(after, Tensor):
                    raise UnfitError("it adds to the gradient of an argument, or clears it")
                self.by_argument.append((arguments[0], self.pending(after)))
                continue
            used = isinstance(before, Tensor) and lib.ad_tape_knows(self.tape, before._p) >= 0
            if first is not None or used:
                self.needs.append((leaf, before))
            if after is not before or first is None:
                self.leaves.append((leaf, self.pending(after)))

    def take_reverse(self, recorder: Recorder) -> Reverse:
        """The backward of the results that have a graph; what it reads of the tape is made too."""
        self.n_made += sum(isinstance(g, Pending) for _, g in [*self.leaves, *self.by_argument])
        self.n_before_links = self.n_made
        reverse = Reverse(recorder, self.live)
        if recorder.broken or recorder.changed:
            raise UnfitError(recorder.broken or "its backward changes what it relies on")
        self.n_made += reverse.n_links
        self.live = []
        return reverse

    def pending(self, g: Any) -> Any:
        """What stands for a gradient after each run."""
        if not isinstance(g, Tensor) or lib.ad_tape_knows(self.tape, g._p) != MADE:
            return g
        tape, i = self.tape, exported(self.tape, g._p)
        return Pending(lambda: own(lib.ad_tape_get(tape, i), "compile"))

    # ---- whether it holds ----

    def holds(self) -> bool:
        """Whether a run now does what the function would; prepares one if so."""
        if mode.grad is not self.grad or mode.inference is not self.inference:
            return False
        if any(leaf.grad is not before for leaf, before in self.needs):
            return False
        if not self.names.hold() or not self.state.hold() or hooks_on(self.hooked) != self.hooks:
            return False
        for optimizer in self.state.optimizers:
            optimizer._refresh()
        self.seen = changes.count
        return True

    def leads_to_itself(self) -> bool:
        """Whether it holds after a run as it did before, without a look at Python."""
        after = dict(self.leaves)
        return not (self.by_argument or self.after) and all(
            after.get(leaf, before) is before for leaf, before in self.needs
        )

    # ---- running it ----

    def run(self, inputs: list[Tensor]) -> Any:
        """The result for these arguments; MISS where they do not fit or the tape is in use."""
        for i, _ in self.by_argument:
            if inputs[i].grad is not None:
                return MISS
        outs = ffi.new("ad_tensor *[]", self.n_made + 1)
        if lib.ad_tape_run(self.tape, len(inputs), [x._p for x in inputs], outs):
            return self.failed()
        self.runs += 1
        return self.finish(inputs, outs)

    def finish(self, inputs: list[Tensor], outs: Any) -> Any:
        """What is left to do after the tape ran."""
        made = iter(outs)
        nodes: list[Node] = []
        if self.reverse is not None:
            more = [_gc(p, _free) for p in list(outs)[len(self.made) : self.n_made]]
            nodes = self.reverse.nodes(inputs, more[self.n_before_links - len(self.made) :])
        self.set_gradients(inputs)
        left = iter(self.outputs)
        result = unflatten(self.spec, lambda: self.output(next(left), inputs, made, nodes))
        if self.after:
            self.do_after()
        return result

    def do_after(self) -> None:
        """Make the calls that are no part of the tape; live numbers may be others then."""
        count, live = changes.count, changes.live
        for call in self.after:
            call()
        if self.seen == count and changes.count - count == changes.live - live:
            for optimizer in self.state.optimizers:
                optimizer._refresh()
            self.seen = changes.count

    def settle(self) -> None:
        """Leave the recorded call's gradients to the tape: the next run may write over them."""
        for leaf, after in self.leaves:
            if isinstance(after, Pending):
                leaf.grad = after

    def set_gradients(self, inputs: list[Tensor]) -> None:
        """What a run leaves in `.grad`."""
        for leaf, after in self.leaves:
            leaf.grad = after
        for i, pending in self.by_argument:
            inputs[i]._accumulator().grad = pending.make()

    def output(
        self, output: Output, inputs: list[Tensor], made: Iterator[Any], nodes: list[Node]
    ) -> Tensor:
        """One tensor of the result."""
        if output.argument >= 0:
            return inputs[output.argument]
        if output.given is not None:
            return output.given  # type: ignore[no-any-return]
        y = bare()
        y._p = _gc(next(made), _free)
        y._node = output.node if output.live < 0 else nodes[output.live]
        y._acc = None
        y._base = inputs[output.base] if output.base >= 0 else None
        y._base_node = None if y._base is None else y._base._node
        return y

    def failed(self) -> Any:
        """After a run that failed: MISS if nothing was done, else raises; gradients are as far."""
        failure = take_failure()
        if failure[0] in (lib.AD_STALE, lib.AD_BUSY):
            self.was_busy = failure[0] == lib.AD_BUSY
            return MISS
        at = lib.ad_tape_position(self.tape)
        source = lib.ad_tape_source(self.tape, at) if at >= 0 else 0
        after = dict(self.leaves)
        for event in self.events:
            if event.at <= source and event.leaf in after:
                event.leaf.grad = None if event.value is None else after[event.leaf]
        name = ffi.string(lib.ad_tape_name(self.tape, at)).decode() if at >= 0 else "compile"
        where = f" (recorded at {place(*self.places[source])})" if at >= 0 else ""
        raise describe(failure, name + where)

    # ---- the quick way ----

    def make_quick(self, args: tuple[Any, ...], inputs: list[int]) -> Callable[..., Any]:
        """A function of (args, kwargs) that runs the tape where nothing changed, else gives MISS.

        For positional arguments like these, `inputs` being those that the tape takes.
        """
        scope: dict[str, Any] = {
            "MISS": MISS,
            "Tensor": Tensor,
            "bare": bare,
            "changes": changes,
            "free": _free,
            "gc": _gc,
            "mode": mode,
            "recording": self,
            "tape": self.tape,
            "unrecorded": unrecorded,
            "finish": self.finish,
            "is_hooked": is_hooked,
            "live": live_node,
            "failed": self.failed,
        }
        given = ", ".join(f"arg{i}" for i in range(len(args)))
        tests = ["kwargs or changes.count != recording.seen"]
        if self.inference or not self.grad:
            tests.append(f"mode.grad is not {self.grad} or mode.inference is not {self.inference}")
        else:
            tests.append("(unrecorded and not mode.grad)")
        names = self.names.test(scope)
        tests += [f"not ({names})"] if names else []
        for i, (leaf, before) in enumerate(self.needs):
            scope[f"leaf{i}"], scope[f"before{i}"] = leaf, before
            tests.append(f"leaf{i}.grad is not before{i}")
        for i, value in enumerate(args):
            if i not in inputs:
                tests.append(f"not ({is_same(f'arg{i}', f'fixed{i}', value, scope)})")
        for i in inputs:
            if self.graphs[inputs.index(i)]:
                tests.append(f"arg{i}.__class__ is not Tensor or live(arg{i}) is None")
                tests.append(f"is_hooked(arg{i})")
                continue
            tests.append(f"arg{i}.__class__ is not Tensor or arg{i}._node is not None")
            tests.append(f"(arg{i}._base is not None and arg{i}._base._node is not None)")
        if sum(self.graphs) > 1:
            graphs = "".join(f"arg{i}, " for i in inputs)
            scope["same_nodes"] = same_nodes
            tests.append(f"same_nodes(({graphs})) != {self.same}")
        lines = ["def quick(args, kwargs):", "    try:", f"        [{given}] = args"]
        lines.append(f"        if {' or '.join(tests)}:")
        lines += ["            return MISS", "    except (AttributeError, KeyError, ValueError):"]
        lines += ["        return MISS  # another number of arguments, or a name that is no more"]
        lines += self.quick_run(scope, inputs)
        exec("\n".join(lines), scope)
        return scope["quick"]  # type: ignore[no-any-return]

    def quick_run(self, scope: dict[str, Any], inputs: list[int]) -> list[str]:
        """The lines that run the tape and make the result."""
        ps = [f"arg{i}._p" for i in inputs]
        given = ", ".join(f"arg{i}" for i in inputs)
        few = self.n_made == 1 and len(inputs) <= 3
        if few:
            scope["run"] = getattr(lib, f"ad_tape_run{len(inputs)}")
            lines = [f"    p = run({', '.join(['tape', *ps])})", "    if not p:"]
        else:
            scope["run"], scope["new"] = lib.ad_tape_run, ffi.new
            scope["outs"] = ffi.new("ad_tensor *[]", 1)  # where there are none
            lines = [f"    outs = new('ad_tensor *[]', {self.n_made + 1})"] if self.n_made else []
            lines.append(f"    if run(tape, {len(inputs)}, [{', '.join(ps)}], outs):")
        lines += ["        return failed()", "    recording.runs += 1"]
        alone = self.spec is TENSOR and not self.after
        if not alone or any(y.base >= 0 for y in self.made) or self.n_before_links > 1:
            return [*lines, f"    return finish([{given}], {'(p,)' if few else 'outs'})"]
        for i, (leaf, after) in enumerate(self.leaves):
            scope[f"to{i}"], scope[f"after{i}"] = leaf, after
            lines.append(f"    to{i}.grad = after{i}")
        (output,) = self.outputs
        if output.argument >= 0:
            return [*lines, f"    return arg{inputs[output.argument]}"]
        if output.given is not None:
            scope["given"] = output.given
            return [*lines, "    return given"]
        lines += ["    y = bare()", f"    y._p = gc({'p' if few else 'outs[0]'}, free)"]
        scope["node"] = output.node
        if self.reverse is not None:
            scope["node_of"] = self.reverse.node
            links = "".join(f"gc(outs[{i}], free), " for i in range(1, self.n_made))
            lines.append(f"    node = node_of([{given}], ({links}))")
        lines += ["    y._node = node", "    y._acc = y._base = y._base_node = None"]
        return [*lines, "    return y"]


def hooks_on(nodes: Iterable[Node]) -> list[Any]:
    """All hooks that these nodes have."""
    hooks = hooks_now()
    return [hook for node in nodes if node in hooks for hook in hooks[node].all()]


def is_hooked(x: Tensor) -> bool:
    """Whether the gradient of an argument meets hooks."""
    node = live_node(x)
    return node is not None and bool(hooks_on([node]))


def same_nodes(tensors: Iterable[Tensor]) -> tuple[int, ...]:
    """Which of the tensors that have a graph are one in it."""
    firsts: dict[Node, int] = {}
    nodes = [node for x in tensors if (node := live_node(x)) is not None]
    return tuple([firsts.setdefault(node, i) for i, node in enumerate(nodes)])


def is_spent(root: Node) -> bool:
    """Whether nothing behind a node is left for backward to use."""
    seen, stack = {root}, [root]
    while stack:
        node = stack.pop()
        if node.saved:
            return False
        for edge in node.edges:
            if edge is not None and edge not in seen:
                seen.add(edge)
                stack.append(edge)
    return True
