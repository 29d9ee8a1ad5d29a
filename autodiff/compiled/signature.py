"""What of a call decides which recordings may fit it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from autodiff.amp.policies import state as autocast_state
from autodiff.compiled.tree import is_plain
from autodiff.dtypes import get_default_dtype
from autodiff.hooks import hooks_now
from autodiff.native import ffi
from autodiff.nn.parameter import Parameter
from autodiff.node import AccumulateGrad, Node, behind, mode, recomputed
from autodiff.tensor import Tensor, live_node


def key_of(spec: Any, tensors: list[Tensor]) -> Any:
    """What decides which recordings may fit a call with arguments of this structure."""
    modes = mode.grad, mode.inference, autocast_state(), get_default_dtype()
    return spec, modes, tuple(map(signature, tensors)), same_nodes(tensors)


def is_fixed(x: Tensor) -> bool:
    """Whether an argument is taken as the very tensor it is: a leaf that gradients go to."""
    return isinstance(x, Parameter)


def signature(x: Tensor) -> Any:
    """What of an argument decides which recording fits; a fixed one by itself."""
    if is_fixed(x):
        return x
    p = x._p
    n = 8 * p.ndim
    sizes = bytes(ffi.buffer(p.shape, n)) + bytes(ffi.buffer(p.strides, n))
    return x.__class__, p.dtype, sizes, graph_of(x), is_hooked(x), _own(x)


def _own(x: Tensor) -> tuple[Any, ...]:
    """What users set on an argument of a subclass: numbers and strings by value, tensors by
    themselves; anything else may have changed, and fits no recording.
    """
    own = getattr(x, "__dict__", None) or {}
    return tuple(
        (name, type(v), repr(v) if is_plain(v) else v if type(v) is Tensor else object())
        for name, v in own.items()
    )


def graph_of(x: Tensor) -> bool | None:
    """Whether gradients end at a tensor, or go on through it; None where there are none."""
    node = live_node(x)
    return None if node is None else node is x._acc


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


def is_spent(
    root: Node, outside: Iterable[Node] = (), constant: Callable[[Any], bool] = lambda _: False
) -> bool:
    """Whether backward from a node can but raise, as one went through what is behind it, and before
    does the same whatever the values are: what it comes to then saved nothing but what is
    `constant`, and does not lead `outside`, where another call may have something else.

    Backward leaves no trace in nodes that saved nothing: where there are only those, it can go on.
    """
    stops = {*outside}
    freed = {x for x in behind([root], stops) if x.saved is None and x not in recomputed}
    before, hooks = [*behind([root], freed | stops)], hooks_now()
    for node in before if freed else ():
        hooked = node in hooks and not isinstance(node, AccumulateGrad)
        if hooked or node in recomputed or not stops.isdisjoint(node.edges):
            return False
    return bool(freed) and all(constant(p) for node in before for p in node.saved or ())
