"""What hooks make of gradients in a backward pass, held to the shapes and dtypes of these."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autodiff.hooks import NodeHooks
from autodiff.node import Cotangents
from autodiff.tensor import Tensor


def call_tensor_hooks(hooks: NodeHooks, g: Tensor) -> Tensor:
    """What the hooks of a tensor make of its gradient; kept last, if it is to be kept."""
    for hook in tuple(hooks.tensor.values()):
        g = _checked(hook, hook(g), g)
    kept = hooks.retained
    if kept is not None:
        before = kept.gradient()
        kept.put(g.clone() if before is None else before + g)
    return g


def _checked(hook: Any, changed: Any, g: Tensor | None) -> Any:
    """What a hook returned for g, or g for None. TypeError, RuntimeError where it does not fit."""
    if changed is None or g is None:
        return g if changed is None else changed
    if not isinstance(changed, Tensor):
        raise TypeError(f"expected Variable, but hook returned {type(changed).__name__!r}")
    if changed.dtype is not g.dtype:
        raise RuntimeError(
            f"hook {_named(hook)} has changed the type of value (was {g.dtype!r} got "
            f"{changed.dtype!r})"
        )
    if changed.shape != g.shape:
        raise RuntimeError(
            f"hook {_named(hook)} has changed the size of value (was {list(g.shape)} got "
            f"{list(changed.shape)})"
        )
    return changed


def _named(hook: Any) -> str:
    return repr(getattr(hook, "__name__", None) or repr(hook))


def _all_checked(hook: Any, changed: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same of a hook that returns a tuple, or one tensor for a tuple of one."""
    if changed is None:
        return given
    if isinstance(changed, Tensor) and len(given) == 1:
        changed = (changed,)
    if not isinstance(changed, tuple):
        raise TypeError(f"expected tuple, but hook returned {type(changed).__name__!r}")
    if len(changed) != len(given):
        raise RuntimeError(
            f"hook {_named(hook)} has returned an incorrect number of values (got {len(changed)}, "
            f"but expected {len(given)})"
        )
    return tuple(_checked(hook, new, old) for new, old in zip(changed, given, strict=True))


def call_node_hooks(
    hooks: NodeHooks, g: Any, vjp: Callable[[Any], Sequence[Tensor | None]]
) -> Sequence[Tensor | None]:
    """A node's vjp between the hooks before and after it."""
    outputs = tuple(g) if isinstance(g, Cotangents) else (g,)
    for hook in tuple(hooks.before.values()):
        outputs = _all_checked(hook, hook(outputs), outputs)
    grads = tuple(vjp(Cotangents(outputs) if isinstance(g, Cotangents) else outputs[0]))
    for hook in tuple(hooks.post.values()):
        grads = _all_checked(hook, hook(grads, outputs), grads)
    return grads
