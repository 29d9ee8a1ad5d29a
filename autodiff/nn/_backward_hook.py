"""How a module's backward hooks see its gradients: an identity on its inputs, one on its outputs.

The node of the outputs' identity runs first, and has the cotangents of the outputs; that of the
inputs' runs last, when those of the inputs are known, and calls the hooks with both.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from autodiff.autograd.function import Function
from autodiff.grad_mode import is_grad_enabled
from autodiff.node import Node
from autodiff.tensor import Tensor

Gradients = tuple[Any, ...]


class BackwardHookFunction(Function):
    """The identity of tensors, all through one node."""

    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.mark_non_differentiable(*[x for x in tensors if not x.requires_grad])
        return tensors

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> tuple[Any, ...]:
        return cotangents


class BackwardHook:
    """The backward hooks of one call of a module."""

    def __init__(self, module: Any, before: Sequence[Any], after: Sequence[Any]) -> None:
        self.module = module
        self.before = before
        self.after = after
        self.grad_outputs: Gradients | None = None
        self.sizes = [0, 0]  # how many inputs, and outputs, there are
        self.places: list[list[int] | None] = [None, None]  # which of them are tensors

    # ---- forward ----

    def inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments, through the identity."""
        passed: tuple[Any, ...] = self._through(0, args, self.at_inputs)
        return passed

    def outputs(self, result: Any) -> Any:
        """The result of forward, through the identity."""
        if not isinstance(result, (Tensor, tuple)):
            warnings.warn(
                "For backward hooks to be called, module output should be a Tensor or a tuple of "
                f"Tensors but received {type(result)}",
                stacklevel=4,
            )
        if isinstance(result, tuple):
            return self._through(1, result, self.at_outputs)
        return self._through(1, (result,), self.at_outputs)[0]

    def _through(self, side: int, values: Any, hook: Callable[..., Any]) -> Any:
        self.sizes[side] = len(values)
        places = [i for i, x in enumerate(values) if isinstance(x, Tensor)]
        if not is_grad_enabled() or not any(values[i].requires_grad for i in places):
            return values
        self.places[side] = places
        passed = BackwardHookFunction.apply(*[values[i] for i in places])
        node: Node = next(x.grad_fn for x in passed if x.grad_fn is not None)
        node.register_hook(hook)
        changed = list(values)
        for i, x in zip(places, passed, strict=True):
            changed[i] = x
        return tuple(changed) if type(values) is tuple else type(values)(*changed)

    # ---- backward ----

    def _whole(self, side: int, found: Sequence[Any]) -> Gradients:
        """The gradients of all inputs (or outputs), None for those that are no tensors."""
        whole = [None] * self.sizes[side]
        for i, g in zip(self.places[side] or (), found, strict=False):
            whole[i] = g
        return tuple(whole)

    def at_outputs(self, _: Gradients, found: Gradients) -> Gradients:
        """The gradients of the outputs are known."""
        grads = self._whole(1, found)
        for hook in self.before:
            changed = hook(self.module, grads)
            grads = _replaced(grads, changed, "Backward pre hook", "grad_output")
        if self.places[0] is None:
            self._without_inputs(grads)
        else:
            self.grad_outputs = grads
        return tuple(grads[i] for i in self.places[1] or ())

    def _without_inputs(self, grads: Gradients) -> None:
        """No input requires grad, so backward ends inside the module: the hooks are called now."""
        warnings.warn(
            "Full backward hook is firing when gradients are computed with respect to module "
            "outputs since no inputs require gradients.",
            stacklevel=5,
        )
        for hook in self.after:
            changed = hook(self.module, (None,) * self.sizes[0], grads)
            nothing = isinstance(changed, tuple) and all(g is None for g in changed)
            if changed is not None and not nothing:
                raise RuntimeError(
                    "Backward hook for Modules where no input requires gradient should always "
                    "return None or None for all gradients."
                )

    def at_inputs(self, found: Gradients, _: Gradients) -> Gradients | None:
        """The gradients of the inputs are known."""
        if self.grad_outputs is None:  # they came past the outputs, as in double backward
            return None
        grads = self._whole(0, found)
        for hook in self.after:
            changed = hook(self.module, grads, self.grad_outputs)
            grads = _replaced(grads, changed, "Backward hook", "grad_input")
        self.grad_outputs = None
        return tuple(grads[i] for i in self.places[0] or ())


def _replaced(grads: Gradients, changed: Any, hook: str, what: str) -> Gradients:
    """The gradients after a hook: those that it returned, if any."""
    if changed is None:
        return grads
    if len(changed) != len(grads):
        raise RuntimeError(
            f"{hook} returned an invalid number of {what}, got {len(changed)}, but expected "
            f"{len(grads)}"
        )
    found: Gradients = changed
    return found


# ---- the older kind ----


def hook_node(module: Any, hooks: Sequence[Any], args: Sequence[Any], result: Any) -> None:
    """Have hooks called after the node of a module's output, which they see the gradients of."""
    first = result
    while not isinstance(first, Tensor):
        first = next(iter(first.values())) if isinstance(first, dict) else first[0]
    node = first.grad_fn
    if node is None:
        return
    for hook in hooks:
        node.register_hook(functools.partial(hook, module))
    given = {x.grad_fn for x in args if isinstance(x, Tensor)} - {None}
    if set(node.edges) - {None} != given:
        warnings.warn(
            "Using a non-full backward hook when the forward contains multiple autograd Nodes is "
            "deprecated and will be removed in future versions. This hook will be missing some "
            "grad_input. Please use register_full_backward_hook to get the documented behavior.",
            FutureWarning,
            stacklevel=4,
        )
