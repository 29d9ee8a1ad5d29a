"""Reverse mode: the walk of the graph that a backward pass makes."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from autodiff.anomaly import line_of, state
from autodiff.changes import changes, new_lock, recorder_here
from autodiff.hook_calls import call_node_hooks, call_tensor_hooks
from autodiff.hooks import NodeHooks, hooks_now
from autodiff.native import NULL, lib
from autodiff.node import AccumulateGrad, GradientEdge, Node, mode, set_grad
from autodiff.tensor import Tensor, live_node, own


def _count_uses(roots: Sequence[Node]) -> tuple[dict[Node, int], set[Node]]:
    """For each node the roots reach, how many cotangents it will be sent; those sent several.

    A root is sent one each time that it is one.
    """
    uses = dict.fromkeys(roots, 1)
    several = set()
    if len(uses) < len(roots):
        uses = Counter(roots)
        several = {root for root, n in uses.items() if n > 1}
    reached = list(uses)
    for node in reached:  # which grows
        for edge in node.edges:
            if edge is None:
                continue
            if edge in uses:
                uses[edge] += 1
                several.add(edge)
            else:
                uses[edge] = 1
                if type(edge) is not AccumulateGrad:  # faster than `edge.edges` of many types
                    reached.append(edge)
    return uses, several


def leading_to(targets: Collection[Node | None], roots: Sequence[Node]) -> set[Node]:
    """The nodes behind which there is a target."""
    found: set[Node] = set()
    seen: set[Node] = set()
    stack: list[tuple[Node, bool]] = [(root, False) for root in roots]
    while stack:
        node, children_done = stack.pop()
        if children_done:
            for edge in node.edges:  # a generator takes four times as long
                if edge in found or edge in targets:
                    found.add(node)
                    break
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            for edge in node.edges:
                if edge is not None and edge not in seen:
                    stack.append((edge, False))
    return found


def reaches(outputs: Iterable[Tensor], own: set[Node | None]) -> bool:
    """Whether a graph ends at a leaf that is not one's own, and that somebody still has.

    The leaves of transforms inside, which are done, are in it too.
    """
    stack = [node for y in outputs if (node := live_node(y)) is not None]
    seen = set(stack)
    while stack:
        node = stack.pop()
        ended = not node.edges and node not in own
        if ended and not (isinstance(node, AccumulateGrad) and node.variable is None):
            return True
        for edge in node.edges:
            if edge is not None and edge not in seen:
                seen.add(edge)
                stack.append(edge)
    return False


class Walk:
    """One backward pass: cotangents flow from the roots, a node running when all of its are in."""

    __slots__ = (
        "__weakref__", "captured", "create", "fresh", "hooks", "keep", "needed", "several",
        "targets", "uses", "waiting",
    )  # fmt: skip

    def __init__(self, roots: Sequence[Node], keep: bool, create: bool, targets: set[Node] | None):
        self.uses, self.several = _count_uses(roots)
        self.keep = keep
        self.create = create
        self.targets = targets
        self.needed = None if targets is None else leading_to(targets, roots)
        self.waiting: dict[Node, Tensor] = {}  # cotangents of nodes that will be sent more
        self.captured: dict[Node, Tensor] = {}
        self.fresh: set[Node] = set()  # nodes whose cotangent nobody else holds
        self.hooks: dict[Node, NodeHooks] = hooks_now()
        if changes.recorder is not None and (recorder := recorder_here()):
            recorder.walks(self.uses if self.needed is None else self.needed)

    def run(self, starts: Sequence[tuple[Node, Tensor]]) -> None:
        """Run every node that the roots reach, in an order that the graph alone decides."""
        several, waiting = self.several, self.waiting
        plain, keep, create = self.is_plain(), self.keep, self.create
        ready = self.first(starts)
        while ready:
            node, g = ready.pop()
            edges = node.edges
            if plain and g is not None and edges:
                held, grads = node.custom, node.vjp(g) if create else node.sweep(g)
                if not keep and node.saved:
                    node.saved = None  # a node that saved nothing can be run again, as in PyTorch
            else:
                held, grads = self.visit(node, g)
            for edge, gi in zip(edges, grads):  # noqa: B905
                if edge is None:
                    continue
                if not plain or (several and edge in several):
                    if self.gathered(edge, gi, gi is not g and not held):
                        ready.append((edge, waiting.pop(edge, None)))
                elif type(edge) is not AccumulateGrad:
                    ready.append((edge, gi))
                elif gi is not None and not edge.stopped:
                    alone = gi is not g and not held and gi._base is None
                    steals = alone and gi._p.contiguous
                    if steals and edge.grad is None and changes.recorder is None:
                        changes.count += 1  # as `put`; there is no call for a thread to come in
                        edge.grad = gi
                    else:
                        arrive(edge, gi, alone, create, None)
            gi = g = None  # free as we go
            grads = ()

    def visit(self, node: Node, g: Tensor | None) -> tuple[bool, Sequence[Tensor | None]]:
        """Run a node at which there may be more to do: what it sends on, and first whether hooks or
        a function of the user's may keep that.
        """
        held, hooks, edges = node.custom, self.hooks, node.edges
        if hooks and g is not None and node in hooks and self.wants(node):
            held, g = True, call_tensor_hooks(hooks[node], g)
            self.fresh.discard(node)
        if not edges:
            if g is not None:
                self.arrive(node, g, node in self.fresh)
            return held, ()
        grads = None if g is None else self.vjp(node, g)
        return held, (None,) * len(edges) if grads is None else grads

    def gathered(self, node: Node, g: Tensor | None, alone: bool) -> bool:
        """Add to what a node was sent, which nobody else holds if `alone`; whether that is all."""
        waiting = self.waiting
        if g is not None:
            before = waiting.get(node)
            if before is not None:
                g = before + g
                self.fresh.add(node)
            elif alone and not node.edges and g._base is None:
                self.fresh.add(node)
            waiting[node] = g
        left = self.uses[node] = self.uses[node] - 1
        return left == 0

    def first(self, starts: Sequence[tuple[Node, Tensor]]) -> list[tuple[Node, Tensor | None]]:
        """The roots that no other root leads to; what others start with waits for the rest."""
        if len(starts) == 1:
            return [*starts]
        begun = [node for node, g in starts if self.gathered(node, g, False)]
        return [(node, self.waiting.pop(node)) for node in begun]

    def wants(self, node: Node) -> bool:
        """Whether the gradient at a node is asked for, or leads to one that is."""
        if self.targets is None or self.needed is None:
            return True
        return node in self.targets or node in self.needed

    def reaches(self, node: Node | None) -> bool:
        """Whether the gradient at a node will be known."""
        return node is not None and node in self.uses and self.wants(node)

    def is_plain(self) -> bool:
        """Whether there is no more to do at a node than to run it."""
        return not self.hooks and self.targets is None

    def arrive(self, leaf: Node, g: Tensor, fresh: bool) -> None:
        """A cotangent has come to where the graph ends; `fresh` where nobody else holds it."""
        if self.targets is None:
            if type(leaf) is AccumulateGrad and not leaf.stopped:
                arrive(leaf, g, fresh, self.create, self.hooks.get(leaf) if self.hooks else None)
        elif leaf in self.targets:
            self.captured[leaf] = g

    def vjp(self, node: Node, g: Tensor) -> Sequence[Tensor | None] | None:
        """What one node sends on; None where nothing behind it is wanted."""
        if self.targets is not None and self.needed is not None:
            if node in self.targets:
                self.captured[node] = g
            if node not in self.needed:
                return None
        hooks = self.hooks.get(node) if self.hooks else None
        quick = not self.create and g.__class__ is Tensor  # no batch of func.vmap
        run: Callable[[Tensor], Any] = node.sweep if quick else node.vjp
        if self.needed is not None:
            run = node.towards(self.wants) or run
        grads = run(g) if hooks is None else call_node_hooks(hooks, g, run)
        if not self.keep and node.saved:
            node.saved = None
        return grads


class _Walking(threading.local):
    """The backward pass that this thread is in."""

    walk: Any = None


walking = _Walking()


class _WatchedWalk(Walk):
    """A backward pass that stops at the first nan."""

    __slots__ = ()

    def is_plain(self) -> bool:
        return False

    def vjp(self, node: Node, g: Tensor) -> Sequence[Tensor | None] | None:
        where = line_of(node)
        grads = super().vjp(node, g)
        for i, one in enumerate(grads or ()):
            if isinstance(one, Tensor) and bool((one != one).any()):
                raise RuntimeError(
                    f"Function '{node.name()}'{where} returned nan values in its {i}th output."
                )
        return grads


_adding = new_lock()  # of threads whose backward comes to one leaf


def _accumulate(leaf: AccumulateGrad, g: Tensor, fresh: bool, create: bool) -> None:
    """Add to a leaf's .grad, which never shares memory with another tensor's, nor within itself.

    It is contiguous, as leaves are as a rule: so it can be viewed and written to as they can.
    """
    with _adding:
        before = leaf.gradient()
        if before is None:
            leaf.put(g.contiguous() if not g._p.contiguous else g if fresh else g.clone())
        elif create:
            leaf.put(before + g)
        else:
            before.add_(g)


def arrive(
    leaf: AccumulateGrad, g: Tensor, fresh: bool, create: bool, hooks: NodeHooks | None
) -> None:
    """Add to a leaf's .grad, between the hooks that wait for it."""
    if hooks is None:
        _accumulate(leaf, g, fresh, create)
        return

    def run(g: Tensor) -> tuple[()]:
        _accumulate(leaf, g, False, create)
        owner = leaf.variable
        if owner is not None:
            for hook in tuple(hooks.accumulated.values()):
                hook(owner)
        return ()

    call_node_hooks(hooks, g, run)


def _root(y: Any, g: Tensor | None, what: str) -> tuple[Node, Tensor]:
    """The node backward starts from, and its cotangent: 1 for a scalar where none is given."""
    node: Node | None
    if isinstance(y, Tensor):
        node = y._node if y._base is None else live_node(y)
    elif isinstance(y, GradientEdge):
        node, (shape, d) = y.node.output(y.output_nr)
        y = own(lib.ad_full_i64(d.code, 0, NULL, 0), what).expand(shape)
    else:
        raise TypeError(f"{what}: expected Tensors, but got {type(y).__name__}")
    if node is None:
        raise RuntimeError(
            f"{what}: element 0 of tensors does not require grad and does not have a grad_fn. Set "
            "requires_grad=True on an input, or compute the output outside no_grad()."
        )
    if g is None:
        if y._p.ndim == 0:
            return node, own(lib.ad_full_i64(y._p.dtype, 0, NULL, 1), what)
        if y._p.numel != 1:
            raise RuntimeError(
                f"grad can be implicitly created only for scalar outputs, not for shape "
                f"{list(y.shape)}: pass gradient=, or reduce the output to a scalar first"
            )
        return node, own(lib.ad_full_i64(y._p.dtype, y.ndim, list(y.shape), 1), what)
    if not isinstance(g, Tensor):
        raise TypeError(f"gradients can be either Tensors or None, but got {type(g).__name__}")
    gp, yp = g._p, y._p
    if (
        yp.ndim > 1 or gp.ndim != yp.ndim or gp.numel != yp.numel or g.__class__ is not y.__class__
    ) and g.shape != y.shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output has a shape of {g.shape} and output has a shape of "
            f"{y.shape}."
        )
    return node, g if gp.dtype == yp.dtype else g.to(y.dtype)


def walk_from(
    outputs: Sequence[Tensor],
    gradients: Sequence[Tensor | None],
    keep: bool,
    create: bool,
    targets: set[Node] | None,
    what: str,
    stops: Iterable[Node] = (),
) -> Walk:
    """The backward pass from `outputs`, done: to leaves, or with what arrives at `targets`."""
    if len(outputs) == 1 == len(gradients):
        start = _root(outputs[0], gradients[0], what)
        starts: Sequence[tuple[Node, Tensor]] = (start,)
        roots: Sequence[Node] = (start[0],)
    else:
        starts = [_root(y, g, what) for y, g in zip(outputs, gradients, strict=True)]
        roots = [node for node, _ in starts]
    make = _WatchedWalk if state.check_nan else Walk
    walk = make(roots, keep, create, targets)
    if walk.needed:
        walk.needed.difference_update(stops)
    previous, outer = mode.grad, walking.walk
    try:
        walking.walk = walk
        set_grad(create)
        walk.run(starts)
    except BaseException:
        if recorder := recorder_here():  # whether it fails again depends on graphs outside
            recorder.stay_eager(f"{what} fails in it")
        raise
    finally:
        walking.walk = outer
        mode.grad = previous  # before there is a call, where an interrupt may come
        set_grad(previous)
    return walk
