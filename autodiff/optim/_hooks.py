"""Functions to be called around a step: of one optimizer, or of all."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from autodiff.changes import recorder_here
from autodiff.hooks import HookDict, RemovableHandle, add_hook

_before_all, _after_all = HookDict(), HookDict()


def register_optimizer_step_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(optimizer, args, kwargs)` before each step of every optimizer."""
    return add_hook(_before_all, hook)


def register_optimizer_step_post_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(optimizer, args, kwargs)` after each step of every optimizer."""
    return add_hook(_after_all, hook)


def step_hooks(optimizer: Any) -> tuple[list[Any], list[Any]]:
    """What is called before a step and after it: those of all are the outermost."""
    before, after = optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks
    return ([*_before_all.values(), *before.values()], [*after.values(), *_after_all.values()])


def with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """An optimiser's `step` with the hooks of the optimiser it is called on."""

    @functools.wraps(step)
    def hooked(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self._opt_called is False:
            self._opt_called = True
        if recorder := recorder_here():
            recorder.before_step(self)
        own = self._optimizer_step_pre_hooks or self._optimizer_step_post_hooks
        if not (own or _before_all or _after_all):
            return step(self, *args, **kwargs)
        before, after = step_hooks(self)
        given: tuple[Any, ...] = (self, *args)  # as PyTorch passes them on
        for hook in before:
            changed = hook(self, given, kwargs)
            if changed is not None:
                if not isinstance(changed, tuple) or len(changed) != 2:
                    raise RuntimeError(
                        f"{step} must return None or a tuple of (new_args, new_kwargs), but got "
                        f"{changed}."
                    )
                given, kwargs = changed
        result = step(*given, **kwargs)
        for hook in after:
            hook(self, given, kwargs)
        return result

    return hooked
