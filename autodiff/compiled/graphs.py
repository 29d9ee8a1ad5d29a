"""The graph of a recorded call without its values, and that of a run: for a backward from some of
several results, which no tape was made for, as there are too many ways to go back.
"""

from __future__ import annotations

import contextlib
import functools
import types
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from autodiff.autograd.function_node import Saved
from autodiff.compiled.places import attribute
from autodiff.compiled.record import CAPTURED, UnfitError, is_descriptor
from autodiff.compiled.tree import is_plain
from autodiff.compiled.users import home_of
from autodiff.dtypes import dtype
from autodiff.graph import grad_between
from autodiff.hooks import hooks_now
from autodiff.native import descriptors, error, ffi, lib
from autodiff.nn.module import Module
from autodiff.node import AccumulateGrad, Node, behind, recomputed, version_sum
from autodiff.ops.base import Op
from autodiff.ops.gather import Indices
from autodiff.ops.generator import Generator
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.pointwise_node import Plan
from autodiff.tensor import Tensor, wrap

ALIKE = (
    *(dtype, Generator, Op, Plan, PointwiseOp, type),
    *(types.BuiltinFunctionType, types.CodeType, types.ModuleType),
)
Swap = Callable[[Any], Any]


class Ghost:
    """What a node saved of a call: where in a link it lies, and its layout."""

    __slots__ = ("layout", "link", "offset")

    def __init__(self, p: Any, link: int, offset: int) -> None:
        self.layout = ffi.new("ad_tensor *", descriptors([p])[0][0])  # its memory is not looked at
        self.link = link
        self.offset = offset


class Graph:
    """What the results of a recorded call came from, to be filled with the values of a run.

    UnfitError where a node has values in places that are not known.
    """

    def __init__(
        self, first: Any, tape: Any, roots: Sequence[Node], ends: Sequence[Node], stops: set[Node]
    ) -> None:
        nodes = [*behind(roots, stops)]
        hooks = hooks_now()
        if any(node in hooks or node in recomputed for node in nodes):
            raise unfit("hooks and checkpoints in it")
        twins = {end: empty(Node()) for end in ends}  # where nobody's hooks are
        self.ends = [twins[end] for end in ends]
        inside = [node for node in nodes if node not in twins]
        twins |= copies(inside, twins, lambda p: ghost(first, tape, p))
        self.roots = [twins[root] for root in roots]

    def run(self, node: Any, which: Sequence[int], gs: Sequence[Tensor]) -> list[Tensor | None]:
        """The cotangents of the ends from some of the results of a run, which left this node."""
        roots = [self.roots[i] for i in which]
        twins: dict[Node, Node] = {end: end for end in self.ends}
        nodes = [inner for inner in behind(roots) if inner not in twins]
        twins |= copies(nodes, twins, functools.partial(filled, node))
        for twin in twins.values():
            if twin.saved and not twin.custom:
                twin.versions = version_sum(twin.saved)
        ys = [wrap(g._p, twins[root]) for root, g in zip(roots, gs, strict=True)]
        return grad_between(ys, self.ends, set(), gs)


def filled(node: Any, p: Any) -> Any:
    """A descriptor for what stands for one, in what a run left to its node."""
    if type(p) is not Ghost:
        node.check(p)
        return p
    part = lib.ad_tape_link_part(node.taken([p.link])[0], p.layout, p.offset)
    if not part:
        raise error("the backward of a compiled function")
    return part


def take_saved(nodes: Iterable[Node]) -> None:
    """Have all that nodes saved be known to the tape that is recorded."""
    tape = lib.ad_tape_pause()
    lib.ad_tape_resume(tape)

    def take(p: Any) -> Any:
        if lib.ad_tape_capture(tape, p):
            raise error("compile")
        return p

    for node in nodes:
        if not isinstance(node, AccumulateGrad):
            with contextlib.suppress(UnfitError):  # of which the graph will tell
                mapped([value for _, value in attributes(node)], take, None)


def ghost(first: Any, tape: Any, p: Any) -> Any:
    """What stands for a descriptor, if a run makes it anew."""
    offset = ffi.new("int64_t *")
    link = lib.ad_tape_link(tape, p, offset)
    if link >= 0:
        return Ghost(p, link, offset[0])
    if lib.ad_tape_knows(tape, p) not in (-1, CAPTURED):
        raise unfit("values that its backward makes")
    if lib.ad_tape_knows(first, p) not in (-1, CAPTURED):
        raise unfit("values that are not to be found")
    return p


# ---- copies of nodes ----


def copies(nodes: Iterable[Node], known: dict[Node, Node], swap: Swap) -> dict[Node, Node]:
    """Copies of nodes that lead to each other, or to those known, with other descriptors."""
    found = {node: type(node).__new__(type(node)) for node in nodes}
    twins = known | found
    for node, twin in found.items():
        for name, value in attributes(node):
            setattr(twin, name, mapped(value, swap, twins))
    return found


def empty(node: Node) -> Node:
    """An end of a graph."""
    node.edges, node.saved, node.versions = (), (), 0
    return node


def attributes(thing: Any) -> list[tuple[str, Any]]:
    """What an object has by its own names."""
    names = [name for kind in type(thing).__mro__ for name in vars(kind).get("__slots__", ())]
    slots = [(name, getattr(thing, name)) for name in names if hasattr(thing, name)]
    own = getattr(thing, "__dict__", {})
    return [*[slot for slot in slots if slot[0] != "__weakref__"], *own.items()]


def mapped(value: Any, swap: Swap, twins: dict[Node, Node] | None) -> Any:
    """A value with other descriptors and nodes in it; itself, where they are the same."""
    if is_plain(value) or isinstance(value, ALIKE):
        return value
    if isinstance(value, Node):
        if twins is not None and value not in twins:
            raise unfit(f"a {value.name()} that is no part of it")
        return value if twins is None else twins[value]
    if type(value) is Ghost or is_descriptor(value):
        return swap(value)
    if isinstance(value, ffi.CData) and "ad_tensor" not in str(ffi.typeof(value)):
        return value
    if isinstance(value, Tensor):
        return mapped_tensor(value, swap, twins)
    if isinstance(value, (tuple, list)):
        parts = [mapped(part, swap, twins) for part in value]
        if type(value) is Saved:
            return renewed(value, parts)
        if all(a is b for a, b in zip(parts, value, strict=True)):
            return value
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if type(value) is dict:
        return dict(zip(value, mapped([*value.values()], swap, twins), strict=True))
    return mapped_object(value, swap, twins)


def renewed(old: Saved, parts: Sequence[Any]) -> Saved:
    """What a Function saved, in its version of now."""
    if old.unpack is not None:
        raise unfit("hooks of saved tensors")
    saved = Saved(*parts)
    return saved if type(saved.p) is Ghost else saved._replace(version=lib.ad_version(saved.p))


def mapped_tensor(x: Tensor, swap: Swap, twins: dict[Node, Node] | None) -> Tensor:
    """A tensor elsewhere, with its place in the graph."""
    p = swap(x._p)
    if p is x._p:
        return x
    if type(x) is not Tensor or x._acc is not None:
        raise unfit(f"a {type(x).__name__} with a gradient")
    node = mapped(x._node, swap, twins)
    return wrap(p, node)


def mapped_object(value: Any, swap: Swap, twins: dict[Node, Node] | None) -> Any:
    """The same of an object of this library's, or of a function that reaches no descriptor."""
    if isinstance(value, types.FunctionType):
        cells = [attribute(cell, "cell_contents") for cell in value.__closure__ or ()]
        parts: list[Any] = [*cells, *(value.__defaults__ or ())]
        if mapped(parts, swap, twins) is parts:
            return value
    elif type(value) is functools.partial:
        parts = [value.func, *value.args, *value.keywords.values()]
        if mapped(parts, swap, twins) is parts:
            return value
    elif home_of(type(value)).startswith("autodiff.") and not isinstance(value, Module):
        old = attributes(value)
        new = [mapped(part, swap, twins) for _, part in old]
        same = all(a is b for a, (_, b) in zip(new, old, strict=True))
        if same and type(value) is not Indices:
            return value
        twin: Any = object.__new__(type(value))
        for (name, _), part in zip(old, new, strict=True):
            setattr(twin, name, part)
        if type(twin) is Indices and not any(type(p) is Ghost for p in twin.ps):
            twin.version = twin._version()
        return twin
    raise unfit(f"a {type(value).__name__}")


def unfit(what: str) -> UnfitError:
    """What says that backward from some of the results would not be what it is in eager calls."""
    return UnfitError(f"it returns several tensors whose graph cannot be kept: there are {what}")
