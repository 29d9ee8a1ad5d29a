"""Reverse mode as it is asked for: `backward`, and `grad` of what one names."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

from autodiff.hooks import hooks_now
from autodiff.node import AccumulateGrad, Cotangents, GradientEdge, Node
from autodiff.tensor import Tensor, live_node
from autodiff.walk import arrive, walk_from


def _as_tuple(x: Any) -> tuple[Any, ...]:
    if isinstance(x, (tuple, list)) and not isinstance(x, GradientEdge):
        return tuple(x)
    one = isinstance(x, (Tensor, str, bytes, GradientEdge)) or not isinstance(x, Iterable)
    return (x,) if one else tuple(x)


def _gradients(given: Any, outputs: tuple[Any, ...], what: str) -> tuple[Any, ...]:
    gradients = (None,) * len(outputs) if given is None else _as_tuple(given)
    if len(gradients) != len(outputs):
        raise RuntimeError(f"{what}: got {len(outputs)} tensors and {len(gradients)} gradients")
    return gradients


def backward_from(
    y: Tensor, g: Tensor | None, retain_graph: bool | None, create_graph: bool
) -> None:
    """`backward` of one tensor, to all leaves."""
    if create_graph:
        _warn_of_cycle(4)
    keep = create_graph if retain_graph is None else retain_graph
    walk_from((y,), (g,), keep, create_graph, None, "backward")


def _warn_of_cycle(stacklevel: int) -> None:
    warnings.warn(
        "Using backward() with create_graph=True will create a reference cycle between the "
        "parameter and its gradient, which only the garbage collector frees: memory grows until "
        "it runs. Use autograd.grad() instead, or set .grad of the parameters to None after use.",
        stacklevel=stacklevel,
    )


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

    >>> x = ad.ones(2, requires_grad=True)
    >>> ad.autograd.backward([2 * x], [ad.tensor([1.0, 10.0])])
    >>> x.grad
    tensor([ 2., 20.])
    """
    outputs = _as_tuple(tensors)
    if create_graph:
        _warn_of_cycle(3)
    keep = create_graph if retain_graph is None else retain_graph
    gradients = _gradients(grad_tensors, outputs, "backward")
    if inputs is None:
        walk_from(outputs, gradients, keep, create_graph, None, "backward")
        return
    leaves = tuple(dict.fromkeys(_as_tuple(inputs)))  # one named twice gets its gradient once
    if not leaves:
        raise RuntimeError("backward: `inputs` is empty; leave it out to reach every leaf")
    for x in leaves:
        if isinstance(x, Tensor) and not x.is_leaf:
            x.retain_grad()
    found = grad(outputs, leaves, gradients, keep, create_graph, allow_unused=True)
    hooks = hooks_now()
    for x, g in zip(leaves, found, strict=True):
        if isinstance(x, GradientEdge):
            if g is not None and isinstance(x.node, AccumulateGrad):
                arrive(x.node, g, False, create_graph, hooks.get(x.node))
        elif g is not None and not x.retains_grad:  # which the walk kept already
            arrive(x._accumulator(), g, False, create_graph, hooks.get(x._acc))


def grad_between(
    outputs: Sequence[Tensor], nodes: Sequence[Node], stops: set[Node], gradients: Sequence[Tensor]
) -> list[Tensor | None]:
    """The cotangents that arrive at nodes, without those that would come through `stops`."""
    walk = walk_from(outputs, gradients, True, False, set(nodes), "grad", stops)
    return [walk.captured.get(node) for node in nodes]


def _targets(xs: tuple[Any, ...]) -> list[Node]:
    """The nodes of inputs. TypeError for other than tensors, RuntimeError for those without."""
    found = []
    for x in xs:
        if isinstance(x, GradientEdge):
            found.append(x.node)
            continue
        if not isinstance(x, Tensor):
            raise TypeError(f"grad: inputs must be Tensors, but got {type(x).__name__}")
        node = live_node(x)
        if node is None:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
        found.append(node)
    return found


def _arrived(g: Any, x: Any) -> Any:
    """What came to the node of x, which may be an edge of a Function of several outputs."""
    return g[x.output_nr] if isinstance(g, Cotangents) else g


def _zeros_of(x: Any, create: bool) -> Tensor:
    if isinstance(x, GradientEdge):
        raise RuntimeError(
            "materialize_grads cannot be used when the given input is a GradientEdge"
        )
    zeros: Tensor = x.new_zeros(x.shape, requires_grad=create)
    return zeros


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> Any:
    """The gradients of `outputs` with respect to `inputs`, a tuple; no `.grad` is touched.

    RuntimeError where an input does not require grad, or was not used (unless `allow_unused`,
    which gives None, or `materialize_grads`, which gives zeros). With `is_grads_batched`, each of
    `grad_outputs` has a dimension in front, and so have the gradients: one backward pass for all.
    `only_inputs` changes nothing. A dict of inputs gives a dict of gradients. An input may also be
    an edge that `autograd.graph.get_gradient_edge` gives.

    >>> x = ad.tensor(2.0, requires_grad=True)
    >>> (slope,) = ad.autograd.grad(x**3, x, create_graph=True)
    >>> slope
    tensor(12., grad_fn=<PowBackwardBackward0>)
    >>> ad.autograd.grad(slope, x)
    (tensor(12.),)
    """
    if isinstance(inputs, dict):
        given = tuple(inputs.values())
        rest = (only_inputs, allow_unused, is_grads_batched, materialize_grads)
        each = grad(outputs, given, grad_outputs, retain_graph, create_graph, *rest)
        return dict(zip(inputs, each, strict=True))
    ys, xs = _as_tuple(outputs), _as_tuple(inputs)
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: "
            "allow_unused=False."
        )
    if not xs:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    if is_grads_batched:
        gs = _gradients(grad_outputs, ys, "grad")
        batched = importlib.import_module("autodiff.func.jacobians")  # which is above
        rest = (True, allow_unused, False, materialize_grads)
        return batched.batched_gradients(ys, xs, gs, retain_graph, create_graph, *rest)
    nodes = _targets(xs)
    keep = create_graph if retain_graph is None else retain_graph
    gradients = _gradients(grad_outputs, ys, "grad")
    captured = walk_from(ys, gradients, keep, create_graph, set(nodes), "grad").captured
    found = [_arrived(captured.get(node), x) for x, node in zip(xs, nodes, strict=True)]
    if materialize_grads:
        zeros = zip(found, xs, strict=True)
        found = [_zeros_of(x, create_graph) if g is None else g for g, x in zeros]
    if not allow_unused and any(g is None for g in found):
        raise RuntimeError(
            "One of the differentiated Tensors appears to not have been used in the graph. Set "
            "allow_unused=True if this is the desired behavior."
        )
    return tuple(found)


def grad_of_some(
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor],
    gradients: Sequence[Any] | None,
    create: bool,
    keep: bool | None = None,
) -> list[Tensor | None]:
    """`grad` of those outputs that are part of a graph; None for inputs that none depends on."""
    starts = [None] * len(outputs) if gradients is None else gradients
    pairs = [(y, g) for y, g in zip(outputs, starts, strict=True) if live_node(y) is not None]
    if not pairs or not inputs:
        return [None] * len(inputs)
    ys, gs = zip(*pairs, strict=True)
    return list(grad(ys, inputs, gs, keep, create, allow_unused=True))
