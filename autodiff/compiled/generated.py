"""The Python that a run of a recording takes, generated for what this recording has to do.

Two functions of the same lines: one takes a list of tensors; the other the arguments of a call, and
looks first whether anything changed.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from autodiff.amp.policies import PLAIN, state
from autodiff.changes import changes
from autodiff.compiled.places import PLACES, is_same, test_of
from autodiff.compiled.reverse import CompiledNode, CompiledOutput
from autodiff.compiled.signature import is_hooked, same_nodes
from autodiff.compiled.tree import TENSOR, Constant, filled
from autodiff.hooks import hooked
from autodiff.native import ffi, hold, lib
from autodiff.nn.module import Module
from autodiff.node import mode, unrecorded, unsavable
from autodiff.tensor import Tensor, live_node, tensor_of

if TYPE_CHECKING:
    from autodiff.compiled.recording import Output, Recording

MISS = object()  # what a run gives that did not begin
Maker = Callable[[Callable[[], Any]], Callable[..., Any]]


class Nobody:
    """Who is asked where a recording does not fit, and others are tried."""

    @staticmethod
    def slow(args: Any, kwargs: Any) -> Any:
        """Nothing is done."""
        return MISS


RUNS = lib.ad_tape_run0, lib.ad_tape_run1, lib.ad_tape_run2, lib.ad_tape_run3


def make_runner(recording: Recording) -> Callable[[Sequence[Tensor]], Any]:
    """A function of the tensors that the tape takes: the result, or MISS where they do not fit."""
    names = [f"arg{i}" for i in range(len(recording.graphs))]
    text = Text(recording)
    text.line(f"[{', '.join(names)}] = inputs")
    text.run(names)
    return text.function("inputs")(Nobody)


def make_quick(recording: Recording, args: tuple[Any, ...], inputs: list[int]) -> Maker:
    """What makes a function that runs the tape where nothing changed, and else has `owner()` do it.

    For positional arguments like these, `inputs` being those that the tape takes.
    """
    text = Text(recording)
    given = "".join(f"arg{i}, " for i in range(len(args)))
    text.miss = f"owner().slow(tuple([x for x in ({given}*rest,) if x is not MISS]), kwargs)"
    text.line("try:")
    text.line(f"    fits = not ({' or '.join(text.tests(args, inputs))})")
    text.line("except Exception:")
    text.line("    fits = False  # a name is no more")
    text.line("if not fits:")
    text.line(f"    return {text.miss}")
    text.run([f"arg{i}" for i in inputs])
    defaults = "".join(f"arg{i}=MISS, " for i in range(len(args)))
    return text.function(f"{defaults}{'/, ' * bool(args)}*rest, **kwargs")


def make_structure(recording: Recording, spec: Any, n: int) -> Callable[..., Any]:
    """A function of n tensors that makes of them a result."""
    text = Text(recording)
    names = [f"y{i}" for i in range(n)]
    left = iter(names)
    text.line(f"return {text.structure(spec, lambda: next(left))}")
    return text.function(", ".join(names))(Nobody)


def held(p: str) -> str:
    """What owns an output: that of a run of one output does so itself."""
    return p if p == "out" else f"hold({p})"


class Text:
    """The lines of a function, and the objects that its names stand for."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.lines: list[str] = []
        self.miss = "MISS"
        self.cells: dict[str, Any] = {}  # that the function has as its own
        self.owned: dict[str, str] = {}  # results that the node saves as well, and their names
        self.scope: dict[str, Any] = {
            "MISS": MISS,
            "Tensor": Tensor,
            "tensor_of": tensor_of,
            "changes": changes,
            "free": lib.ad_free,
            "hold": hold,
            "hooked": hooked,
            "is_hooked": is_hooked,
            "live": live_node,
            "mode": mode,
            "autocast_state": state,
            "recording": recording,
            "same_nodes": same_nodes,
            "tape": recording.tape,
            "unrecorded": unrecorded,
        }

    def line(self, text: str) -> None:
        """Add a line."""
        self.lines.append(f"    {text}")

    def object(self, value: Any) -> str:
        """A name for an object."""
        name = f"object{len(self.scope)}"
        self.scope[name] = value
        return name

    def function(self, parameters: str) -> Maker:
        """What makes functions of these lines, for an owner."""
        lines = [f"def made({parameters}):", *self.lines]
        if self.cells:
            lines = ["def outer():", f"  {' = '.join(self.cells)} = 0", *(f"  {x}" for x in lines)]
            lines += ["  return made", "made = outer()"]
        exec("\n".join(lines), self.scope)
        made = self.scope.pop("made")  # lest it hold itself
        cells = tuple(self.cells[name] for name in made.__code__.co_freevars)

        def for_owner(owner: Callable[[], Any]) -> Callable[..., Any]:
            scope = {**self.scope, "owner": owner}
            return types.FunctionType(made.__code__, scope, "made", made.__defaults__, cells)

        return for_owner

    # ---- whether anything changed ----

    def tests(self, args: tuple[Any, ...], inputs: list[int]) -> list[str]:
        """Expressions of which one is true where something did."""
        recording = self.recording
        tests = ["rest or kwargs or changes.count != recording.seen"]
        autocast = f"autocast_state() != {self.object(recording.autocast)}"
        plain = recording.grad and not recording.inference and recording.autocast == PLAIN
        if plain:  # as all threads are, mostly
            tests.append(f"(unrecorded and (not mode.grad or {autocast}))")
        else:
            tests.append(f"mode.grad is not {recording.grad}")
            tests.append(f"mode.inference is not {recording.inference}")
            tests.append(autocast)
        names = test_of(recording.names.rows(), self.scope, self.cells)
        tests += [f"not ({names})"] if names else []
        left = recording.left
        for i, place in enumerate(left.places):
            if not isinstance(place.owner, Module):  # of which changes are counted
                now = PLACES[place.at].format(owner=self.object(place.table), key=place.key)
                tests.append(f"{now} is not {self.object(left)}.now[{i}]")
        for leaf, before in recording.gradients.needs:
            tests.append(f"{self.object(leaf)}.grad is not {self.object(before)}")
        for i, value in enumerate(args):
            if i not in inputs:
                tests.append(f"not ({is_same(f'arg{i}', f'fixed{i}', value, self.scope)})")
        for i, graph in zip(inputs, recording.graphs, strict=True):
            x = f"arg{i}"
            tests.append(f"type({x}) is not Tensor")
            if graph is None:
                tests.append(f"{x}._node is not None")
                tests.append(f"({x}._base is not None and {x}._base._node is not None)")
            else:
                tests.append(f"({x}._node if {x}._base is None else live({x})) is None")
                tests.append(f"({x}._node is {x}._acc) is not {graph}")
                tests.append(f"(hooked and is_hooked({x}))")
        if sum(graph is not None for graph in recording.graphs) > 1:
            given = "".join(f"arg{i}, " for i in inputs)
            tests.append(f"same_nodes(({given})) != {recording.same}")
        return tests

    # ---- the run ----

    def run(self, inputs: list[str]) -> None:
        """Run the tape on the tensors of these names, and return the result."""
        recording = self.recording
        for i, _ in recording.gradients.by_argument:
            self.line(f"if {inputs[i]}.grad is not None:")
            self.line(f"    return {self.miss}")
        if recording.looks:
            self.line(f"if not recording.alike([{', '.join(inputs)}]):")
            self.line(f"    return {self.miss}")
        lent = self.take_lent(inputs)
        outs = self.run_tape([f"{x}._p" for x in [*inputs, *lent]])
        for leaf, after in recording.gradients.leaves:
            self.line(f"{self.object(leaf)}.grad = {self.object(after)}")
        for i, pending in recording.gradients.by_argument:
            self.line(f"{inputs[i]}._accumulator().grad = {self.object(pending)}.make()")
        self.make_node(inputs, outs)
        made = iter(outs)
        outputs = dict.fromkeys(recording.outputs)
        tensors = {output: self.tensor(output, inputs, made) for output in outputs}
        left = map(tensors.__getitem__, recording.outputs)
        result, *values = [self.structure(x, lambda: next(left)) for x in recording.spec[2]]
        if n := len(recording.left.places):
            self.line(f"recording.leave({', '.join(values[:n])})")
        for (setter, thing, key), value in zip(recording.left.put, values[n:], strict=True):
            place = f"{self.object(thing)}, {self.object(key)}"
            self.line(f"{self.object(setter)}({place}, {value})")
        if recording.after:
            self.line("recording.do_after()")
        self.line(f"return {result}")

    def take_lent(self, inputs: list[str]) -> list[str]:
        """The names of what the tape takes behind the arguments."""
        n = len(self.recording.gradients.lent) + sum(map(len, self.recording.left.reads))
        if not n:
            return []
        self.line(f"lent = recording.lent_to(({', '.join([*inputs, ''])}))")
        self.line("if lent is None:")
        self.line(f"    return {self.miss}")
        return [f"lent[{k}]" for k in range(n)]

    def run_tape(self, inputs: list[str]) -> list[str]:
        """Run the tape on descriptors; what each of its outputs is called."""
        n, states = self.recording.n_made, ""
        if self.recording.caught and self.recording.kept:
            states = "states"
            self.line("states = recording.states()")
        if n == 1 and len(inputs) < len(RUNS):
            run = self.object(RUNS[len(inputs)])
            self.line(f"out = {run}({', '.join(['tape', *inputs])})")
            self.line("if not out:")
        else:
            self.scope["run"], self.scope["new"] = lib.ad_tape_run, ffi.new
            if n:
                self.line(f"outs = new({self.object(ffi.typeof(f'ad_tensor *[{n}]'))})")
            else:
                self.scope["outs"] = ffi.NULL
            self.line(f"if run(tape, {len(inputs)}, [{', '.join(inputs)}], outs):")
        self.line(f"    recording.failed({states})  # raises, or nothing was done")
        self.line(f"    return {self.miss}")
        return ["out"] if n == 1 and len(inputs) < len(RUNS) else [f"outs[{i}]" for i in range(n)]

    def make_node(self, inputs: list[str], outs: list[str]) -> None:
        """The node of the run, if it has one; of the outputs, frees what nobody takes."""
        recording, reverse = self.recording, self.recording.reverse
        if reverse is None:
            return
        for i in range(len(recording.made), recording.n_before_links):
            if i not in reverse.saved:
                self.line(f"free({outs[i]})")
        for i, place in reverse.saved.items():
            self.owned[outs[i]] = f"p{place}"
            self.line(f"p{place} = {held(outs[i])}")
        edges = [*map(self.object, reverse.leaves), *(f"{inputs[i]}._node" for i in reverse.inputs)]
        saved = [f"p{place}" for place in reverse.saved.values()]
        saved += map(self.object, reverse.watched)
        marks = [f"version_of(saved[{i}])" for i in range(len(saved))]
        self.scope.update(made_node=CompiledNode, version_of=lib.ad_version, unsavable=unsavable)
        self.line("node = made_node()")
        self.line(f"node.reverse = {self.object(reverse)}")
        self.line(f"node.edges = ({', '.join([*edges, ''])})")
        self.line(f"node.saved = saved = ({', '.join([*saved, ''])})")
        self.line("node.versions = 0")
        self.line(f"node.marks = marks = [{', '.join(marks)}]")
        if marks:
            self.line("if min(marks) < 0:")
            self.line("    raise unsavable()")

    def tensor(self, output: Output, inputs: list[str], outs: Iterator[str]) -> str:
        """One tensor of the result: its name."""
        if output.argument >= 0:
            return inputs[output.argument]
        if output.given is not None:
            return self.object(output.given)
        y, p = f"y{len(self.lines)}", next(outs)
        node = "" if output.node is None else self.object(output.node)
        if output.live >= 0 and (reverse := self.recording.reverse) is not None:
            several = reverse.n > 1
            node = f"{self.object(CompiledOutput)}(node, {output.live})" if several else "node"
        self.line(f"{y} = tensor_of({self.owned.get(p) or held(p)})")
        if node:
            self.line(f"{y}._node = {node}")
        if output.base >= 0 or output.base_given is not None:
            base = self.object(output.base_given) if output.base < 0 else inputs[output.base]
            self.line(f"{y}._base = {base}")
            self.line(f"{y}._base_node = {base}._node")
        return y

    def structure(self, spec: Any, take: Callable[[], str]) -> str:
        """The name of a part of the result, tensors being those that `take` names."""
        if spec is TENSOR:
            return take()
        if isinstance(spec, Constant):
            return self.object(spec.value)
        kind, keys, parts = spec
        items = [self.structure(part, take) for part in parts]
        if keys is not None:
            items = [f"{self.object(key)}: {x}" for key, x in zip(keys, items, strict=True)]
        text = "".join([f"{item}, " for item in items])
        made = f"({text})" if keys is None else f"{{{text}}}"
        if kind is list:
            made = f"[{text}]"
        elif keys is None and kind is not tuple:
            made = f"{self.object(kind._make)}({made})"
        elif kind not in (dict, tuple):
            made = f"{self.object(filled)}({self.object(kind)}, {made})"
        name = f"part{len(self.lines)}"
        self.line(f"{name} = {made}")
        return name
