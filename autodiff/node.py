"""The nodes of the graph: what an operation leaves behind for backward."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from autodiff.anomaly import line_of
from autodiff.changes import changes, recorder_here
from autodiff.hooks import Hook, NodeHooks, RemovableHandle, add_hook, hooks_of
from autodiff.named import NamedTuple
from autodiff.native import lib, operand_text, writer_name
from autodiff.shortcuts import NodeSlots, versions

if TYPE_CHECKING:
    from autodiff.dtypes import dtype
    from autodiff.tensor import Tensor

__all__ = [
    "AccumulateGrad", "Cotangents", "Node", "behind", "mode", "recomputed", "set_grad", "shown",
    "unrecorded",
]  # fmt: skip


class _Mode(threading.local):
    """Whether operations are recorded, and in which dtype autocast has them, a thread at a time."""

    grad = True
    inference = False
    autocast: dtype | None = None  # None where it is off


mode = _Mode()

# The threads that do not record: mostly none, which is much faster to see than `mode.grad`. Those
# in autocast are in it as negatives, for who must look at both.
unrecorded: set[int] = set()


def set_grad(enabled: bool) -> None:
    """Set whether operations are recorded on this thread."""
    here = threading.get_ident()
    if enabled:
        mode.grad = True
        unrecorded.discard(here)
    else:  # an interrupt may come after either call: who is in the set needs not be in the mode
        unrecorded.add(here)
        mode.grad = False


class Node(NodeSlots):
    """One recorded operation: where its cotangents go, and how to compute them.

    `edges` holds a node or None for each tensor input. `saved` holds descriptors that `vjp` needs,
    and `versions` the sum of their versions when they were saved. A node never owns its own output
    (a saved output is the descriptor alone), so the graph has no reference cycles.
    """

    if not TYPE_CHECKING:
        __slots__ = ()  # as `shortcuts.NodeSlots` has them
    hooks: NodeHooks  # set where there are any
    output_nr = 0  # which of its function's outputs the node stands for
    custom = False  # whether the user wrote its vjp
    edges: Sequence[Node | None]
    saved: tuple[Any, ...] | None
    versions: int
    title: str  # of the last of several nodes that PyTorch has one for; else not set

    @property
    def call(self) -> Node:
        """The node as users see it: that of the whole call, where several nodes make one call."""
        return self

    def name(self) -> str:
        """PyTorch's name of the node, such as AddBackward0."""
        return getattr(self, "title", None) or self.kind()

    def kind(self) -> str:
        """The name of nodes that were not given one of their own."""
        return type(self).__name__

    def vjp(self, g: Tensor) -> Sequence[Tensor | None]:
        """The cotangents of the inputs, one for each edge, from that of the output."""
        raise NotImplementedError

    def sweep(self, g: Tensor) -> Sequence[Tensor | None]:
        """The same as `vjp`, called while nothing is recorded."""
        return self.vjp(g)

    def towards(self, wants: Callable[[Node], bool]) -> Callable[[Tensor], Any] | None:
        """What computes only the cotangents of nodes that are wanted, or None if `vjp` will do."""
        return None

    def unpack(self) -> tuple[Any, ...]:
        """The saved descriptors; RuntimeError where they are freed or were written to."""
        saved = self.saved
        if saved is None:
            recompute = recomputed.get(self)
            if recompute is None:
                raise freed(self)
            recompute()
            saved = self.saved or ()
        if saved and (now := versions(saved)) != self.versions:
            raise overwritten(self, saved, now - self.versions)
        return saved

    @property
    def next_functions(self) -> tuple[tuple[Node | None, int], ...]:
        """The nodes the inputs came from, with the index of their output."""
        return tuple((edge and edge.call, edge.output_nr if edge else 0) for edge in self.edges)

    @property
    def metadata(self) -> dict[Any, Any]:
        """A dict for what users want to remember of the node."""
        return noted.setdefault(self, {})

    def __call__(self, *cotangents: Any) -> Any:
        """What the node makes of the cotangents of its outputs, alone: a tuple where it has several
        inputs.
        """
        g: Any = cotangents[0] if len(cotangents) == 1 else Cotangents(cotangents)
        found = tuple(self.vjp(g))
        return found[0] if len(found) == 1 else found

    def output(self, nr: int) -> tuple[Node, tuple[Any, Any]]:
        """Where a cotangent of one of the outputs is to begin; the output's shape and dtype."""
        if self not in shown:
            raise RuntimeError(
                f"{self.name()}: what its output looks like is not known. Take the edge of a "
                "tensor: autograd.graph.get_gradient_edge(tensor)."
            )
        return self, shown[self]

    def register_hook(self, hook: Hook) -> RemovableHandle:
        """Call `hook(cotangents of the inputs, of the outputs)` after the node has run.

        A tuple that it returns replaces the inputs' cotangents.
        """
        return add_hook(hooks_of(self).post, hook)

    def register_prehook(self, hook: Hook) -> RemovableHandle:
        """Call `hook(cotangents of the outputs)` before the node runs.

        A tuple that it returns replaces them.
        """
        return add_hook(hooks_of(self).before, hook)

    def __repr__(self) -> str:
        return f"<{self.name()} object at {hex(id(self))}>"


class GradientEdge(NamedTuple):
    """Where a gradient arrives: what `get_gradient_edge` gives.

    >>> ad.autograd.graph.get_gradient_edge(ad.ones(1, requires_grad=True)).output_nr
    0
    """

    node: Node
    output_nr: int
    ownership_token: Node | None = None


class Pending:
    """A gradient in the memory of a compiled step, until somebody asks for it."""

    __slots__ = ("make",)
    make: Callable[[], Tensor]

    def __init__(self, make: Callable[[], Tensor]) -> None:
        self.make = make


# What computes again what a node saved, where that was given up to save memory.
recomputed: weakref.WeakKeyDictionary[Node, Callable[[], object]] = weakref.WeakKeyDictionary()


# What users have noted of nodes; shapes and dtypes of the outputs of those that they have seen.
noted: weakref.WeakKeyDictionary[Node, dict[Any, Any]] = weakref.WeakKeyDictionary()
shown: weakref.WeakKeyDictionary[Node, tuple[Any, Any]] = weakref.WeakKeyDictionary()


class AccumulateGrad(Node):
    """The end of the graph at a leaf: holds its `.grad`."""

    __slots__ = ("_owner", "grad", "stopped")
    grad: Any  # Tensor, None or Pending: `gradient` is for those who look at it

    def __init__(self, owner: Tensor) -> None:
        self._owner = weakref.ref(owner)
        self.edges = ()
        self.saved = ()
        self.versions = 0
        self.grad = None
        self.stopped = False  # the leaf wants no gradient any more: to be known when it is gone

    def gradient(self) -> Tensor | None:
        """The gradient, made where it was pending."""
        if changes.recorder is not None and (recorder := recorder_here()):
            recorder.gradient_read(self)
        g = self.grad
        return self.made() if g.__class__ is Pending else g  # type: ignore[no-any-return]

    def made(self) -> Any:
        """What `grad` is, made where it was pending; what another thread puts meanwhile stays."""
        g = self.grad
        if g.__class__ is not Pending:
            return g
        mine = Pending(g.make)  # as a run puts the same one again
        if self.grad is g:  # threads take turns at calls: there is none between test and store
            self.grad = mine
        made = g.make()
        if self.grad is mine:
            self.grad = made
        return made

    def put(self, g: Tensor | None) -> None:
        """Replace the gradient."""
        recorder = changes.recorder
        if recorder is None:
            changes.count += 1
        else:
            recorder.gradient_put(self, g)
        self.grad = g

    @property
    def variable(self) -> Tensor | None:
        """The leaf, while it lives."""
        return self._owner()


class Cotangents(tuple["Tensor | None", ...]):
    """The cotangents of the outputs of one node, None where there is none yet; they add up."""

    __slots__ = ()

    def __add__(self, other: Any) -> Cotangents:
        return Cotangents(
            b if a is None else a if b is None else a + b for a, b in zip(self, other, strict=True)
        )


def behind(roots: Iterable[Node], stops: Iterable[Node] = ()) -> Iterator[Node]:
    """The roots and all that they lead to, each once, not through `stops`."""
    seen = {*stops}
    stack = [root for root in dict.fromkeys(roots) if root not in seen]
    seen.update(stack)
    while stack:
        node = stack.pop()
        yield node
        for edge in node.edges:
            if edge is not None and edge not in seen:
                seen.add(edge)
                stack.append(edge)


# ---- what was saved for backward ----


def version_sum(ps: Sequence[Any]) -> int:
    """The versions of descriptors, added up: they only grow, so equal sums mean no writes."""
    found = versions(tuple(ps))
    if found < 0:
        raise unsavable()
    return found


def unsavable() -> RuntimeError:
    """What is wrong where a tensor made in inference mode is to be saved."""
    return RuntimeError(
        "Inference tensors cannot be saved for backward: the tensor was made in inference mode. "
        "Make a clone() of it to get a normal tensor, or use no_grad() instead of inference_mode()."
    )


def freed(node: Node) -> RuntimeError:
    """What is wrong where a node runs, or is asked for what it saved, once that is freed."""
    return RuntimeError(
        f"{node.name()}: Trying to backward through the graph a second time (or directly access "
        "saved tensors after they have already been freed). Saved intermediate values of the "
        "graph are freed when you call .backward() or autograd.grad(). Specify retain_graph=True "
        "if you need to backward through the graph a second time or if you need to access saved "
        "tensors after calling backward."
    )


def overwritten(node: Node, saved: Sequence[Any], writes: int) -> RuntimeError:
    """What is wrong where a tensor that a node saved was written to since."""
    each = [
        f"{operand_text(p)} at version {lib.ad_version(p)}"
        + (f", last written by {writer_name(lib.ad_last_writer(p))}" if lib.ad_version(p) else "")
        for p in saved
    ]
    return RuntimeError(
        "one of the variables needed for gradient computation has been modified by an inplace "
        f"operation: {node.name()}{line_of(node)} saved {' and '.join(each)}, which is {writes} "
        "write(s) since. Compute the gradient before the write, or write to a clone()."
    )
