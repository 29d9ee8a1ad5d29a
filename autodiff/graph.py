"""Reverse mode: grad modes, and the walk of the graph that backward makes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from autodiff.native import lib
from autodiff.node import AccumulateGrad, Node, mode
from autodiff.tensor import Tensor, live_node, own

__all__ = [
    "backward",
    "enable_grad",
    "grad",
    "is_grad_enabled",
    "no_grad",
    "set_grad_enabled",
]

F = TypeVar("F", bound=Callable[..., Any])


class _GradMode:
    """A context manager and decorator that sets the grad mode."""

    enabled: bool

    def __enter__(self) -> None:
        self.previous = mode.grad
        mode.grad = self.enabled

    def __exit__(self, *exc: object) -> None:
        mode.grad = self.previous

    def __call__(self, function: F) -> F:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with type(self)() if type(self) is not set_grad_enabled else _Forced(self.enabled):
                return function(*args, **kwargs)

        return cast(F, wrapped)


class no_grad(_GradMode):  # noqa: N801 - PyTorch's name
    """Operations inside are not recorded."""

    enabled = False

    def __new__(cls, function: Any = None) -> Any:
        self = super().__new__(cls)
        return self if function is None else self(function)


class enable_grad(_GradMode):  # noqa: N801 - PyTorch's name
    """Operations inside are recorded, also within no_grad."""

    enabled = True

    def __new__(cls, function: Any = None) -> Any:
        self = super().__new__(cls)
        return self if function is None else self(function)


class _Forced(_GradMode):
    def __init__(self, enabled: bool) -> None:
        self.enabled = enabled


class set_grad_enabled(_GradMode):  # noqa: N801 - PyTorch's name
    """Sets the grad mode at once; as a context manager, until its end."""

    def __init__(self, mode: bool) -> None:
        self.enabled = bool(mode)
        self.previous = is_grad_enabled()
        _set(self.enabled)

    def __enter__(self) -> None:
        _set(self.enabled)

    def __call__(self, function: F) -> F:
        _set(self.previous)
        return super().__call__(function)


def _set(enabled: bool) -> None:
    mode.grad = enabled


def is_grad_enabled() -> bool:
    """Whether operations are recorded on this thread."""
    return mode.grad


# ---- the walk ----


def _count_uses(roots: Sequence[Node]) -> dict[Node, int]:
    """For each node the roots reach, how many cotangents it will be sent."""
    uses = dict.fromkeys(roots, 0)
    stack = list(uses)
    while stack:
        for edge in stack.pop().edges:
            if edge is None:
                continue
            if edge in uses:
                uses[edge] += 1
            else:
                uses[edge] = 1
                stack.append(edge)
    return uses


def _leading_to(targets: set[Node], roots: Sequence[Node]) -> set[Node]:
    """The nodes behind which there is a target."""
    found: set[Node] = set()
    seen: set[Node] = set()
    stack: list[tuple[Node, bool]] = [(root, False) for root in roots]
    while stack:
        node, children_done = stack.pop()
        if children_done:
            if any(edge in found or edge in targets for edge in node.edges):
                found.add(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((edge, False) for edge in node.edges if edge is not None)
    return found


class _Walk:
    """One backward pass: cotangents flow from the roots, a node running when all of its are in."""

    def __init__(self, roots: Sequence[Node], keep: bool, create: bool, targets: set[Node] | None):
        self.uses = _count_uses(roots)
        self.keep = keep
        self.create = create
        self.targets = targets
        self.needed = None if targets is None else _leading_to(targets, roots)
        self.cotangents: dict[Node, Tensor] = {}
        self.captured: dict[Node, Tensor] = {}
        self.fresh: set[Node] = set()  # nodes whose cotangent nobody else holds

    def run(self, roots: Sequence[Node]) -> None:
        """Run every node the roots reach, in an order that the graph alone decides."""
        uses, cotangents, fresh = self.uses, self.cotangents, self.fresh
        ready = [root for root in dict.fromkeys(roots) if uses[root] == 0]
        while ready:
            node = ready.pop()
            g = cotangents.pop(node, None)
            if not node.edges:
                if g is not None:
                    self.arrive(node, g)
                continue
            grads = None if g is None else self.vjp(node, g)
            for i, edge in enumerate(node.edges):
                if edge is None:
                    continue
                gi = None if grads is None else grads[i]
                if gi is not None:
                    before = cotangents.get(edge)
                    if before is not None:
                        cotangents[edge] = before + gi
                        fresh.add(edge)
                    else:
                        cotangents[edge] = gi
                        if not edge.edges and gi is not g and gi._base is None:
                            fresh.add(edge)
                left = uses[edge]
                if left == 1:
                    ready.append(edge)
                else:
                    uses[edge] = left - 1
            gi = grads = g = None  # free as we go

    def arrive(self, leaf: Node, g: Tensor) -> None:
        """A cotangent has come to where the graph ends."""
        if self.targets is None:
            if type(leaf) is AccumulateGrad:
                _accumulate(leaf, g, leaf in self.fresh, self.create)
        elif leaf in self.targets:
            self.captured[leaf] = g

    def vjp(self, node: Node, g: Tensor) -> Sequence[Tensor | None] | None:
        """What one node sends on; None where nothing behind it is wanted."""
        if self.targets is not None and self.needed is not None:
            if node in self.targets:
                self.captured[node] = g
            if node not in self.needed:
                return None
        grads = node.vjp(g)
        if not self.keep and node.saved:
            node.saved = None  # a node that saved nothing can be run again, as in PyTorch
        return grads


def _accumulate(leaf: AccumulateGrad, g: Tensor, fresh: bool, create: bool) -> None:
    """Add to a leaf's .grad, which never shares memory with another tensor's."""
    before = leaf.grad
    if before is None:
        leaf.grad = g if fresh else g.clone()
    elif create:
        leaf.grad = before + g
    else:
        before.add_(g)


_NO_SIZES: list[int] = []


def _root(y: Tensor, g: Tensor | None, what: str) -> tuple[Node, Tensor]:
    """The node backward starts from, and its cotangent: 1 for a scalar where none is given."""
    if not isinstance(y, Tensor):
        raise TypeError(f"{what}: expected Tensors, but got {type(y).__name__}")
    node = live_node(y)
    if node is None:
        raise RuntimeError(
            f"{what}: element 0 of tensors does not require grad and does not have a grad_fn. Set "
            "requires_grad=True on an input, or compute the output outside no_grad()."
        )
    if g is None:
        if y._p.ndim == 0:
            return node, own(lib.ad_full_i64(y._p.dtype, 0, _NO_SIZES, 1), what)
        if y._p.numel != 1:
            raise RuntimeError(
                f"grad can be implicitly created only for scalar outputs, not for shape "
                f"{list(y.shape)}: pass gradient=, or reduce the output to a scalar first"
            )
        return node, own(lib.ad_full_i64(y._p.dtype, y.ndim, list(y.shape), 1), what)
    if not isinstance(g, Tensor):
        raise TypeError(f"gradients can be either Tensors or None, but got {type(g).__name__}")
    if g.shape != y.shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output has a shape of {g.shape} and output has a shape of "
            f"{y.shape}."
        )
    return node, g if g.dtype is y.dtype else g.to(y.dtype)


def _walk(
    outputs: Sequence[Tensor],
    gradients: Sequence[Tensor | None],
    keep: bool,
    create: bool,
    targets: set[Node] | None,
    what: str,
) -> _Walk:
    starts = [_root(y, g, what) for y, g in zip(outputs, gradients, strict=True)]
    roots = [node for node, _ in starts]
    walk = _Walk(roots, keep, create, targets)
    previous = mode.grad
    mode.grad = create
    try:
        for node, g in starts:
            before = walk.cotangents.get(node)
            walk.cotangents[node] = g if before is None else before + g
        walk.run(roots)
    finally:
        mode.grad = previous
    return walk


def _as_tuple(x: Any) -> tuple[Any, ...]:
    return tuple(x) if isinstance(x, (tuple, list)) else (x,)


def _gradients(given: Any, outputs: tuple[Any, ...], what: str) -> tuple[Any, ...]:
    gradients = (None,) * len(outputs) if given is None else _as_tuple(given)
    if len(gradients) != len(outputs):
        raise RuntimeError(f"{what}: got {len(outputs)} tensors and {len(gradients)} gradients")
    return gradients


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Add the gradients of `tensors` to `.grad` of the leaves they were computed from.

    `grad_tensors` are the cotangents (shape and dtype of each tensor; 1 for scalars). The graph is
    freed unless `retain_graph` (default: `create_graph`). `inputs` limits where gradients go.
    """
    outputs = _as_tuple(tensors)
    keep = create_graph if retain_graph is None else retain_graph
    gradients = _gradients(grad_tensors, outputs, "backward")
    if inputs is None:
        _walk(outputs, gradients, keep, create_graph, None, "backward")
        return
    leaves = _as_tuple(inputs)
    for leaf, g in zip(
        leaves,
        grad(outputs, leaves, gradients, keep, create_graph, allow_unused=True),
        strict=True,
    ):
        if g is not None:
            _accumulate(leaf._accumulator(), g, False, create_graph)


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The gradients of `outputs` with respect to `inputs`, a tuple; no `.grad` is touched.

    RuntimeError where an input does not require grad, or was not used (unless `allow_unused`,
    which gives None, or `materialize_grads`, which gives zeros).
    """
    if is_grads_batched:
        raise RuntimeError("grad: is_grads_batched is not supported; call grad once for each row")
    ys, xs = _as_tuple(outputs), _as_tuple(inputs)
    for x in xs:
        if not isinstance(x, Tensor):
            raise TypeError(f"grad: inputs must be Tensors, but got {type(x).__name__}")
    nodes = [live_node(x) for x in xs]
    if any(node is None for node in nodes):
        raise RuntimeError("One of the differentiated Tensors does not require grad")
    keep = create_graph if retain_graph is None else retain_graph
    targets = {node for node in nodes if node is not None}
    gradients = _gradients(grad_outputs, ys, "grad")
    walk = _walk(ys, gradients, keep, create_graph, targets, "grad")
    found = [None if node is None else walk.captured.get(node) for node in nodes]
    if materialize_grads:
        return tuple(
            x.new_zeros(x.shape) if g is None else g for x, g in zip(xs, found, strict=True)
        )
    if not allow_unused and any(g is None for g in found):
        raise RuntimeError(
            "One of the differentiated Tensors appears to not have been used in the graph. Set "
            "allow_unused=True if this is the desired behavior."
        )
    return tuple(found)
