"""Derivatives of an operation from its definition by differentiable ones, computed again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from autodiff import graph
from autodiff.grad_mode import enable_grad
from autodiff.ops.base import OpNode
from autodiff.ops.views import alias
from autodiff.tensor import Tensor


def cotangents_of(
    function: Callable[..., Tensor], node: OpNode, g: Tensor, inputs: Sequence[Tensor]
) -> list[Tensor | None]:
    """The cotangents of a node's inputs, for g, where function(*inputs) is what it computed.

    They are differentiable: the function is called on aliases, so that a gradient goes to each
    input alone, even where one was made of another.
    """
    cotangents: list[Tensor | None] = [None] * len(node.edges)
    wanted = [i for i in range(len(node.edges)) if node.needs(i)]
    with enable_grad():
        xs = [alias(x) for x in inputs]
        found = graph.grad(
            function(*xs), [xs[i] for i in wanted], g, create_graph=True, allow_unused=True
        )
    for i, gx in zip(wanted, found, strict=True):
        cotangents[i] = gx
    return cotangents
